"""The scripts of the documentation are run, with stand-ins for vLLM, Slurm and the search; the manifest is read."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evolve.serving.keeper import guesses
from evolve.serving.plan import Plan, commands

DOCS = Path(__file__).parents[2] / "docs"
SCRIPTS = sorted((DOCS / "slurm").glob("*.sbatch"))

# `evolve serve` is ours; `evolve run` and `resume` note what they find, and wait to be interrupted if they are told to.
EVOLVE = """#!/bin/sh
if [ "$1" = serve ]; then exec {python} -m evolve "$@"; fi
exec {python} {stand_in} "$@"
"""
STAND_IN = """
import json, sys, time
from pathlib import Path
from evolve.serving.discovery import discovered
words = sys.argv[1:]
found = [[each.url for each in serving.endpoints] for serving in discovered()]
Path("searched").write_text(json.dumps([words, found]))
if Path("wait").exists():
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(130)
"""
# Two nodes with one name and address each, on this machine.
SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do shift; done
"$@" & first=$!
"$@" & second=$!
trap 'kill -TERM $first $second' TERM
wait; wait
"""


@pytest.fixture
def cluster(vllm, tmp_path, monkeypatch):
    """A folder with the stand-ins in its PATH."""
    stand_in = tmp_path / "stand_in.py"
    stand_in.write_text(STAND_IN)
    words = {"python": shlex.quote(sys.executable), "stand_in": shlex.quote(str(stand_in))}
    for name, text in (
        ("evolve", EVOLVE.format(**words)),
        ("srun", SRUN),
        ("hostname", "#!/bin/sh\necho localhost\n"),
    ):
        program = tmp_path / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    vllm()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    return tmp_path


def started(script, cluster):
    return subprocess.Popen(["bash", script], cwd=cluster, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_serves_searches_and_ends(cluster, script):
    process = started(script, cluster)
    _, said = process.communicate()
    assert process.returncode == 0, said
    words, found = json.loads((cluster / "searched").read_text())
    assert (words[0], words[words.index("--llm") + 1]) == ("run", "auto")
    assert len(found) == (2 if script.name == "many-nodes.sbatch" else 1)
    assert len({url for urls in found for url in urls}) == len(found)
    assert list((cluster / "serve-7").glob("*.json")) == []
    starts = [json.loads(line) for line in (cluster / "starts").read_text().splitlines()]
    assert not any(Path(f"/proc/{start['pid']}").exists() for start in starts)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_that_runs_out_of_time_interrupts_the_run_and_goes_on_with_it_the_next_time(cluster, script):
    (cluster / "wait").write_text("")
    (cluster / "online_bin_packing.db").write_text("")
    process = started(script, cluster)
    limit = time.monotonic() + 30
    while not (cluster / "searched").exists():
        assert time.monotonic() < limit
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 130, said
    words, _ = json.loads((cluster / "searched").read_text())
    assert words[0] == "resume"
    assert list((cluster / "serve-7").glob("*.json")) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_ends_where_nothing_can_be_served(cluster, script):
    (cluster / "stillborn").write_text("ValueError: no model")
    process = started(script, cluster)
    _, said = process.communicate()
    assert process.returncode == 3, said
    assert "ValueError: no model" in said
    assert not (cluster / "searched").exists()


def test_the_manifest_runs_what_is_printed():
    yaml = pytest.importorskip("yaml")
    service, servers = yaml.safe_load_all((DOCS / "k8s" / "vllm.yaml").read_text(encoding="utf-8"))
    assert (service["kind"], servers["kind"]) == ("Service", "StatefulSet")
    assert servers["spec"]["serviceName"] == service["metadata"]["name"]
    pod = servers["spec"]["template"]
    assert (
        pod["metadata"]["labels"] == servers["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    )
    (container,) = pod["spec"]["containers"]
    model = container["args"][1]
    (command,) = commands(Plan(model, gpus=("0",), host="0.0.0.0"), "vllm", lambda _: 8_000)
    assert [*container["command"], *container["args"]] == list(command.words)
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert given.pop("VLLM_API_KEY") is None
    assert given == {
        name: value for name, value in command.environment.items() if name != "CUDA_VISIBLE_DEVICES"
    }
    drain = int(command.words[command.words.index("--shutdown-timeout") + 1])
    assert pod["spec"]["terminationGracePeriodSeconds"] > drain + 10


def test_the_share_of_guesses_is_read_from_the_metrics():
    lines = [
        'vllm:spec_decode_num_draft_tokens_total{engine="0"} 1000.0',
        'vllm:spec_decode_num_draft_tokens_total{engine="1"} 1e+03',
        'vllm:spec_decode_num_accepted_tokens_total{engine="0"} 500.0',
        'vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="0"} 77.0',
    ]
    assert guesses("\n".join(lines)) == "25% of 2,000 guessed tokens were accepted"
    assert guesses("") == ""
    assert guesses("vllm:spec_decode_num_draft_tokens_total 0.0") == ""
