"""Who serves is found; who is dead, somebody else, or half written is not."""

import json
import os
import subprocess
import sys
import time

import pytest

from evolve.errors import InfrastructureError
from evolve.llm.endpoints import Endpoint
from evolve.serving.discovery import Record, discovered, folder

HERE = (Endpoint("http://127.0.0.1:8000/v1", model="m", key="k-1", slots=64),)
THERE = (Endpoint("http://node7:8000/v1", model="m", key="k-1"),)


def written(place, endpoints=HERE, **changes):
    record = Record(place)
    record.write("some/model", "edit", endpoints)
    if changes:
        content = {**json.loads(record.path.read_text()), **changes}
        record.path.write_text(json.dumps(content))
    return record


def test_what_is_written_is_found_and_what_is_removed_is_not(tmp_path):
    place = tmp_path / "a" / "serve"
    assert discovered(place) == []
    record = written(place)
    (found,) = discovered(place)
    assert (found.model, found.profile, found.endpoints, found.path) == (
        "some/model",
        "edit",
        HERE,
        record.path,
    )
    assert found.endpoints[0].key == "k-1"
    record.write("some/model", "edit", THERE)
    assert discovered(place)[0].endpoints == THERE
    record.remove()
    record.remove()
    assert discovered(place) == []
    assert list(place.iterdir()) == []


def test_the_latest_comes_first(tmp_path):
    records = [written(tmp_path) for _ in range(3)]
    assert [each.path for each in discovered(tmp_path)] == [record.path for record in records[::-1]]


@pytest.mark.parametrize(
    "changes",
    [
        {"birth": 1},  # the number is another process's now
        {"birth": None},
        {"version": 99},
        {"servers": []},
        {"servers": [{"url": "no url", "model": "", "key": "", "slots": None}]},
        {"servers": "none"},
        {"pid": "x"},
    ],
)
def test_what_is_stale_or_no_record_is_left_out(tmp_path, changes):
    written(tmp_path, **changes)
    assert discovered(tmp_path) == []


def test_half_a_file_and_no_file_are_left_out(tmp_path):
    record = written(tmp_path)
    record.path.write_text(record.path.read_text()[:40])
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    assert discovered(tmp_path) == []


def test_a_process_that_is_dead_serves_no_more(tmp_path):
    code = (
        "import sys; from pathlib import Path; from evolve.serving.discovery import Record;"
        "from evolve.llm.endpoints import Endpoint;"
        "Record(Path(sys.argv[1])).write('m', 'edit', (Endpoint('http://127.0.0.1:1/v1', key='k'),));"
        "print(flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    assert [each.pid for each in discovered(tmp_path)] == [process.pid]
    process.kill()
    process.communicate()
    assert discovered(tmp_path) == []


def test_another_machine_is_believed_while_it_is_fresh_and_can_be_reached(tmp_path):
    record = written(tmp_path, THERE, host="node7", pid=1, birth=1)
    assert discovered(tmp_path)[0].host == "node7"
    old = time.time() - 3_600
    os.utime(record.path, (old, old))
    assert discovered(tmp_path) == []
    record.touch()
    assert len(discovered(tmp_path)) == 1
    written(tmp_path, HERE, host="node8", pid=1, birth=1)
    assert [each.host for each in discovered(tmp_path)] == ["node7"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_not_believed(tmp_path):
    record = written(tmp_path)
    os.chown(record.path, 12_345, 12_345)
    assert discovered(tmp_path) == []


def test_the_folder_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.delenv("EVOLVE_SERVE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert folder() == tmp_path / "evolve" / "serve"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder() == tmp_path / ".local" / "state" / "evolve" / "serve"
    monkeypatch.setenv("EVOLVE_SERVE_DIR", str(tmp_path / "here"))
    assert folder() == tmp_path / "here"


def test_a_folder_that_cannot_be_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="EVOLVE_SERVE_DIR"):
        Record(tmp_path / "file" / "serve")
