"""TRUST.md, section 4, Score: a program is worth what its answers are worth, and pays for its time."""

import math
import pickle
import platform

import numpy as np
import pytest

from evolve.fastcore import wire

from .cheats import CHEATS, HONEST

VECTORS = [np.random.default_rng(seed).standard_normal(50) for seed in range(3)]
NORMS = [float(np.sqrt(np.sum(values * values))) for values in VECTORS]


def worth(answers):
    """The true objective of these answers to `norms`."""
    return math.fsum(abs(answer - norm) for answer, norm in zip(answers, NORMS, strict=True)) / len(NORMS)


def in_order(values):
    """What `cheats.HONEST` answers: it adds in order, numpy pairwise."""
    total = 0.0
    for value in values.tolist():
        total += value * value
    return 0.9 * total**0.5


ANSWERS = {0.9: [in_order(values) for values in VECTORS], 0.0: [0.0] * 3}


def judged(host, source, **how):
    return host.judge("norms", source, **how)


def test_the_harness_that_is_cheated_is_right_about_honest_programs(host):
    (errors,) = host.ask("naive", HONEST + "def norm(x): return honest(x)", 1, VECTORS)
    assert math.fsum(errors[:3]) / 3 == worth(ANSWERS[0.9])
    assert judged(host, HONEST + "def norm(x): return honest(x)")["objective"] == worth(ANSWERS[0.9])


@pytest.mark.parametrize("cheat", CHEATS, ids=str)
def test_a_cheat_is_worth_its_answers_and_pays_for_its_time(host, cheat):
    if cheat.fooled:  # the control
        (found,) = host.ask("naive", cheat.text, 1, VECTORS)
        *errors, seconds = found
        if cheat.fooled == "scores":
            assert errors == [0.0] * 3
        else:
            assert seconds < cheat.billed / 3, seconds
    said = judged(host, cheat.text)
    if said["status"] == "ok":
        assert said["objective"] == worth(ANSWERS[cheat.answers])
        assert "ok" not in cheat.statuses
        assert said["cpu"] >= cheat.billed
    else:
        assert said["status"] in cheat.statuses, said
    assert judged(host, HONEST + "def norm(x): return honest(x)")["objective"] == worth(ANSWERS[0.9])


ODD = {  # what a program answers, and what it is worth if anything
    "infinity": ("math.inf", None),
    "complex": ("1j", None),
    "a list with NaN": ("[math.nan]", None),
    "denormal": ("5e-324", [5e-324] * 3),
    "huge integer": ("10 ** 400", None),
    "text": ("'0.0'", None),
    "nothing": ("None", None),
    "truth": ("True", [1.0] * 3),
    "a score of its own": ("{'error': 0.0}", None),
    "an answer and a score": ("(honest(x), 0.0)", None),
}


@pytest.mark.parametrize("name", ODD)
def test_60_odd_answers_are_refused_or_worth_what_they_are(host, name):
    text, answers = ODD[name]
    said = judged(host, HONEST + f"import math\ndef norm(x): return {text}")
    if answers is None:
        assert said["status"] in ("rejected", "error"), said
    else:
        assert (said["status"], said["objective"]) == ("ok", worth(answers))


PICKLED = """
import pickle
class Payload:
    def __reduce__(self): return open, (ROOM + '/evolve_attack', 'w')
"""


def test_59_a_pickle_is_never_opened(host):
    control = PICKLED + "def entry():\n    pickle.loads(pickle.dumps(Payload())).close()\n"
    control += "    os.remove(ROOM + '/evolve_attack')\n    return True\n"
    assert host.ask("beside", control, {}) is True
    for answer in (
        "Payload()",
        "pickle.dumps(Payload())",
        "[pickle.dumps(Payload())]",
        "np.void(pickle.dumps(Payload()))",
    ):
        said = judged(host, HONEST + PICKLED + f"def norm(x): return {answer}")
        assert said["status"] in ("error", "rejected"), said
    raw = pickle.dumps(open)
    source = f"def entry():\n    link = local('channel')\n    link.send(local('nonce'), 1, {raw!r})\n    os._exit(0)"
    assert host.attempt(LOCAL + source)["status"] == "protocol"


LOCAL = """
def local(name):
    frame = sys._getframe(1)
    while frame and name not in frame.f_locals: frame = frame.f_back
    return frame.f_locals[name]
"""
MEMO = """
def norm(x):
    if not hasattr(np, 'memo'): np.memo = {}
    if x.tobytes() in np.memo: return 0.0
    np.memo[x.tobytes()] = 1
    return honest(x)
"""


def test_62_what_one_program_remembers_is_gone_for_the_next(host):
    first, second = host.ask("naive", HONEST + MEMO, 2, VECTORS)
    assert first[:3] != second[:3] == NORMS
    for _ in range(2):
        assert judged(host, HONEST + MEMO)["objective"] == worth(ANSWERS[0.9])


def test_62_a_step_program_may_not_remember_what_it_was_asked(host):
    block = "seen = []\ndef update(S, k, v, p):\n    seen.append(1)\n    return S + v * k + {} * len(seen)\n"
    assert host.judge("memory_rule", block.format("0.0"))["status"] == "ok"
    assert host.judge("memory_rule", block.format("1e-3"))["status"] == "rejected"


def test_64_a_frame_walk_on_memory_rule_finds_no_stream(host):
    walk = """
import sys
def update(S, k, v, p):
    frame = sys._getframe(1)
    while frame:
        for thing in list(frame.f_locals.values()):
            if hasattr(thing, 'hidden') or hasattr(thing, 'stream_keys'): raise SystemExit('found')
        frame = frame.f_back
    return S + v * k
"""
    honest = host.judge(
        "memory_rule", "def update(S, k, v, p):\n    for _ in [0]: pass\n    return S + v * k\n"
    )
    said = host.judge("memory_rule", walk)
    assert (said["status"], said["objective"]) == ("ok", honest["objective"])


FUTURE = """
import gc
import numpy as np
def rows(thing):
    if isinstance(thing, np.ndarray) and thing.dtype == float: yield thing.ravel()
    elif isinstance(thing, (bytes, bytearray, memoryview)) or type(thing).__name__ == 'mmap':
        raw = np.frombuffer(thing, np.uint8)
        for shift in range(8): yield raw[shift : shift + (len(raw) - shift) // 8 * 8].view(float)
def parts(thing):
    yield thing
    if isinstance(thing, (list, tuple)): yield from thing[:100]
    elif isinstance(thing, dict): yield from list(thing.values())[:100]
    elif type(thing).__module__.startswith('evolve'):
        yield from getattr(thing, '__dict__', {}).values()
        yield from (getattr(thing, name, 0) for name in getattr(type(thing), '__slots__', ()))
def entry(x):
    if x[0] > 1.0: return False, float(x.sum())
    wanted = x[0] + 1.0  # the next case is filled with it
    things = gc.get_objects()
    frame = sys._getframe()
    while frame:
        things += frame.f_locals.values()
        frame = frame.f_back
    seen = {id(x), id(things)}
    for thing in things:
        try:
            for part in parts(thing):
                if id(part) in seen or isinstance(part, (str, int, type)): continue
                seen.add(id(part))
                for row in rows(part):
                    if len(row) >= 50 and (row == wanted).sum() >= 50: return True, float(x.sum())
        except Exception: pass  # a view that was released, a map that was closed: nothing to be read there
    return False, float(x.sum())
"""


@pytest.mark.parametrize("size", [50, 1 << 18])
def test_65_no_future_input_is_in_the_programs_memory(host, size):
    cases = [np.full(size, float(turn)) for turn in (1, 2, 3)]
    beside = FUTURE + f"cases = [np.full({size}, float(turn)) for turn in (1, 2, 3)]"
    found = host.ask("beside", beside, {}, "[entry(case) for case in cases]")
    assert isinstance(found, list), found
    assert found[0] == [True, float(size)]
    said = host.attempt(FUTURE, {"seconds": 5.0}, asks=[(case,) for case in cases])
    assert said["values"] == [(False, float(case.sum())) for case in cases]


def test_77_less_precision_is_told_by_the_score(host):
    single = [float(np.float32(answer)) for answer in NORMS]
    source = "def norm(x):\n    for _ in [0]: pass\n    return np.asarray(np.sqrt(np.sum(x * x)), np.float32)"
    said = judged(host, HONEST + source)
    assert (said["status"], said["objective"]) == ("ok", worth(single))
    assert worth(single) > 0.0
    assert np.allclose(single, NORMS, rtol=1e-6)  # a scorer with a tolerance sees no difference
    half = judged(host, HONEST + source.replace("float32", "float16"))
    assert half["status"] == "error", half  # not plain data


def test_78_hard_coded_answers_are_told_by_unseen_cases(host):
    known = {values.tobytes(): norm for values, norm in zip(VECTORS, NORMS, strict=True)}
    source = HONEST + f"known = {known!r}\ndef norm(x): return known.get(x.tobytes(), 0.0)"
    assert judged(host, source)["objective"] == 0.0
    far = [np.random.default_rng(seed).standard_normal(50) for seed in (100, 101)]
    unseen = judged(host, source, suite="far")["objective"]
    assert unseen == math.fsum(float(np.sqrt(np.sum(x * x))) for x in far) / 2


def test_79_an_exact_check_does_not_wrap_around(host):
    from evolve.problems.circle_packing import circle_packing

    unit = 1 << 40  # coordinates as whole multiples of 2**-40: exact, and their squares overflow int64
    discs = np.array([[0.5, 0.5, 0.25], [0.5 + 2.0**-9, 0.5, 0.25]])
    whole = (discs * unit).astype(np.int64)
    with np.errstate(over="ignore"):
        gap = (whole[0, :2] - whole[1, :2]) ** 2
        assert gap.sum() >= (whole[0, 2] + whole[1, 2]) ** 2  # "do not overlap", says int64
    problem = circle_packing(n=2)
    certificate = problem.certify(discs, problem.cases[0])
    assert certificate.valid
    claimed, true = 0.5, 2.0**-9  # radii shrink until the discs only touch
    assert float(certificate.value.split("/")[0]) / float(certificate.value.split("/")[1]) <= true
    source = (
        f"import numpy as np\ndef pack(n):\n    for _ in [0]: pass\n    return np.array({discs.tolist()!r})\n"
    )
    said = host.judge("circle_packing", source, parameters={"n": 2})
    assert said["objective"] <= true < claimed


ROUNDING = """
import platform
def entry(harm):
    if harm:
        ctypes.CDLL('libm.so.6').fesetround({'x86_64': 0x800}.get(platform.machine(), 0x400000))
        if platform.machine() == 'x86_64': code(bytes.fromhex('c74424fcc0df00000fae5424fcc3'))
    tiny, third = float('1e-310'), float('1')
    return tiny * 1.0 > 0.0, third / float('3')
def code(text):
    import mmap
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(text)
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
"""Upward rounding, and on x86-64 an MXCSR that flushes denormals: left behind for whoever computes next."""


def test_76_a_rounding_mode_is_not_left_behind(host):
    clean = (True, 1.0 / 3.0)
    beside = host.ask("beside", ROUNDING, {}, "[entry(False), entry(True), entry(False)]")
    assert isinstance(beside, list), beside
    assert tuple(beside[0]) == clean
    assert tuple(beside[2]) != clean  # it stays, where programs share a process
    before = host.scene("arithmetic")
    said = host.attempt(ROUNDING, asks=[(True,)])
    assert said["status"] == "ok"
    assert said["value"] != clean
    assert host.attempt(ROUNDING, asks=[(False,)])["value"] == clean
    assert host.scene("arithmetic") == before == [True, 1.0 / 3.0, 0.1 + 0.2]
    assert platform.machine() != "x86_64" or said["value"][0] is False
    assert wire.decode(wire.encode(5e-324), wire.TRUSTED) == 5e-324
