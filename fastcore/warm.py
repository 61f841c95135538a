"""Loads what programs may import into the zygote, once, and runs what is slow at its first use.

Knows libraries; knows no program, no jail and no channel.
"""

import importlib
import importlib.util
import sys
import warnings
from typing import Any

__all__ = ["load"]


def load(preload: list[str]) -> None:
    """Import numpy and the modules of `preload`, then close the package `evolve.fastcore` to imports."""
    import numpy as np

    np.seterr(all="ignore")
    np.dot(np.zeros((2, 2)), np.zeros((2, 2)))  # BLAS makes its buffers here, once
    for name in preload:
        importlib.import_module(name)
    if "numba" in sys.modules:
        numba: Any = sys.modules["numba"]
        numba.njit(lambda x: x + 1)(1)  # warms the compiler
    sys.modules["evolve.fastcore"].__path__ = []
    importlib.util.find_spec("evolve_fills_the_folder_caches")  # no folder of packages can be listed later
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
