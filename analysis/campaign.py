"""Campaign: makes the runs of ``leaderboard/campaign.toml``, on which the leaderboard and the findings rest.

``python -m analysis.campaign [--output DIR] [--jobs 2] [--minutes 120]`` makes the jobs that are not finished, in the
order of the list, each with one CPU thread. Running jobs are interrupted after ``--minutes``, and by Ctrl-C or SIGTERM.
The same command continues them: finished epochs are kept. ``--list`` prints the jobs and makes nothing.

Jobs that may train the same stage never run at once; the second one reuses the stage of the first. The code must have
no uncommitted changes, and one folder holds the runs of one commit. ``python -m leaderboard --add`` adds finished runs
to the records, and ``run.py ablation --publish`` the grids.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import read_json, write_json
from usvi_bench.core.formatting import counted, file_name
from usvi_bench.core.registry import METHODS
from usvi_bench.core.revision import ROOT, find_revision

PLAN = ROOT / "leaderboard" / "campaign.toml"
PAUSE = 0.5
"""Seconds between two looks at the running jobs."""


@dataclass(frozen=True)
class Job:
    """Job of a campaign: commands that run one after another.

    Attributes:
        name: unique name, also of its files below the folder of the campaign.
        shares: names of trainings that it may share with other jobs.
        commands: arguments of ``run.py``, without the output folder.
    """

    name: str
    shares: frozenset[str]
    commands: tuple[tuple[str, ...], ...]


@dataclass
class Running:
    """Running job, with the process of its present command."""

    job: Job
    process: subprocess.Popen[bytes]
    position: int = 0


def read_plan(path: Path = PLAN) -> list[Job]:
    """Read the list of runs; the jobs of an entry are ordered by seed, then by method.

    Raises:
        UsageError: two jobs have one name.
    """
    found = [job for entry in tomllib.loads(path.read_text())["entries"] for job in _jobs(entry)]
    names = [job.name for job in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{path}: two jobs are named {twice[0]}; remove one of their entries")
    return found


def _jobs(entry: Mapping[str, Any]) -> Iterator[Job]:
    methods = METHODS.own_names() if entry["methods"] == ["*"] else entry["methods"]
    layout, data, seeds = entry["protocols"][0].partition("_")[0], entry["data"], range(entry["seeds"])
    settings = ("--set", "engine.threads=1", *entry.get("settings", ()))
    shares = {seed: f"{layout} {data} {seed}" for seed in seeds}
    for seed in [None] if entry.get("grid") else seeds:
        for method in methods:
            base: tuple[str, ...] = ("--method", method, "--data", data)
            if seed is None:
                rows = () if entry["grid"] is True else ("--grid", str(ROOT / entry["grid"]))
                base = ("ablation", *base, "--seeds", str(len(seeds)), "--reuse", *rows)
            else:
                base = (*base, "--seed", str(seed), "--resume", "--no-report")
            kind = f"seed{seed}"
            if seed is None:
                kind = "grid" if entry["grid"] is True else f"grid-{Path(entry['grid']).parent.name}"
            words = [kind, method, layout, data, *entry.get("settings", ())]
            yield Job(
                file_name("-".join(words)),
                frozenset(shares.values() if seed is None else [shares[seed]]),
                tuple((*base, "--protocol", protocol, *settings) for protocol in entry["protocols"]),
            )


def make(jobs: Sequence[Job], output: Path, slots: int, seconds: float, commit: str) -> tuple[int, list[str]]:
    """Make the jobs that are not finished, at most ``slots`` at once, for ``seconds``.

    Returns:
        Number of jobs that are finished after the call, and the names of those that failed.

    Raises:
        UsageError: the folder holds finished jobs of another commit.
    """
    (output / "jobs").mkdir(parents=True, exist_ok=True)
    for file in (output / "jobs").glob("*.json"):
        if (made := read_json(file)["commit"]) != commit:
            raise UsageError(f"{output} holds runs of commit {made[:10]}, not {commit[:10]}; give another --output")
    waiting = [job for job in jobs if not _note(output, job).exists()]
    running: list[Running] = []
    failed: list[str] = []
    end = time.monotonic() + seconds
    try:
        while (waiting or running) and time.monotonic() < end:
            busy = frozenset().union(*(each.job.shares for each in running))
            ready = next((job for job in waiting if not job.shares & busy), None)
            if ready is not None and len(running) < slots:
                waiting.remove(ready)
                running.append(Running(ready, _start(ready, 0, output)))
                continue
            for each in list(running):
                if (status := each.process.poll()) is not None:
                    _proceed(each, status, running, failed, output, commit)
            time.sleep(PAUSE)
    finally:
        for each in running:
            each.process.terminate()  # a process in the background may ignore SIGINT
        for each in running:
            each.process.wait()
    return sum(_note(output, job).exists() for job in jobs), failed


def _proceed(each: Running, status: int, running: list[Running], failed: list[str], output: Path, commit: str) -> None:
    """Start the next command of a job, or note that the job is finished or has failed."""
    each.position += 1
    if status == 0 and each.position < len(each.job.commands):
        each.process = _start(each.job, each.position, output)
        return
    running.remove(each)
    if status == 0:
        write_json(_note(output, each.job), {"commit": commit, "commands": each.job.commands})
    else:
        failed.append(each.job.name)
    print(f"{time.strftime('%H:%M:%S')} {'failed' if status else 'finished'}: {each.job.name}", flush=True)


def _start(job: Job, position: int, output: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, str(ROOT / "run.py"), *job.commands[position], "--output", str(output / "runs")]
    with (output / "jobs" / f"{job.name}.log").open("ab") as log:
        return subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def _note(output: Path, job: Job) -> Path:
    return output / "jobs" / f"{job.name}.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the missing jobs; return 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m analysis.campaign", description=__doc__)
    parser.add_argument("--plan", type=Path, default=PLAN, metavar="FILE", help="list of the runs")
    parser.add_argument("--output", type=Path, default=Path("runs/campaign"), metavar="DIR", help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="jobs at once (default 2)")
    parser.add_argument("--minutes", type=float, default=120, metavar="M", help="time after which it stops")
    parser.add_argument("--list", action="store_true", help="print the jobs and make nothing")
    options = parser.parse_args(arguments)
    try:
        jobs = read_plan(options.plan)
    except UsageError as error:
        raise SystemExit(str(error)) from error
    if options.list:
        print(
            "\n".join(f"{'finished' if _note(options.output, job).exists() else 'missing'}: {job.name}" for job in jobs)
        )
        return 0
    commit, dirty = find_revision()
    if commit is None or dirty:
        raise SystemExit("the code has uncommitted changes, so that records would not name it; commit them first")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        finished, failed = make(jobs, options.output.absolute(), options.jobs, 60 * options.minutes, commit)
    except UsageError as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        print("interrupted; the same command continues the jobs", file=sys.stderr)
        return 128 + signal.SIGINT
    print(f"{finished} of {counted(len(jobs), 'job')} finished" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
