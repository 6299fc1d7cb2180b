from __future__ import annotations

import pytest
import torch

from usvi_bench.components.joint_batches import JointBatches
from usvi_bench.components.sampling import TooFewClustersError
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Batch, Samples

NOBODY, SOMEBODY = torch.full((4,), -1), torch.tensor([-1, 0, 0, 1])
NONE = torch.zeros(0, dtype=torch.int64)
BATCH = Batch(*[Samples((), NONE, NONE)] * 2)


def test_batches_are_drawn_by_joint_labels_until_these_are_too_few() -> None:
    asked = []

    def draw(labels: str) -> Batch:
        asked.append(labels)
        if len(asked) == 3:
            raise TooFewClustersError("3 clusters, but a batch draws 8")
        return BATCH

    batches = JointBatches((SOMEBODY, SOMEBODY))
    assert [batches.next(draw) for _ in range(5)] == [BATCH, BATCH, None, None, None]
    assert asked == ["joint"] * 3


@pytest.mark.parametrize("labels", [(NOBODY, NOBODY), (SOMEBODY, NOBODY), (NOBODY, SOMEBODY)])
def test_without_clusters_in_a_modality_nothing_is_drawn(labels: tuple[torch.Tensor, torch.Tensor]) -> None:
    def draw(labels: str) -> Batch:
        raise AssertionError("nothing to draw")

    assert JointBatches(labels).next(draw) is None


def test_another_error_of_a_draw_is_raised() -> None:
    def draw(labels: str) -> Batch:
        raise UsageError("something else")

    batches = JointBatches((SOMEBODY, SOMEBODY))
    with pytest.raises(UsageError, match="something else"):
        batches.next(draw)
    assert batches.drawable


def test_another_pair_of_labels_and_options_reach_the_draw() -> None:
    asked = []

    def draw(labels: str, paired: bool = False) -> Batch:
        asked.append((labels, paired))
        return BATCH

    assert JointBatches((SOMEBODY, SOMEBODY), "matched", paired=True).next(draw) is BATCH
    assert asked == [("matched", True)]
