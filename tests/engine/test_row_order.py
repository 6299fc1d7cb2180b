"""The order of the training rows carries no information about identities.

Each predictor guesses identities from row numbers alone. Its agreement with the true identities must lie in the band
of agreements that random permutations of the identities give. On rows in path order the same predictors succeed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from usvi_bench.components.augment import AugmentConfig
from usvi_bench.core.types import PseudoLabels, StageProgress
from usvi_bench.datasets.base import Split
from usvi_bench.datasets.open import open_dataset
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.images import BatchSampler, TrainingImages
from usvi_bench.engine.stages import row_orders, true_identities

Rows = NDArray[np.int64]
LAYOUTS = ("sysu", "regdb", "llcm")
MODALITIES = ("visible", "infrared")
SEEDS = range(8)
CPU = torch.device("cpu")


def equal_blocks(cameras: Rows, people: int) -> Rows:
    return np.arange(len(cameras)) * people // len(cameras)


def modulo(cameras: Rows, people: int) -> Rows:
    return np.arange(len(cameras)) % people


def neighbouring_row(cameras: Rows, people: int) -> Rows:
    return np.arange(len(cameras)) // 2


def rank_of_the_path(cameras: Rows, people: int) -> Rows:
    """Take the position among the rows of a camera for the rank of the path: each camera holds people in order."""
    ranks = np.empty(len(cameras), np.int64)
    for camera in np.unique(cameras):
        rows = np.flatnonzero(cameras == camera)
        ranks[rows] = np.arange(len(rows)) * people // len(rows)
    return ranks


def index_of_the_batch(cameras: Rows, people: int) -> Rows:
    """Give the images of a batch one identity; the batches are drawn without labels."""
    count = len(cameras)
    images = TrainingImages("visible", torch.zeros(count, 2, 2, 3, dtype=torch.uint8), torch.from_numpy(cameras))
    labels = PseudoLabels(visible=torch.zeros(count).long(), infrared=torch.zeros(count).long())
    train = TrainConfig(visible_clusters=1, infrared_clusters=1, instances=4)
    progress = StageProgress(0, 1, 0, 1, 0)
    draw = BatchSampler((images, images), labels, (("plain",), ("plain",)), train, AugmentConfig(), progress, CPU)
    guess = np.zeros(count, np.int64)
    for batch in range(count // 4):
        guess[draw().visible.index.numpy()] = batch
    return guess


PREDICTORS: tuple[Callable[[Rows, int], Rows], ...] = (
    equal_blocks,
    modulo,
    neighbouring_row,
    rank_of_the_path,
    index_of_the_batch,
)


def training_split(layout: str, folders: dict[str, Path]) -> Split:
    dataset, _ = open_dataset(layout, str(folders[layout]))
    return dataset.train(1)


def in_order(split: Split, seed: int | None) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """Return cameras and identities by modality, in the order of a seed, or in path order."""
    orders = (np.arange(len(split.visible)), np.arange(len(split.infrared)))
    if seed is not None:
        orders = row_orders(split, seed, 1, "data")
    labels = true_identities(split, orders, CPU)
    tables = dict(zip(MODALITIES, (split.visible, split.infrared), strict=True))
    cameras = {name: tables[name].cameras[order] for name, order in zip(MODALITIES, orders, strict=True)}
    return cameras, {"visible": labels.visible.numpy(), "infrared": labels.infrared.numpy()}


@pytest.mark.parametrize("predictor", PREDICTORS, ids=lambda predictor: str(predictor.__name__))
@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_row_numbers_predict_no_identities(
    layout: str, modality: str, predictor: Callable[[Rows, int], Rows], tiny_people: dict[str, Path]
) -> None:
    split = training_split(layout, tiny_people)
    generator = np.random.default_rng(0)
    scores, band = [], []
    for seed in SEEDS:
        cameras, identities = in_order(split, seed)
        guess = predictor(cameras[modality], len(np.unique(identities[modality])))
        scores.append(adjusted_rand_score(identities[modality], guess))
        band.append([adjusted_rand_score(generator.permutation(identities[modality]), guess) for _ in range(50)])
    means = np.mean(band, axis=0)
    assert abs(np.mean(scores) - means.mean()) < 4 * means.std()


@pytest.mark.parametrize(
    ("layout", "predictor"),
    [
        ("regdb", equal_blocks),
        ("regdb", neighbouring_row),
        ("sysu", rank_of_the_path),
        ("sysu", neighbouring_row),
        ("llcm", equal_blocks),
    ],
)
def test_rows_in_path_order_would_predict_them(
    layout: str, predictor: Callable[[Rows, int], Rows], tiny_people: dict[str, Path]
) -> None:
    cameras, identities = in_order(training_split(layout, tiny_people), None)
    guess = predictor(cameras["infrared"], len(np.unique(identities["infrared"])))
    chance = [adjusted_rand_score(np.random.default_rng(n).permutation(guess), guess) for n in range(50)]
    assert adjusted_rand_score(identities["infrared"], guess) > 10 * np.std(chance)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_rows_of_both_modalities_show_different_people(layout: str, tiny_people: dict[str, Path]) -> None:
    split = training_split(layout, tiny_people)
    generator = np.random.default_rng(0)

    def agreement(visible: Rows, infrared: Rows) -> float:
        position = np.arange(len(infrared)) * len(visible) // len(infrared)
        return float(np.mean(visible[position] == infrared))

    scores, band = [], []
    for seed in SEEDS:
        _, people = in_order(split, seed)
        scores.append(agreement(people["visible"], people["infrared"]))
        band.append([agreement(generator.permutation(people["visible"]), people["infrared"]) for _ in range(50)])
    means = np.mean(band, axis=0)
    assert abs(np.mean(scores) - means.mean()) < 4 * means.std()


def test_the_order_depends_on_seed_fold_and_data(tiny_people: dict[str, Path]) -> None:
    split = training_split("regdb", tiny_people)
    first, again = row_orders(split, 3, 1, "data"), row_orders(split, 3, 1, "data")
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    for key in ((4, 1, "data"), (3, 2, "data"), (3, 1, "other")):
        assert not any(np.array_equal(one, two) for one, two in zip(first, row_orders(split, *key), strict=True))
    assert all(np.array_equal(np.sort(order), np.arange(len(order))) for order in first)
