"""Serves attack requests in a context it has entered (see `enter`): the supervisor that programs attack.

Holds the runners, judges and secrets. Speaks `wire` over one descriptor, with the trusted parent test.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # a script beside others, not part of a package here
import naive
import scenes

import evolve.evaluator
from evolve.fastcore import runner as runner_module
from evolve.fastcore import wire
from evolve.fastcore.limits import AnswerBounds, Limits
from evolve.fastcore.runner import Failure, Runner
from evolve.loader import load, shipped

HEAP = ctypes.create_string_buffer(b"heap-secret")
HEAD = """
import ctypes, math, os, sys
{facts}
def any_of(*works):
    for work in works:
        try:
            if work(): return True
        except Exception: pass
    return False
def write(path):
    with open(path, 'w') as file: pass
    os.remove(path)
    return True
"""
LONG = AnswerBounds(text=64 << 20)


def head(facts: dict[str, Any]) -> str:
    """What every attacking program begins with: it knows where everything is."""
    return HEAD.replace("{facts}", "\n".join(f"{name} = {value!r}" for name, value in facts.items()))


class Server:
    """One supervisor with a zygote for jailed programs, one for controls, and a judge a problem."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.room = settings["room"]
        self.options = settings["options"]
        self.made: list[Runner] = []
        self.judges: dict[str, evolve.evaluator.Judge] = {}
        self.runners: dict[str, Runner] = {}
        evolve.evaluator.Runner = self.make_runner  # type: ignore[misc, assignment]
        self.server = socket.create_server(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(f"\0evolve-{os.getpid()}")
        self.unix.listen()
        self.base = len(os.listdir("/proc/self/fd"))

    def make_runner(self, preload: tuple[str, ...] = (), unsafe: bool = False, **more: Any) -> Runner:
        made = Runner(preload, unsafe=unsafe, **({} if unsafe else {**self.options, **more}))
        self.made.append(made)
        return made

    def runner(self, name: str = "jailed") -> Runner:
        """A runner by name; those whose name begins with "unsafe" confine nothing."""
        if name not in self.runners:
            self.runners[name] = self.make_runner(unsafe=name.startswith("unsafe"))
        return self.runners[name]

    def facts(self, runner: Runner | None, extra: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        return {
            "SUPERVISOR": os.getpid(),
            "ZYGOTE": runner.zygote if runner else os.getpid(),
            "ADDRESS": ctypes.addressof(HEAP),
            "KEY": "EVOLVE_TEST_API_KEY",
            "ROOM": self.room,
            "MARK": Path(
                self.room
            ).name,  # in names of files elsewhere: another run of these tests leaves its own
            "PORT": self.server.getsockname()[1],
            "PACKAGES": str(Path(np.__file__).parents[1]),
            "OURS": str(Path(runner_module.__file__)),
            "SHIPPED": str(shipped()["circle_packing"]),
            "SETUID": f"{self.room}/id",
            **extra,
        }

    # --- what may be asked

    def attempt(self, source: str, how: dict[str, Any]) -> dict[str, Any]:
        """Run a program; `how`: runner, limits, facts, asks (arguments of each call)."""
        runner = self.runner(how.get("runner", "jailed"))
        text = head(self.facts(runner, how.get("facts", {}))) + source
        return self.run(runner, text, Limits(**how["limits"]), how.get("asks", [()]))

    def run(self, runner: Runner, source: str, limits: Limits, asks: list[tuple[Any, ...]]) -> dict[str, Any]:
        values: list[Any] = []
        said: dict[str, Any] = {"status": "ok", "message": "", "traceback": ""}
        with runner.start(source, "entry", limits) as session:
            try:
                for args in asks:
                    values.append(session.call(args))
            except Failure as failure:
                said = {"status": failure.status, "message": failure.message, "traceback": failure.traceback}
            usage = session.finish()
        return {
            **said,
            "values": values,
            "value": values[-1] if values else None,
            "cpu": usage.cpu_seconds,
            "output": usage.output,
            "memory": usage.memory,
            "isolation": usage.isolation,
        }

    def beside(self, source: str, facts: dict[str, Any], call: str = "entry()") -> Any:
        """Run a program in a plain child of this supervisor: no jail, no limits, everything inherited."""
        text = head(self.facts(None, facts)) + source

        def work() -> Any:
            namespace: dict[str, Any] = {"__name__": "program", "naive": naive}
            exec(text, namespace)
            return eval(call, namespace)

        return forked(work)

    def naive(self, source: str, times: int, vectors: list[Any]) -> Any:
        """Have the usual harness, of one process, evaluate a program."""
        text = head(self.facts(None, {})) + source
        return forked(lambda: naive.evaluate(text, vectors, times))

    def judge(self, problem: str, how: dict[str, Any]) -> dict[str, Any]:
        """Judge a source with the real evaluator; `how`: source, suite, parameters, bare, floor."""
        key = problem + json.dumps(how.get("parameters", {}))
        if key not in self.judges:
            found = load(problem, how.get("parameters", {}))
            self.judges[key] = evolve.evaluator.Judge(found)
        judge = self.judges[key]
        start = "" if how.get("bare") else head(self.facts(None, how.get("facts", {})))
        # A race goes on until it is sure not to reach the floor: two pairs will do here.
        floor = None if judge.problem.speed is None else how.get("floor", 1e9)
        judged = judge.judge(evolve.evaluator.Job(start + how["source"], how.get("suite", ""), floor=floor))
        made = judged.evaluation
        return {
            "status": str(made.status),
            "message": made.message,
            "objective": made.objective,
            "scores": {name: dict(numbers) for name, numbers in made.scores.items()},
            "output": made.output,
            "cpu": made.cpu_seconds,
            "isolation": made.isolation,
            "traceback": judged.traceback,
        }

    def shipped(self) -> list[str]:
        return list(shipped())

    def scene(self, name: str, args: tuple[Any, ...]) -> Any:
        """Play one of `scenes`."""
        return getattr(scenes, name)(self, *args)

    def left(self) -> dict[str, Any]:
        """What attacks have left behind here: nothing but one descriptor a zygote, and the zygotes."""
        alive = [runner for runner in self.made if runner._warden is not None]
        zygotes = [runner.zygote for runner in alive]
        offspring = children()
        mine = set(offspring.get(os.getpid(), [])) - set(zygotes)
        shm = [name for name in os.listdir("/dev/shm") if Path(self.room).name in name]
        return {
            "descriptors": len(os.listdir("/proc/self/fd")) - self.base - len(alive),
            "strangers": sorted(mine),
            "programs": [pid for zygote in zygotes for pid in offspring.get(zygote, [])],
            "shm": shm,
            "zygotes": zygotes,
        }

    def close(self) -> None:
        for judge in self.judges.values():
            judge.close()
        for runner in self.made:
            runner.close()


def children() -> dict[int, list[int]]:
    """Every process's children, zombies too."""
    found: dict[int, list[int]] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{entry}/stat").read_text()
            found.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    return found


def forked(work: Any) -> Any:
    """What `work` returns in a forked child, as JSON; its last line of output will do as well."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.setsid()
            os.dup2(write, 1)
            os.closerange(3, 64)
            signal.alarm(10)
            try:
                answer: Any = work()
            except BaseException as error:
                answer = {"raised": f"{type(error).__name__}: {error}"}
            os.write(1, b"\n" + json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    data = b""
    while select.select([read], [], [], 10.0)[0] and (part := os.read(read, 1 << 16)):
        data += part
    os.close(read)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    lines = data.decode("utf-8", "replace").strip().splitlines()
    try:
        return json.loads(lines[-1]) if lines else None
    except ValueError:
        return {"raised": lines[-1]}


def exactly(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = link.recv(min(size - len(data), 1 << 20))
        if not part:
            raise EOFError
        data += part
    return data


def main() -> None:
    settings = json.loads(sys.argv[1])
    link = socket.socket(fileno=settings["descriptor"])
    server = Server(settings)
    try:
        while True:
            name, args = wire.decode(exactly(link, struct.unpack("<Q", exactly(link, 8))[0]), wire.TRUSTED)
            try:
                answer = wire.encode(("ok", getattr(server, name)(*args)))
            except Exception:
                answer = wire.encode(("raised", traceback.format_exc()))
            link.sendall(struct.pack("<Q", len(answer)) + answer)
    except EOFError:
        server.close()


if __name__ == "__main__":
    main()
