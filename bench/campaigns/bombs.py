"""Twenty bombs at once (memory, processes, disk, descriptors, output) beside honest programs, through the real pool.

Every honest program must answer as it does alone, and the engine's own memory stay where it is.
Run: `python bench/campaigns/bombs.py`
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import report

from evolve.fastcore.pool import Pool

HERE = str(Path(__file__).parent)
MOST_GROWTH = 50 << 20
"""Bytes by which the engine may grow."""
LIMITS = {"seconds": 60.0, "setup_seconds": 60.0, "cpu_seconds": 60.0, "memory": 1 << 30}
HONEST = """
import numpy as np
def entry():
    rows = np.random.default_rng({seed}).standard_normal((60, 60))
    return float(np.linalg.det(rows)), sum(n * n for n in range({seed})), rows.sum(0)
"""
BOMBS = {
    "memory": """
def entry():
    held = []
    while True: held.append(b'x' * (1 << 24))
""",
    "processes": """
import os
def entry():
    while True:
        try: os.fork()
        except OSError: count()
""",
    "disk": """
import os
def entry():
    while True:
        try:
            with open({room!r} + '/bomb', 'ab') as file: file.write(bytes(1 << 24))
        except OSError: count()
""",
    "descriptors": """
import os
def entry():
    while True:
        try: os.open('/dev/null', 0)
        except OSError: count()
""",
    "output": """
import os
def entry():
    for _ in range(10 << 30 >> 16): os.write(1, b'x' * (1 << 16))
    return True
""",
}
COUNT = "tries = []\ndef count():\n    tries.append(1)\n    if len(tries) > 200_000: raise SystemExit\n"
"""A bomb that is refused goes on for a while, and gives up."""


async def evaluate(workers: int, payloads: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """What the pool says of each payload, and the engine's resident bytes meanwhile."""
    seen: list[int] = []

    async def look() -> None:
        while True:
            seen.append(psutil.Process(os.getpid()).memory_info().rss)
            await asyncio.sleep(0.05)

    async with Pool("bomb_judge:Bombs", (), workers, hard_seconds=300.0, paths=[HERE]) as pool:
        looking = asyncio.create_task(look())
        answers = await asyncio.gather(*map(pool.submit, payloads), return_exceptions=True)
        looking.cancel()
    return list(answers), seen


def main() -> int:
    parser = report.parser(__doc__.splitlines()[0])
    parser.add_argument("--bombs", type=int, default=20, help="at once, each with a supervisor of its own")
    parser.add_argument("--honest", type=int, default=200)
    args = parser.parse_args()
    room = Path(tempfile.mkdtemp(prefix="evolve-bombs-"))
    kinds = [list(BOMBS)[number % len(BOMBS)] for number in range(args.bombs)]
    bombs = [(COUNT + BOMBS[kind].replace("{room!r}", repr(str(room))), LIMITS) for kind in kinds]
    honest = [(HONEST.replace("{seed}", str(seed)), LIMITS) for seed in range(args.honest)]
    alone, _ = asyncio.run(evaluate(2, honest))
    # A supervisor gets every so-manieth payload of one tick: a bomb comes first on each of the first twenty.
    mixed = honest[:]
    random.Random(args.seed).shuffle(mixed)
    began = time.monotonic()
    answers, seen = asyncio.run(evaluate(args.bombs + 2, [*bombs, *mixed]))
    seconds = time.monotonic() - began
    faults = complaints(kinds, answers, [alone[honest.index(program)] for program in mixed])
    growth = max(seen) - seen[0]
    if growth > MOST_GROWTH:
        faults.append(f"the engine grew by {growth / 2**20:.0f} MB")
    if made := list(room.iterdir()):
        faults.append(f"files were made: {made}")
    else:
        room.rmdir()
    rows: list[tuple[str, object]] = [("bombs at once", args.bombs)]
    for kind in dict.fromkeys(kinds):
        met = [
            answer
            for name, answer in zip(kinds, answers, strict=False)
            if name == kind and isinstance(answer, dict)
        ]
        if met:
            most = max(answer["memory"] for answer in met) / 2**20
            cpu = sum(answer["cpu"] for answer in met) / len(met)
            kept = max(answer["output"] for answer in met)
            told = "/".join(sorted({answer["status"] for answer in met}))
            rows.append((f"... {kind}", f"{told}; {cpu:.1f} CPU s, {most:.0f} MB, {kept} characters kept"))
    rows += [
        ("honest programs beside them, as alone", len(honest) - sum("honest" in fault for fault in faults)),
        ("growth of the engine, MB", growth / 2**20),
        (
            "largest supervisor, MB",
            max(answer["supervisor"] for answer in answers if isinstance(answer, dict)) / 2**20,
        ),
        ("seconds", seconds),
    ]
    told = "Bombs, each in its own supervisor, all at once, and honest programs on the same supervisors and two more."
    return report.conclude("Bombs", told, rows, faults, args.write)


def complaints(kinds: Sequence[str], answers: Sequence[Any], alone: Sequence[Any]) -> list[str]:
    """What should not have happened."""
    faults = []
    allowed = {"memory": {"memory"}, "output": {"ok", "timeout"}}
    for kind, answer in zip(kinds, answers, strict=False):
        if not isinstance(answer, dict):
            faults.append(f"the bomb {kind}: {answer!r}")
        elif answer["status"] not in allowed.get(kind, {"error", "timeout"}) or answer["children"]:
            faults.append(f"the bomb {kind}: {answer}")
    for answer, before in zip(answers[len(kinds) :], alone, strict=True):
        if not isinstance(answer, dict) or not isinstance(before, dict):
            faults.append(f"an honest program: {answer!r}, {before!r}")
        elif repr((answer["status"], answer["answer"])) != repr((before["status"], before["answer"])):
            faults.append(f"an honest program: {answer}, {before} alone")
    return faults


if __name__ == "__main__":
    sys.exit(main())
