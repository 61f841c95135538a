# ruff: noqa: PT012 - a session is part of what may raise
"""Sealed cases and the memory shared with a child: who may write where, and what outlives what."""

import fcntl
import mmap
import os

import numpy as np
import pytest

from evolve.fastcore import sealed as sealed_module
from evolve.fastcore.buffers import ROOM_TO_ASK, Buffers
from evolve.fastcore.channel import BODY_AT, HEADER
from evolve.fastcore.jail import level
from evolve.fastcore.limits import Limits
from evolve.fastcore.runner import Failure, Runner
from evolve.fastcore.sealed import Sealed, memory_files_work
from evolve.fastcore.wire import TRUSTED, decode, encode

needs_files = pytest.mark.skipif(not memory_files_work(), reason="no memory files here")
needs_jail = pytest.mark.skipif(level() == "none", reason="this machine cannot confine programs")
LARGE = encode((np.arange(1 << 18),))


@pytest.fixture(scope="module")
def runner():
    with Runner() as made:
        yield made


@pytest.fixture
def buffers():
    made = Buffers(1 << 16)
    yield made
    made.close_child_ends()
    made.close()


@pytest.mark.parametrize("body", [b"x", encode(()), LARGE])
def test_a_sealed_case_holds_exactly_its_bytes(body):
    with Sealed(body) as sealed:
        assert sealed.size == len(body)
        assert sealed.body() == body
    for _ in range(2):
        sealed.close()
    with pytest.raises(ValueError, match="closed"):
        sealed.body()


def test_without_memory_files_it_holds_the_bytes(monkeypatch):
    monkeypatch.setattr(sealed_module, "memory_files_work", lambda: False)
    with Sealed(LARGE) as sealed:
        assert not sealed.in_file
        assert sealed.body() == LARGE


@needs_files
def test_a_sealed_file_can_be_changed_by_nobody():
    with Sealed(LARGE) as sealed:
        descriptor = sealed.open()
        try:
            assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            assert fcntl.fcntl(descriptor, 1034) == 0x1 | 0x2 | 0x4 | 0x10  # F_GET_SEALS
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(descriptor, b"x")
            with pytest.raises(PermissionError):
                mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)


@needs_files
def test_two_openings_share_no_position_and_leave_no_time_of_access():
    with Sealed(LARGE) as sealed:
        one, other = sealed.open(), sealed.open()
        try:
            before = os.fstat(other).st_atime_ns
            os.read(one, 100)
            assert os.lseek(one, 0, os.SEEK_CUR) == 100
            assert os.lseek(other, 0, os.SEEK_CUR) == 0
            assert os.fstat(other).st_atime_ns == before
        finally:
            os.close(one)
            os.close(other)


@needs_files
def test_what_is_asked_can_be_mapped_for_reading_only(buffers):
    asks, _answers = buffers.for_child
    with pytest.raises(PermissionError):
        mmap.mmap(asks, 0)
    with mmap.mmap(asks, 0, prot=mmap.PROT_READ) as view:
        buffers.ask(b"a case")
        assert view[:6] == b"a case"
        assert len(view) == ROOM_TO_ASK


@needs_files
@pytest.mark.parametrize("which", [0, 1])
def test_neither_size_nor_seals_of_the_buffers_can_be_changed(buffers, which):
    descriptor = buffers.for_child[which]
    for size in (0, 4096, 1 << 24):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size)
    with pytest.raises(PermissionError):
        sealed_module.add_seals(descriptor, sealed_module.SEAL_FUTURE_WRITE)


@needs_files
def test_an_answer_counts_only_behind_its_own_bell_and_is_poisoned_before_the_next(buffers):
    bell = HEADER.pack(b"12345678", 1, 5)
    with mmap.mmap(buffers.for_child[1], 0) as child:
        child[BODY_AT : BODY_AT + 5] = b"hello"
        assert buffers.answer(bell, 5) is None
        child[: HEADER.size] = bell
        copy = buffers.answer(bell, 5)
        child[BODY_AT : BODY_AT + 5] = b"other"
        assert copy == b"hello"
        assert buffers.answer(HEADER.pack(b"87654321", 1, 5), 5) is None
        buffers.poison()
        assert set(child[: BODY_AT + 5]) == {0xFF}


@needs_jail
def test_one_sealed_case_serves_many_programs_and_is_not_counted_twice(runner):
    limits = Limits(memory=len(LARGE) + (24 << 20))
    with Sealed(LARGE) as case:
        for _ in range(3):
            with runner.start("def f(a):\n    return int(a.sum())", "f", limits) as session:
                for _ in range(3):
                    assert decode(session.ask(case), TRUSTED) == sum(range(1 << 18))
                    assert session.call(case) == sum(range(1 << 18))


@needs_jail
def test_a_case_is_unmapped_when_no_view_of_it_is_left(runner):
    # 100 cases of 2 MiB go through a program that may map 64 MiB; one that keeps them does not get so far.
    keeps = "kept = []\ndef f(a, keep):\n    if keep: kept.append(a)\n    return len(kept)"
    body = {keep: encode((np.zeros(1 << 18), keep)) for keep in (False, True)}
    limits = Limits(memory=64 << 20)
    with Sealed(body[False]) as case, runner.start(keeps, "f", limits) as session:
        assert [session.call(case) for _ in range(100)] == [0] * 100
    with Sealed(body[True]) as case, runner.start(keeps, "f", limits) as session:
        with pytest.raises(Failure) as caught:
            for _ in range(100):
                session.call(case)
        assert caught.value.status == "memory"


@needs_jail
def test_a_closed_case_is_refused_before_the_program_sees_it(runner):
    case = Sealed(LARGE)
    case.close()
    refused = pytest.raises(ValueError, match="closed")
    with runner.start("def f(a):\n    return 1", "f", Limits()) as session, refused:
        session.call(case)
