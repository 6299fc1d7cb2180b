"""Hostile inputs of the corpus, as a part of the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults.case import Case, Verdict
from tests.faults.corpus.case import Case as HostileCase
from tests.faults.corpus.cases import KINDS, cases, warm
from tests.faults.world import World

SEED = 0
_VERDICTS = {"accepted": "same", "wrong": "accepted", "unclear": "wrong", "hang": "wrong"}
"""Verdicts of the corpus that have another name here."""


def hostile(world: World, folder: Path, kind: str) -> Iterator[Case]:
    """Yield the cases of a kind; they make their own folders and processes."""
    del world, folder
    warm()
    for number, case in enumerate(cases(SEED, (kind,))):
        yield Case(f"corpus:{kind}:{number}", partial(_try, case))


def _try(case: HostileCase, folder: Path) -> Verdict:
    del folder
    outcome = case.run()
    text = " ".join(outcome.text.split())
    return _VERDICTS.get(outcome.verdict, outcome.verdict), f"{case.kind}: {case.name}: {text:.300}"


GROUPS: dict[str, Callable[[World, Path], Iterator[Case]]] = {kind: partial(hostile, kind=kind) for kind in KINDS}
