"""How a run came about: its sessions, what a human did, what models cost, and the command that makes it again.

Reads the ledger; knows no page.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evolve.bench.report.facts import Deed, Origin, Session
from evolve.config import Config
from evolve.loader import shipped
from evolve.programs_db.ledger import Ledger
from evolve.summary import machine_name
from evolve.terminal import number
from evolve.text import clean, plural

__all__ = ["deeds_of", "money_of", "origin_of", "sessions_of"]

_WORDS = 4_000
_PROGRAM = 60_000  # characters of a program to start from: a cut one would not start the same run
_USER = re.compile(r"(?<=://)\S+(?=@)")  # to the last @ of the word: a password may hold one, or a slash
_UNITS = {
    **{"proposals": "", "evaluations": "ev", "seconds": "s", "cpu_seconds": "cpu"},
    **{"requests": "req", "tokens": "tok", "money": "money"},
}


def sessions_of(book: Ledger) -> tuple[Session, ...]:
    """Every session, the first one first."""
    rows = book.query(
        "SELECT s.id, s.at, s.argv, s.budget, s.machine, s.rescore, e.why FROM sessions s "
        "LEFT JOIN endings e ON e.session = s.id ORDER BY s.id"
    )
    return tuple(_session(row) for row in rows)


def _session(row: Mapping[str, Any]) -> Session:
    machine = json.loads(row["machine"])
    budget = json.loads(row["budget"])
    libraries = [f"{name} {machine[name]}" for name in ("python", "numpy", "numba") if name in machine]
    return Session(
        row["id"],
        row["at"],
        clean(_typed(json.loads(row["argv"])), _WORDS),
        clean(" ".join(_words_of(budget)), 200),
        clean(row["why"] or "", 100),
        clean(machine_name(machine), 300),
        clean(", ".join(libraries), 200),
        bool(row["rescore"]),
    )


def _typed(argv: Sequence[str]) -> str:
    """A command as it was typed; folders of the program and names of users before a host are left out."""
    words = [_USER.sub("…", str(word)) for word in argv]
    return shlex.join([Path(words[0]).name, *words[1:]]) if words else ""


def _words_of(budget: Any) -> list[str]:
    """A budget as one would type it."""
    if not isinstance(budget, dict):
        return []
    return [
        f"{amount if isinstance(amount, int) else number(amount)}{_UNITS.get(name, name)}"
        for name, amount in budget.items()
        if amount is not None
    ]


def money_of(book: Ledger) -> float | None:
    """What models cost by the prices of the last session; None where it had none."""
    rows = book.query("SELECT machine FROM sessions WHERE rescore = 0 ORDER BY id DESC LIMIT 1")
    prices = json.loads(rows[0]["machine"]).get("prices") if rows else None
    if not prices:
        return None
    # What asks models takes half a second to load, and most runs have none.
    from evolve.asking import probed
    from evolve.desk import purse_of
    from evolve.llm.spending import Limits, Price

    priced = {model: Price(**price) for model, price in prices.items()}
    return purse_of(Limits(), priced, book.entries(), probed(book)).tally.money


def deeds_of(book: Ledger) -> tuple[Deed, ...]:
    """What came from a human: what the run was begun with, what was changed on its way, what was noted."""
    making = book.run
    found = [Deed(0, "a program to start from", clean(source, _PROGRAM)) for source in making.get("init", [])]
    told = (making.get("llm") or {}).get("notes")
    if told:
        found.append(Deed(0, "what every prompt was told", clean(told, _WORDS)))
    for row in book.query("SELECT arrival, kind, detail FROM interventions ORDER BY id"):
        detail = json.loads(row["detail"])
        if detail.get("by") == "model":  # lessons that a model summed up are no human's
            continue
        found.append(Deed(row["arrival"], clean(row["kind"], 60), _worded(detail)))
    later = (
        "SELECT s.id, s.rescore, (SELECT count(*) FROM proposals p WHERE p.session < s.id) AS arrival "
        "FROM sessions s WHERE s.id > 1 ORDER BY s.id"
    )
    for row in book.query(later):
        words = "scored its programs again, after the problem had changed" if row["rescore"] else "went on"
        found.append(Deed(row["arrival"], f"session {row['id']}", words))
    for row in book.query("SELECT program, author, text FROM notes ORDER BY id"):
        about = f" on {row['program'][:15]}" if row["program"] else ""
        found.append(Deed(None, f"note by {clean(row['author'], 80)}{about}", clean(row["text"], _WORDS)))
    return tuple(found)


def _worded(detail: Mapping[str, Any]) -> str:
    if isinstance(detail.get("lessons"), list):
        return clean("\n".join(f"- {lesson}" for lesson in detail["lessons"]) or "none any more", _WORDS)
    return clean(json.dumps(detail, ensure_ascii=False), _WORDS)


def origin_of(book: Ledger, told: Mapping[str, Any]) -> Origin:
    """How to make the run again.

    Args:
        book: its ledger.
        told: its document.
    """
    making = book.run
    usual = Config().as_dict()
    dials = making.get("config", {})
    changed = tuple(name for name, value in dials.items() if usual.get(name) != value)
    asks, speed = "llm" in making, "baseline" in told["objective"]
    if asks:
        words = ["evolve", "run", _problem(book), *_parameters(book), "--llm", f"replay:{book.path.name}"]
    elif "simulated" in making:
        words = ["python", "-c", _simulating(book, told["proposals"])]
    else:
        words = ["evolve", "run", _problem(book), *_parameters(book), "--seed", str(making["seed"])]
        words += ["--budget", str(told["proposals"] or "1ev")]
        words += [word for name in changed for word in ("--set", f"{name}={_dial(dials[name])}")]
        words += [
            word
            for place in range(len(making.get("init", [])))
            for word in ("--init", f"start{place + 1}.py")
        ]
    return Origin(
        clean(shlex.join(words), _WORDS),
        _repeats(book, asks, speed),
        str(told["content_hash"]),
        clean(book.fingerprint, 100),
        clean(str(making["version"]), 60),
        making["seed"],
        {clean(name, 60): clean(str(value), 200) for name, value in dials.items()},
        tuple(clean(name, 60) for name in changed),
        clean(told["isolation"], 60),
    )


def _dial(value: Any) -> str:
    """A dial's value as one types it."""
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _simulating(book: Ledger, proposals: int) -> str:
    """What runs a search with a simulated model again, in Python: `evolve run` asks none."""
    making = book.run
    starts = [f"start{place + 1}.py" for place in range(len(making.get("init", [])))]
    budget = f"proposals={proposals}" if proposals else "budget='1ev'"
    return (
        "from pathlib import Path; from evolve.config import Config; from evolve.loader import load; "
        "from evolve.mutators.simulated import Simulated; from evolve.runs import run; "
        f"run(load({_problem(book)!r}, {_given(book)!r}), seed={making['seed']!r}, {budget}, "
        f"config=Config.recorded({making['config']!r}), init=[Path(name).read_text() for name in {starts!r}], "
        f"simulated=Simulated(**{making['simulated']!r}))"
    )


def _problem(book: Ledger) -> str:
    """A shipped name, or the name of the file: whose folder it lay in is nobody's business."""
    about = book.problem
    if about["name"] in shipped() and Path(about["path"]).resolve() == shipped()[about["name"]].resolve():
        return str(about["name"])
    return f"{Path(about['path'] or 'problem.py').name}:{about.get('factory', about['name'])}"


def _parameters(book: Ledger) -> list[str]:
    return [word for name, value in _given(book).items() for word in ("-p", f"{name}={value}")]


def _given(book: Ledger) -> dict[str, str]:
    return {name: str(value) for name, value in book.problem["parameters"].items()}


def _repeats(book: Ledger, asks: bool, speed: bool) -> str:
    started = len(book.run.get("init", []))
    named = f" Save the {plural(started, 'program')} to start from, below, as the files that it names."
    files = named if started else ""
    if speed:
        return f"Speeds differ from run to run, so this searches again and does not repeat.{files}"
    how = "No model is needed, and any number of workers will do."
    if asks:
        how = "No server is asked: the ledger gives every answer again."
    elif "simulated" in book.run:
        how = "A simulated model made the proposals, which `evolve run` has no option for: this is Python."
    again = " Its programs have been scored again since it ran, so a repeat has another one."
    scored = book.query("SELECT count(*) AS n FROM sessions WHERE rescore = 1")[0]["n"]
    return (
        f"{how} With the same versions and the same problem it makes a ledger of the same content hash, which "
        f"`evolve show LEDGER --json` tells.{again if scored else ''}{files}"
    )
