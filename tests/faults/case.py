"""Case: one fault and the verdict on what followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.state import difference, leftovers, state_of
from tests.faults.world import Outcome

GOOD = ("clear", "same")
"""Verdicts that are no faults: a clear refusal, or the result of an undisturbed run."""
BAD = ("wrong", "lost", "different", "traceback", "accepted")
VERDICTS = (*GOOD, *BAD)

Verdict = tuple[str, str]
"""One of :data:`VERDICTS`, and a line about it."""


@dataclass(frozen=True)
class Case:
    """Case: its name (``stops:cluster_contrast:137``), and the function that tries it in a folder."""

    name: str
    run: Callable[[Path], Verdict]

    @property
    def group(self) -> str:
        """Name of its part and group."""
        return self.name.rpartition(":")[0]


def judge_repeat(folder: Path, repeated: Outcome, expected: dict[str, str], what: str) -> Verdict:
    """Judge the command that repeats or continues another: it must end with the state of an undisturbed run."""
    if repeated.status is None:
        return "wrong", f"{what}: hangs"
    if repeated.crashed:
        return "traceback", f"{what}: {repeated.last}"
    if repeated.status != 0:
        return "lost", f"{what}: {repeated.last}"
    if changed := difference(state_of(folder), expected):
        return "different", f"{what}: {changed}"
    if rest := leftovers(folder):
        return "wrong", f"{what}: leaves {', '.join(rest[:3])}"
    return "same", what


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the gravest verdict; ``clear`` counts more than ``same``."""
    order = (*BAD, "clear", "same")
    return min(verdicts, key=lambda verdict: order.index(verdict[0]))
