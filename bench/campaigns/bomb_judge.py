"""What `bombs` has its supervisors hold: a runner each, and what became of each program."""

import os
from typing import Any

import psutil

from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure, Runner


class Bombs:
    """Runs one program a payload: (source, limits by name)."""

    def __init__(self) -> None:
        self.runner = Runner()

    def judge(self, payload: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        """What came back, and what it used."""
        source, limits = payload
        answer: Any = None
        with self.runner.start(source, "entry", Limits(**limits)) as session:
            try:
                answer, status = session.call(()), "ok"
            except Failure as failure:
                status = failure.status
            usage = session.finish()
        return {
            "status": status,
            "answer": answer,
            "cpu": usage.cpu_seconds,
            "memory": usage.memory,
            "output": len(usage.output),
            "children": len(psutil.Process(self.runner.zygote).children()),
            "supervisor": psutil.Process(os.getpid()).memory_info().rss,
        }

    def close(self) -> None:
        """End the zygote."""
        self.runner.close()
