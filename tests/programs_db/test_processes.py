"""The ledger among other processes: two writers, kill -9, a full disk, a folder that cannot be written."""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from evolve.programs_db.errors import LedgerBusy, LedgerFull
from evolve.programs_db.ledger import Ledger

WRITER = Path(__file__).with_name("writer.py")
NOBODY = 65534


def start(path, count=1_000_000, batch=8):
    """A real second process that writes commits and prints the last number that is safe."""
    return subprocess.Popen(
        [sys.executable, str(WRITER), str(path), str(count), str(batch)], stdout=subprocess.PIPE, text=True
    )


def stop(process):
    process.kill()
    process.stdout.close()
    process.wait()


def test_a_second_writer_in_the_same_process_is_refused_too(make):
    path = make().path
    with pytest.raises(LedgerBusy) as caught:
        Ledger.open(path)
    assert caught.value.pid == os.getpid()


def test_a_writer_in_another_process_is_named_and_may_be_read_beside(make, writer):
    ledger = make()
    ledger.close()
    process = start(ledger.path)
    try:
        process.stdout.readline()
        with pytest.raises(LedgerBusy, match=f"process {process.pid} is writing this ledger") as caught:
            Ledger.open(ledger.path)
        assert caught.value.exit_code == 3
        with Ledger.read(ledger.path) as reader:
            seen = list(reader.replay())
        assert len(seen) >= 8
        assert seen == [writer.commit_at(number) for number in range(len(seen))]
    finally:
        stop(process)
    Ledger.open(ledger.path).close()


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_leaves_an_intact_prefix_that_a_second_run_completes(make, writer, seed):
    ledger = make("killed.db")
    ledger.close()
    rng = random.Random(seed)
    process = start(ledger.path, batch=rng.choice([3, 64]))
    try:
        safe = int(process.stdout.readline())
        time.sleep(rng.uniform(0.0, 0.1))
    finally:
        stop(process)
    with Ledger.read(ledger.path) as reader:
        kept = list(reader.replay())
        assert reader.integrity() == []
    assert len(kept) > safe
    assert kept == [writer.commit_at(number) for number in range(len(kept))]

    total = len(kept) + 20
    writer.write(ledger.path, total, 7)
    whole = make("whole.db", [writer.commit_at(number) for number in range(total)])
    with Ledger.read(ledger.path) as again:
        assert list(again.replay()) == list(whole.replay())
        assert again.content_hash() == whole.content_hash()


def test_a_full_disk_keeps_what_was_committed_and_stays_readable(writer, tmp_path):
    mounted = tmp_path / "small"
    mounted.mkdir()
    if os.getuid() != 0:
        pytest.skip("only root can mount a small tmpfs")
    command = ["mount", "-t", "tmpfs", "-o", "size=768k", "tmpfs", str(mounted)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("root may not mount a tmpfs here (no CAP_SYS_ADMIN)")
    try:
        ledger = Ledger.create(mounted / "a.db", writer.PROBLEM, writer.RUN, "fp-1")
        ledger.begin_session("fp-1", {}, [], None)
        safe = 0

        def fill():
            nonlocal safe
            for number in range(100_000):
                ledger.record(writer.commit_at(number))
                if number % 16 == 15:
                    ledger.flush()
                    safe = number + 1

        with pytest.raises(LedgerFull, match="the disk is full") as caught:
            fill()
        assert caught.value.exit_code == 3
        assert safe >= 16
        with Ledger.read(mounted / "a.db") as reader:
            assert list(reader.replay()) == [writer.commit_at(number) for number in range(safe)]
            assert reader.integrity() == []
        with pytest.raises(LedgerFull):
            ledger.close()
        # Room is made: the same ledger goes on where it stopped.
        subprocess.run(["mount", "-o", "remount,size=8m", str(mounted)], check=True)
        writer.write(mounted / "a.db", safe + 32, 16)
        with Ledger.read(mounted / "a.db") as reader:
            assert reader.commits == safe + 32
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=True)


READ_ONLY = """
import os, sys
from evolve.programs_db.errors import LedgerError
from evolve.programs_db.ledger import Ledger
os.chdir("/")
if os.getuid() == 0:
    os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
path = sys.argv[1]
for attempt in (
    lambda: Ledger.create(path + ".new", {{"name": "toy"}}, {{}}, "fp"),
    lambda: Ledger.open(path),
    lambda: Ledger.read(path),
):
    try:
        with attempt() as ledger:
            print(type(ledger).__name__, len(list(ledger.replay())))
    except LedgerError as error:
        print(type(error).__name__, error.exit_code)
        print(error, file=sys.stderr)
"""


def test_a_read_only_folder_can_be_read_and_refuses_to_be_written(writer):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Ledger.create(folder / "a.db", writer.PROBLEM, writer.RUN, "fp-1"):
            pass
        writer.write(folder / "a.db", 20, 5)
        (folder / "a.db").chmod(0o444)
        folder.chmod(0o555)
        # Root may write anywhere: the subprocess becomes nobody.
        answered = subprocess.run(
            [sys.executable, "-c", READ_ONLY.format(nobody=NOBODY), str(folder / "a.db")],
            capture_output=True,
            text=True,
            check=False,
        )
        folder.chmod(0o755)
    if "PermissionError" in answered.stderr:
        pytest.skip("root may not become another user here")
    assert answered.stdout.splitlines() == ["LedgerFull 3", "LedgerFull 3", "Ledger 20"], answered.stderr
