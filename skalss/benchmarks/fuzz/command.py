"""The command: a process that calls, another one that watches it, and the table of what came out."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..common import markdown_table

GIGABYTES = 3  # beyond what the process has mapped before its first call


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the calls that are not in the file yet, and print how all of them ended."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks fuzz",
        description="calls with wrong values: how many end unclear, hang or crash",
    )
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, default=Path("fuzz.jsonl"), help="a line for each call")
    parser.add_argument("--seconds", type=float, default=10.0, help="limit of a call")
    parser.add_argument("--show", type=int, default=30, help="kinds of unclear outcomes to list")
    options = parser.parse_args(arguments)

    os.environ.setdefault("MPLBACKEND", "Agg")
    while todo := _missing(options.write, options.calls, options.seed):
        _work_off(todo, options)
    print(report(options.write, options.calls, options.seed, options.show))


def _missing(path: Path, n_calls: int, seed: int) -> list[int]:
    done = {line["call"] for line in read(path, seed)}
    return [number for number in range(n_calls) if number not in done]


def read(path: Path, seed: int) -> list[dict[str, Any]]:
    """Return the outcomes in a file; a line that a kill has torn is left out."""
    found = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line["seed"] == seed:
            found.append(line)
    return found


def _work_off(todo: list[int], options: argparse.Namespace) -> None:
    """Let a process make calls until they are done, it dies, or it does not come back from one."""
    context: Any = multiprocessing.get_context("spawn")
    process = context.Process(target=make_calls, args=(todo, options.seed, options.write, options.seconds))
    process.start()
    started, last = time.monotonic(), -1
    while process.is_alive():
        process.join(0.5)
        size = options.write.stat().st_size if options.write.exists() else 0
        if size != last:
            started, last = time.monotonic(), size
        if time.monotonic() - started > 60 + 2 * options.seconds:
            process.kill()
            process.join()
            _note_loss(options, "hangs: killed from outside")
            return
    if process.exitcode:
        _note_loss(options, f"crash: exit code {process.exitcode}")


def _note_loss(options: argparse.Namespace, why: str) -> None:
    """Write down the call that the process was in."""
    from .calls import make_call

    missing = _missing(options.write, options.calls, options.seed)
    if not missing:  # it was at its end
        return
    number = missing[0]
    _write(options.write, options.seed, number, str(make_call(number, options.seed)), False, why, 0.0)


def make_calls(numbers: list[int], seed: int, path: Path, seconds: float) -> None:
    """Make calls one after the other and write down how each ended."""
    from .calls import make_call, run_call

    path = path.absolute()
    torch.set_num_threads(1)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (as long as the process)
    _bound_memory()
    for number in numbers:
        call, began = make_call(number, seed), time.perf_counter()
        verdict = run_call(call, seconds)
        clear, why = (True, "not possible") if verdict is None else verdict
        _write(path, seed, number, str(call), clear, why, time.perf_counter() - began)
    os._exit(0)  # without a wait for what calls may have started


def _bound_memory() -> None:
    import resource

    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = mapped + GIGABYTES * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _write(path: Path, seed: int, number: int, call: str, clear: bool, why: str, seconds: float) -> None:
    line = {"seed": seed, "call": number, "what": call, "clear": clear, "why": why}
    with path.open("a") as file:
        file.write(json.dumps({**line, "seconds": round(seconds, 3)}) + "\n")


def report(path: Path, n_calls: int, seed: int, n_kinds: int) -> str:
    """Return tables of how calls ended, and of the kinds of unclear outcomes with an example of each."""
    lines = [line for line in read(path, seed) if line["call"] < n_calls]
    tried = [line for line in lines if line["why"] != "not possible"]
    unclear = [line for line in tried if not line["clear"]]
    ended = Counter(line["why"].partition(":")[0] if line["clear"] else "unclear" for line in tried)
    kinds: dict[str, list[str]] = {}
    for line in unclear:
        kinds.setdefault(f"{line['what'].partition('(')[0]}: {line['why']}", []).append(line["what"])
    rows = sorted(kinds.items(), key=lambda kind: -len(kind[1]))[:n_kinds]
    return "\n\n".join(
        [
            markdown_table(["outcome", "calls"], [*ended.most_common(), ("all", len(tried))]),
            markdown_table(["unclear", "calls", "example"], [(k, len(v), v[0]) for k, v in rows]),
        ]
    )
