"""Lines of journals: those of the suite pass, and every field that figures read is checked."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.reports.fake_run import epoch_line, two_stages
from usvi_bench.core.errors import DamagedFileError
from usvi_bench.reports.check_lines import check_lines

PATH = Path("journal.jsonl")


def test_lines_of_a_run_pass_unchanged() -> None:
    lines = two_stages()
    assert check_lines(copy.deepcopy(lines), PATH) == lines
    assert check_lines([{"kind": "other", "x": []}], PATH) == [{"kind": "other", "x": []}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": None}, "kind: expected text, found None"),
        ({"fold": "1"}, "fold: expected a whole number, found '1'"),
        ({"stage": {}}, "stage: expected text"),
        ({"lr": []}, "lr: expected a number"),
        ({"losses": {"visible": "x"}}, "losses.visible: expected a number"),
        ({"clusters": {"visible": 3}}, "clusters.infrared: missing"),
        ({"quality": {}}, "quality.visible: missing"),
        ({"seconds": None}, "seconds: expected a mapping"),
        ({"seconds": {"embed": 1.0}}, "seconds.train: missing"),
        ({"steps": 0}, "steps 0 and images"),
        ({"images": {"visible": 0, "infrared": 3}}, "must be at least 1"),
        ({"clustering": {"search_seconds": []}}, "clustering.search_seconds: expected a number"),
    ],
)
def test_the_line_and_the_field_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DamagedFileError) as caught:
        check_lines([epoch_line(0), epoch_line(1, **changes)], PATH)
    assert str(caught.value).startswith("journal.jsonl line 2: ")
    assert message in str(caught.value)
    assert str(caught.value).endswith("; train the stage again with --overwrite")


def test_scores_during_training_name_model_and_epoch() -> None:
    with pytest.raises(DamagedFileError, match="line 1: model: missing"):
        check_lines([{"kind": "scores", "fold": 1, "epoch": 0}], PATH)
