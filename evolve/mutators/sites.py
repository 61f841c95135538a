"""Where a program can change, as values: its expressions with their kinds, its constants and its statements.

Knows kinds and paths. How they are found is `survey`'s affair; what is done there, that of `operators`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from evolve.tree import Node, Path
from evolve.vocabulary import UNKNOWN, Primitive

__all__ = ["UNKNOWN", "Line", "Map", "Scope", "Site"]


class Scope:
    """The names that are certainly bound at a place, with their kinds. Shared by the sites of a statement."""

    __slots__ = ("by_kind", "kinds")

    def __init__(self, kinds: dict[str, str]) -> None:
        self.kinds = kinds
        by_kind: dict[str, list[str]] = {}
        for name, kind in kinds.items():
            by_kind.setdefault(kind, []).append(name)
        self.by_kind = {kind: tuple(names) for kind, names in by_kind.items()}

    def names(self, wanted: str) -> tuple[str, ...]:
        """Names that may stand for `wanted`, in the order in which they were bound."""
        own = self.by_kind.get(wanted, ())
        return own + self.by_kind.get("int", ()) if wanted == "num" else own

    def bind(self, names: Iterable[str], kind: str) -> "Scope":
        """A scope in which `names` are bound too."""
        return Scope({**self.kinds, **dict.fromkeys(names, kind)})


@dataclass(frozen=True, slots=True)
class Site:
    """An expression that another may replace.

    Args:
        path: from the module.
        node: what stands there.
        kind: kind of what may stand there: what its place asks for, or else its own.
        own: kind of what stands there.
        scope: names bound there.
        line: index of its statement in `Map.lines`.
        primitive: what it is a call of, if it is one.
    """

    path: Path
    node: Node
    kind: str
    own: str
    scope: Scope
    line: int
    primitive: Primitive | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A statement of a function.

    Args:
        path: from the module.
        node: the statement.
        scope: names bound before it.
        siblings: statements in its list (a docstring is not counted).
        index: its place in that list.
        depth: number of loops around it.
    """

    path: Path
    node: Node
    scope: Scope
    siblings: int
    index: int
    depth: int


@dataclass
class Map:
    """All places of one program where it can change.

    Args:
        tree: the module.
        names: every name the program mentions; fresh names must avoid them.
        everywhere: names that each of its functions can read: builtins, and what the module binds.
        plain: whether the entry is straight-line: assignments and a return.
        entry: path of the entry; empty if there is none.
        sites: every expression that may give way.
        lines: every statement of a function.
        constants: literals, as sites.
        swaps: expressions whose operator or function may give way.
        loops: calls of `range`.
        by_kind: sites by the kind of what stands there.
        operators: names of the operators that may change this program.
    """

    tree: Node
    names: frozenset[str] = frozenset()
    everywhere: frozenset[str] = frozenset()
    plain: bool = False
    entry: Path = ()
    sites: list[Site] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    constants: list[Site] = field(default_factory=list)
    swaps: list[Site] = field(default_factory=list)
    loops: list[Site] = field(default_factory=list)
    by_kind: dict[str, list[Site]] = field(default_factory=dict)
    operators: frozenset[str] = frozenset()
