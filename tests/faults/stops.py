"""Part ``stops`` and part ``full``: commands that end, or find the disk full, at each write, rename and sync."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults.case import Case, Verdict, judge_repeat
from tests.faults.disk import DEAD, Disk, Point
from tests.faults.state import epochs_of, state_of
from tests.faults.world import World, points_of, resumed, run_words, site_words

ALIKE = 8
"""Of the points at images of people, in the data and in reports, every eighth is tried."""
EPOCHS = re.compile(r"^  epoch +\d+/\d+ ", re.MULTILINE)


@dataclass(frozen=True)
class Scenario:
    """Scenario: a command, the folder that it starts from, and the command that repairs it.

    Attributes:
        template: template of the folder.
        words: function of the folder that returns the words of the command.
        again: the words of the repair.
        epochs: epochs that the command trains.
        own_people: whether the case has people of its own.
    """

    template: str
    words: Callable[[Path], list[str]]
    again: Callable[[list[str]], list[str]] = resumed
    epochs: int = 0
    own_people: bool = False


def _same(words: list[str]) -> list[str]:
    return words


def report_words(folder: Path) -> list[str]:
    """Return the words that write the report of the run of a case."""
    (run,) = folder.glob("out/sysu_all/cluster_contrast-*")
    return ["report", str(run.relative_to(folder))]


SCENARIOS = {
    "render": Scenario("empty", lambda _: run_words("untrained")),
    "cluster_contrast": Scenario("rendered", lambda _: run_words("cluster_contrast"), epochs=2),
    "pclhd": Scenario("cached", lambda _: run_words("pclhd"), epochs=4),
    "sclhm": Scenario("cached", lambda _: run_words("sclhm", "evaluate_every=1"), epochs=3),
    "score": Scenario("trained", lambda _: run_words("cluster_contrast", protocol="sysu_indoor")),
    "report": Scenario("trained", report_words, _same),
    "site": Scenario("reported", lambda _: site_words(), _same),
}


class Rehearsal:
    """Rehearsal of a scenario: its points and the state after an undisturbed command."""

    def __init__(self, world: World, name: str, place: Path) -> None:
        self.world, self.name, self.scenario = world, name, SCENARIOS[name]
        world.lay_out(self.scenario.template, place, self.scenario.own_people)
        self.points: list[Point] = points_of(world, place, self.scenario.words(place))
        self.expected = state_of(place)
        images = [at for at, point in enumerate(self.points) if ".jpg" in point.path]
        self.chosen = sorted({*range(len(self.points))} - {*images} | {*images[::ALIKE]})

    def stop(self, at: int, how: str, folder: Path) -> Verdict:
        """End the command at a point, and repair."""
        self.world.lay_out(self.scenario.template, folder, self.scenario.own_people)
        words = self.scenario.words(folder)
        found = self.world.command(folder, words, Disk(folder, at, how))
        if found.status != DEAD:
            return "wrong", f"{self._where(at)}: not reached, status {found.status}: {found.last}"
        return self._repair(folder, words, f"{how} {self._where(at)}")

    def fill(self, at: int, folder: Path) -> Verdict:
        """Fill the disk at a point, and repair."""
        self.world.lay_out(self.scenario.template, folder, self.scenario.own_people)
        words = self.scenario.words(folder)
        found = self.world.command(folder, words, Disk(folder, at, "full"))
        if found.status is None or found.crashed:
            return "traceback" if found.crashed else "wrong", f"full at {self._where(at)}: {found.last}"
        if found.status == 0:
            return "accepted", f"full at {self._where(at)}: status 0"
        if not found.clear or os.strerror(errno.ENOSPC) not in found.error:
            return "wrong", f"full at {self._where(at)}: not clear: {found.last}"
        verdict = self._repair(folder, words, f"full at {self._where(at)}")
        return ("clear", verdict[1]) if verdict[0] == "same" else verdict

    def _repair(self, folder: Path, words: list[str], what: str) -> Verdict:
        saved = sum(epochs_of(folder).values())
        found = self.world.command(folder, self.scenario.again(words))
        verdict = judge_repeat(folder, found, self.expected, what)
        trained = len(EPOCHS.findall(found.out))
        if verdict[0] == "same" and self.scenario.epochs and trained != self.scenario.epochs - saved:
            return "lost", f"{what}: {saved} of {self.scenario.epochs} epochs were saved, {trained} trained again"
        return verdict

    def _where(self, at: int) -> str:
        point = self.points[at]
        return f"{point.kind} {point.path}"


def stops(world: World, place: Path, name: str) -> Iterator[Case]:
    """Yield a case for each point of a scenario, and one for the half of each write."""
    rehearsal = Rehearsal(world, name, place)
    number = 0
    for at, point in ((at, rehearsal.points[at]) for at in rehearsal.chosen):
        for how in ("before", "half") if point.kind == "write" and point.size > 1 else ("before",):
            yield Case(f"stops:{name}:{number}", partial(rehearsal.stop, at, how))
            number += 1


def full(world: World, place: Path, name: str) -> Iterator[Case]:
    """Yield a case for each write and each new folder of a scenario, and for every other write of a checkpoint."""
    rehearsal = Rehearsal(world, name, place)
    saving = [at for at in rehearsal.chosen if ".epoch_" in rehearsal.points[at].path]
    for at in sorted({*rehearsal.chosen} - {*saving[1::2]}):
        point = rehearsal.points[at]
        if point.kind in ("write", "mkdir"):
            yield Case(f"full:{name}:{at}", partial(rehearsal.fill, at))
