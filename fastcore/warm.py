"""Loads what programs may import into the zygote, once, and runs what is slow at its first use.

Knows libraries; knows no program, no jail and no channel.
"""

import importlib
import importlib.util
import sys
import warnings

import numpy as np

from evolve.fastcore import jit, typical

__all__ = ["load"]


def load(preload: list[str]) -> None:
    """Import the modules of `preload`, then close the package `evolve.fastcore` to imports.

    Where Numba is among them, or imported by one of them, it is fitted to the jail and its compiler is warmed.
    """
    np.seterr(all="ignore")
    np.dot(np.zeros((2, 2)), np.zeros((2, 2)))  # BLAS makes its buffers here, once
    for name in preload:
        importlib.import_module(name)
    if "numba" in sys.modules:
        numba = jit.fit()
        for kernel, values in typical.KERNELS:
            values.setflags(write=False)  # as the inputs of a program are, which is another type to Numba
            numba.njit(kernel)(values)
    sys.modules["evolve.fastcore"].__path__ = []
    importlib.util.find_spec("evolve_fills_the_folder_caches")  # no folder of packages can be listed later
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
