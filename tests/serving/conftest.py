"""A `vllm` that is none: tests say what it does, and see what was asked of it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "llm"))  # fake_server

FAKE = Path(__file__).with_name("fake_vllm.py")


@pytest.fixture
def vllm(tmp_path, monkeypatch):
    """Put the fake in place; `vllm(**orders)` gives it orders (see fake_vllm.py), returns the folder it writes to."""
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("EVOLVE_VLLM", str(program))
    monkeypatch.setenv("EVOLVE_SERVE_DIR", str(tmp_path / "serve"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("FAKE_VLLM", str(tmp_path))
    monkeypatch.delenv("VLLM_API_KEY", raising=False)

    def order(**orders):
        for name, value in orders.items():
            (tmp_path / name).write_text(str(value))
        return tmp_path

    return order
