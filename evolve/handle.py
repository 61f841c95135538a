"""The handle that a researcher holds on a run: its best, its lineage, its archive, its programs as a table.

Reads the ledger and changes nothing; the problem's file need not exist any more.
"""

import difflib
import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evolve.programs_db.archive import Archive
from evolve.programs_db.ledger import Ledger
from evolve.programs_db.lineage import Point, ancestors, best_so_far
from evolve.programs_db.records import Elite, Measure, Objective
from evolve.summary import ended_document, last_document, objective_of

if TYPE_CHECKING:
    import pandas

    from evolve.rulings import Ruled
    from evolve.verifier import Rules

__all__ = ["Programs", "Run", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a lineage, from a parent to its child.

    Args:
        number: proposal.
        operator: how the child was made.
        program: id of the child.
        objective: of the child.
        gain: how much better than the parent, in units of the objective, positive is better; None at the seed.
        diff: unified diff from the parent's source, by line.
    """

    number: int
    operator: str
    program: str
    objective: float | None
    gain: float | None
    diff: tuple[str, ...]


class Run:
    """A run, finished or not.

    Args:
        ledger: path of its ledger.
    """

    def __init__(self, ledger: str | Path) -> None:
        self.ledger = Path(ledger)
        with Ledger.read(self.ledger) as book:
            about, making = book.problem, book.run
            self.problem: str = about["name"]
            self.parameters: dict[str, Any] = about["parameters"]
            self.objective: Objective = objective_of(book)
            self.measures = tuple(Measure(*measure) for measure in about["measures"])
            self.config: dict[str, Any] = making["config"]
            self.seed: int = making["seed"]
            self._ended = ended_document(book)

    @cached_property
    def document(self) -> dict[str, Any]:
        """What the last session told at its end; of one that was killed or goes on, what the ledger tells."""
        if self._ended is not None:
            return self._ended
        # Made when it is asked for: it reads everything.
        with Ledger.read(self.ledger) as book:
            return last_document(book)

    @property
    def stopped(self) -> str:
        """Why the last session stopped."""
        return str(self.document["stopped"])

    def __repr__(self) -> str:
        best = self.document["best"]
        value = f"{best['value']:g} {self.objective.unit}".rstrip() if best else "nothing yet"
        return (
            f"<run of {self.problem}: {self.objective.name} {value}, {self.document['proposals']} proposals>"
        )

    @cached_property
    def archive(self) -> Archive:
        """Cells and elites, rebuilt from the ledger."""
        with Ledger.read(self.ledger) as book:
            cells = self.config.get("cells", True)
            return Archive.replay(
                book.replay(book.fingerprint),
                self.objective,
                self.measures if cells else (),
                self.config["islands"],
                founders=book.event_programs(),
                drift=not cells,
            )

    def best(self) -> Elite | None:
        """The best program ever evaluated: `.objective`, `.program.source`."""
        return self.archive.best()

    def lineage(self, elite: Elite | None = None) -> list[Step]:
        """The chain from the seed program to `elite` (the best by default), first parents, oldest first."""
        elite = elite or self.best()
        if elite is None:
            return []
        with Ledger.read(self.ledger) as book:
            chain = list(ancestors(book, elite.program.id))[::-1]
            texts = {one.program: _source(book, one.program) for one in chain}
        steps: list[Step] = []
        for before, one in zip([None, *chain], chain, strict=False):
            old = texts[before.program].splitlines() if before else []
            diff = tuple(difflib.unified_diff(old, texts[one.program].splitlines(), lineterm="", n=1))[2:]
            gain = None
            if before and before.objective is not None and one.objective is not None:
                gain = self.objective.key(one.objective) - self.objective.key(before.objective)
            steps.append(
                Step(
                    one.number,
                    f"{one.mutator}:{one.operator}".rstrip(":"),
                    one.program,
                    one.objective,
                    gain,
                    diff,
                )
            )
        return steps

    def curve(self) -> list[Point]:
        """The anytime curve: each improvement of the best, by proposals and evaluations spent."""
        with Ledger.read(self.ledger) as book:
            return best_so_far(book, self.objective, book.fingerprint)

    def verify(self, elite: Elite | None = None, rules: "Rules | None" = None) -> "Ruled":
        """Verify a program (the best by default) and record the verdict; see `evolve.rulings.rule`."""
        from evolve.rulings import rule  # which starts what this class only reads

        ruled = rule(self.ledger, elite.program.id if elite else "", rules)
        self.__dict__.pop("document", None)  # which tells the verdict
        with Ledger.read(self.ledger) as book:
            self._ended = ended_document(book)
        return ruled

    @property
    def programs(self) -> "Programs":
        """All programs, as a table."""
        return Programs(self.ledger)

    def _repr_html_(self) -> str:
        """For a notebook: what was found, as a table. Everything in it is escaped."""
        told, best = self.document, self.best()
        rows = {
            "problem": self.problem,
            "seed program": (told["seed_program"] or {}).get("value"),
            "best": (told["best"] or {}).get("value"),
            "proposals": told["proposals"],
            "evaluations": told["evaluations"],
            "stopped": self.stopped,
        }
        body = "".join(
            f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows.items()
        )
        source = html.escape(best.program.source) if best else ""
        return f"<table>{body}</table><pre>{source}</pre>"


class Programs:
    """The programs of a ledger, in the order in which they were proposed."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger

    def _rows(self) -> list[dict[str, Any]]:
        with Ledger.read(self.ledger) as book:
            return book.query(
                "SELECT p.number, p.island, p.mutator, p.operator, e.status, e.objective, g.nodes, p.evaluations, "
                "p.elapsed, e.cpu_seconds, e.message, g.id AS program, t.text AS source FROM proposals p "
                "JOIN evaluations e ON e.proposal = p.number JOIN programs g ON g.id = p.program "
                "JOIN texts t ON t.hash = g.id ORDER BY p.number"
            )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows())

    def __len__(self) -> int:
        with Ledger.read(self.ledger) as book:
            return int(book.query("SELECT count(*) AS n FROM programs")[0]["n"])

    def to_pandas(self) -> "pandas.DataFrame":
        """One row an evaluated proposal: number, island, operator, status, objective, source, ...

        Raises:
            ImportError: pandas is not installed (`pip install 'evolve-engine[pandas]'`).
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install 'evolve-engine[pandas]'") from None
        return pandas.DataFrame(self._rows())


def _source(book: Ledger, program: str) -> str:
    return str(book.query("SELECT text FROM texts WHERE hash = :id", {"id": program})[0]["text"])
