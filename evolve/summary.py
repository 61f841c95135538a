"""The document that tells a run: one plain dict, the same at the end of `run --json` and from `show --json`.

Made from the ledger alone (and, at the end of a session, what was scored then), so it can be made again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from evolve.finals import Finals
from evolve.mutators.simulated import SIMULATED, Simulated
from evolve.programs_db.lineage import statuses, top
from evolve.programs_db.reading import Reading
from evolve.programs_db.records import Objective

__all__ = [
    "cpu_seconds_of",
    "document",
    "earlier_cpu_seconds",
    "ended_document",
    "last_document",
    "machine_name",
    "machines",
    "objective_of",
    "seed_value",
    "simulation",
]

_WEAKEST_FIRST = ("none", "basic", "strict", "interpreted")


def objective_of(book: Reading) -> Objective:
    """The objective that a ledger's problem states."""
    about = book.problem["objective"]
    return Objective(about["name"], about["direction"], about["unit"])


def seed_value(book: Reading) -> float | None:
    """What the seed program scored."""
    rows = book.query(
        "SELECT e.objective FROM evaluations e JOIN proposals p ON p.program = e.program "
        "WHERE p.number = 0 AND e.fingerprint = :mark ORDER BY e.id DESC LIMIT 1",
        {"mark": book.fingerprint},
    )
    return None if not rows else rows[0]["objective"]


def document(
    book: Reading,
    stopped: str,
    measured: Mapping[str, float],
    finals: Finals | None = None,
    *,
    hashed: bool = True,
) -> dict[str, Any]:
    """Tell a run.

    Args:
        book: its ledger.
        stopped: why it stopped.
        measured: `seconds` and `cpu_seconds`, over all sessions.
        finals: figures on unseen cases, if they were scored.
        hashed: whether to make the content hash, which reads everything; None in its place if not.
    """
    objective, about = objective_of(book), book.problem
    seed = book.query("SELECT program FROM proposals WHERE number = 0")
    best = top(book, objective, 1, book.fingerprint)
    used, wasted = book.spent()
    told: dict[str, Any] = {
        "problem": about["name"],
        "parameters": about["parameters"],
        "seed": book.run["seed"],
        "ledger": str(book.path),
        "stopped": stopped,
        "objective": about["objective"],
        "seed_program": {**seed[0], "value": seed_value(book), "unseen": {}} if seed else None,
        "best": None,
        "baselines": {},
        **_counts(book),
        "seconds": round(measured.get("seconds", 0.0), 3),
        "cpu_seconds": round(measured.get("cpu_seconds", 0.0), 3),
        "tokens": {**asdict(used), "wasted": wasted.tokens},
        "isolation": _isolation(book),
        "interventions": book.query("SELECT count(*) AS n FROM interventions")[0]["n"],
        "content_hash": book.content_hash() if hashed else None,
    }
    if "llm" in book.run:
        told["model"] = _model(book)
    if "simulated" in book.run:
        told["simulated"] = simulation(book.run["simulated"], told["proposals"])
    if "baseline" in told["objective"]:
        told["machines"] = machines(book)
    if best:
        told["best"] = {
            "program": best[0].program,
            "value": best[0].objective,
            "unseen": {},
            "verdict": "unverified",
            "number": best[0].number,
        }
        told["best"] |= _latest(book, best[0].program)
    if finals is not None:
        told["seed_program"] = {**told["seed_program"], **finals.seed.as_dict()}
        known = told["best"]["value"]
        told["best"] = {**told["best"], **finals.best.as_dict()}
        if finals.best.confirmation is not None:
            told["best"]["recorded"] = known
        if told["best"]["value"] is None:  # it failed this time; `failures` says how
            told["best"]["value"] = known
        told["best"] |= _ruled(finals.verdict.verdict, finals.verdict.evidence())
        told["baselines"] = {name: line.as_dict() for name, line in finals.baselines.items()}
    return told


def simulation(like: Mapping[str, Any], answers: int) -> dict[str, Any]:
    """A simulated model, and what its answers would have cost."""
    return {"label": SIMULATED, "like": dict(like), "cost": Simulated.of(like).cost(answers)}


def _latest(book: Reading, program: str) -> dict[str, Any]:
    """What a verifier said last of a program, under the problem as it is."""
    said = [one for one in book.rulings(program) if one.fingerprint == book.fingerprint]
    return _ruled(said[-1].verdict, said[-1].evidence) if said else {}


def _ruled(verdict: str, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict, as a part of a document: without the data of certificates, which may be long."""
    findings = [
        {key: value for key, value in one.items() if key not in ("certificates", "kept")}
        for one in evidence["findings"]
    ]
    return {"verdict": verdict, "why": evidence["why"], "fresh_seed": evidence["seed"], "findings": findings}


def _model(book: Reading) -> dict[str, Any]:
    """What models were asked, and what came of it."""
    entries = book.entries()
    rows = book.query(
        "SELECT operator, count(*) AS proposals, sum(error IS NOT NULL) AS failed, avg(staleness) AS staleness "
        "FROM proposals WHERE mutator = 'llm' GROUP BY operator ORDER BY operator"
    )
    failures = book.query(
        "SELECT substr(error, 1, instr(error || ':', ':') - 1) AS name, count(*) AS n FROM proposals "
        "WHERE mutator = 'llm' AND error IS NOT NULL GROUP BY name ORDER BY n DESC, name"
    )
    asked = sum(row["proposals"] for row in rows)
    stale = sum(row["proposals"] * row["staleness"] for row in rows)
    return {
        "requests": len(entries),
        "asked_again": sum(entry.attempt > 0 for entry in entries),
        "proposals": asked,
        "failures": {row["name"]: row["n"] for row in failures},
        "staleness": round(stale / asked, 1) if asked else 0.0,
        "operators": {row["operator"]: [row["proposals"], row["failed"]] for row in rows},
        "lessons": (book.interventions("lessons") or [(0, {"lessons": []})])[-1][1]["lessons"],
    }


def machines(book: Reading) -> list[str]:
    """The machines on which the programs of a ledger have been run, the latest last: speeds depend on them."""
    rows = book.query(
        "SELECT machine FROM sessions WHERE fingerprint = :mark ORDER BY id", {"mark": book.fingerprint}
    )
    names = [machine_name(json.loads(row["machine"])) for row in rows]
    return list(dict.fromkeys(reversed(names)))[::-1]


def machine_name(machine: Mapping[str, Any]) -> str:
    """What of a machine decides how fast programs are, as far as a ledger knows it."""
    python = f"Python {machine['python']}" if "python" in machine else ""
    cores = f"{machine['cores']} cores" if "cores" in machine else ""
    known = (machine.get("cpu"), machine.get("architecture"), cores, python)
    return ", ".join(str(fact) for fact in known if fact)


def _counts(book: Reading) -> dict[str, Any]:
    row = book.query(
        "SELECT count(*) - 1 AS proposals, coalesce(sum(evaluations), 0) AS evaluations, "
        "sum(error IS NOT NULL) AS invalid, sum(error IS NULL AND carried = 0) AS duplicates FROM proposals"
    )[0]
    clipped = {}
    for name, low, high, _ in book.problem["measures"]:
        found = book.query(
            # Not json_extract: no path of SQLite's finds a name that JSON writes with an escape.
            "SELECT count(*) AS n FROM evaluations e, json_each(e.measures) m WHERE e.status = 'ok' AND "
            "m.key = :name AND (m.value < :low OR m.value > :high)",
            {"name": name, "low": low, "high": high},
        )
        clipped[name] = found[0]["n"]
    return {
        "proposals": max(0, row["proposals"]),
        "evaluations": row["evaluations"],
        "duplicates": row["duplicates"] or 0,
        "invalid": row["invalid"] or 0,
        "statuses": statuses(book),
        "clipped": {name: number for name, number in clipped.items() if number},
    }


def _isolation(book: Reading) -> str:
    """The weakest isolation that any program of the run was run under."""
    used = {row["isolation"] for row in book.query("SELECT DISTINCT isolation FROM evaluations")}
    return next((level for level in _WEAKEST_FIRST if level in used), "")


def ended_document(book: Reading) -> dict[str, Any] | None:
    """What the last session told when it ended; None if it was killed or goes on."""
    rows = book.query(
        "SELECT e.totals FROM sessions s LEFT JOIN endings e ON e.session = s.id "
        "WHERE s.rescore = 0 ORDER BY s.id DESC LIMIT 1"
    )
    if not rows or not rows[0]["totals"]:
        return None
    told: dict[str, Any] = json.loads(rows[0]["totals"])
    if told["best"]:
        told["best"] |= _latest(book, told["best"]["program"])
    return {**told, "ledger": str(book.path)}


def earlier_cpu_seconds(book: Reading) -> float:
    """CPU seconds that the sessions which ended have told; what a killed one had used is not known."""
    rows = book.query(
        "SELECT e.totals FROM endings e JOIN sessions s ON s.id = e.session WHERE s.rescore = 0 "
        "ORDER BY s.id DESC LIMIT 1"
    )
    return float(json.loads(rows[0]["totals"])["cpu_seconds"]) if rows else 0.0


def cpu_seconds_of(book: Reading) -> float | None:
    """CPU seconds of all sessions that searched; None where one of them was killed, or goes on, and has told none."""
    untold = (
        "SELECT count(*) AS n FROM sessions s LEFT JOIN endings e ON e.session = s.id "
        "WHERE s.rescore = 0 AND e.totals IS NULL"
    )
    return None if book.query(untold)[0]["n"] else earlier_cpu_seconds(book) or None


def last_document(book: Reading, hashed: bool = True) -> dict[str, Any]:
    """What the last session that ended told; where it was killed, what the ledger alone can tell.

    Args:
        book: the ledger.
        hashed: whether the content hash is wanted where it was not told (4 s for 200,000 programs).
    """
    ended = ended_document(book)
    if ended is not None:
        return ended
    elapsed = book.query("SELECT coalesce(max(elapsed), 0) AS seconds FROM proposals")[0]["seconds"]
    return document(book, "killed or still running", {"seconds": elapsed}, hashed=hashed)
