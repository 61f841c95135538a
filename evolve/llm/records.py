"""Plain records of what is asked of a model and what comes back. Know no server and no network."""

from dataclasses import dataclass

__all__ = ["Message"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    Args:
        role: "system", "user" or "assistant".
        text: what is said.
    """

    role: str
    text: str
