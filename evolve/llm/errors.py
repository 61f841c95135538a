"""What can go wrong between the engine and a model, each with the words to show. No message holds a key.

InfrastructureError                exit code 3
|- Outage                          no endpoint for too long
|- Poisoned                        this request was in flight when a server died, twice
|- Unanswered                      servers live, and none gives this request a proper reply
`- Overspent                       the budget has no room for this request
UsageError                         exit code 2
`- Refused                         the server says that the request is wrong: never sent again
"""

from evolve.errors import InfrastructureError, UsageError
from evolve.llm.records import Usage
from evolve.text import clean

__all__ = ["Failure", "Outage", "Overspent", "Poisoned", "Refused", "Unanswered"]


class Refused(UsageError):  # noqa: N818 - it says what happened
    """A server will not serve this request, however often it is asked.

    Attributes:
        status: of HTTP: 400, 401, 403, 404 and their like; 0 where it came to none.
        endpoint: URL.
        words: the server's, made safe to show.
    """

    def __init__(self, status: int, endpoint: str, words: str) -> None:
        self.status = status
        self.endpoint = endpoint
        self.words = clean(words, 1_000)
        said = f"{status}: " if status else ""
        super().__init__(f"{endpoint} refuses: {said}{self.words or 'no words'}")


class Outage(InfrastructureError):  # noqa: N818 - it says what happened
    """No endpoint has given a good reply for longer than the client's patience."""


class Poisoned(InfrastructureError):  # noqa: N818 - it says what happened
    """A request that was in flight at two deaths of a server; it is not sent a third time.

    Attributes:
        digest: names the request in `HttpClient.quarantine`.
    """

    def __init__(self, digest: str, words: str) -> None:
        self.digest = digest
        super().__init__(words)


class Unanswered(InfrastructureError):  # noqa: N818 - it says what happened
    """A request that got no proper reply in so many attempts, though the servers live."""


class Overspent(InfrastructureError):  # noqa: N818 - it says what happened
    """The budget has no room for a request.

    Attributes:
        what: "requests", "tokens" or "money".
        pending: True if room may come back when requests in flight are settled.
    """

    def __init__(self, what: str, words: str, pending: bool = False) -> None:
        self.what = what
        self.pending = pending
        super().__init__(words)


class Failure(Exception):  # noqa: N818 - it says what happened
    """One attempt that failed and may be repeated; never leaves the client.

    Attributes:
        kind: "unreachable" (not even sent), "busy" (429, 503), "server" (500 and the like), "reset", "half",
            "late" (deadline), "malformed", "empty" or "large".
        words: what happened, made safe to show.
        pause: seconds that the server asks to wait, or None.
        usage: what the server billed all the same, or None.
    """

    def __init__(self, kind: str, words: str, pause: float | None = None, usage: Usage | None = None) -> None:
        self.kind = kind
        self.words = clean(words, 500)
        self.pause = pause
        self.usage = usage
        super().__init__(f"{kind}: {self.words}")
