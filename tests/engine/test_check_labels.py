"""Labels of a method: wrong types, shapes and ranges are named."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Features, PseudoLabels
from usvi_bench.engine.check_labels import check_labels

FEATURES = Features(torch.rand(4, 8), torch.rand(3, 8), torch.zeros(4).long(), torch.zeros(3).long())
VISIBLE, INFRARED = torch.tensor([0, 1, -1, 1]), torch.tensor([0, 0, -1])


def labels(**changes: Any) -> PseudoLabels:
    return PseudoLabels(**{"visible": VISIBLE, "infrared": INFRARED, **changes})


def test_right_labels_pass() -> None:
    partners = torch.tensor([0, -1]), torch.tensor([1])
    joint = torch.tensor([0, 1, 2, 6]), torch.tensor([5, 5, -1])
    check_labels(labels(), FEATURES, "mine")
    check_labels(labels(visible_to_infrared=partners[0]), FEATURES, "mine")
    check_labels(labels(extra={"partners": partners, "joint": joint}), FEATURES, "mine")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((VISIBLE, INFRARED), "label() of 'mine' returned tuple; return PseudoLabels"),
        (None, "returned NoneType"),
        (
            labels(visible=[0, 1, 2, 3]),
            "'visible' of label() of 'mine' must be an int64 tensor of shape [4], found list",
        ),
        (labels(visible=VISIBLE[:3]), "shape [4], found int64 of shape [3]"),
        (labels(visible=VISIBLE[None]), "found int64 of shape [1, 4]"),
        (labels(infrared=INFRARED.float()), "'infrared' of label() of 'mine' must be an int64 tensor"),
        (labels(infrared=torch.full((3,), float("nan"))), "found float32 of shape [3]"),
        (labels(infrared=INFRARED.int()), "found int32"),
        (labels(infrared=torch.tensor([0, 1, 3])), "must hold clusters from 0 to 2, or -1; found 0 to 3"),
        (labels(visible=VISIBLE - 1), "found -2 to 0"),
        (labels(extra={"joint": (VISIBLE, INFRARED[:2])}), "extra['joint'] of label() of 'mine' must be"),
        (labels(extra={"joint": VISIBLE}), "must be a pair of vectors"),
        (labels(extra=[1]), "must be a mapping"),
        (labels(extra={"partners": (torch.tensor([99]), torch.tensor([0]))}), "from 0 to 6"),
        (labels(visible_to_infrared=torch.tensor([0])), "shape [2], found int64 of shape [1]"),
        (labels(visible_to_infrared=torch.tensor([0, 1])), "from 0 to 0, or -1; found 0 to 1"),
    ],
)
def test_wrong_labels_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(UsageError) as found:
        check_labels(wrong, FEATURES, "mine")
    assert message in str(found.value)
