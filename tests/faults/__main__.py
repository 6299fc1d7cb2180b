# ruff: noqa: E402
"""Command ``python -m tests.faults``: try every fault, print a table of the verdicts, and one line for each fault."""

from __future__ import annotations

import os

for _name in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
    os.environ[f"{_name}_NUM_THREADS"] = "1"  # a process with more threads cannot be forked

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.faults.case import BAD, VERDICTS, Case
from tests.faults.parts import PARTS
from tests.faults.world import ROOT, World
from usvi_bench.core.environment import commit

RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
MEMORY = Path("/dev/shm")


def main(words: Sequence[str] | None = None) -> int:
    """Try the cases that are not in the log yet.

    Returns:
        0, or 1 if there was a fault, or cases remain.
    """
    options = _options(words)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
    base = options.folder or (MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * 2**30 else None)
    with tempfile.TemporaryDirectory(prefix="usvi-faults-", dir=base) as name:
        folder = Path(name)
        revision = commit()[0] or "unknown"  # other code has other points
        log = (options.output or folder) / f"cases-{revision[:10]}.jsonl"
        known = _read(log)
        world = World(folder / "world")
        cases = list(_cases(world, options))
        random.Random(options.seed).shuffle(cases)
        waiting = [case for case in cases if case.name not in known]
        _try_all(waiting, folder, log, options.jobs, time.monotonic() + 60 * options.minutes)
        found = {name: line for name, line in _read(log).items() if name in {case.name for case in cases}}
    rows = _rows(cases, found)
    _print(rows)
    faults = [line for line in found.values() if line["verdict"] in BAD]
    for line in sorted(faults, key=lambda line: str(line["name"])):
        print(f"python -m tests.faults --only {line['name']}  # {line['verdict']}: {line['detail']}")
    if len(found) < len(cases):
        print(f"{len(cases) - len(found)} of {len(cases)} cases remain: repeat the command")
    elif options.json:
        _write(options.json, rows, found, options.jobs)
    return 1 if faults or len(found) < len(cases) else 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--minutes", type=float, default=60, help="time after which no case is begun")
    parser.add_argument("--output", type=Path, help="folder of the log; a second start continues it")
    parser.add_argument(
        "--only", nargs="+", default=[""], help="parts, groups or cases: stops, stops:report, stops:report:7"
    )
    parser.add_argument(
        "--sample",
        nargs="+",
        default=[],
        metavar="PART=N",
        help="number of cases of each group, drawn by --seed: stops=3",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tmpfs", dest="folder", type=Path, help="file system to work on (default: memory)")
    parser.add_argument("--json", type=Path, help=f"file of the table, usually {RESULTS.relative_to(ROOT)}")
    return parser.parse_args(words)


def _cases(world: World, options: argparse.Namespace) -> Iterator[Case]:
    sampled = [word.partition("=") for word in options.sample]
    for part, groups in PARTS.items():
        for group, make in groups.items():
            name = f"{part}:{group}:"
            wanted = [
                only
                for only in options.only
                if f"{only}:".startswith(name) or name.startswith(f"{only}:" if only else "")
            ]
            if not wanted:
                continue
            cases = list(make(world, world.folder / "rehearsals" / part / group))
            chosen = [case for case in cases if case.name in wanted]
            if samples := [int(count) for at, _, count in sampled if name.startswith(f"{at}:")]:
                cases = random.Random(f"{options.seed} {name}").sample(cases, min(samples[-1], len(cases)))
            yield from chosen or cases


def _try_all(cases: list[Case], folder: Path, log: Path, jobs: int, deadline: float) -> None:
    """Try cases in forked workers, each of which takes every ``jobs``-th case."""
    workers = []
    for worker in range(jobs):
        sys.stdout.flush()
        number = os.fork()
        if number == 0:
            status = 1
            try:
                _work(cases[worker::jobs], folder / f"worker{worker}", log, deadline)
                status = 0
            finally:
                os._exit(status)
        workers.append(number)
    try:
        for number in workers:
            os.waitpid(number, 0)
    except KeyboardInterrupt:
        for number in workers:
            os.kill(number, signal.SIGKILL)
        raise


def _work(cases: list[Case], folder: Path, log: Path, deadline: float) -> None:
    for case in cases:
        started = time.monotonic()
        if started > deadline:
            return
        try:
            verdict, detail = case.run(folder / "case")
        except Exception as error:
            verdict, detail = "wrong", f"the case itself failed: {type(error).__name__}: {error}"
        shutil.rmtree(folder, ignore_errors=True)
        seconds = round(time.monotonic() - started, 3)
        line = json.dumps({"name": case.name, "verdict": verdict, "detail": detail, "seconds": seconds})
        with log.open("ab", buffering=0) as file:  # one write per line, because workers share the file
            file.write(line.encode() + b"\n")


def _read(log: Path) -> dict[str, dict[str, Any]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return {line["name"]: line for line in map(json.loads, lines)}


def _rows(cases: list[Case], found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for group in dict.fromkeys(case.group for case in sorted(cases, key=lambda case: case.name)):
        lines = [line for name, line in found.items() if name.rpartition(":")[0] == group]
        counts = Counter(line["verdict"] for line in lines)
        seconds = sum(line["seconds"] for line in lines)
        rows.append(
            {"part": group, "tried": len(lines), **{v: counts[v] for v in VERDICTS}, "seconds": round(seconds, 1)}
        )
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    total = {"part": "all", **{key: sum(row[key] for row in rows) for key in ("tried", *VERDICTS, "seconds")}}
    for row in ({key: key for key in total}, *rows, total):
        texts = (f"{v:.1f}" if isinstance(v, float) else str(v) for v in row.values())
        print("".join(f"{text:>11}" if i else f"{text:<26}" for i, text in enumerate(texts)))


def _write(path: Path, rows: list[dict[str, Any]], found: dict[str, dict[str, Any]], jobs: int) -> None:
    import torch

    from usvi_bench.benchmarks.measure import machine
    from usvi_bench.core.files import write_json

    faults = [line for line in found.values() if line["verdict"] in BAD]
    write_json(path, {"machine": machine(torch.device("cpu")), "jobs": jobs, "rows": rows, "faults": faults})


if __name__ == "__main__":
    sys.exit(main())
