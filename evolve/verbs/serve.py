"""Serve a model with vLLM: one server for each GPU or group of them, watched and started again, until Ctrl-C.

Words after `--` go to `vllm serve` as they are. `evolve run PROBLEM --llm auto` finds the servers.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from evolve.errors import UsageError
from evolve.serving.keeper import Care, Said
from evolve.serving.plan import EXECUTABLE, KEY, Command, Plan, commands, executable
from evolve.serving.profiles import PROFILES
from evolve.serving.supervisor import Supervisor
from evolve.terminal import err, out, print_json, safe
from evolve.text import indent
from evolve.verbs.common import add_json, pairs

__all__ = ["PASSES_ON", "configure", "run"]

PASSES_ON = True
"""Words after `--` are somebody else's."""

_PRINTED_PORT = 8_000
_STYLES = {"ready": "green", "warning": "yellow", "died": "yellow", "gave up": "bold red"}


def configure(parser: argparse.ArgumentParser) -> None:
    """MODEL, how to serve it, and what to do instead."""
    parser.add_argument("model", metavar="MODEL", help="a name on the hub, or a folder")
    told = "; ".join(f"{name}: {profile.words}" for name, profile in PROFILES.items())
    parser.add_argument("--profile", default="throughput", metavar="NAME", help=told)
    parser.add_argument(
        "--gpus",
        metavar="LIST",
        help="as CUDA_VISIBLE_DEVICES names them (0,1); `none` is the CPU; all by default",
    )
    parser.add_argument(
        "--tensor-parallel", type=int, default=1, metavar="N", help="GPUs that one server is spread over"
    )
    parser.add_argument(
        "--adapter",
        dest="adapters",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="a LoRA adapter, and the name by which requests ask for it",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (this machine alone by default)"
    )
    parser.add_argument(
        "--drain",
        type=int,
        default=30,
        metavar="SECONDS",
        help="for requests under way at the end (default 30)",
    )
    parser.add_argument(
        "--print", action="store_true", help="show the commands, quoted for a shell; start nothing"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop; exit code 0 after SIGTERM, 130 after Ctrl-C, 3 when no server lives."""
    plan = Plan(
        args.model,
        args.profile,
        args.tensor_parallel,
        _gpus(args.gpus),
        pairs(args.adapters, "--adapter"),
        args.host,
        args.drain,
        tuple(args.extra),
    )
    if args.print:
        return _show(commands(plan, _program(), lambda number: _PRINTED_PORT + number), args.json)
    return asyncio.run(_serve(plan, args.json))


def _gpus(words: str | None) -> tuple[str, ...] | None:
    if words is None:
        return None
    if words == "none":
        return ()
    gpus = tuple(word.strip() for word in words.split(","))
    if "" in gpus or len(set(gpus)) < len(gpus):
        raise UsageError(f"--gpus {words!r}: names with commas between, each once, as 0,1,2; or `none`")
    return gpus


def _program() -> str:
    """The executable that would be run; its bare name where there is none, for the script may run elsewhere."""
    try:
        return executable()
    except UsageError:
        if os.environ.get(EXECUTABLE):
            raise
        return "vllm"


def _show(each: Sequence[Command], as_json: bool) -> int:
    if as_json:
        print_json(
            {
                "key": KEY,
                "servers": [
                    {"command": list(one.words), "environment": dict(one.environment), "url": one.url}
                    for one in each
                ],
            }
        )
        return 0
    sys.stdout.write("".join(one.quoted() + "\n" for one in each))
    return 0


async def _serve(plan: Plan, as_json: bool) -> int:
    console = err()

    def tell(said: Said) -> None:
        first, _, rest = said.words.partition("\n")
        line = safe(f"{said.url} {said.kind}{': ' if first else ''}{first}", style=_STYLES.get(said.kind, ""))
        console.print(line, soft_wrap=True)
        if rest and said.kind != "gave up":  # it is told when it died, or by the error that ends this
            console.print(safe(indent(rest, "  "), 6_000), soft_wrap=True)

    supervisor = Supervisor(plan, Care(), tell)
    told: list[int] = []
    work = asyncio.create_task(_hold(supervisor, as_json))

    def stop(number: int) -> None:
        told.append(number)
        if len(told) == 1:
            work.cancel()
        else:
            supervisor.hurry()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return 130 if told and told[0] == signal.SIGINT else 0


async def _hold(supervisor: Supervisor, as_json: bool) -> None:
    """From the first start to the end."""
    async with supervisor as served:
        plan = served.plan
        urls = [each.url for each in served.endpoints]
        if as_json:
            print_json(
                {
                    "model": plan.model,
                    "profile": plan.profile,
                    "urls": urls,
                    "discovery": str(served.record),
                    "pid": os.getpid(),
                }
            )
        else:
            out().print(safe(f"serving {plan.model} at {', '.join(urls)}"), soft_wrap=True)
            out().print(safe(f"key and URLs are in {served.record}"), soft_wrap=True)
            out().print("use it: evolve run PROBLEM --budget 10m --llm auto; Ctrl-C ends it", soft_wrap=True)
        sys.stdout.flush()
        await served.wait()
