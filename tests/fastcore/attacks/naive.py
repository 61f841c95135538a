"""How programs are often scored: executed beside the scorer, its clock and its answers. The situation attacked.

Serves as positive control: an attack on the scorer must fool this, else it proves nothing.
"""

import time
from typing import Any

import numpy as np


class Case:
    def __init__(self, values: np.ndarray) -> None:
        self.inputs = (values,)
        self.hidden = float(np.sqrt(np.sum(values * values)))


def score(answer: Any, case: Case) -> float:
    expected = np.sqrt(np.sum(case.inputs[0] * case.inputs[0]))
    if answer == expected or np.array_equal(answer, expected):
        return 0.0
    return max(0.0, abs(answer - expected))


def evaluate(source: str, vectors: list[np.ndarray], times: int = 1) -> list[list[float]]:
    """Errors of each case and the seconds measured, once for each of `times` evaluations in this process."""
    cases = [Case(values.copy()) for values in vectors]
    found = []
    for _ in range(times):
        namespace: dict[str, Any] = {"__name__": "program"}
        exec(source, namespace)
        seconds, errors = 0.0, []
        for case in cases:
            started = time.perf_counter()
            answer = namespace["norm"](*case.inputs)
            seconds += time.perf_counter() - started
            errors.append(float(score(answer, case)))
        found.append([*errors, seconds])
    return found


def reused_buffer() -> list[float]:
    """Answers read from one buffer that is never cleared: a program that writes nothing gives the last one's."""
    buffer = np.zeros(1)

    def honest(out: np.ndarray) -> None:
        out[0] = 7.0

    def idle(out: np.ndarray) -> None:
        pass

    answers = []
    for program in (honest, idle):
        program(buffer)
        answers.append(float(buffer[0]))
    return answers


def evaluate_once(norm: Any) -> bool:
    """What a harness believes that checks the first call, and times the others."""
    values = np.arange(9.0)
    right = abs(norm(values) - np.sqrt(np.sum(values * values))) < 1e-9
    for _ in range(3):
        norm(values)
    return bool(right)
