"""Who answers: vLLM with a model of random weights, started when it is first needed; or chance in its place."""

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from evolve.llm.endpoints import Endpoint
from evolve.serving.discovery import discovered

TESTS: Final = Path(__file__).parents[3] / "tests" / "llm"
sys.path.append(str(TESTS))

from ebnf import Recogniser  # noqa: E402
from served import served  # noqa: E402

SLOTS: Final = 8
"""Answers made at once: few, so that a proposal knows of nearly all that came before it."""
PAUSE: Final = 0.05  # seconds that chance takes to answer, so that as many are under way


class Served:
    """The server with the random model, and the tokens of its model.

    Args:
        folder: where the model, the log and the discovery file go.
    """

    def __init__(self, folder: Path) -> None:
        self.model = (folder / "model").absolute()
        self._place = (folder / "serving").absolute()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it is; makes the model and starts the server where that has not been done."""
        if self._process is None:
            self._start()
        (found,) = discovered(self._place)
        return tuple(found.endpoints)

    def _start(self) -> None:
        vllm = os.environ.get("EVOLVE_VLLM")
        if not vllm:
            raise SystemExit("EVOLVE_VLLM names no vllm; say EVOLVE_VLLM=$(.ci/vllm) before the command")
        if not self.model.exists():
            maker = [Path(vllm).with_name("python"), TESTS / "real" / "model.py", self.model]
            subprocess.run(maker, check=True)
        environment = {**os.environ, "EVOLVE_SERVE_DIR": str(self._place), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", "evolve", "serve", str(self.model), "--gpus", "none", "--json"]
        extra = ["--served-model-name", "random", "--max-num-seqs", str(SLOTS)]
        self._process = subprocess.Popen(
            [*command, "--", *extra], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        for line in iter(self._process.stdout.readline, ""):
            if line == "}\n":
                return
        raise SystemExit(f"the server did not become ready; see its log in {self._place}")

    def taste(self, digits: float, opening: float, old: float) -> dict[str, float]:
        """A `logit_bias`.

        Args:
            digits: of tokens of digits.
            opening: of those that open a parenthesis or the name of a function.
            old: of those that `old` is made of, the word for what stands at the place now.
        """
        words = json.loads((self.model / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
        bias: dict[str, float] = {}
        for word, number in words.items():
            bare = word.lstrip("Ġ")  # how this kind of tokenizer writes a blank
            if bare.isdecimal():
                bias[str(number)] = digits
            elif bare in ("(", "(-", "n", "np"):
                bias[str(number)] = opening
            elif bare in ("o", "ol", "old"):
                bias[str(number)] = old
        return bias


@contextlib.contextmanager
def chance(seed: int) -> Iterator[str]:
    """URL of a server that draws from the grammar of each request, every alternative of a rule equally likely."""
    rng, lock = random.Random(seed), threading.Lock()

    def answer(body: Mapping[str, Any]) -> str:
        constraint = body.get("structured_outputs") or {}
        if "choice" in constraint:
            return str(constraint["choice"][0])
        if "grammar" not in constraint:
            return "yes"  # a probe asks whether anybody is there
        rules = Recogniser(constraint["grammar"]).rules
        with lock:
            return _sentence(rules, rng)

    with served(answer, latency=PAUSE, slots=SLOTS) as server:
        yield server.url


def _sentence(rules: Mapping[str, list[list[tuple[str, str]]]], rng: random.Random) -> str:
    said: list[str] = []
    rest = [("rule", "root")]
    while rest:
        kind, value = rest.pop()
        if kind == "text":
            said.append(value)
        else:
            rest.extend(reversed(rng.choice(rules[value])))
    return "".join(said)
