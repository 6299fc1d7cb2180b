"""Paired batches: the same classes in both modalities, other draws unchanged."""

from __future__ import annotations

import pytest
import torch

from usvi_bench.components.augment import AugmentConfig
from usvi_bench.components.sampling import TooFewClustersError
from usvi_bench.core.types import Batch, PseudoLabels, StageProgress
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.images import BatchSampler, TrainingImages

CLASSES = torch.tensor([0, 0, 3, 3, 5, 5, 1, 1, -1, 9]), torch.tensor([5, 5, 3, 3, 3, 2, 1, 9, 9, -1, 0])
"""Classes of the visible and of the infrared images; no visible image has class 2."""


def sampler(clusters: int = 3, infrared_clusters: int = 5) -> BatchSampler:
    visible, infrared = (torch.zeros(len(part), 2, 2, 3, dtype=torch.uint8) for part in CLASSES)
    return BatchSampler(
        (
            TrainingImages("visible", visible, torch.arange(len(visible)) % 2),
            TrainingImages("infrared", infrared, torch.arange(len(infrared)) % 2),
        ),
        PseudoLabels(*(part.clamp(min=0) for part in CLASSES), extra={"matched": CLASSES}),
        (("plain", "channel"), ("infrared",)),
        TrainConfig(visible_clusters=clusters, infrared_clusters=infrared_clusters, instances=2),
        AugmentConfig(),
        StageProgress(0, 1, 0, 1, 0),
        torch.device("cpu"),
    )


def rows(batch: Batch) -> list[list[int]]:
    return [part.index.tolist() for part in (batch.visible, batch.infrared)]


def test_a_paired_batch_has_the_same_classes_in_both_modalities() -> None:
    draw, seen = sampler(), set()
    for _ in range(8):
        batch = draw("matched", paired=True)
        assert batch.visible.labels.tolist() == batch.infrared.labels.tolist()
        for part, classes in zip((batch.visible, batch.infrared), CLASSES, strict=True):
            assert torch.equal(classes[part.index], part.labels)
            assert part.labels.view(3, 2).unique(dim=1).shape == (3, 1)
        seen |= set(batch.visible.labels.tolist())
    assert seen == {0, 1, 3, 5, 9}


def test_further_images_follow_the_paired_ones() -> None:
    batch = sampler()("matched", extra=4, paired=True)
    assert [len(part.index) for part in (batch.visible, batch.infrared)] == [10, 10]
    assert batch.visible.labels[:6].tolist() == batch.infrared.labels[:6].tolist()


def test_a_paired_draw_leaves_other_draws_as_they_are() -> None:
    plain, both = sampler(), sampler()
    both("matched", paired=True)
    assert [rows(plain()) for _ in range(4)] == [rows(both()) for _ in range(4)]
    assert rows(plain("matched"))[0] != rows(both("matched", paired=True))[0]


def test_paired_draws_repeat() -> None:
    first, second = sampler(), sampler()
    assert [rows(first("matched", paired=True)) for _ in range(4)] == [
        rows(second("matched", paired=True)) for _ in range(4)
    ]


def test_too_few_classes_of_both_modalities_are_refused() -> None:
    with pytest.raises(TooFewClustersError, match="5 clusters in 10 visible images, but a batch draws 6"):
        sampler(6)("matched", paired=True)
