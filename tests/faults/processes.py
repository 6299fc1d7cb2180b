"""Part ``processes``: runs that share a cache, ranks that are killed, ablations that are interrupted."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults.case import Case, Verdict, judge_repeat, worst
from tests.faults.state import difference, state_of
from tests.faults.world import Outcome, World, resumed, run_words

OFFSETS = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]
"""Seconds between the starts of two runs."""
RANKED = run_words("cluster_contrast", "encoder.bn=sync", "engine.timeout=20", "train.instances=4")
LOST = -signal.SIGKILL
GRID = 'rows = {"first": {"method": {"eps": 0.4}}, "second": {"method": {"eps": 0.5}}}\n'


def cache(world: World, place: Path) -> Iterator[Case]:
    """Yield two runs that start together on an empty cache, with equal and with different trainings."""
    pairs = {
        "equal": (run_words("cluster_contrast"), run_words("cluster_contrast")),
        "different": (run_words("cluster_contrast"), run_words("sclhm")),
    }
    number = 0
    for template in ("empty", "rendered"):
        for kind, (first, second) in pairs.items():
            folder = place / template / kind
            world.lay_out(template, folder)
            for words in (first, second):
                assert world.command(folder, resumed(words)).status == 0
            expected = state_of(folder)
            for offset in OFFSETS:
                case = partial(_together, world, template, first, second, offset, expected)
                yield Case(f"processes:cache:{number}", case)
                number += 1


def _together(
    world: World,
    template: str,
    first: list[str],
    second: list[str],
    offset: float,
    expected: dict[str, str],
    folder: Path,
) -> Verdict:
    world.lay_out(template, folder)
    one = world.start(folder, first, log="one")
    time.sleep(offset)
    two = world.start(folder, second, log="two")
    found = [world.finish(folder, started) for started in (one, two)]
    what = f"two runs {offset} s apart on {template}"
    verdicts = [
        ("same" if run.status == 0 else "clear" if run.clear else "wrong", f"{what}: {run.last}") for run in found
    ]
    verdicts += [("traceback", f"{what}: {run.last}") for run in found if run.crashed]
    for words in (first, second):
        repeated = world.command(folder, resumed(words))
    return worst([*verdicts, judge_repeat(folder, repeated, expected, what)])


def ranks(world: World, place: Path) -> Iterator[Case]:
    """Yield one of two ranks that is killed in each phase, mostly of its second epoch."""
    world.lay_out("cached", place)
    assert all(run.status == 0 for run in _ranks(world, place, RANKED))
    expected = state_of(place)
    number = 0
    for phase in _PHASES:
        for victim in (0, 1):
            if (phase, victim) != ("checkpoint", 1):  # rank 0 writes alone
                yield Case(f"processes:ranks:{number}", partial(_lose, world, phase, victim, expected))
                number += 1


def _lose(world: World, phase: str, victim: int, expected: dict[str, str], folder: Path) -> Verdict:
    world.lay_out("cached", folder)
    found = _ranks(world, folder, RANKED, victim, phase)
    what = f"rank {victim} killed in {phase}"
    lost, left = found[victim], found[1 - victim]
    if lost.status != LOST:
        return "wrong", f"{what}: not killed, status {lost.status}: {lost.last}"
    if left.crashed:
        return "traceback", f"{what}: {left.last}"
    if left.status != 1 or "lost the connection" not in left.error or "--resume" not in left.error:
        return "wrong", f"{what}: the other has status {left.status}: {left.last}"
    again = _ranks(world, folder, resumed(RANKED))
    return worst([("clear", what), *(judge_repeat(folder, run, expected, what) for run in again)])


def _ranks(world: World, folder: Path, words: list[str], victim: int | None = None, phase: str = "") -> list[Outcome]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    def before(rank: int) -> None:
        names = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2}
        os.environ.update({name: str(value) for name, value in names.items()})
        if rank == victim:
            _PHASES[phase]()

    started = [world.start(folder, words, before=partial(before, rank), log=f"rank{rank}") for rank in (0, 1)]
    return [world.finish(folder, each) for each in started]


def _kill_at(owner: object, name: str, call: int) -> None:
    """Kill this process at a call of a function."""
    real, calls = getattr(owner, name), [0]

    def counted(*given: object, **named: object) -> object:
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)

    setattr(owner, name, counted)


def _in_embedding() -> None:
    from usvi_bench.engine import training

    _kill_at(training, "embed_all", 2)


def _in_clustering() -> None:
    from usvi_bench.engine.training import StageTraining

    _kill_at(StageTraining, "_label", 2)


def _in_step() -> None:
    from usvi_bench.engine.optimiser import Optimiser

    _kill_at(Optimiser, "__call__", 3)


def _in_checkpoint() -> None:
    from usvi_bench.engine import checkpoint

    _kill_at(checkpoint, "write_sealed", 1)


_PHASES: dict[str, Callable[[], None]] = {
    "embedding": _in_embedding,
    "clustering": _in_clustering,
    "step": _in_step,
    "checkpoint": _in_checkpoint,
}


def ablation(world: World, place: Path) -> Iterator[Case]:
    """Yield an ablation with two jobs that is interrupted at several moments, and repeated."""
    world.lay_out("cached", place)
    found = _ablation(world, place)
    assert found.status == 0, found
    expected = _results(place)
    moments = {"grid": "out/**/grid.json", "training": "out/stages/*/journal.jsonl", "record": "out/**/record.json"}
    number = 0
    for name, pattern in moments.items():
        for sent in (signal.SIGINT, signal.SIGTERM):
            yield Case(f"processes:ablation:{number}", partial(_interrupt, world, name, pattern, sent, expected))
            number += 1


def _interrupt(
    world: World, moment: str, pattern: str, sent: signal.Signals, expected: dict[str, str], folder: Path
) -> Verdict:
    world.lay_out("cached", folder)
    found = _ablation(world, folder, pattern, sent)
    what = f"{sent.name} at {moment}"
    if found.crashed:
        return "traceback", f"{what}: {found.last}"
    if found.status not in (128 + sent, 0):
        return "wrong", f"{what}: status {found.status}: {found.last}"
    again = _ablation(world, folder)
    if again.crashed or again.status != 0:
        return "lost", f"{what}: repeated: status {again.status}: {again.last}"
    changed = difference(_results(folder), expected)
    return ("different", f"{what}: {changed}") if changed else ("same", what)


def _ablation(world: World, folder: Path, pattern: str = "", sent: signal.Signals = signal.SIGINT) -> Outcome:
    """Run the ablation; send a signal when a file exists."""
    from usvi_bench.cli.failures import raise_on_signals

    (folder / "grid.py").write_text(GRID)
    _, _, *words = run_words("cluster_contrast")
    words = [word for word in words if word != "--no-report"]
    at = words.index("--schedule")
    del words[at : at + 2]
    quick = ["train.visible_clusters=2", "train.infrared_clusters=2", "method.k1=6", "encoder.name=small"]
    command = ["ablation", "--method", "cluster_contrast", "--grid", "grid.py", "--seeds", "1", "--jobs", "2", *words]
    started = world.start(folder, [*command, *quick], before=raise_on_signals)
    deadline = time.monotonic() + 50
    while pattern and time.monotonic() < deadline and not next(folder.glob(pattern), None):
        time.sleep(0.02)
    if pattern:
        os.kill(started[0], sent)
    return world.finish(folder, started)


def _results(folder: Path) -> dict[str, str]:
    kept = ("record.json", ".pt", "journal.jsonl")
    return {name: value for name, value in state_of(folder).items() if name.endswith(kept)}


GROUPS = {"cache": cache, "ranks": ranks, "ablation": ablation}
