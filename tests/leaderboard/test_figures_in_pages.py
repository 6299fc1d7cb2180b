"""Figures that README and docs/findings.md take from the records are those of the records."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import pytest

from leaderboard.build import load_records
from leaderboard.record import headline_scores

ROOT = Path(__file__).resolve().parents[2]

Scores = dict[tuple[str, str], dict[int, float]]


@pytest.fixture(scope="module")
def scores() -> Scores:
    """mAP in percent by protocol and method, then by seed; a run's is the mean over its folds and trials."""
    found: Scores = defaultdict(dict)
    for record in load_records(ROOT / "leaderboard" / "records").values():
        result = record.result
        found[result.protocol, result.method][result.seed] = 100 * fmean(s.mAP for s in headline_scores(record))
    return found


def told(values: list[float]) -> str:
    mean = f"{fmean(values):.1f}"
    return f"{mean} ± {stdev(values):.1f}" if len(values) > 1 else mean


def rows(page: str, pattern: str) -> list[list[str]]:
    lines = (ROOT / page).read_text().splitlines()
    found = [line.strip("| ").split(" | ") for line in lines if re.match(pattern, line)]
    assert found
    return found


def test_the_results_in_the_readme_are_those_of_the_records(scores: Scores) -> None:
    text = (ROOT / "README.md").read_text()
    protocols = re.findall(r"`(\w+)`", next(line for line in text.splitlines() if line.startswith("| | `sysu_all`")))
    methods = set()
    for name, *figures in rows("README.md", r"\| `\w+`( \(upper bound\))? \| \d"):
        method = name.split("`")[1]
        methods.add(method)
        assert figures == [told(list(scores[protocol, method].values())) for protocol in protocols], method
    assert methods == {method for _, method in scores}


def test_the_differences_in_the_findings_are_those_of_the_records(scores: Scores) -> None:
    for pair, *figures in rows("docs/findings.md", r"\| `\w+` - `\w+` \|"):
        first, second = re.findall(r"`(\w+)`", pair)
        expected = []
        for protocol in ("sysu_all", "sysu_indoor"):
            ours, theirs = scores[protocol, first], scores[protocol, second]
            differences = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
            by_seed = ", ".join(f"{difference:.1f}" for difference in differences)
            expected += [told(differences), by_seed.replace("-0.0", "0.0")]
        assert figures == expected, pair
