"""Programs spliced from the attacks and from honest code, between honest programs whose answers must never change.

All run in one supervisor. After each, no process and no file is left; descriptors and memory stay as they are.
Run: `python bench/campaigns/splice_attacks.py --programs 10000`
"""

import ast
import contextlib
import importlib
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import report

from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure, Runner
from evolve.fastcore.wire import encode

ROOT = Path(__file__).parents[2]
PATIENT = Limits(seconds=30.0, setup_seconds=30.0)
LIMITS = Limits(seconds=0.2, setup_seconds=1.0, cpu_seconds=2.0, memory=96 << 20, answer_bytes=1 << 20)
EVERY = 5
"""Spliced programs between two looks at the honest ones."""
MOST_GROWTH = 32 << 20
"""Bytes by which the supervisor may grow once it is warm."""
PREAMBLE = """
import ctypes, math, os, sys, time
import numpy as np
def any_of(*works):
    for work in works:
        try:
            if work(): return True
        except Exception: pass
    return False
def write(path):
    with open(path, 'w') as file: pass
    return True
def local(name):
    frame = sys._getframe(1)
    while frame and name not in frame.f_locals: frame = frame.f_back
    return frame.f_locals[name]
"""
HONEST = {
    "sums": "def entry(x): return [float(x[:n].sum()) for n in range(1, 40)]",
    "matrices": "import numpy as np\n"
    "def entry(x): return np.linalg.solve(np.outer(x, x[::-1]) + 9 * np.eye(len(x)), x)",
    "chance": "import random\ndef entry(x): return [random.random() for _ in range(9)], {'a': x, 'b': [None, True]}",
}
INPUT = encode((np.random.default_rng(7).standard_normal(60),))


def pieces() -> tuple[list[str], list[str], list[list[str]]]:
    """What stands at the top of the attacks, their single statements, and their bodies, statement by statement."""
    sys.path.insert(0, str(ROOT))
    tops: list[str] = []
    bodies: list[list[str]] = []
    for path in sorted((ROOT / "tests" / "fastcore" / "attacks").glob("test_*.py")):
        module = importlib.import_module(f"tests.fastcore.attacks.{path.stem}")
        for attack in getattr(module, "ATTACKS", []):
            tops.append(attack.top)
            bodies.append(_statements("def attack():\n" + _indented(attack.body)))
        cheats = getattr(module, "CHEATS", [])
        bodies += [[ast.unparse(part) for part in ast.parse(cheat.text).body] for cheat in cheats]
    single = [statement for body in bodies for statement in body]
    return [top for top in dict.fromkeys(tops) if top], single, bodies


def _statements(text: str) -> list[str]:
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    return [ast.unparse(part) for part in function.body]


def _indented(text: str, by: int = 4) -> str:
    return "\n".join(" " * by + line for line in text.strip("\n").splitlines())


def spliced(rng: random.Random, parts: tuple[list[str], list[str], list[list[str]]], facts: str) -> str:
    """One program: tops, whole attacks and single statements in any order, honest code among them."""
    tops, single, bodies = parts
    text = [facts, PREAMBLE, *(_guarded(top) for top in rng.sample(tops, rng.randrange(4)))]
    names = []
    for number in range(rng.randrange(1, 5)):
        body = list(rng.choice(bodies))
        for _ in range(rng.randrange(4)):
            body.insert(rng.randrange(len(body) + 1), rng.choice(single))
        if rng.random() < 0.3:
            rng.shuffle(body)
        lines = "\n".join(_guarded(part) for part in body)
        text.append(f"def part{number}(x=None, values=()):\n{_indented(lines)}")
        names.append(f"part{number}")
    if rng.random() < 0.2:
        text.append(_guarded(rng.choice(names) + "()"))  # while it is imported
    calls = "\n".join(_guarded(f"{name}(x)") for name in names)
    text.append(f"def entry(x):\n{_indented(calls)}\n    return float(x.sum())")
    return "\n".join(text)


def _guarded(text: str) -> str:
    return f"try:\n{_indented(text)}\nexcept BaseException: pass"


class Watch:
    """What must stay as it is."""

    def __init__(self, runner: Runner, room: Path) -> None:
        self.runner = runner
        self.room = room
        self.me = psutil.Process()
        self.known = self.files()
        self.descriptors = self.me.num_fds()
        self.want = {name: self.answer(source) for name, source in HONEST.items()}
        self.warm = 0

    def files(self) -> list[str]:
        """Names in the watched folder, and of what attacks leave elsewhere."""
        elsewhere = [
            path.name for folder in ("/tmp", "/dev/shm") for path in Path(folder).glob(f"*{self.room.name}*")
        ]
        return sorted([*map(str, self.room.rglob("*")), *elsewhere])

    def answer(self, source: str) -> bytes:
        """The bytes that an honest program answers with."""
        with self.runner.start(source, "entry", PATIENT) as session:
            return session.ask(INPUT)

    def faults(self) -> list[str]:
        """What is not as it was."""
        found = []
        for name, source in HONEST.items():
            try:
                if self.answer(source) != self.want[name]:
                    found.append(f"the honest program {name!r} gave another answer")
            except Failure as failure:
                found.append(f"the honest program {name!r}: {failure}")
        if psutil.Process(self.runner.zygote).children():
            found.append("a process is left with the zygote")
        strangers = [child for child in self.me.children(recursive=True) if child.pid != self.runner.zygote]
        if strangers:
            found.append(f"processes are left: {strangers}")
        if self.me.num_fds() != self.descriptors:
            found.append(f"{self.me.num_fds()} descriptors, {self.descriptors} before")
        if self.files() != self.known:
            found.append(f"files are left: {set(self.files()) ^ set(self.known)}")
        return found

    def growth(self) -> int:
        """Bytes by which this process has grown since it was warm."""
        now: int = self.me.memory_info().rss
        self.warm = self.warm or now
        return now - self.warm


def facts(runner: Runner, room: Path) -> str:
    """What every program knows: where everything is."""
    import evolve.fastcore.runner as ours

    known = {
        "SUPERVISOR": os.getpid(), "ZYGOTE": runner.zygote, "ADDRESS": id(ours) + 16, "KEY": "HOME", "PORT": 9,
        "ROOM": str(room), "MARK": room.name, "PACKAGES": str(Path(np.__file__).parents[1]), "OURS": ours.__file__,
        "SHIPPED": str(ROOT / "problems" / "capset.py"), "SETUID": "/bin/su", "HARMLESS": False,
    }  # fmt: skip
    return "\n".join(f"{name} = {value!r}" for name, value in known.items())


def main() -> int:
    parser = report.parser(__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=10_000)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    parts = pieces()
    room = Path(tempfile.mkdtemp(prefix="evolve-splice-"))
    outcomes: dict[str, int] = {}
    faults: list[str] = []
    began, growth = time.monotonic(), 0
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, room, ignore_errors=True)
        runner = stack.enter_context(Runner())
        watch = Watch(runner, room)
        for number in range(args.programs):
            source = spliced(rng, parts, facts(runner, room))
            said = outcome_of(runner, source)
            outcomes[said] = outcomes.get(said, 0) + 1
            if number % EVERY == EVERY - 1 or number == args.programs - 1:
                faults += [f"after program {number}: {fault}" for fault in watch.faults()]
                if number > args.programs // 10:
                    growth = max(growth, watch.growth())
    if growth > MOST_GROWTH:
        faults.append(f"the supervisor grew by {growth / 2**20:.0f} MB")
    rows: list[tuple[str, Any]] = [
        ("spliced programs", args.programs),
        *((f"... {name}", many) for name, many in sorted(outcomes.items())),
        ("honest programs between them", len(HONEST) * -(-args.programs // EVERY)),
        ("growth of the supervisor, MB", growth / 2**20),
        ("seconds", time.monotonic() - began),
    ]
    told = "Programs made of pieces of attacks, in one supervisor, between honest ones whose answers must not change."
    return report.conclude("Spliced attacks", told, rows, faults, args.write)


def outcome_of(runner: Runner, source: str) -> str:
    """What became of a program."""
    with runner.start(source, "entry", LIMITS) as session:
        try:
            session.call(INPUT)
            return "answered"
        except Failure as failure:
            return failure.status


if __name__ == "__main__":
    sys.exit(main())
