"""From what is asked to the commands that do it: which executable, which GPUs, which flags. Starts no server."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from evolve.errors import UsageError
from evolve.serving.profiles import ALWAYS, ON_CPU, PROFILES, Profile

__all__ = ["EXECUTABLE", "KEY", "Command", "Plan", "commands", "executable", "gpus_here"]

EXECUTABLE: Final = "EVOLVE_VLLM"
"""Environment variable that names the `vllm` executable."""

KEY: Final = "VLLM_API_KEY"
"""Environment variable by which vLLM learns its API key: words of a command are seen by everybody on the machine."""

_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `--max-lora-rank`, from what it is without being told."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to serve, and how.

    Args:
        model: name on the hub, or folder.
        profile: one of `PROFILES`.
        tensor_parallel: GPUs that one server is spread over.
        gpus: as CUDA_VISIBLE_DEVICES names them; () for the CPU; None for all that are found.
        adapters: LoRA adapters, folder or hub name by the name under which they are asked for.
        host: address to listen at.
        drain: seconds that requests under way are given when the server is told to stop.
        extra: further words for `vllm serve`; they win against the profile's.

    Raises:
        UsageError: something that cannot be meant.
    """

    model: str
    profile: str = "throughput"
    tensor_parallel: int = 1
    gpus: tuple[str, ...] | None = None
    adapters: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    drain: int = 30
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.model or self.model.startswith("-"):
            raise UsageError(f"model {self.model!r}: a name on the hub, or a folder")
        if self.profile not in PROFILES:
            raise UsageError(f"profile {self.profile!r}; one of {', '.join(PROFILES)}")
        if self.tensor_parallel < 1:
            raise UsageError(f"--tensor-parallel {self.tensor_parallel}: at least 1")
        if self.drain < 0:
            raise UsageError(f"--drain {self.drain}: seconds, 0 or more")
        for word in self.extra:
            if word.split("=")[0] in ("--api-key", "--host", "--port"):
                raise UsageError(f"{word.split('=')[0]} after `--`: {_OWN[word.split('=')[0]]}")

    @property
    def slots(self) -> int | None:
        """Sequences that a server works on at once, where `extra` says so."""
        words = [part for word in self.extra for part in word.split("=", 1)]
        if "--max-num-seqs" in words[:-1]:
            value = words[words.index("--max-num-seqs") + 1]
            return int(value) if value.isdecimal() else None
        return None


_OWN: Final = {
    "--api-key": f"a key there is seen by everybody on the machine; set {KEY}, or leave it to be made",
    "--host": "say it before, evolve has to know it",
    "--port": "ports are chosen by evolve, one a server; the discovery file says which",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One server's process.

    Args:
        words: the command.
        environment: what it adds to the environment; without the key.
        url: where the API will be.
        gpus: that it will see.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str]
    url: str
    gpus: tuple[str, ...]

    def quoted(self) -> str:
        """One line for a POSIX shell, which has to know the key already."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([f'{KEY}="${{{KEY}:?}}"', *settings, shlex.join(self.words)])


def executable() -> str:
    """The `vllm` to run: $EVOLVE_VLLM, or else this environment's, or else the one in the PATH.

    Raises:
        UsageError: there is none.
    """
    if named := os.environ.get(EXECUTABLE):
        if found := shutil.which(str(Path(named).expanduser())):
            return found
        raise UsageError(
            f"{EXECUTABLE}={named}: no such program; name the `vllm` of an environment that has vLLM"
        )
    if found := shutil.which("vllm", path=str(Path(sys.prefix) / "bin")) or shutil.which("vllm"):
        return found
    raise UsageError(
        "no `vllm` here: make an environment of its own for it (python3 -m venv V && V/bin/pip install vllm) and set "
        f"{EXECUTABLE}=V/bin/vllm, or install evolve-engine[vllm] into this one"
    )


def gpus_here() -> tuple[str, ...]:
    """Names of the GPUs that this process may use; none if there is no NVIDIA GPU, or no driver."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(part.strip() for part in named.split(",") if part.strip() not in ("", "-1"))
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    question = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        told = subprocess.run(question, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(told.stdout.split()) if told.returncode == 0 else ()


def commands(plan: Plan, program: str, port: Callable[[int], int]) -> tuple[Command, ...]:
    """The servers of a plan: one for each GPU or group of them, or one on the CPU.

    Args:
        plan: what to serve.
        program: the `vllm` executable.
        port: of each server, by its number from 0.

    Raises:
        UsageError: GPUs that do not make whole groups; an adapter that is none.
    """
    gpus = gpus_here() if plan.gpus is None else plan.gpus
    size = plan.tensor_parallel
    if gpus and len(gpus) % size:
        raise UsageError(
            f"--tensor-parallel {size}: {len(gpus)} GPUs ({','.join(gpus)}) make no whole groups of {size}; "
            "name those to use by --gpus"
        )
    groups = [gpus[start : start + size] for start in range(0, len(gpus), size)] or [()]
    return tuple(_command(plan, program, port(number), group) for number, group in enumerate(groups))


def _command(plan: Plan, program: str, port: int, gpus: tuple[str, ...]) -> Command:
    parts: list[Profile] = [ALWAYS, PROFILES[plan.profile], *([] if gpus else [ON_CPU])]
    words = [program, "serve", plan.model, "--host", plan.host, "--port", str(port)]
    words += ["--shutdown-timeout", str(plan.drain)]
    for part in parts:
        words += part.flags
    if plan.tensor_parallel > 1:
        words += ["--tensor-parallel-size", str(plan.tensor_parallel)]
    words += _adapters(plan.adapters)
    environment: dict[str, str] = {}
    for part in parts:
        environment |= {**part.environment, **(part.gpu if gpus else {})}
    # What the user has set in the environment is meant.
    environment = {name: os.environ.get(name, value) for name, value in environment.items()}
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    # An address that means "all of this machine's" is nowhere to connect to.
    host = socket.gethostname() if plan.host in ("0.0.0.0", "::") else plan.host  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    return Command((*words, *plan.extra), environment, f"http://{host}:{port}/v1", gpus)


def _adapters(adapters: Mapping[str, str]) -> Sequence[str]:
    if not adapters:
        return ()
    rank = max(_rank(name, place) for name, place in adapters.items())
    return (
        *("--enable-lora", "--max-loras", str(len(adapters)), "--max-lora-rank", str(rank)),
        *("--lora-modules", *(f"{name}={place}" for name, place in adapters.items())),
    )


def _rank(name: str, place: str) -> int:
    """What `--max-lora-rank` an adapter needs; of one on the hub nothing is known, and vLLM's default is meant."""
    file = Path(place).expanduser() / "adapter_config.json"
    if not Path(place).expanduser().is_dir():
        if place.startswith(("/", ".", "~")):
            raise UsageError(f"--adapter {name}={place}: there is no such folder")
        return 16
    try:
        rank = json.loads(file.read_text(encoding="utf-8"))["r"]
        return next(each for each in _RANKS if each >= rank)
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        raise UsageError(f"--adapter {name}={place}: {file} is missing or tells no rank up to 512") from None
