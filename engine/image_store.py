"""Decoded images of a run: for training, for clustering and for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.cache import Filter, cache_path, decoded
from usvi_bench.datasets.corruption import Corruption
from usvi_bench.engine.config import DataConfig
from usvi_bench.engine.images import TrainingImages, fits


@dataclass
class ImageStore:
    """Store of the decoded images of a data set; each table is decoded once.

    Attributes:
        dataset: source of the images.
        config: size of the images, and filter that resizes training images.
        test_filter: filter that resizes test images.
        device: device that holds the training images, if they fit.
        progress: receives a message if decoded images of an earlier run are damaged.
    """

    dataset: Dataset
    config: DataConfig
    test_filter: Filter
    device: torch.device
    progress: Callable[[str], None] | None = None
    _pixels: dict[tuple[tuple[str, ...], Filter, Corruption | None], NDArray[np.uint8]] = field(default_factory=dict)

    def pixels(self, table: ImageTable, *, test: bool) -> NDArray[np.uint8]:
        """Return the images of a table, ``[N, H, W, 3]``, resized for training or for a test."""
        resize = self.test_filter if test else self.config.filter
        key = (table.names, resize, table.corruption)
        if key not in self._pixels:
            self._pixels[key] = decoded(
                table,
                self.config.height,
                self.config.width,
                resize,
                self.dataset.fingerprint,
                progress=self.progress,
                depth_range=self.config.depth_range,
            )
        return self._pixels[key]

    def training_images(self, table: ImageTable, order: NDArray[np.int64]) -> TrainingImages:
        """Return the pixels and cameras of a table, without identities, for training.

        Args:
            table: the images.
            order: ``[N]`` rows of the table, in the order in which a method receives them.
        """
        pixels = torch.from_numpy(self.pixels(table, test=False)[order])
        if fits(pixels, self.device):
            pixels = pixels.to(self.device)
        return TrainingImages(table.modality, pixels, torch.from_numpy(table.cameras[order]))

    def decode(self, fold: int, *, test: bool) -> None:
        """Decode every training or test image of a fold, so that a damaged image stops the run before training."""
        for table in self._tables(fold, test):
            self.pixels(table, test=test)

    def count(self, folds: Iterable[int], *, test: bool) -> tuple[int, int]:
        """Count the training or test images of folds, and those of them that no earlier run has decoded."""
        config, mark, found = self.config, self.dataset.fingerprint, {}
        resize = self.test_filter if test else config.filter
        for fold in folds:
            for table in self._tables(fold, test):
                path = cache_path(table, config.height, config.width, resize, mark, depth_range=config.depth_range)
                found[path] = len(table)
        return sum(found.values()), sum(number for path, number in found.items() if not path.exists())

    def _tables(self, fold: int, test: bool) -> tuple[ImageTable, ImageTable]:
        split = self.dataset.test(fold) if test else self.dataset.train(fold)
        return split.visible, split.infrared
