"""The mutator that needs no model: random, kind-preserving edits of an elite's syntax tree.

Knows syntax, kinds and which of its operators earned. Knows no problem: what may be said comes from the
problem's primitives or from the block, and nothing here was taken from a published heuristic.
"""

import ast
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from evolve.identity import hashes_of
from evolve.mutators.bandit import Bandit
from evolve.mutators.base import Context, Draft
from evolve.mutators.operators import OPERATORS, applicable
from evolve.mutators.sites import Map
from evolve.mutators.survey import dotted, map_program
from evolve.mutators.tuner import constants_in
from evolve.mutators.work import Work
from evolve.printing import show
from evolve.source import SourceError, to_tree
from evolve.tree import Node, at, docstring
from evolve.vocabulary import Primitive, Vocabulary

__all__ = ["SyntacticMutator", "derive_vocabulary"]

_ATTEMPTS = 12  # operators tried for one proposal, those that do not apply included
_KEPT = 1024  # maps of programs that were parents lately
_PLAIN_NODES = 60

_ELEMENTWISE = frozenset(
    [
        *("sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "square", "power", "hypot"),
        *("sin", "cos", "tan", "tanh", "arctan", "atan", "arctan2", "atan2"),
        *("abs", "absolute", "fabs", "sign", "floor", "ceil", "fmod", "min", "max", "minimum", "maximum"),
    ]
)
"""Last part of the names of functions that take numbers to a number, in Python, `math` and numpy."""


def derive_vocabulary(tree: Node) -> Vocabulary:
    """A vocabulary for a problem that declares no primitives: the elementwise functions its block calls."""
    found: dict[str, Primitive] = {}
    for node in _calls(tree):
        function, arguments, keywords = node.fields
        name = dotted(function)
        if name.rpartition(".")[2] in _ELEMENTWISE and not keywords and 1 <= len(arguments) <= 2:
            found.setdefault(name, Primitive(name, ("num",) * len(arguments), "num"))
    return Vocabulary(tuple(found.values()))


def _calls(node: Node) -> Iterable[Node]:
    if node.kind is ast.Call:
        yield node
    for value in node.fields:
        for item in value if value.__class__ is tuple else (value,):
            if item.__class__ is Node:
                yield from _calls(item)


class SyntacticMutator:
    """Edits elites. Deterministic: a proposal follows from its Context and the credits given so far.

    Args:
        seed: text of the problem's own block.
        entry: function whose name and signature every proposal keeps.
        primitives: what proposals may use; empty to derive it from the block.
        max_nodes: largest entry (statements and expressions) that it proposes; by default 60 where the seed
            is straight-line, else three times the seed's and at least 150. A larger parent may change, but
            not grow.
        bandit: chooses operators; a fresh one by default.

    Raises:
        SourceError: the seed is no program, or does not define the entry.
    """

    name = "syntactic"

    def __init__(
        self,
        seed: str,
        entry: str,
        primitives: Sequence[Primitive] = (),
        max_nodes: int | None = None,
        bandit: Bandit | None = None,
    ) -> None:
        tree = to_tree(seed)
        self.entry = entry
        self.vocabulary = Vocabulary(tuple(primitives), True) if primitives else derive_vocabulary(tree)
        self.bandit = bandit or Bandit(tuple(OPERATORS))
        self._maps: OrderedDict[str, Map | None] = OrderedDict()
        self._trees: OrderedDict[str, Node] = OrderedDict()
        own = map_program(tree, entry, self.vocabulary)
        if own is None:
            raise SourceError(f"the block defines no function '{entry}' at its top level")
        usual = _PLAIN_NODES if own.plain else max(150, 3 * at(tree, own.entry).size)
        self.max_nodes = usual if max_nodes is None else max_nodes

    def propose(self, context: Context) -> Draft:
        """Change the parent; tries again a few times where nothing changed or the result is known."""
        return self._proposed(context, None)

    def propose_with(self, operator: str, context: Context) -> Draft:
        """The same with one operator, whatever the others earned; fails where it does not apply."""
        return self._proposed(context, operator)

    def _proposed(self, context: Context, only: str | None) -> Draft:
        own = self._map(context.parent.source)
        if own is None:
            return Draft.failed("", f"the parent does not define '{self.entry}'", (context.parent.id,))
        able = own.operators if only is None else own.operators & {only}
        if not able:
            return Draft.failed("", "nothing in the parent may change", (context.parent.id,))
        mates = [(i, self._map(mate.source)) for i, mate in enumerate(context.mates)]
        known_mates = [(i, one) for i, one in mates if one is not None]
        entry = at(own.tree, own.entry)
        most, said = max(self.max_nodes, entry.size), docstring(entry)
        spare: Draft | None = None
        operator = ""
        for _ in range(_ATTEMPTS):
            operator = self.bandit.choose(context.rng, able)
            work = Work(context.rng, own, [one for _, one in known_mates], self.vocabulary)
            tree = OPERATORS[operator](work)
            if tree is None or tree is own.tree:
                continue
            changed = at(tree, own.entry)
            source = show(tree)
            found = hashes_of(tree, source)
            if (
                changed.size > most
                or docstring(changed) != said
                or found.canonical == context.parent.canonical
            ):
                continue
            parents: tuple[str, ...] = (context.parent.id,)
            if work.grafted is not None:
                parents += (context.mates[known_mates[work.grafted][0]].id,)
            constants = len(constants_in(changed))
            spare = Draft(source, found.canonical, found.structure, found.nodes, operator, constants, parents)
            if not context.known(found.canonical):
                self._keep(spare.source, tree)
                return spare
        return spare or Draft.failed(operator, "no operator changes this program", (context.parent.id,))

    def _keep(self, source: str, tree: Node) -> None:
        """Remember the tree of a proposal: one in five becomes a parent, and need not be parsed then."""
        self._trees[source] = tree
        if len(self._trees) > _KEPT:
            self._trees.popitem(last=False)

    def credit(self, operator: str, reward: float, cost: float) -> None:
        """See `Mutator.credit`."""
        self.bandit.credit(operator, reward, cost)

    def _map(self, source: str) -> Map | None:
        """The map of a program, kept while it is a parent; None if it is none of ours."""
        if source in self._maps:
            self._maps.move_to_end(source)
            return self._maps[source]
        try:
            made = map_program(self._trees.get(source) or to_tree(source), self.entry, self.vocabulary)
        except SourceError:
            made = None
        if made is not None:
            made.operators = applicable(made)
        self._maps[source] = made
        if len(self._maps) > _KEPT:
            self._maps.popitem(last=False)
        return made
