"""What a run may spend on models is never exceeded by one token, over sessions, faults and replies of any length."""

import os
import random

import pytest
from author import PROBLEM
from fake_server import at_random
from served import served

import evolve
from evolve.budget import Budget
from evolve.llm.dials import Dials
from evolve.llm.spending import Price
from evolve.programs_db.ledger import Ledger

RUNS = int(os.environ.get("EVOLVE_BUDGETS", "3"))
PRICE = Price(prompt=3.0, completion=15.0, cached=0.3)


def spent(ledger):
    with Ledger.read(ledger) as book:
        replies, wastes = book.spent()
        used = replies + wastes
        # A request that was given up since there was no room for another try is its billed tries, and no more.
        requests = sum(entry.spent.tokens > 0 for entry in book.entries()) + sum(
            len(entry.wasted) for entry in book.entries()
        )
    money = (3.0 * (used.prompt - used.cached) + 0.3 * used.cached + 15.0 * used.completion) / 1e6
    return used.tokens, requests, money


@pytest.mark.parametrize("seed", range(RUNS))
def test_no_budget_is_exceeded(tmp_path, seed):
    rng = random.Random(seed)
    path, ledger = tmp_path / "toy.py", tmp_path / "a.db"
    path.write_text(PROBLEM)
    longest = rng.choice([40, 200])
    dials = Dials(
        syntactic=rng.random() < 0.3,
        lessons=rng.choice([0, 15]),
        max_tokens=longest,
        samples=rng.choice([1, 3]),
    )
    with served(latency=0.005, slots=16) as server:
        fault = rng.choice(["billed_500", "billed_empty", "null", "500", "half"])
        draw = at_random({fault: 0.2}, seed)
        # A server that fails when it is first asked is another test's.
        probe = "Say hello."
        server.settings.faults = lambda n, body: (
            None if body["messages"][0]["content"] == probe else draw(n, body)
        )
        server.settings.tokens = rng.choice([longest, 2 * longest])  # up to twice what was asked for
        whole = 0
        for session in range(rng.choice([1, 2, 3])):
            whole += rng.randrange(20_000, 60_000)
            limits = {
                "tokens": Budget(tokens=whole),
                "money": Budget(money=whole * 5e-6),
                "requests": Budget(requests=whole // 1000),
            }
            budget = limits[("tokens", "money", "requests")[seed % 3]]
            how = {"budget": budget, "prices": {"": PRICE}, "workers": 1, "llm": server.url}
            if session:
                evolve.resume(ledger, **how)
            else:
                evolve.run(str(path), ledger=ledger, dials=dials, seed=seed, **how)
            tokens, requests, money = spent(ledger)
            assert budget.tokens is None or tokens <= budget.tokens
            assert budget.requests is None or requests <= budget.requests
            assert budget.money is None or money <= budget.money
            assert tokens > 2_000, "nothing was asked"
