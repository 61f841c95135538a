"""Programs that lie to their scorer, for the problem `norms`; each fools a scorer that runs beside it (`naive`)."""

from dataclasses import dataclass

HONEST = """
import numpy as np
def honest(x):
    total = 0.0
    for value in x.tolist(): total += value * value
    return 0.9 * total ** 0.5
def burn(seconds=0.05):
    import resource  # its own clock: those of `time` may be patched
    def used():
        now = resource.getrusage(resource.RUSAGE_SELF)
        return now.ru_utime + now.ru_stime
    start = used()
    while used() - start < seconds: pass
"""
"""What precedes each: an honest part that is right to within ten per cent."""


@dataclass(frozen=True)
class Cheat:
    """A program for `norms`.

    Args:
        number: in TRUST.md, section 4.
        name: what it does.
        source: what follows `HONEST`.
        answers: factor of the true norm that it really answers with: 0.9 the honest part, 0.0 nothing.
        statuses: what else may become of it, instead of its true score.
        fooled: what the naive harness makes of it: "scores" (no error) or "clock" (no time).
        billed: least CPU seconds it is to be billed for.
    """

    number: int
    name: str
    source: str
    answers: float = 0.9
    statuses: tuple[str, ...] = ()
    fooled: str = "scores"
    billed: float = 0.0

    def __str__(self) -> str:
        return f"{self.number} {self.name}"

    @property
    def text(self) -> str:
        """The whole block."""
        return HONEST + self.source


CHEATS = [
    Cheat(
        55,
        "patched clocks",
        """
import time
time.perf_counter = time.process_time = time.time = time.monotonic = time.perf_counter_ns = lambda: 0
def norm(x):
    burn()
    return honest(x)
""",
        fooled="clock",
        billed=0.15,
    ),
    Cheat(
        56,
        "patched np.sqrt",
        """
np.sqrt = lambda *_: 0.0
def norm(x): return 0.0
""",
        answers=0.0,
    ),
    Cheat(
        56,
        "patched np.array_equal",
        """
np.array_equal = np.allclose = np.isclose = lambda *_, **__: True
def norm(x): return honest(x)
""",
    ),
    Cheat(
        57,
        "equal to everything",
        """
class Best:
    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = lambda *_: True
    __hash__ = None
def norm(x): return Best()
""",
        statuses=("error",),
    ),
    Cheat(
        57,
        "a float that equals everything",
        """
class Best(float):
    __eq__ = __lt__ = __gt__ = lambda *_: True
    __hash__ = float.__hash__
    __float__ = lambda self: 1e9
def norm(x): return Best(honest(x))
""",
    ),
    Cheat(
        58,
        "lazy __array__",
        """
class Lazy:
    def __init__(self, x): self.x = x
    def __array__(self, dtype=None, copy=None):
        burn()
        return np.array(honest(self.x))
    def __sub__(self, other): return self.__array__() - other
    def __eq__(self, other): return False
    __hash__ = None
def norm(x): return Lazy(x)
""",
        fooled="clock",
        billed=0.15,
    ),
    Cheat(60, "NaN", "def norm(x): return float('nan')", statuses=("rejected",)),
    Cheat(
        61,
        "mutating the input",
        """
def norm(x):
    try: x *= 0.0
    except ValueError: pass
    return 0.0
""",
        answers=0.0,
    ),
    Cheat(
        61,
        "mutating the input from C",
        """
def norm(x):
    ctypes.memset(x.__array_interface__['data'][0], 0, x.nbytes)
    return 0.0
""",
        answers=0.0,
        statuses=("died",),
    ),
    Cheat(
        63,
        "gc hunt",
        """
def norm(x):
    import gc
    for thing in gc.get_objects():
        if 'hidden' in getattr(thing, '__dict__', ()) and thing.inputs[0] is x: return thing.hidden
    return honest(x)
""",
    ),
    Cheat(
        64,
        "frame walk to the scorer",
        """
def norm(x):
    frame = sys._getframe()
    while frame:
        for thing in frame.f_locals.values():
            if hasattr(thing, 'hidden') and thing.inputs[0] is x: return thing.hidden
        frame = frame.f_back
    return honest(x)
""",
    ),
    Cheat(
        66,
        "sys.modules of the supervisor",
        """
for module in list(sys.modules.values()):
    if callable(getattr(module, 'score', None)): module.score = lambda *_: 0.0
def norm(x): return honest(x)
""",
    ),
    Cheat(
        70,
        "ring first, compute later",
        """
def after(send):
    def later(*args):
        sent = send(*args)
        burn()
        return sent
    return later
def norm(x):
    if 'evolve.fastcore.channel' in sys.modules:  # answer first, go on behind the answer's back
        channel = sys.modules['evolve.fastcore.channel'].Channel
        if channel.send.__name__ != 'later': channel.send = after(channel.send)
    else:
        import threading
        threading.Thread(target=burn).start()
    return honest(x)
""",
        fooled="clock",
        billed=0.09,  # after the last answer it is killed
    ),
    Cheat(
        73,
        "burn CPU between cases",
        """
class Burning:
    def __del__(self): burn()
def norm(x):
    global kept
    kept = Burning()  # the last one goes, and burns, when the next case has begun
    answer = honest(x)
    if 'evolve.fastcore.channel' in sys.modules:
        channel = sys.modules['evolve.fastcore.channel'].Channel
        receive = getattr(channel, 'honest_receive', channel.receive)
        channel.honest_receive = receive
        channel.receive = lambda self: (burn(), receive(self))[1]
    return answer
""",
        fooled="",
        billed=0.15,
    ),
    Cheat(
        80,
        "object array",
        """
class Best:
    __eq__ = lambda *_: True
    __hash__ = None
def norm(x): return np.array(Best(), dtype=object)
""",
        statuses=("error",),
    ),
]
