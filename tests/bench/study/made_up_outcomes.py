"""Outcomes that no run has had."""

from evolve.bench.study.outcomes import Elsewhere, Outcome


def outcome(seed=0, final=1.0, unseen=(), fresh=(), strategy="evolution"):
    other = Elsewhere({str(n): value for n, value in enumerate(unseen)}, tuple(fresh), {})
    counts = {"evaluations": 10, "proposals": 10, "seconds": 1.0, "cpu_seconds": 1.0}
    return Outcome(
        "p",
        strategy,
        seed,
        final,
        final,
        "b2:x",
        other,
        ((1.0, final),),
        **counts,
        statuses={},
        spent=10.0,
        content="",
    )
