"""A model without a mind that answers as it is asked: in the format of the prompt, another constant each time."""

import re
import threading

PROBLEM = '''"""Come as close to 0.7 as you can."""

import time

from evolve import Case, Measure, Objective, Problem, Real, problem


@problem
def toy(pause: float = 0.0, baseline: float = 0.7):
    def score(answer, case):
        time.sleep(pause)
        return {"error": abs(answer - baseline), "size": min(1.0, abs(answer))}

    return Problem(
        entry="value",
        cases=[Case("one", inputs=(1.0,))],
        score=score,
        objective=Objective("error", "min"),
        measures=[Measure("size", 0.0, 1.0, 8)],
        returns=Real(-10, 10),
    )


# EVOLVE-BLOCK-START
def value(x):
    """A number."""
    return 0.1 * x
# EVOLVE-BLOCK-END
'''

BLOCK = '''def value(x):
    """A number."""
    return {:.6f} * x
'''


class Author:
    """Call it with a body; counts are those of answers."""

    def __init__(self, step=0.0137):
        self.step, self.count, self._lock = step, 0, threading.Lock()

    def __call__(self, body):
        text = body["messages"][-1]["content"]
        constraint = body.get("structured_outputs") or {}
        if "choice" in constraint:
            return constraint["choice"][0]
        with self._lock:
            self.count += 1
            number = self.step * self.count % 1.2
        if "Write at most twelve lessons" in text:
            return f"Here they are.\n- smaller steps help\n- answer {self.count} was good"
        if "grammar" in constraint:
            return f"0: {number:.6f}"
        block = BLOCK.format(number)
        if "Answer with SEARCH/REPLACE" not in text[-300:]:
            return f"A new constant.\n\n```python\n{block}```\n"
        current = text[text.index("# Current program") :]
        line = re.search(r"^    return .*$", current, re.MULTILINE)[0]
        return f"A new constant.\n\n<<<<<<< SEARCH\n{line}\n=======\n    return {number:.6f} * x\n>>>>>>> REPLACE\n"
