"""The catalogue: each attack with its name, what it tries, and the mend. Data; what they do is elsewhere.

Numbers are those of the list of attacks that the jail and the scoring are held to, where one has a number there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from evolve.redteam import numeric, semantic, source, structural, tables
from evolve.redteam.programs import PROGRAMS
from evolve.redteam.target import Target

__all__ = ["ATTACKS", "Attack", "fitting"]

_ANY: Final = ("call", "table", "step")


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    Args:
        name: what `--only` takes.
        tries: what it tries, in one line.
        mend: what to do when it gets through.
        number: in the list of known attacks; 0 where it has none.
        forms: forms of problems that it fits.
        short: whether `evolve check` makes it as well.
        run: what is done; None for a hostile program of that name.
    """

    name: str
    tries: str
    mend: str
    number: int = 0
    forms: tuple[str, ...] = ("call",)
    short: bool = False
    run: Callable[[Target], None] | None = None


_BOUNDS = "declare bounds in returns= (low, high), and refuse what is outside"
_DECIDE = "let simulate refuse decisions that mean nothing, or declare them in returns="
_OURS = "this is an error of evolve or of this machine's jail (`evolve doctor`), please report it"
_STATELESS = (
    "keep no state between calls of score and simulate, change no case, draw chance from a fixed seed"
)

_PROGRAMS: dict[str, tuple[int, str, str]] = {
    "patched_numpy": (56, "numpy's functions are replaced in the program's process", _OURS),
    "patched_time": (55, "clocks are replaced in the program's process", _OURS),
    "liar": (57, "subclasses of float and list that are equal to everything", _OURS),
    "lazy_array": (58, "an object that becomes another array each time it is asked", _OURS),
    "pickled": (59, "an answer that runs code when it is unpickled", _OURS),
    "object_array": (80, "an array of objects", _OURS),
    "input_changed": (61, "the inputs are overwritten after they were used", _OURS),
    "memo": (62, "answers are kept from case to case", _OURS),
    "notes": (62, "answers depend on what was asked before", "give the program a state as an argument"),
    "chance": (62, "answers depend on chance", "give the program a seed by repeats="),
    "heap_hunt": (63, "cases and scorers are looked for on the heap", _OURS),
    "frame_walk": (64, "the caller's frames are searched for the scorer", _OURS),
    "modules": (66, "modules of the trusted side are looked for, and imported", _OURS),
    "problem_file": (88, "the problem file is read", _OURS),
    "environment": (1, "secrets in the environment", _OURS),
    "previous_answer": (
        74,
        "the answer to the case before",
        "let score compare the answer with its own case",
    ),
    "first_call_only": (85, "right on the first call only", "let every case count"),
    "escapes": (83, "escape sequences and instructions on stdout", _OURS),
    "injection": (83, "escape sequences and instructions in an exception", _OURS),
    "nesting": (89, "an answer nested 100,000 deep", _OURS),
    "huge_answer": (89, "an answer of 256 MiB", _OURS),
    "exit": (51, "the process ends itself in the middle", _OURS),
    "loop": (45, "an endless loop", _OURS),
    "memory": (43, "all memory there is", _OURS),
    "recursion": (48, "endless recursion", _OURS),
    "segfault": (50, "a crash of the interpreter", _OURS),
}
_DECISIONS = {
    "nan_decisions": (60, "every decision is NaN"),
    "inf_decisions": (60, "every decision is infinite"),
    "zero_decisions": (0, "every decision is zero"),
    "huge_decisions": (60, "every decision is huge"),
    "misshapen_decisions": (0, "decisions of another shape"),
}

_ANSWERS = (
    Attack("state", "honest answers again: at once, after wrong ones, cases turned round", _STATELESS, 61,
           _ANY, True, semantic.state),
    Attack("honest", "honest answers are certified as they are scored", "let certify and score say the same", 0,
           _ANY, True, semantic.honest),
    Attack("nonfinite", "NaN, infinities, and texts that become them",
           "declare returns=Array(...) or Real(), and write rules that NaN fails: `if not d >= r: raise`", 60,
           short=True, run=numeric.nonfinite),
    Attack("overflow", "numbers whose squares and sums are infinite, so that NaN arises in score", _BOUNDS, 60,
           short=True, run=numeric.overflow),
    Attack("denormal", "denormal numbers and minus zero", _BOUNDS, 60, run=numeric.denormal),
    Attack("wrap", "whole numbers that leave 64 bits in a sum or product",
           "sum Python's whole numbers, or declare bounds in returns= that keep sums within 64 bits", 79,
           short=True, run=numeric.wrap),
    Attack("precision", "the same numbers in other dtypes", "declare the dtype in returns=Array(...)", 77,
           run=numeric.precision),
    Attack("tolerance", "answers moved to the edge of what is accepted",
           "check in exact arithmetic (fractions.Fraction), or shrink the answer until the rules hold exactly", 0,
           short=True, run=numeric.tolerance),
    Attack("length", "nothing, one part, too few and too many parts", "refuse an answer of the wrong length", 0,
           short=True, run=structural.length),
    Attack("duplicates", "the same parts again and again", "count a set's members once, or refuse repetition", 0,
           short=True, run=structural.duplicates),
    Attack("alias", "indices below zero or beyond the end that stand for others",
           "declare returns=Sequence(Integer(low=0, high=...)), or refuse what is out of range", 0,
           short=True, run=structural.alias),
    Attack("kinds", "texts, truth values, None and containers where numbers are meant",
           "declare returns=", 57, run=structural.kinds),
    Attack("rearranged", "honest answers reversed, sorted, turned, transposed", "let score and certify agree", 0,
           run=structural.rearranged),
    Attack("constant", "zeros, ones, one number everywhere",
           "a better seed or a baseline; or score does not look at the answer", 78, run=structural.constant),
    Attack("flood", "the longest answer that is let through", "declare a length in returns=", 89,
           run=structural.flood),
    Attack("claim", "a number that the answer states about itself",
           "compute the objective from the answer, and bound what has no bound", 0, short=True, run=semantic.claim),
    Attack("previous", "the answer to another case", "let score compare the answer with its own case", 74,
           short=True, run=semantic.previous),
    Attack("echo", "an input given back, and what is hidden among the inputs",
           "leave what the program must not see out of Case.inputs", 12, short=True, run=semantic.echo),
    Attack("code", "texts that are executed when they are evaluated",
           "never hand a part of an answer to eval, exec or a loader; parse it with ast", 59, short=True,
           run=semantic.code),
    Attack("nonfinite_table", "tables of NaN and infinities", "let simulate treat -inf as never", 60, ("table",), True,
           tables.nonfinite_table),
    Attack("constant_table", "tables of one number", "a better seed or a baseline; look at the rule for ties", 78,
           ("table",), False, tables.constant_table),
    Attack("extreme_table", "huge and denormal priorities", "compare priorities, do not compute with them", 60,
           ("table",), True, tables.extreme_table),
    Attack("other_table", "wrong shapes and kinds, other orders", "let simulate take any table of numbers", 0,
           ("table",), True, tables.other_table),
)  # fmt: skip

_SHOWN = Attack(
    "shown",
    "all of what is hidden, in the arguments of the first decision",
    "give decide what is known by then, a copy of it at most",
    65,
    ("step",),
    True,
    semantic.shown,
)
_READING = (
    Attack("declared", "what is not declared: returns, unseen", "declare it", 78, _ANY, False, source.declared),
    Attack("habits", "code of the trusted functions that often goes wrong", "see each line", 0, _ANY, False,
           source.habits),
    Attack("pace", "time that honest answers take", "see above", 0, ("call", "table"), False, source.pace),
)  # fmt: skip

ATTACKS: Final[tuple[Attack, ...]] = (
    *_ANSWERS,
    _SHOWN,
    *(
        Attack(name, tries, mend, number, _ANY, name in ("notes", "problem_file"))
        for name, (number, tries, mend) in _PROGRAMS.items()
    ),
    *(Attack(name, tries, _DECIDE, number, ("step",), True) for name, (number, tries) in _DECISIONS.items()),
    *_READING,
)
"""All attacks, in the order in which they are made."""

assert all(attack.run is not None or attack.name in PROGRAMS for attack in ATTACKS)


def fitting(form: str, short: bool = False) -> list[Attack]:
    """The attacks that fit a form of problem; only the most telling ones in the short form."""
    return [attack for attack in ATTACKS if form in attack.forms and (attack.short or not short)]
