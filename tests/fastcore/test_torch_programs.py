"""PyTorch in the strict jail: preloaded once, with as many threads as the problem allows."""

import importlib.util

import pytest

from evolve.fastcore.jail import level
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure, Runner

pytestmark = [
    pytest.mark.skipif(level() == "none", reason="this machine cannot confine programs"),
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
]
# An optimiser imports torch._dynamo, and with it much else, when the first one is made: once in the zygote, then.
PRELOAD = ("torch", "torch._dynamo")
TRAIN = """
import torch

def train(steps, threads):
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    x = torch.randn(128, 8)
    y = x.sum(1, keepdim=True)
    model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.GELU(), torch.nn.Linear(32, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    heads = torch.randn(2, 4, 16, 8)
    attended = torch.nn.functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True)
    product = torch.randn(700, 700) @ torch.randn(700, 700)
    return losses[0], losses[-1], attended.detach().numpy(), product.sum().item()
"""


@pytest.fixture(scope="module")
def runner():
    with Runner(preload=PRELOAD) as made:
        yield made


@pytest.mark.parametrize("threads", [1, 4])
def test_a_model_is_trained(runner, threads):
    # torch.set_num_threads(n) starts two pools of n - 1 threads, of which one idles.
    limits = Limits(threads=2 * threads - 1, memory=2 << 30)
    with runner.start(TRAIN, "train", limits) as session:
        first, last, attended, _ = session.call((60, threads))
    assert last < first / 2
    assert attended.shape == (2, 4, 16, 8)
    assert session.finish().isolation == "strict"


def test_threads_that_are_not_allowed_do_not_start(runner):
    # torch's own pool gives up with its process when a thread is refused.
    source = "import threading\ndef f():\n    threading.Thread(target=print).start()"
    with (
        runner.start(source, "f", Limits()) as session,
        pytest.raises(Failure, match="can't start new thread"),
    ):
        session.call(())
