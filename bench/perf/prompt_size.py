"""How long the prompts of a run were, and how much of them its server had cached: from its ledger.

    python bench/perf/prompt_size.py a.db b.db

A row for each ledger: means over its requests for programs that were answered. Tokens are as the server counted
them.
"""

import argparse

from evolve.programs_db.ledger import Ledger

COLUMNS = ("requests", "bytes", "above the parent", "tokens", "cached", "answer")


def above(pieces: tuple[tuple[str, str], ...]) -> int:
    """Bytes of the pieces above the current program."""
    total = 0
    for _, text in pieces:
        if text.startswith("# Current program"):
            break
        total += len(text.encode())
    return total


def row(path: str) -> list[str]:
    """The figures of one ledger."""
    with Ledger.read(path) as book:
        dialogues = [one for one in book.dialogues() if one.asked.kind != "lessons"]
        rows = [(one.asked, one.answered) for one in dialogues if one.answered and not one.answered.error]
        name = book.problem["name"]
    texts = ["".join(text for role, text in asked.prompt if role != "grammar") for asked, _ in rows]
    spent = [reply.spent for _, reply in rows]
    prompt, number = sum(one.prompt for one in spent), len(rows)
    if not prompt:
        return [name, str(number), *["-"] * (len(COLUMNS) - 1)]
    size = sum(len(text.encode()) for text in texts)
    answers = sum(asked.samples for asked, _ in rows)
    return [
        name,
        f"{number}",
        f"{size / number:.0f}",
        f"{sum(above(asked.prompt) for asked, _ in rows) / size:.2f}",
        f"{prompt / number:.0f}",
        f"{sum(one.cached for one in spent) / prompt:.2f}",
        f"{sum(one.completion for one in spent) / answers:.0f}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ledger", nargs="+")
    given = parser.parse_args()
    print("| problem | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for path in given.ledger:
        print("| " + " | ".join(row(path)) + " |")


if __name__ == "__main__":
    main()
