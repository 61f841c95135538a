"""A real vLLM on the CPU, one for all tests of this folder: EVOLVE_VLLM=$(.ci/vllm) pytest tests/llm/real"""

import asyncio
import os
import re
import shlex
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from evolve.llm.client import HttpClient, Patience
from evolve.llm.records import Message, Request
from evolve.serving.keeper import Care, Stage
from evolve.serving.plan import Plan
from evolve.serving.supervisor import Supervisor

sys.path.insert(0, str(Path(__file__).parents[1]))  # fake_server, prompts

MODEL = "tiny"
ADAPTER = "tuned"
EXTRA = ("--served-model-name", MODEL)
CARE = Care(start=400.0, beat=0.5, silence=120.0, pause=0.1, longest=1.0)
PATIENT = Patience(seconds=400.0, pause=0.1, longest=1.0, interval=0.5)


def ask(text, tokens=800):
    """A request for so many tokens."""
    long = {"min_tokens": tokens, "ignore_eos": True}
    return Request((Message("user", text),), "s", "", tokens, sampling=long, deadline=300.0)


class RealVllm:
    """A server that runs.

    Attributes:
        model: the name it serves; `ADAPTER` is another.
        supervisor: who keeps it.
        endpoint: URL, model and key.
        said: what the supervisor told.
    """

    def __init__(self, supervisor, said):
        self.supervisor = supervisor
        self.said = said
        (self.endpoint,) = supervisor.endpoints
        self.model = self.endpoint.model

    @property
    def url(self):
        return self.endpoint.url

    @property
    def key(self):
        return self.endpoint.key

    def client(self, observer=None):
        options = {} if observer is None else {"observer": observer}
        return HttpClient([self.endpoint], PATIENT, seed=0, **options)

    def metrics(self):
        """Each of vLLM's counters and gauges, summed over its labels."""
        with urllib.request.urlopen(self.endpoint.root + "/metrics", timeout=30) as reply:
            text = reply.read().decode()
        found = {}
        for name, value in re.findall(r"^vllm:(\w+)(?:\{[^}\n]*\})? (\S+)$", text, re.MULTILINE):
            found[name] = found.get(name, 0.0) + float(value)
        return found

    def engines(self):
        """Numbers of its engine processes."""
        children = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, name, state, parent = re.match(r"(\d+) \((.*)\) (\S) (\d+)", stat.read_text()).groups()
            except OSError:
                continue
            if state != "Z":
                children.setdefault(int(parent), []).append((int(pid), name))
        rest, found = [self.supervisor.keepers[0].pid], []
        while rest:
            for pid, name in children.get(rest.pop(), []):
                rest.append(pid)
                if name.startswith("VLLM::EngineCor"):  # the kernel keeps 15 characters
                    found.append(pid)
        return found

    def is_ready(self):
        return self.supervisor.keepers[0].stage is Stage.READY


@pytest.fixture(scope="session")
def vllm_program(tmp_path_factory):
    """The `vllm` to test with, kept from the network; where there is none, why the test cannot run."""
    named = os.environ.get("EVOLVE_VLLM")
    if not named:
        told = pytest.fail if os.environ.get("EVOLVE_REQUIRE_VLLM") else pytest.skip
        told("EVOLVE_VLLM names no vllm; `EVOLVE_VLLM=$(.ci/vllm) pytest` makes one and uses it")
    program = tmp_path_factory.mktemp("bin") / "vllm"
    program.write_text(f'#!/bin/sh\nHF_HUB_OFFLINE=1 exec {shlex.quote(named)} "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture(scope="session")
def tiny_model(vllm_program, tmp_path_factory):
    """Folders of the model and its adapter."""
    folder = tmp_path_factory.mktemp("model")
    python = Path(os.environ["EVOLVE_VLLM"]).with_name("python")
    maker = Path(__file__).with_name("model.py")
    command = [python, maker, folder / "tiny", "--adapter", folder / "adapter"]
    made = subprocess.run(command, check=False, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return folder / "tiny", folder / "adapter"


@pytest.fixture(scope="session")
def real_vllm(vllm_program, tiny_model, tmp_path_factory):
    """The server of all tests; it serves `MODEL`, and `ADAPTER` on top of it."""
    model, adapter = tiny_model
    plan = Plan(str(model), gpus=(), adapters={ADAPTER: str(adapter)}, drain=5, extra=EXTRA)
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOLVE_VLLM", str(vllm_program))
        patch.delenv("EVOLVE_LLM_KEY", raising=False)
        supervisor = Supervisor(plan, CARE, said.append, tmp_path_factory.mktemp("serve"))
    started, ended = threading.Event(), threading.Event()
    trouble = []

    async def serve():
        async with supervisor:
            started.set()
            await asyncio.to_thread(ended.wait)

    def work():
        try:
            asyncio.run(serve())
        except Exception as error:
            trouble.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        started.wait()
        if trouble:
            raise trouble[0]
        yield RealVllm(supervisor, said)
    finally:
        ended.set()
        thread.join()
    assert not trouble, trouble
