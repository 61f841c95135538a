import contextlib
import math
import pickle
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evolve.fastcore.limits import AnswerBounds
from evolve.fastcore.wire import TRUSTED, BoundsError, WireError, decode, encode, encode_into

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]
arrays = hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
scalars = st.sampled_from(DTYPES).flatmap(lambda kind: hnp.from_dtype(np.dtype(kind)))
text = st.text(st.characters(exclude_categories=["Cs"]))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**60), 10**60),
    st.floats(),
    text,
    st.binary(),
    arrays,
    scalars,
)
keys = st.one_of(text, st.integers(-(2**59), 2**59))
plain = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(keys, inner),
        st.lists(st.floats(), min_size=8),
        st.lists(st.integers(), min_size=8).map(tuple),
    ),
    max_leaves=12,
)


def same(a, b):
    """Equal in type and, for floats, bit for bit (NaN and -0.0 included)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b


@given(plain)
@settings(max_examples=300, deadline=None)
def test_plain_data_comes_back_the_same(value):
    assert same(decode(encode(value), TRUSTED), value)


def found_arrays(value):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from found_arrays(item)


@given(plain)
@settings(max_examples=300, deadline=None)
def test_views_are_read_only_aligned_and_the_same(value):
    raw = encode(value)
    room = np.zeros(len(raw) + 64, np.uint8)
    start = -room.ctypes.data % 64
    room[start : start + len(raw)] = np.frombuffer(raw, np.uint8)
    message = room[start : start + len(raw)]
    got = decode(memoryview(message), TRUSTED, views=True)
    assert same(got, value)
    for view in found_arrays(got):
        assert not view.flags.writeable
        assert view.flags.aligned
        if view.size:
            assert view.ctypes.data % 64 == 0
            assert np.shares_memory(view, room)
    into = bytearray()
    encode_into(into, value)
    assert into == raw


@given(arrays, st.lists(arrays, max_size=3), st.data())
@settings(max_examples=200, deadline=None)
def test_an_array_has_one_way_to_be_written(first, others, data):
    raw = encode([first, *others])
    value = decode(raw, TRUSTED)
    assert encode(value) == raw
    # Turn one bit: what is still a value is another one, and is what the encoder writes for it.
    at = data.draw(st.integers(0, len(raw) - 1))
    turned = bytearray(raw)
    turned[at] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(WireError):
        assert encode(decode(turned, TRUSTED)) == turned


@given(st.binary(max_size=400))
@example(b"a\x0a\x02" + struct.pack("<QQ", 0, 1 << 63))
@example(b"p" + b"ld" + struct.pack("<Q", 1 << 62))
@example(b"l" + struct.pack("<Q", 1 << 62))
@settings(max_examples=1000, deadline=None)
def test_random_bytes_are_a_value_or_a_wire_error(data):
    with contextlib.suppress(WireError):
        decode(data, AnswerBounds())


@given(plain, st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_data_is_a_value_or_a_wire_error(value, data):
    raw = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = raw[: data.draw(st.integers(0, len(raw)))]
    with contextlib.suppress(WireError):
        decode(cut, AnswerBounds())


def test_decoded_arrays_are_fresh_and_writable():
    source = np.arange(6.0).reshape(2, 3)
    copy = decode(encode(source), TRUSTED)
    copy[:] = 0
    assert source.sum() == 15


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3).T, np.asfortranarray(np.eye(3)), np.arange(10)[::-2]]
)
def test_any_memory_order_arrives_in_c_order(array):
    copy = decode(encode(array), TRUSTED)
    assert copy.flags.c_contiguous
    assert np.array_equal(copy, array)


def test_big_endian_arrays_arrive_with_their_values():
    assert decode(encode(np.arange(3, dtype=">i4")), TRUSTED).tolist() == [0, 1, 2]


class Liar(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class Letters(str):
    __slots__ = ()


class Row(list):
    pass


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Liar(2.0), float),
        (Letters("a"), str),
        (Row([1]), list),
        (np.str_("a"), str),
        (np.ma.array([1]), np.ndarray),
    ],
)
def test_a_subclass_crosses_as_its_plain_value(value, kind):
    assert type(decode(encode(value), TRUSTED)) is kind


def test_what_has_an_array_crosses_as_that_array():
    class Lazy:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3)

    assert decode(encode(Lazy()), TRUSTED).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "value",
    [1j, np.complex128(1), {1, 2}, object(), np.array([None]), np.array(["a"]), np.float16(1), iter([]), len,
     "\ud800", {1.5: 0}, {True: 0}, {None: 0}, {2**60: 0}, np.datetime64("2020"), np.zeros((1,) * 9)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(WireError):
        encode([value])


def test_data_that_holds_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(WireError, match="deep"):
        encode(loop)


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        ([0] * 11, AnswerBounds(nodes=10)),
        ([None] * 11, AnswerBounds(nodes=10)),
        ([[[]]], AnswerBounds(depth=2)),
        (10**50, AnswerBounds(digits=40)),
        (-(10**50), AnswerBounds(digits=40)),
        (10_000, AnswerBounds(digits=3)),
        ([10_000] * 9, AnswerBounds(digits=3)),
        ("abcd", AnswerBounds(text=3)),
        (b"abcd", AnswerBounds(text=3)),
        ({1: 1, 2: 2}, AnswerBounds(keys=1)),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_each_bound_is_kept(value, bounds):
    with pytest.raises(BoundsError):
        decode(encode(value), bounds)


def test_a_bool_that_is_neither_true_nor_false_is_refused():
    raw = bytearray(encode(np.array([True])))
    raw[-1] = 2
    with pytest.raises(WireError, match="bool"):
        decode(raw, TRUSTED)


def test_a_pickle_is_not_a_value():
    with pytest.raises(WireError):
        decode(pickle.dumps({"a": 1}), TRUSTED)


def test_not_finite_and_denormal_floats_keep_their_bits():
    values = [math.nan, math.inf, -0.0, 5e-324]
    assert same(decode(encode(values), TRUSTED), values)


def test_bytes_after_the_value_are_refused():
    with pytest.raises(WireError, match="follow"):
        decode(encode(1) + b"x", TRUSTED)
