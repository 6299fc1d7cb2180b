"""A sample of the hostile corpus, and the classification of outcomes."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.faults.corpus.case import Case, call, require
from tests.faults.corpus.cases import KINDS, cases, warm
from usvi_bench.core.errors import UsageError

SAMPLE = {
    "trees": 20,
    "own": 20,
    "donors": 5,
    "pictures": 15,
    "weights": 20,
    "external": 20,
    "search": 5,
    "settings": 25,
    "grids": 10,
    "metrics": 15,
    "records": 25,
    "published": 10,
    "runs": 3,
}
"""Number of cases of each kind that every test session tries; the command tries all of them."""


@pytest.fixture(scope="module")
def corpus(cache: Path) -> dict[str, list[Case]]:
    del cache  # set by now
    torch.set_num_threads(1)
    warm()
    found: dict[str, list[Case]] = {}
    for case in cases(0):
        found.setdefault(case.kind, []).append(case)
    return found


@pytest.mark.parametrize("kind", SAMPLE)
def test_a_sample_of_hostile_inputs_is_refused_clearly_or_handled_rightly(
    kind: str, corpus: dict[str, list[Case]]
) -> None:
    chosen = random.Random(0).sample(corpus[kind], SAMPLE[kind])
    outcomes = {case.name: case.run() for case in chosen}
    assert not {name: (outcome.verdict, outcome.text) for name, outcome in outcomes.items() if outcome.faulty}
    assert "clear" in {outcome.verdict for outcome in outcomes.values()}


def test_the_corpus_is_large_and_follows_from_its_seed(corpus: dict[str, list[Case]]) -> None:
    names = [(case.kind, case.name) for each in corpus.values() for case in each]
    assert len(names) >= 300
    assert {"trees", "pictures", "weights", "settings", "metrics", "records", "published", "runs"} <= corpus.keys()
    kinds = tuple(kind for kind in KINDS if kind != "settings")  # its names hold addresses of objects
    again = [(case.kind, case.name) for case in cases(0, kinds)]
    assert again == [name for name in names if name[0] not in ("settings", "schedules", "grids")]
    assert again != [(case.kind, case.name) for case in cases(1, kinds)]


def _refuse(message: str) -> Callable[[Path], int]:
    def act(_: Path) -> int:
        def refuse() -> None:
            raise UsageError(message)

        return call(refuse)

    return act


def _fail(_: Path) -> int:
    raise KeyError("x")


def _wrong(_: Path) -> int:
    require(False, "a wrong result")
    return 0


def _write_traceback(_: Path) -> int:
    print("Traceback (most recent call last):", file=sys.stderr)
    return 1


def _sleep(_: Path) -> int:
    time.sleep(60)
    return 0


def _compute(_: Path) -> int:
    while True:
        pass


def _end(_: Path) -> int:
    os._exit(3)


def _fill_memory(_: Path) -> int:
    return len(bytearray(1 << 40))


CLEAR = "a.txt is damaged; restore it"


@pytest.mark.parametrize(
    ("act", "expect", "verdict", "text"),
    [
        (_refuse(CLEAR), "refused", "clear", CLEAR),
        (_refuse(CLEAR), "either", "clear", CLEAR),
        (_refuse(CLEAR), "accepted", "wrong", "a harmless input is refused"),
        (_refuse("b.txt is damaged; restore it"), "refused", "unclear", "does not name a.txt"),
        (_refuse("a.txt is odd"), "refused", "unclear", "no remedy"),
        (_refuse("a.txt; restore it\n" * 4), "refused", "unclear", "4 lines"),
        (_refuse("a.txt \x1b[2J; restore it"), "refused", "unclear", "control characters"),
        (_refuse("a.txt; restore it" + "x" * 2000), "refused", "unclear", "a line of"),
        (_refuse(""), "refused", "unclear", "0 lines"),
        (lambda _: 0, "accepted", "accepted", ""),
        (lambda _: 0, "refused", "wrong", "accepted"),
        (_wrong, "accepted", "wrong", "a wrong result"),
        (_fail, "refused", "traceback", "KeyError"),
        (_write_traceback, "refused", "traceback", "Traceback"),
        (_end, "refused", "traceback", "the process ended"),
        (_fill_memory, "refused", "traceback", "MemoryError"),
        (lambda _: 7, "refused", "traceback", "status 7"),
        (_sleep, "refused", "hang", "no answer in 1 s"),
        (_compute, "refused", "hang", "no answer in 1 s"),
    ],
)
def test_outcomes_are_classified(act, expect, verdict: str, text: str) -> None:
    outcome = Case("kind", "name", act, expect, ("a.txt",), limit=1).run()
    assert (outcome.verdict, text in outcome.text) == (verdict, True), outcome
    assert outcome.faulty == (verdict not in ("clear", "accepted"))


def test_a_case_does_not_wait_for_threads_of_the_process_before_the_fork() -> None:
    def act(_: Path) -> int:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        return int(_multiply() <= 0)

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    _multiply()
    torch.set_num_threads(threads)
    assert Case("kind", "name", act, "accepted").run().verdict == "accepted"


def _multiply() -> float:
    return float((torch.ones(1000, 1000) * 2).sum())


def test_a_case_leaves_no_files_and_no_changes(tmp_path: Path) -> None:
    folders = []

    def act(folder: Path) -> int:
        (tmp_path / "folder").write_text(str(folder))
        (folder / "locked").mkdir(0o000)
        os.environ["USVI_CORPUS_TEST"] = "x"
        return 0

    assert Case("kind", "name", act, "accepted").run().verdict == "accepted"
    folders.append(Path((tmp_path / "folder").read_text()))
    assert not any(folder.parent.exists() for folder in folders)
    assert "USVI_CORPUS_TEST" not in os.environ
