"""The mutator that asks language models: which kind of change, in which format, by which model, of what, and what came.

Decides and reads; sends nothing. All of its state is a fold over commits, requests drawn and lessons learnt, so that a
run that is resumed or replayed asks what it would have asked.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from evolve.llm.dials import Dials
from evolve.llm.edits import EditError, apply_block, apply_choice, apply_diff
from evolve.llm.facts import Facts, Order, facts_of
from evolve.llm.grammar import EditPlan, plan_edits
from evolve.llm.lessons import HUMAN, MOST, condense
from evolve.llm.prompt import Prompt, build
from evolve.llm.records import Constraint, Message, Request
from evolve.llm.templates import Templates
from evolve.mutators.bandit import Bandit
from evolve.mutators.base import Draft
from evolve.mutators.memory import NAME, Memory
from evolve.mutators.survey import map_program
from evolve.mutators.syntactic import derive_vocabulary
from evolve.mutators.tuner import tunable
from evolve.programs_db.archive import AddStatus, Archive
from evolve.programs_db.dialogue import Asked, Said
from evolve.programs_db.records import Commit, Elite, Program
from evolve.source import SourceError, program_of, to_tree
from evolve.statement import Problem
from evolve.vocabulary import Vocabulary

__all__ = ["LESSONS", "ModelMutator", "NoQuestion", "Question", "Unusable", "question_of"]

LESSONS: Final = "lessons"
"""Kind of a request that asks for lessons and for no program."""

_REPAIRED: Final = 0.5  # share of requests that are repairs, while there is something to repair
_PLANS: Final = 256
_MARGIN: Final = 16  # tokens that end an answer


class Unusable(Exception):  # noqa: N818 - it says what happened
    """An answer with nothing in it, or cut off: the model may do better when it is asked again.

    Args:
        name: "empty" or "truncated".
        message: one sentence.
    """

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(f"{name}: {message}")


class NoQuestion(Exception):  # noqa: N818 - it says what happened
    """There is nothing to ask of this parent."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request on its way, with what is needed to read its answers.

    Args:
        first: number of the first of its proposals.
        seen: commits that there were when it was drawn.
        island: where its programs compete.
        kind: one of the template kinds, or "lessons".
        arm: format and model, as the bandit names them.
        parents: the one to change first, then those to combine it with.
        pieces: (role, text) of the prompt, in order; the constraint last, as role "grammar".
        request: what is sent.
        repairs: number of the proposal that failed, for a repair.
        attempt: how often it had been asked before.
        spare: whether it may be asked again if its answer is no good.
    """

    first: int
    seen: int
    island: int
    kind: str
    arm: str
    parents: tuple[Program, ...]
    pieces: tuple[tuple[str, str], ...]
    request: Request
    repairs: int | None = None
    attempt: int = 0
    spare: bool = True

    @property
    def format(self) -> str:
        """How the answer is written."""
        return self.arm.partition("@")[0]

    @property
    def operator(self) -> str:
        """What credit is given to."""
        return f"{self.kind}:{self.arm}"

    def again(self, number: int) -> "Question":
        """The same for one of its proposals, whose answer was no good."""
        request = replace(self.request, n=1)
        return replace(self, first=number, attempt=self.attempt + 1, request=request, spare=False)

    def asked(self) -> Asked:
        """As the ledger keeps it."""
        request = self.request
        parameters: dict[str, Any] = {
            "arm": self.arm,
            "island": self.island,
            "parents": [parent.id for parent in self.parents],
            "repairs": self.repairs,
            "spare": self.spare,
            "max_tokens": request.max_tokens,
            "sampling": dict(request.sampling),
            "prefix": request.stable,
        }
        return Asked(
            self.first, request.n, self.attempt, self.seen, self.kind, request.model, self.pieces, parameters
        )


def question_of(asked: Asked, program: Callable[[str], Program], deadline: float) -> Question:
    """The question that the ledger keeps, as it was.

    Args:
        asked: from the ledger.
        program: the Program of an id.
        deadline: seconds for one attempt.
    """
    kept = asked.parameters
    request = Request(
        _messages(asked.prompt),
        kept["prefix"],
        asked.model,
        kept["max_tokens"],
        asked.samples,
        kept["sampling"],
        next((Constraint("grammar", text) for role, text in asked.prompt if role == "grammar"), None),
        deadline,
    )
    parents = tuple(program(one) for one in kept["parents"])
    return Question(
        asked.first,
        asked.seen,
        kept["island"],
        asked.kind,
        kept["arm"],
        parents,
        asked.prompt,
        request,
        kept["repairs"],
        asked.attempt,
        kept["spare"],
    )


def _messages(pieces: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
    """Pieces of one role in a row are one message."""
    joined: list[tuple[str, list[str]]] = []
    for role, text in pieces:
        if role == "grammar":
            continue
        if not joined or joined[-1][0] != role:
            joined.append((role, []))
        joined[-1][1].append(text)
    return tuple(Message(role, "".join(texts)) for role, texts in joined)


class ModelMutator:
    """Asks models for changes of elites.

    Args:
        problem: that is solved.
        dials: how models are asked.

    Raises:
        TemplateError: a template of the user's cannot be used.
    """

    name = NAME

    def __init__(self, problem: Problem, dials: Dials) -> None:
        self.problem = problem
        self.dials = dials
        self.memory = Memory(problem, dials)
        self.templates = Templates.load(dials.templates or None)
        self.arms = Bandit(
            [f"{form}@{model}" if model else form for model in dials.models for form in dials.formats]
        )
        self.kinds = Bandit(dials.kinds)
        self.condensed = 0
        self._pinned: tuple[str, ...] = ()
        self._models = {
            f"{form}@{model}" if model else form: model for model in dials.models for form in dials.formats
        }
        self._tokens: dict[int, float] = {}
        self._mean = [0.0, 0]
        self._plans: OrderedDict[str, EditPlan | None] = OrderedDict()
        primitives = tuple(problem.primitives)
        self._vocabulary = (
            Vocabulary(primitives, True) if primitives else derive_vocabulary(to_tree(problem.block))
        )

    # -- asking

    def draw(
        self, number: int, seen: int, island: int, parent: Elite, mates: Sequence[Elite], rng: random.Random
    ) -> Question:
        """Decide what is asked next; `asked` has to be called if it is.

        Args:
            number: of the first of its proposals.
            seen: commits so far.
            island: where its programs will compete.
            parent: to be changed.
            mates: other elites of the island.
            rng: of the proposal.

        Raises:
            NoQuestion: the parent cannot be changed in any of the formats.
            PromptError: the prompt does not fit.
        """
        repairs, arm = None, self._arm(parent.program, rng)
        kinds = frozenset(kind for kind in self.dials.kinds if kind != "crossover" or mates)
        kind = self.kinds.choose(rng, kinds) if kinds else "improve"
        order: dict[str, Any] = {}
        program, shown = parent.program, self.memory.shown(parent)
        if self.memory.repairs and rng.random() < _REPAIRED:
            repairs = next(reversed(self.memory.repairs))
            repair = self.memory.repairs[repairs]
            kind, program, shown = "repair", repair.parent, self.memory.bare(repair.parent)
            order = {"failed": repair.failed, "failure": repair.failure}
            arm = self._arm(program, rng)
        elif kind == "crossover" and mates:
            order = {"mates": (self.memory.shown(mates[0]),)}
        parents = (program, *(mates[0].program for _ in order.get("mates", ())))
        form = arm.partition("@")[0]
        plan = self._plan(program) if form == "grammar" else None
        if plan is not None:
            order |= {"sites": plan.listing(), "hole": plan.hole}
        facts = facts_of(
            self.problem,
            shown,
            self.memory.elites(island),
            self.memory.failures(program.id),
            self.dials.notes,
            self.memory.lessons,
        )
        prompt = self._built(facts, Order(kind, form, **order))
        return Question(
            number, seen, island, kind, arm, parents, *self._request(prompt, arm, plan), repairs=repairs
        )

    def _arm(self, parent: Program, rng: random.Random) -> str:
        """Format and model, among those that fit the parent."""
        arms = frozenset(self._models)
        if "grammar" in self.dials.formats and self._plan(parent) is None:
            arms = frozenset(arm for arm in arms if arm.partition("@")[0] != "grammar")
        if not arms:
            raise NoQuestion("no_site: a grammar finds nothing to change in the parent")
        return self.arms.choose(rng, arms)

    def _built(self, facts: Facts, order: Order) -> Prompt:
        return build(facts, order, self.dials.room, self.dials.count, self.templates)

    def _request(
        self, prompt: Prompt, arm: str, plan: EditPlan | None
    ) -> tuple[tuple[tuple[str, str], ...], Request]:
        dials = self.dials
        pieces = [("system", prompt.texts[0]), *(("user", text) for text in prompt.texts[1:])]
        most, constraint = dials.max_tokens, None
        if plan is not None:
            constraint = plan.constraint
            pieces.append(("grammar", constraint.value))
            most = min(most, plan.longest + _MARGIN)
        return tuple(pieces), Request(
            prompt.request_parts,
            prompt.stable,
            self._models[arm],
            most,
            dials.samples,
            dials.sampling,
            constraint,
            dials.deadline,
        )

    def asked(self, kind: str, repairs: int | None) -> None:
        """A question was put: what it repairs is not repaired again."""
        if repairs is not None:
            self.memory.repairs.pop(repairs, None)
        if kind == LESSONS:
            self.condensed = self.memory.answers

    def _plan(self, parent: Program) -> EditPlan | None:
        """The edits of a parent as a grammar; None if there are none."""
        if parent.id in self._plans:
            self._plans.move_to_end(parent.id)
            return self._plans[parent.id]
        plan: EditPlan | None = None
        try:
            own = map_program(to_tree(parent.source), self.problem.entry, self._vocabulary)
            if own is not None:
                plan = plan_edits(parent.source, own, self._vocabulary)
        except (EditError, SourceError):
            pass  # a model may write what the grammar cannot change: other formats remain
        self._plans[parent.id] = plan
        if len(self._plans) > _PLANS:
            self._plans.popitem(last=False)
        return plan

    # -- lessons

    @property
    def lessons_due(self) -> bool:
        """Whether enough has been answered since lessons were asked for."""
        every = self.dials.lessons
        return every > 0 and self.memory.answers - self.condensed >= every and bool(self.memory.helped)

    def draw_lessons(self, number: int, seen: int, rng: random.Random) -> Question:
        """Ask what can be learnt from the latest commits; belongs to no proposal."""
        arm = self.arms.choose(rng)
        memory, dials = self.memory, self.dials
        facts = facts_of(self.problem, self.memory.bare(program_of(self.problem.block, self.problem.entry)))
        text = condense(
            facts.statement,
            tuple(memory.helped),
            tuple(memory.failed),
            memory.lessons,
            (dials.room, dials.count),
            self.templates,
        )
        request = Request(
            (Message("user", text),),
            "",
            self._models[arm],
            dials.max_tokens,
            1,
            dials.sampling,
            None,
            dials.deadline,
        )
        return Question(number, seen, 0, LESSONS, arm, (), (("user", text),), request)

    def learn(self, told: Mapping[str, Any]) -> None:
        """Lessons hold from now on. A model's replace those of models; a human's replace all, and stay.

        Args:
            told: as `lesson_record` makes it.
        """
        lessons = tuple(told["lessons"])
        if told["by"] == HUMAN:
            self._pinned, lessons = lessons, ()
        others = (lesson for lesson in lessons if lesson not in self._pinned)
        self.memory.lessons = (*self._pinned, *others)[:MOST]

    # -- reading

    def read(self, question: Question, number: int, said: Said) -> Draft:
        """The draft that an answer is; a failed one where it cannot be applied.

        Args:
            question: that was asked.
            number: of the proposal.
            said: the answer.

        Raises:
            Unusable: nothing was said, or it was cut off.
        """
        ids = tuple(parent.id for parent in question.parents)
        if said.text is None or not said.text.strip():
            cut = "The reply ended while still thinking." if said.reasoning else "The reply was empty."
            raise Unusable("truncated" if said.reasoning else "empty", cut)
        try:
            block = self._applied(question, said.text)
            program = program_of(block, self.problem.entry)
        except EditError as error:
            if error.name in ("empty", "truncated") or said.finish == "length":
                raise Unusable(
                    "truncated" if said.finish == "length" else error.name, error.message
                ) from None
            self.memory.said(number, said.text)
            return Draft.failed(question.operator, str(error), ids)
        except SourceError as error:
            self.memory.said(number, said.text)
            return Draft.failed(question.operator, f"syntax: {error}", ids)
        constants = len(tunable(program.source, self.problem.entry))
        return Draft(
            program.source,
            program.canonical,
            program.structure,
            program.nodes,
            question.operator,
            constants,
            ids,
        )

    def _applied(self, question: Question, text: str) -> str:
        block, entry = question.parents[0].source, self.problem.entry
        if question.format == "diff":
            return apply_diff(text, block, entry)
        if question.format == "block":
            return apply_block(text, block, entry)
        plan = self._plan(question.parents[0])
        if plan is None:
            raise EditError("no_site", "Nothing in the parent may change.")
        return apply_choice(text, plan)

    # -- learning

    def cost(self, number: int, tokens: float) -> None:
        """A proposal has cost so many tokens, besides what it has cost before."""
        self._tokens[number] = self._tokens.get(number, 0.0) + tokens

    def note(self, commit: Commit, added: AddStatus | None, archive: Archive, reward: float) -> None:
        """Take a commit, after the archive has; `reward` is what it was worth."""
        proposal = commit.proposal
        self.memory.note(commit, added, archive)
        if proposal.mutator != NAME:
            return
        tokens = self._tokens.pop(proposal.number, 0.0)
        self._mean[0] += tokens
        self._mean[1] += 1
        usual = self._mean[0] / self._mean[1]
        cost = tokens / usual if usual else 1.0  # in proposals of usual length, as the bandit's prior is
        kind, _, arm = proposal.operator.partition(":")
        self.kinds.credit(kind, reward, cost)
        self.arms.credit(arm, reward, cost)
