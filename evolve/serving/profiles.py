"""What vLLM is told: flags and environment, as data. A name in here may change with vLLM's version; nothing else does.

Sources: vLLM's documentation of `vllm serve`, batch invariance and speculative decoding; measured with 0.32.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ALWAYS", "ON_CPU", "PROFILES", "Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """A way of serving.

    Args:
        words: what it is for.
        flags: of `vllm serve`.
        environment: variables, for any processor.
        gpu: variables that only a GPU's kernels know.
    """

    words: str
    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    gpu: Mapping[str, str] = field(default_factory=dict)


ALWAYS: Final = Profile(
    "each of our prompts begins as many others do, and each token is counted",
    (
        "--enable-prefix-caching",
        "--enable-prompt-tokens-details",  # cached tokens in each usage
        "--disable-uvicorn-access-log",  # a line a request would fill the disk
    ),
    {
        "VLLM_NO_USAGE_STATS": "1",
        # Its 5 s would close connections that the client has just chosen for the next request.
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "120",
    },
)
"""Part of every profile."""

ON_CPU: Final = Profile(
    "without a GPU",
    (
        "--enforce-eager",  # compiling takes longer than a small model's whole run
        # With chunked prefill, one request with a `seed` ends the engine and fails all that are in flight.
        "--no-enable-chunked-prefill",
    ),
    {"VLLM_CPU_KVCACHE_SPACE": "1"},  # GiB; left to itself it takes much of the machine
)
"""More, where there is no GPU."""

_NGRAM: Final = {
    "method": "ngram",
    "num_speculative_tokens": 8,
    "prompt_lookup_max": 4,
    "prompt_lookup_min": 2,
}

PROFILES: Final[Mapping[str, Profile]] = {
    "throughput": Profile("most tokens a second from many requests at once"),
    "reproducible": Profile(
        "the same request with a seed gives the same answer, whatever else is in the batch; slower",
        ("--seed", "0"),
        gpu={"VLLM_BATCH_INVARIANT": "1"},
    ),
    "edit": Profile(
        "guesses ahead by copying from the prompt: faster for edits on a server that is not full, slower on a full one",
        ("--speculative-config", json.dumps(_NGRAM, separators=(",", ":"))),
    ),
}
"""By name, for `evolve serve --profile`."""
