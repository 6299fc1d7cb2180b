"""Part ``sabotage``: the suite is broken on purpose, and the machine must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from tests.faults.case import Case, Verdict, judge_repeat
from tests.faults.flips import WORDS, Damage, Reading
from tests.faults.stops import Rehearsal
from tests.faults.world import World, resumed


def _no_seals() -> None:
    from usvi_bench.engine import checkpoint

    checkpoint.check_seal = lambda *_: None  # type: ignore[attr-defined]


def _writes_in_place() -> None:
    from usvi_bench.core import sealed

    def write(path: Path, write: Callable[[BinaryIO], None], remedy: str | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w+b") as file:
            write(file)

    sealed.write_atomically = write  # type: ignore[attr-defined]


def _ignored_errors() -> None:
    from usvi_bench.core import files
    from usvi_bench.core.errors import StorageError

    real = files.write_atomically

    def write(*given: Any, **named: Any) -> None:
        with suppress(StorageError):
            real(*given, **named)

    files.write_atomically = write


def _uncut_journals() -> None:
    from usvi_bench.core.journal import Journal

    Journal.cut = lambda self, mark: None  # type: ignore[method-assign]


def _no_clean_up() -> None:
    from usvi_bench.core import files
    from usvi_bench.engine import training

    files.remove_temporaries = training.remove_temporaries = lambda *_: None  # type: ignore[attr-defined]


def _forgotten_checkpoints() -> None:
    from usvi_bench.engine.training import StageTraining

    StageTraining._find = lambda self: self.journal.replace([])  # type: ignore[method-assign, assignment, return-value]


def _stop(rehearsal: Rehearsal, kind: str, part: str, how: str, folder: Path) -> Verdict:
    at = next(i for i, point in enumerate(rehearsal.points) if point.kind == kind and part in point.path)
    return rehearsal.fill(at, folder) if how == "full" else rehearsal.stop(at, how, folder)


def _flip(reading: Reading, expected: dict[str, str], folder: Path) -> Verdict:
    reading.lay_out(folder)
    (path,) = folder.glob("out/stages/*/epoch_0001.pt")
    Damage(path.relative_to(folder).as_posix(), bit=8 * (path.stat().st_size // 4) + 6).apply(folder)
    return judge_repeat(folder, reading.world.command(folder, resumed(WORDS)), expected, "flip")


def notices(world: World, place: Path) -> Iterator[Case]:
    """Yield a case for each way to break the suite; it is ``same`` if the machine gives the expected verdict."""
    rehearsal = Rehearsal(world, "cluster_contrast", place / "stops")
    reading = Reading(world, place / "flips", "unfinished")
    expected = reading.expected(place / "whole", resumed(WORDS))
    half = partial(_stop, rehearsal, "write", "epoch_0002")
    tried: list[tuple[Callable[[], None], Callable[[Path], Verdict], str]] = [
        (_no_seals, partial(_flip, reading, expected), "different"),
        (_writes_in_place, partial(half, "half"), "lost"),
        (_uncut_journals, partial(half, "before"), "different"),
        (_forgotten_checkpoints, partial(half, "before"), "lost"),
        (_no_clean_up, partial(half, "half"), "wrong"),
        (_ignored_errors, partial(_stop, rehearsal, "write", ".record.json", "full"), "accepted"),
    ]
    for number, (broken, case, verdict) in enumerate(tried):
        yield Case(f"sabotage:notices:{number}", partial(_try, world, broken, case, verdict))


def _try(
    world: World, broken: Callable[[], None], case: Callable[[Path], Verdict], expected: str, folder: Path
) -> Verdict:
    world.broken = broken
    try:
        found, detail = case(folder)
    finally:
        world.broken = lambda: None
    what = f"{broken.__name__}: {found}, {detail}"
    return ("same" if found == expected else "wrong", what)


GROUPS = {"notices": notices}
