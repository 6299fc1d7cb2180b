"""Training on one data set and scoring on another: the training data, and which pairs are refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from usvi_bench.core.errors import UsageError, show
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.folder import FolderData
from usvi_bench.datasets.open import DataSource, find_any_data, find_data
from usvi_bench.engine.config import RunConfig

TRAINED_FOLD = 1
"""Fold of the training data that is trained on; its model is scored on every fold of the other data set."""


def find_training_data(
    spec: str, kind: str, progress: Callable[[str], None], option: str = "--train-data"
) -> DataSource:
    """Find the data set of an option, without reading its images.

    Args:
        spec: folder of a data set, folder or table of own images, or ``synthetic[:size=...,seed=...]``.
        kind: registered name of the data set that is scored; synthetic people have its layout, if there is one.
        progress: receives messages.
        option: the option, for messages.

    Raises:
        UsageError: there is no data set, or the text is ``auto``.
    """
    from usvi_bench.synthetic.cameras import Layout

    if spec == "auto":
        raise UsageError(f"{option} auto: name the data set")
    if spec.partition(":")[0] == "synthetic":
        return find_data(kind if kind in get_args(Layout) else "sysu", spec, progress=progress)
    return find_any_data(spec, option)


def check_transfer(trained: Dataset, tested: Dataset, config: RunConfig) -> None:
    """Refuse pairs of data sets in which test people were seen in training, and settings without a meaning.

    Raises:
        UsageError: names what both have, and the remedy.
    """
    if config.evaluate_every:
        raise UsageError("evaluate_every: a training for another data set is scored at its end only; leave it out")
    if TRAINED_FOLD not in trained.folds:
        raise UsageError(
            f"--train-data: {trained.name} has no fold {TRAINED_FOLD}, which is trained on; restore its lists"
        )
    if trained.fingerprint == tested.fingerprint:
        raise UsageError("--train-data and --data are the same images; leave out --train-data")
    if same_people(trained.synthetic, tested.synthetic):
        raise UsageError("--train-data and --data are synthetic people of one seed, the same people; give another seed")
    if isinstance(trained, FolderData) and isinstance(tested, FolderData):
        both = sorted(trained.train_people & tested.test_people)
        if both:
            raise UsageError(
                f"person {show(both[0])} of --data was seen in training with --train-data ({len(both)} in all); give "
                "different people different names, or remove them from one"
            )
    _check_files(trained, tested)


def same_people(first: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Return whether two data sets are synthetic people of one seed, by the notes of the generator."""
    if first is None or other is None:
        return False
    specs = [note.get("spec") for note in (first, other)]
    seeds = [spec.get("seed") if isinstance(spec, Mapping) else None for spec in specs]
    return seeds[0] == seeds[1]


def _check_files(trained: Dataset, tested: Dataset) -> None:
    """Refuse test images that are files of the training images, through whatever links."""
    seen = {place for table in tables_of(trained, [TRAINED_FOLD], "train") for place in places_of(table)}
    for table in tables_of(tested, tested.folds, "test"):
        for place in places_of(table):
            if place in seen:
                raise UsageError(f"{place} is a training image of --train-data and a test image of --data; give others")


def tables_of(dataset: Dataset, folds: Iterable[int], split: str) -> list[ImageTable]:
    """Return the tables of both modalities of a split (``train`` or ``test``) in some folds."""
    splits = [getattr(dataset, split)(fold) for fold in folds]
    return [getattr(each, modality) for each in splits for modality in MODALITIES]


def places_of(table: ImageTable) -> list[str]:
    """Return the path of each file of a table, through whatever links."""
    folders: dict[Path, str] = {}
    places = []
    for name in table.paths:
        file = table.root / name
        if file.parent not in folders:
            folders[file.parent] = os.path.realpath(file.parent)
        places.append(os.path.realpath(file) if file.is_symlink() else f"{folders[file.parent]}/{file.name}")
    return places
