"""Part ``flips``: files of which a bit is flipped, or which are cut short, before they are read again."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults.case import Case, Verdict, judge_repeat, worst
from tests.faults.state import ANY, difference, state_of
from tests.faults.stops import report_words
from tests.faults.world import Outcome, World, resumed, run_words, site_words

WORDS = run_words("cluster_contrast")


@dataclass(frozen=True)
class Damage:
    """Damage of a file: a flipped bit, or a length that it is cut to."""

    path: str
    bit: int | None = None
    length: int = 0

    def apply(self, folder: Path) -> None:
        """Damage the file in place, as a disk does: also where it is linked under another name."""
        with (folder / self.path).open("r+b") as file:
            if self.bit is None:
                file.truncate(self.length)
                return
            file.seek(self.bit // 8)
            old = file.read(1)[0]
            file.seek(self.bit // 8)
            file.write(bytes([old ^ (1 << self.bit % 8)]))

    def __str__(self) -> str:
        return f"{self.path} " + (f"cut to {self.length} bytes" if self.bit is None else f"bit {self.bit}")


def damages(path: Path, name: str) -> list[Damage]:
    """Draw damages of a file from its name: more for a larger file, and two for an image of people."""
    size, draw = path.stat().st_size, random.Random(name)
    if size == 0:
        return []
    count = 1 if path.suffix == ".jpg" else 1 + size.bit_length() // 4
    flipped = [Damage(name, bit=draw.randrange(8 * size)) for _ in range(count)]
    lengths = {0, size - 1, *(draw.randrange(size) for _ in range(count))} if count > 1 else {draw.randrange(size)}
    return [*flipped, *(Damage(name, length=length) for length in sorted(lengths))]


class Reading:
    """Reading of damaged folders: a template, the part of it that is damaged, and the state without damage."""

    def __init__(self, world: World, place: Path, template: str, own_people: bool = False) -> None:
        self.world, self.template, self.own_people = world, template, own_people
        self.lay_out(place)
        self.files = [path.relative_to(place).as_posix() for path in sorted(place.rglob("*")) if path.is_file()]
        self.sizes = place

    def lay_out(self, folder: Path) -> None:
        """Copy the template."""
        self.world.lay_out(self.template, folder, self.own_people)

    def damages(self, below: str) -> Iterator[Damage]:
        """Yield the damages of the files below a folder, except locks and every other image of people."""
        alike = [name for name in self.files if name.endswith(".jpg")]
        for name in sorted({*self.files} - {*alike} | {*alike[::2]}):
            if name.startswith(below) and not name.endswith(".lock"):
                yield from damages(self.sizes / name, name)

    def expected(self, folder: Path, words: list[str]) -> dict[str, str]:
        """Return the state after a command without damage."""
        self.lay_out(folder)
        found = self.world.command(folder, words)
        assert found.status == 0, found
        return state_of(folder)


def finished(world: World, place: Path) -> Iterator[Case]:
    """Yield damages of the stages, results and report of a finished run."""
    reading = Reading(world, place / "template", "reported")
    site = reading.expected(place / "site", site_words())
    rerun = reading.expected(place / "rerun", resumed(WORDS))

    def run(damage: Damage, folder: Path) -> Verdict:
        reading.lay_out(folder)
        damage.apply(folder)
        verdicts = []
        if "/report/" in damage.path:
            verdicts.append(_read(world, folder, site_words(), site, damage))
        elif "/stages/" not in damage.path:
            verdicts.append(_check(world, folder, damage))
            verdicts.append(_read(world, folder, site_words(), site, damage, "site/"))
            verdicts.append(_read(world, folder, report_words(folder), rerun, damage, "report/"))
        if "/report/" not in damage.path:
            verdicts.append(_continue(world, folder, rerun, damage))
        return worst(verdicts)

    yield from _cases("finished", reading.damages("out/"), run)


def unfinished(world: World, place: Path) -> Iterator[Case]:
    """Yield damages of a run that ended in its second epoch."""
    reading = Reading(world, place / "template", "unfinished")
    whole = reading.expected(place / "whole", resumed(WORDS))

    def run(damage: Damage, folder: Path) -> Verdict:
        reading.lay_out(folder)
        damage.apply(folder)
        refused = world.command(folder, WORDS)
        if not refused.clear:
            return "wrong", f"{damage}: without --resume: status {refused.status}: {refused.last}"
        return _continue(world, folder, whole, damage)

    yield from _cases("unfinished", reading.damages("out/"), run)


def cache(world: World, place: Path) -> Iterator[Case]:
    """Yield damages of people, decoded images and fingerprints."""
    reading = Reading(world, place / "template", "cached", own_people=True)
    whole = reading.expected(place / "whole", WORDS)

    def run(damage: Damage, folder: Path) -> Verdict:
        reading.lay_out(folder)
        damage.apply(folder)
        found = world.command(folder, WORDS)
        if found.status == 0 or not found.clear:
            return judge_repeat(folder, found, whole if _matters(damage) else _without(whole, damage), str(damage))
        for tree in (folder / "cache" / "synthetic").iterdir():
            if tree.is_dir():
                shutil.rmtree(tree)
        again = judge_repeat(folder, world.command(folder, resumed(WORDS)), whole, f"{damage}, people deleted")
        return ("clear", str(damage)) if again[0] == "same" else again

    yield from _cases("cache", reading.damages("cache/"), run)


def _matters(damage: Damage) -> bool:
    """Return whether a run reads a file of the people; ground truth is for analyses only."""
    return not damage.path.endswith(".csv")


def _without(state: dict[str, str], damage: Damage) -> dict[str, str]:
    return {**state, damage.path: ANY}


def _cases(group: str, found: Iterator[Damage], run: Callable[[Damage, Path], Verdict]) -> Iterator[Case]:
    for number, damage in enumerate(found):
        yield Case(f"flips:{group}:{number}", partial(run, damage))


def _check(world: World, folder: Path, damage: Damage) -> Verdict:
    (run,) = folder.glob("out/sysu_all/cluster_contrast-*")
    found = world.command(folder, ["check", str(run.relative_to(folder))])
    if found.crashed or found.status not in (0, 1, 2):
        return "traceback", f"{damage}: check: {found.last}"
    refused = found.status != 0
    whole = (world.template("reported") / damage.path).read_bytes().rstrip()  # a lost last newline does no harm
    if damage.path.endswith("record.json") and not refused and (folder / damage.path).read_bytes() != whole:
        return "accepted", f"{damage}: check finds nothing"
    return "clear" if refused else "same", str(damage)


def _read(
    world: World, folder: Path, words: list[str], expected: dict[str, str], damage: Damage, part: str = "site/"
) -> Verdict:
    """Judge a command that reads damaged files: it must refuse them, leave them out by name, or make the same pages."""
    found = world.command(folder, words)
    what = f"{damage}: {words[0]}"
    if found.status == 0 and not found.crashed:
        states = [{name: value for name, value in s.items() if part in name} for s in (state_of(folder), expected)]
        changed = difference(*states)
        if changed and f"/{Path(damage.path).name}:" in found.error.replace(" ", ":"):
            return "clear", f"{what}: left out with a notice"
        return ("different", f"{what}: {changed}") if changed else ("same", what)
    return _refusal(found, what)


def _continue(world: World, folder: Path, expected: dict[str, str], damage: Damage) -> Verdict:
    """Judge ``--resume``: it must refuse the damage or mend it; after a refusal ``--overwrite`` must mend it."""

    def changed() -> str:
        states = (state_of(folder), expected)
        return difference(*({name: value for name, value in s.items() if _is_read(name)} for s in states))

    found = world.command(folder, resumed(WORDS))
    what = f"{damage}: --resume"
    if found.status == 0 and not found.crashed:
        return ("different", f"{what}: {changed()}") if changed() else ("same", what)
    verdict = _refusal(found, what)
    if verdict[0] != "clear":
        return verdict
    anew = world.command(folder, ["--overwrite", *WORDS])
    if anew.status != 0 or changed():
        return "lost", f"{damage}: --overwrite: status {anew.status}: {changed()} {anew.last}"
    return verdict


def _is_read(name: str) -> bool:
    """Return whether a file of a finished run is read again; pages are judged by the commands that read them."""
    pages = "/report/" in name or name.startswith("site/")
    description = name.startswith("out/stages/") and name.endswith("config.json")
    return not pages and not description and not name.endswith("epoch_0001.pt")


def _refusal(found: Outcome, what: str) -> Verdict:
    if found.crashed:
        return "traceback", f"{what}: {found.last}"
    return "clear" if found.clear else "wrong", f"{what}: {found.last}"


GROUPS = {"finished": finished, "unfinished": unfinished, "cache": cache}
