"""Build of the optional compiled extensions; everything declarative is in pyproject.toml."""

from Cython.Build import cythonize
from setuptools import Extension, setup

extensions = cythonize(
    [Extension(f"evolve.fastcore.{name}", [f"fastcore/{name}.pyx"]) for name in ("_clock", "_jail")],
    compiler_directives={"language_level": "3"},
)
for extension in extensions:
    extension.optional = True  # cythonize drops it; without a compiler evolve is slower and answers the same

setup(ext_modules=extensions)
