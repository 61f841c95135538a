"""Build of the optional compiled extensions; everything declarative is in pyproject.toml."""

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    ext_modules=cythonize(
        [Extension("evolve.fastcore._clock", ["fastcore/_clock.pyx"], optional=True)],
        compiler_directives={"language_level": "3"},
    )
)
