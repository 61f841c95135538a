"""The endpoints: what the user says of them, their state, and which of them gets a request.

Requests that share a prefix go to the same server, whose cache holds it: rendezvous hashing with weights, so that a
server that comes or goes moves no other's requests; and bounded loads, so that a popular prefix spills over to the
next in its order. Opens no connection: told of events, it decides.

Sources: Thaler and Ravishankar 1998 (rendezvous hashing); Mirrokni, Thorup and Zadimoghaddam 2018 (bounded loads).
"""

import math
import os
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Final
from urllib.parse import urlsplit

from evolve.errors import UsageError
from evolve.llm.errors import Refused
from evolve.llm.window import FIRST, MOST, Window
from evolve.llm.wire import DIALECTS, Model

__all__ = ["KEY_VARIABLE", "Endpoint", "Server", "backoff", "choose", "order", "serving"]

KEY_VARIABLE: Final = "EVOLVE_LLM_KEY"
"""Environment variable of the API key, for endpoints that are given none."""

_SPREAD: Final = 1.25
"""How far above its fair share of the load a server may go before a prefix spills over."""


@dataclass(frozen=True)
class Endpoint:
    """A server as the user names it.

    Args:
        url: base of the API, as "http://127.0.0.1:8000/v1"; without a path, "/v1" is meant.
        weight: its share of the load against the others'.
        model: what it is asked for when a request names none; "" is the first it lists.
        key: API key; "" takes that of the environment. Never shown.
        slots: answers at once to begin with, its `max_num_seqs`; None if unknown.
        dialect: "vllm", or "openai" for its own spelling (see `wire`).

    Raises:
        UsageError: a URL that is none, or that holds secrets; a weight, key or dialect that cannot be meant.
    """

    url: str
    weight: float = 1.0
    model: str = ""
    key: str = field(default="", repr=False)
    slots: int | None = None
    dialect: str = "vllm"

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _base(self.url))
        if not 0 < self.weight < math.inf:
            raise UsageError(f"endpoint {self.url}: weight {self.weight}; more than 0, and finite")
        if self.slots is not None and not 1 <= self.slots <= MOST:
            raise UsageError(f"endpoint {self.url}: {self.slots} slots; from 1 to {MOST}")
        if self.dialect not in DIALECTS:
            raise UsageError(f"endpoint {self.url}: dialect {self.dialect!r}; one of {', '.join(DIALECTS)}")
        if not self.key:
            object.__setattr__(self, "key", os.environ.get(KEY_VARIABLE, ""))
        if self.key and not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise UsageError(
                f"endpoint {self.url}: the API key has a space, a newline or a letter that no key has"
            )

    @cached_property
    def root(self) -> str:
        """Where `/health` and `/metrics` lie: the URL without its last part "/v1"."""
        return self.url.removesuffix("/v1")

    def scrub(self, words: str) -> str:
        """`words` without the API key, which some servers repeat."""
        return words.replace(self.key, "[key]") if self.key else words


def _base(url: str) -> str:
    # What was typed is not repeated where it may hold a password or a key.
    try:
        parts = urlsplit(url.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise UsageError(
            "endpoint: a URL that cannot be read; it looks like http://127.0.0.1:8000/v1"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"endpoint: a URL with a user or password; give the key by {KEY_VARIABLE}")
    if parts.query or parts.fragment:
        raise UsageError(f"endpoint {parts.hostname}: a URL ends with its path; give a key by {KEY_VARIABLE}")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise UsageError(f"endpoint {url!r} is no URL; it looks like http://127.0.0.1:8000/v1")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


class Server:
    """An endpoint and how it fares.

    Attributes:
        up: whether requests may go there; None until it has been asked for its models.
        resting_until: time of the loop before which nothing is sent: it was busy, or failed again and again.
        in_flight: answers under way.
        suspects: requests under way that were in flight when a server died.
        quota: how many of those may be: 1 after a death, twice as many with each that comes back.
        failures: one round after the other, up to now.
        models: as it lists them; empty if it does not.
        refusal: why it does not, if it said so.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.window = Window(endpoint.slots or FIRST)
        self.up: bool | None = None
        self.resting_until = -math.inf
        self.in_flight = 0
        self.suspects = 0
        self.quota = 1
        self.failures = 0
        self._failed = -math.inf
        self.models: tuple[Model, ...] = ()
        self.refusal: Refused | None = None

    def model(self, asked: str) -> str:
        """The name to send.

        Raises:
            Refused: no model is named and the server lists none.
        """
        if name := asked or self.endpoint.model or (self.models[0].name if self.models else ""):
            return name
        words = "lists no models; name one"
        raise self.refusal or Refused(0, self.endpoint.url, words)

    def open(self, now: float, n: int, suspect: bool) -> bool:
        """Whether a request for `n` answers may be sent now; one that is larger than the window goes alone."""
        if not self.up or now < self.resting_until:
            return False
        if suspect and self.suspects >= self.quota:
            return False
        return self.in_flight == 0 or self.in_flight + n <= self.window.size

    def take(self, n: int, suspect: bool) -> None:
        """A request for `n` answers is sent."""
        self.in_flight += n
        self.suspects += suspect
        self.window.used(self.in_flight)

    def give(self, n: int, suspect: bool) -> None:
        """It is back, or given up."""
        self.in_flight -= n
        self.suspects -= suspect

    def failed(self, sent: float, now: float) -> bool:
        """An attempt that was sent at `sent` failed; whether it counts.

        Of many that were under way together, the first counts alone: a server that lets three of ten fail is no
        worse for being asked by sixty at once.
        """
        if sent < self._failed:
            return False
        self._failed = now
        self.failures += 1
        return True

    def good(self, n: int, suspect: bool) -> None:
        """It was answered properly."""
        self.failures = 0
        self.window.succeeded(n)
        if suspect:
            self.quota = min(2 * self.quota, MOST)


def backoff(failures: int, rng: random.Random, base: float = 0.25, most: float = 20.0) -> float:
    """Seconds to wait after so many failures in a row: doubling, half of it by chance: none march in step."""
    full = min(most, base * 2.0 ** min(failures, 30))
    return full * rng.uniform(0.5, 1.0)


def order(servers: Iterable[Server], key: str) -> tuple[Server, ...]:
    """All servers, from the first to the last choice of the prefix `key`.

    A server comes first for a share of all keys that is its weight's share of all weights.
    """

    def rank(server: Server) -> float:
        digest = blake2b(f"{key}\n{server.endpoint.url}".encode(), digest_size=8).digest()
        chance = (int.from_bytes(digest, "big") + 1) / (2**64 + 2)
        return -math.log(chance) / server.endpoint.weight

    return tuple(sorted(servers, key=rank))


def serving(servers: Iterable[Server], model: str) -> list[Server]:
    """Those that list `model`; all, if none does: providers know names that they do not list."""
    servers = list(servers)
    if not model:
        return servers
    named = [
        server
        for server in servers
        if server.endpoint.model == model or any(each.name == model for each in server.models)
    ]
    return named or servers


def choose(ranked: Iterable[Server], n: int, avoid: Mapping[Server, object] | set[Server]) -> Server | None:
    """Which of the servers that are open gets a request for `n` answers.

    The first in `ranked` whose load stays below 1.25 of its fair share; where a request has failed before, it goes
    only if there is no other.
    """
    found = list(ranked)
    if len(found) < 2:
        return found[0] if found else None
    load = n + sum(server.in_flight for server in found)
    weights = sum(server.endpoint.weight for server in found)
    candidates = [server for server in found if server not in avoid] or found
    for server in candidates:
        if server.in_flight + n <= math.ceil(_SPREAD * load * server.endpoint.weight / weights):
            return server
    return min(candidates, key=lambda server: server.in_flight / server.endpoint.weight)
