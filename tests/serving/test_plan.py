"""What is run: which executable, which GPUs, which flags; and that a shell gets the same from `--print`."""

import ast
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import evolve
from evolve.cli import main
from evolve.errors import UsageError
from evolve.serving.plan import Plan, commands, executable, gpus_here
from evolve.serving.profiles import PROFILES


def made(plan, program="vllm"):
    return commands(plan, program, lambda number: 8_000 + number)


def after(words, flag):
    return words[words.index(flag) + 1]


def test_there_is_one_server_for_each_gpu_or_group_of_them():
    four = made(Plan("m", gpus=("0", "1", "2", "3")))
    assert [each.environment["CUDA_VISIBLE_DEVICES"] for each in four] == ["0", "1", "2", "3"]
    assert [each.url for each in four] == [f"http://127.0.0.1:{port}/v1" for port in range(8_000, 8_004)]
    assert all("--tensor-parallel-size" not in each.words for each in four)
    two = made(Plan("m", tensor_parallel=2, gpus=("0", "1", "4", "5")))
    assert [each.environment["CUDA_VISIBLE_DEVICES"] for each in two] == ["0,1", "4,5"]
    assert {after(each.words, "--tensor-parallel-size") for each in two} == {"2"}


def test_a_cpu_gets_what_a_cpu_needs():
    (cpu,) = made(Plan("m", gpus=()))
    (gpu,) = made(Plan("m", gpus=("0",)))
    for flag in ("--no-enable-chunked-prefill", "--enforce-eager"):
        assert flag in cpu.words
        assert flag not in gpu.words
    assert "CUDA_VISIBLE_DEVICES" not in cpu.environment
    (same,) = made(Plan("m", "reproducible", gpus=()))
    assert "VLLM_BATCH_INVARIANT" not in same.environment
    (same,) = made(Plan("m", "reproducible", gpus=("0",)))
    assert same.environment["VLLM_BATCH_INVARIANT"] == "1"


def test_what_the_user_says_wins(monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    (command,) = made(Plan("m", gpus=(), extra=("--max-num-seqs", "64")))
    assert command.environment["VLLM_CPU_KVCACHE_SPACE"] == "7"
    assert command.words[-2:] == ("--max-num-seqs", "64")


@pytest.mark.parametrize(
    ("extra", "slots"),
    [
        ((), None),
        (("--max-num-seqs", "64"), 64),
        (("--max-num-seqs=64", "--x"), 64),
        (("--max-num-seqs",), None),
    ],
)
def test_slots_are_read_where_they_are_said(extra, slots):
    assert Plan("m", extra=extra).slots == slots


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": ""}, "a name on the hub, or a folder"),
        ({"model": "--help"}, "a name on the hub, or a folder"),
        ({"profile": "fast"}, "one of throughput, reproducible, edit"),
        ({"tensor_parallel": 0}, "at least 1"),
        ({"drain": -1}, "0 or more"),
        ({"extra": ("--api-key", "k")}, "VLLM_API_KEY"),
        ({"extra": ("--port=80",)}, "chosen by evolve"),
    ],
)
def test_what_cannot_be_meant_is_said(changes, words):
    with pytest.raises(UsageError, match=words):
        Plan(**{"model": "m", **changes})


def test_gpus_that_make_no_whole_groups_are_said():
    with pytest.raises(UsageError, match=r"3 GPUs \(0,1,2\) make no whole groups of 2"):
        made(Plan("m", tensor_parallel=2, gpus=("0", "1", "2")))


def test_an_adapter_brings_its_flags(tmp_path):
    for name, rank in (("small", 4), ("large", 20)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"r": rank}))
    adapters = {name: str(tmp_path / name) for name in ("small", "large")}
    (command,) = made(Plan("m", gpus=(), adapters=adapters))
    assert after(command.words, "--max-lora-rank") == "32"
    assert after(command.words, "--max-loras") == "2"
    at = command.words.index("--lora-modules")
    assert command.words[at + 1 : at + 3] == tuple(f"{name}={place}" for name, place in adapters.items())
    with pytest.raises(UsageError, match="no such folder"):
        made(Plan("m", gpus=(), adapters={"a": str(tmp_path / "absent")}))
    (tmp_path / "small" / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="tells no rank"):
        made(Plan("m", gpus=(), adapters=adapters))


def test_the_executable_is_the_named_one_or_this_environments_or_one_in_the_path(tmp_path, monkeypatch):
    for name in ("named", "bin", "path"):
        program = tmp_path / name / "vllm"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("EVOLVE_VLLM", str(tmp_path / "named" / "vllm"))
    assert executable() == str(tmp_path / "named" / "vllm")
    monkeypatch.delenv("EVOLVE_VLLM")
    assert executable() == str(tmp_path / "bin" / "vllm")
    (tmp_path / "bin" / "vllm").unlink()
    assert executable() == str(tmp_path / "path" / "vllm")
    (tmp_path / "path" / "vllm").unlink()
    with pytest.raises(UsageError, match=r"pip install vllm.*EVOLVE_VLLM"):
        executable()
    monkeypatch.setenv("EVOLVE_VLLM", str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="no such program"):
        executable()


def test_gpus_are_those_that_this_process_may_use(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\necho "$@" > "$0.asked"\nprintf "0\\n1\\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus_here() == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert gpus_here() == ("3", "5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_here() == ()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    program.write_text("#!/bin/sh\nexit 9\n")
    assert gpus_here() == ()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_shell_runs_what_is_printed(vllm, capsys, profile):
    folder = vllm(stillborn="enough")
    model = "a model's $(name)"
    words = ["serve", model, "--print", "--profile", profile, "--", "--json-flag", '{"a": 1}']
    assert main(words) == 0
    (line,) = capsys.readouterr().out.splitlines()
    refused = subprocess.run(["sh", "-c", line], check=False, capture_output=True, text=True)
    assert "VLLM_API_KEY" in refused.stderr
    assert not (folder / "starts").exists()
    key = {**os.environ, "VLLM_API_KEY": "k"}
    subprocess.run(["sh", "-c", line], check=False, capture_output=True, env=key)
    (start,) = map(json.loads, (folder / "starts").read_text().splitlines())
    (meant,) = made(
        Plan(model, profile, gpus=(), extra=("--json-flag", '{"a": 1}')), os.environ["EVOLVE_VLLM"]
    )
    assert start["words"] == list(meant.words[1:])
    assert start["VLLM_NO_USAGE_STATS"] == "1"
    assert not (folder / "serve").exists()


def test_printed_as_json_it_is_the_same(vllm, capsys):
    vllm()
    assert main(["serve", "m", "--print", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["key"] == "VLLM_API_KEY"
    assert main(["serve", "m", "--print"]) == 0
    assert shlex.join(told["servers"][0]["command"]) in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--gpus", "0,0"], ["--gpus", "0,,1"], ["--adapter", "a"]])
def test_the_command_line_says_what_cannot_be_meant(vllm, capsys, words):
    vllm()
    assert main(["serve", "m", "--print", *words]) == 2
    assert capsys.readouterr().err.startswith("evolve: error: ")


def test_nothing_of_ours_imports_vllm():
    for path in Path(evolve.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.partition(".")[0] in ("vllm", "torch", "transformers") for name in names), (
                path
            )


def test_the_doctor_says_which_vllm_there_is(vllm, capsys, monkeypatch):
    vllm()
    assert main(["doctor"]) in (0, 1)
    assert f"vllm: {os.environ['EVOLVE_VLLM']}; GPUs: none" in capsys.readouterr().out
    monkeypatch.setenv("EVOLVE_VLLM", "/absent/vllm")
    main(["doctor"])
    assert "EVOLVE_VLLM=/absent/vllm: no such program" in capsys.readouterr().out
