"""A method cannot change what the engine keeps, and its draws from global generators repeat."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import usvi_bench
from usvi_bench.components.augment import AugmentConfig
from usvi_bench.core.errors import UsageError
from usvi_bench.core.journal import Journal
from usvi_bench.core.missing_parts import missing_parts
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import Features, NextBatch, Optimise, PseudoLabels, StageProgress
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.images import BatchSampler, TrainingImages
from usvi_bench.methods.base import Method
from usvi_bench.methods.cluster_contrast import ClusterContrast

SETTINGS = {
    "train.epochs": 2,
    "train.iterations": 2,
    "train.visible_clusters": 2,
    "train.infrared_clusters": 2,
    "train.instances": 2,
    "method.k1": 6,
    "encoder.width": 8,
    "data.height": 32,
    "data.width": 16,
}


def train(cls: type[Method], people: Path, output: Path) -> list[dict[str, Any]]:
    """Train a method, and return the lines of its journal without times and memory."""
    METHODS.register("isolated")(cls)
    try:
        usvi_bench.run(
            "isolated",
            "sysu_indoor",
            people,
            settings=SETTINGS,
            weights="random",
            output=output,
            device="cpu",
            verbose=False,
        )
    finally:
        METHODS.forget("isolated")
    (path,) = output.glob("sysu_indoor/*/journal.jsonl")
    lines = Journal(path).read()
    return [
        {name: line[name] for name in ("losses", "quality", "clusters", "outliers", "updates") if name in line}
        for line in lines
    ]


class Plain(ClusterContrast):
    """Method that draws from global generators, as a library may do."""

    def step(self, next_batch: NextBatch, progress: StageProgress, optimise: Optimise) -> None:
        for _ in range(1 + progress.epoch):
            super().step(next_batch, progress, optimise)

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        labels = super().label(features, progress)
        drawn = (np.random.randint(2), random.randrange(2), int(torch.randint(2, ())))
        labels.visible[: 3 * drawn[0]] = labels.infrared[: 3 * drawn[1]] = -1
        labels.visible[-3 * drawn[2] - 1 :] = -1
        return labels


class Writing(Plain):
    """The same method, which also writes into everything that it receives or has returned."""

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        labels = super().label(features, progress)
        features.visible_cameras.fill_(0)
        features.infrared_cameras.fill_(0)
        self.returned = labels
        return labels

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        super().begin_epoch(features, labels, progress)
        for own in (self.returned, labels):
            own.visible.fill_(-1)
            own.infrared.fill_(0)


def test_a_method_cannot_change_what_the_engine_keeps(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    expected = train(Plain, tiny_people["sysu"], tmp_path / "plain")
    assert [line["updates"] for line in expected] == [2, 4], "optimiser steps are counted, not iterations"
    np.random.seed(5)
    random.seed(5)
    states = np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[union-attr, index]
    assert train(Writing, tiny_people["sysu"], tmp_path / "writing") == expected
    assert (np.random.get_state()[1].tolist(), random.getstate()) == states  # type: ignore[union-attr, index]


def test_batches_are_not_drawn_by_labels_of_clusters() -> None:
    images = tuple(
        TrainingImages(modality, torch.zeros(6, 2, 2, 3, dtype=torch.uint8), torch.zeros(6).long())
        for modality in ("visible", "infrared")
    )
    pair = (torch.arange(3), torch.arange(3))
    labels = PseudoLabels(torch.arange(6), torch.arange(6), extra={"partners": pair})
    draw = BatchSampler(
        images,  # type: ignore[arg-type]
        labels,
        (("plain",), ("infrared",)),
        TrainConfig(visible_clusters=2, infrared_clusters=2, instances=2),
        AugmentConfig(),
        StageProgress(0, 1, 0, 1, 0),
        torch.device("cpu"),
    )
    draw()
    with pytest.raises(UsageError, match=r"draw\('partners'\) of the method: 3 labels for 6 visible images"):
        draw("partners")


def test_a_method_without_views_is_incomplete() -> None:
    class Blind(ClusterContrast):
        summary = "x"
        infrared_views = ()

    assert missing_parts(Blind, "blind", Method) == [
        "its attribute 'infrared_views' is empty, name one view at least: channel, infrared, plain"
    ]
