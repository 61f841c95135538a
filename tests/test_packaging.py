"""What is installed: one top-level name, from a wheel that is built from the sdist, with or without a compiler."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROBE = """
import json, sys
# Where evolve itself is installed editable, its finder would fill in what the wheel lacks.
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
import evolve, evolve.cli, evolve.problems.capset
from evolve.fastcore.clock import COMPILED
from evolve.fastcore.kernels.capset import greedy_cap
print(json.dumps([evolve.__file__, COMPILED, len(greedy_cap([0.0] * 81, 4)[0])]))
"""


def build(*arguments, **environment):
    command = [sys.executable, "-m", "build", "--no-isolation", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    build("--sdist", "--outdir", folder, ROOT)
    (made,) = folder.glob("*.tar.gz")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(made) as archive:
        archive.extractall(unpacked, filter="data")
    (tree,) = unpacked.iterdir()
    return tree


@pytest.mark.slow
@pytest.mark.parametrize("compiler", [True, False])
def test_a_wheel_from_the_sdist_holds_evolve_alone_and_works(sdist, tmp_path, compiler):
    shutil.copytree(sdist, tmp_path / "tree")
    build("--wheel", "--outdir", tmp_path, tmp_path / "tree", **({} if compiler else {"CC": "/bin/false"}))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"evolve"}
    assert any(name.endswith("_clock.pyx") for name in names)
    assert "evolve/llm/templates/system.txt" in names
    assert "evolve/bench/report/page.css" in names
    assert not any("/tests/" in name or "/perf/" in name or name.endswith(".c") for name in names)
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f'["{tmp_path}/site/evolve/__init__.py", {str(compiler).lower()}, 16]' in done.stdout
