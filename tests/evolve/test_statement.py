"""Problem files: loading, parameters, and everything that can be wrong with one."""

import pytest

import evolve
from evolve.errors import ProblemError, UsageError
from evolve.loader import load, shipped
from evolve.statement import Case, Grid, Problem, Stage


def make(**more):
    given = {
        "entry": "f",
        "cases": [Case("a")],
        "score": lambda outcome, case: {"x": 0.0},
        "objective": evolve.Objective("x", "min"),
    }
    return Problem(**{**given, **more})


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"form": "other"}, "form is 'other'"),
        ({"entry": "not a name"}, "entry is"),
        ({"cases": []}, "no cases"),
        ({"cases": [Case("a"), Case("a")]}, "share a name"),
        ({"form": "table", "simulate": lambda t, c: t}, "needs grid="),
        ({"form": "table", "grid": Grid((1,))}, "needs simulate="),
        ({"form": "step"}, "needs simulate="),
        ({"simulate": lambda t, c: t}, "takes no simulate="),
        ({"grid": Grid((1,))}, "takes no grid="),
        (
            {"form": "step", "simulate": lambda d, c: d, "cases": [Case("a", inputs=(1,))]},
            "leave Case.inputs empty",
        ),
        (
            {
                "form": "table",
                "simulate": lambda t, c: t,
                "grid": {"g": (1,)},
                "cases": [Case("a", grid="h")],
            },
            "names a grid",
        ),
        ({"stages": [Stage(("b",), 1.0)]}, "names a case that is not there: b"),
        ({"repeats": 0}, "repeats is 0"),
        ({"score_seconds": 0.0}, "score_seconds"),
        ({"measures": [evolve.Measure("m", 0, 1)] * 2}, "measures share a name"),
    ],
)
def test_a_problem_that_contradicts_itself_is_refused(more, says):
    with pytest.raises(ProblemError, match=says):
        make(**more)


def timed(**more):
    given = {
        "objective": evolve.Speed(baseline="plain"),
        "baselines": {"plain": "def f():\n    return 0\n"},
        "fresh": lambda rng: [Case("a")],
    }
    return make(**{**given, **more})


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"returns": "f8"}, "returns= is of type str"),
        ({"returns": evolve.Real}, "returns= is the class Real"),
        ({"score": "score"}, "score= is of type str"),
        ({"fresh": [Case("a")]}, "fresh= is of type list; give a function, fresh(rng), without calling it"),
        ({"strategy": [1]}, "strategy= is of type list"),
        ({"cases": [(1, 2)]}, "cases= holds something of type tuple"),
        ({"measures": ["nodes"]}, "measures= holds something of type str"),
        ({"primitives": ["np.abs"]}, "primitives= holds something of type str"),
        ({"preload": "scipy"}, "preload= is of type str; give a list of names"),
        ({"objective": "speed"}, "objective= is of type str"),
        ({"limits": 3}, "limits= is of type int"),
        ({"score_seconds": "2"}, "score_seconds= is of type str"),
        ({"baselines": "def f(): pass"}, "baselines= must be a dictionary"),
        ({"baselines": {"f": make}}, "baselines= must be a dictionary"),
        ({"baselines": {"best": "x", "a": "y"}}, "a baseline is named 'best', as tables name a program"),
        ({"baselines": {"seed": "x", "reference": "y"}}, "a baseline is named 'seed', 'reference'"),
        ({"unseen": [Case("b")]}, "unseen= must be a dictionary"),
        ({"unseen": {"other": [1]}}, "other than a Case"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_named_with_what_it_should_be(more, says):
    with pytest.raises(ProblemError) as failure:
        make(**more)
    assert says in str(failure.value)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"baselines": {"other": ""}}, "baseline 'plain', which is not among baselines=: other"),
        ({"fresh": None}, "needs fresh="),
        ({"form": "step", "simulate": lambda d, c: d}, "needs form 'call', not 'step'"),
        ({"repeats": 2}, "takes no repeats="),
        ({"stages": [Stage(("a",), 1.0)]}, "takes no stages="),
        ({"aggregate": {"speedup": "max"}}, "aggregate= cannot be given for 'speedup'"),
    ],
)
def test_a_problem_that_asks_for_speed_is_held_to_what_speed_needs(more, says):
    with pytest.raises(ProblemError, match=says):
        timed(**more)


def test_what_belongs_to_speed_is_refused_elsewhere():
    with pytest.raises(ProblemError, match=r"speedup:a needs objective=Speed"):
        make(measures=[evolve.Measure("speedup:a", 0, 1)])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"check": lambda data: "1"}, "check= needs certify="),
        ({"plain": lambda table, case: table}, "form 'call' takes no plain="),
        (
            {"form": "step", "simulate": lambda d, c: d, "strategy": lambda: None},
            "form 'step' takes no strategy=",
        ),
    ],
)
def test_what_verifies_has_to_have_something_to_verify(more, says):
    with pytest.raises(ProblemError, match=says):
        make(**more)


def test_speed_is_an_objective_and_supplies_what_it_can():
    measures = [evolve.Measure(name, 0, 9) for name in ("nodes", "depth", "speedup:a", "waste")]
    problem = timed(measures=measures)
    assert problem.speed == evolve.Speed("plain")
    assert (problem.objective.name, problem.objective.direction, problem.objective.unit) == (
        "speedup",
        "max",
        "x",
    )
    assert problem.objective.better(2.0, 1.0)
    assert problem.supplied == ["waste"]
    assert make(measures=measures[:2]).supplied == ["x"]


@pytest.mark.parametrize(
    ("direction", "low", "high"), [("up", 0, 1), ("min", 1, 1), ("min", 0, float("inf"))]
)
def test_objectives_and_measures_refuse_nonsense(direction, low, high):
    with pytest.raises(ValueError, match=r"direction|interval"):
        evolve.Objective("x", direction) and evolve.Measure("m", low, high)


def test_a_file_gives_its_problem_with_block_and_parameters(problem_file):
    path = problem_file()
    problem = load(str(path), {"k": "4.5"})
    assert problem.name == "small"
    assert problem.parameters == {"k": 4.5}
    assert problem.cases[0].hidden == 4.5
    assert "return x + 1.0" in problem.block
    assert "EVOLVE-BLOCK" not in problem.block
    assert problem.description == "A small problem for tests."
    assert load(f"{path}:small").name == "small"


@pytest.mark.parametrize(
    ("replace", "says"),
    [
        ({"# EVOLVE-BLOCK-START": "#", "# EVOLVE-BLOCK-END": "#"}, "EVOLVE-BLOCK"),
        (
            {"# EVOLVE-BLOCK-END": "# EVOLVE-BLOCK-END\n# EVOLVE-BLOCK-START\n# EVOLVE-BLOCK-END"},
            "EVOLVE-BLOCK",
        ),
        ({"def score(y, case):": "def score(y, case:"}, "line"),
        ({"@problem": ""}, "decorated with @problem"),
        ({"def score(y, case):": "1 / 0\ndef score(y, case):"}, "ZeroDivisionError"),
        ({"k: float = 3.0": "k"}, "no default"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(problem_file, replace, says):
    path = problem_file(replace=replace)
    with pytest.raises(ProblemError, match=says) as caught:
        load(str(path))
    assert "small" in str(caught.value)


def test_unknown_names_give_the_nearest(problem_file):
    with pytest.raises(UsageError, match="did you mean 'online_bin_packing'"):
        load("online_bin_paking")
    with pytest.raises(UsageError, match=r"evolve new nowhere\.py"):
        load("nowhere.py")
    with pytest.raises(UsageError, match="no parameter 'j'; it takes: k"):
        load(str(problem_file()), {"j": "1"})
    with pytest.raises(UsageError, match="takes a value of type float"):
        load(str(problem_file()), {"k": "many"})
    with pytest.raises(ProblemError, match="no @problem called 'other'"):
        load(f"{problem_file()}:other")


@pytest.mark.parametrize("name", sorted({*shipped(), "online_bin_packing", "capset", "memory_rule"}))
def test_every_shipped_problem_loads_and_says_what_it_is(name):
    problem = load(name)
    assert problem.name == name
    assert len(problem.measures) >= 2
    assert problem.unseen
    assert len(problem.description) > 100


def test_a_library_that_is_not_there_is_named(problem_file):
    path = problem_file(replace={"score=score,": "score=score, preload=['numpy.linalg', 'nosuch.part'],"})
    with pytest.raises(ProblemError, match=r"small\.py.*'nosuch', which is not installed"):
        load(str(path))


def test_inputs_of_a_case_are_a_tuple():
    with pytest.raises(ProblemError, match=r"case 'a'.*inputs=\(value,\)"):
        evolve.Case("a", inputs=3)


def test_the_contents_page_is_what_it_says():
    for name in evolve.__all__:
        assert getattr(evolve, name) is not None
    assert callable(evolve.run)
    assert callable(evolve.problem)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        evolve.nothing  # noqa: B018


def test_a_file_that_prints_or_exits_does_neither_to_stdout_nor_to_us(problem_file, capsys):
    load(str(problem_file(replace={"@problem": "print('chatter')\n\n\n@problem"})))
    assert capsys.readouterr().out == ""
    with pytest.raises(ProblemError, match="SystemExit: 5"):
        load(str(problem_file(replace={"@problem": "raise SystemExit(5)\n\n\n@problem"})))


def test_what_a_problem_gets_wrong_is_said_with_its_file(problem_file):
    path = problem_file(
        replace={
            'cases=[Case("a", inputs=(1.0,), hidden=k), Case("b", inputs=(2.0,), hidden=2 * k)]': "cases=[]"
        }
    )
    with pytest.raises(ProblemError, match=r"small\.py: it has no cases"):
        load(str(path))
