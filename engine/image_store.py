"""Decoded images of a run: for training, for clustering and for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.datasets.base import Dataset, ImageTable, Split
from usvi_bench.datasets.cache import Filter, cache_path, decoded
from usvi_bench.datasets.corruption import Corruption
from usvi_bench.datasets.unpaired import UnpairedTable
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
    _pixels: dict[tuple[tuple[str, ...], Filter, Corruption | None, str], NDArray[np.uint8]] = field(
        default_factory=dict
    )

    def pixels(self, table: ImageTable, *, test: bool, fingerprint: str | None = None) -> NDArray[np.uint8]:
        """Return the images of a table, ``[N, H, W, 3]``, resized for training or for a test.

        Args:
            table: the images.
            test: whether they are test images.
            fingerprint: content hash of their data set, if it is another one.
        """
        resize = self.test_filter if test else self.config.filter
        mark = fingerprint or self.dataset.fingerprint
        key = (table.names, resize, table.corruption, mark)
        if key not in self._pixels:
            self._pixels[key] = decoded(
                table,
                self.config.height,
                self.config.width,
                resize,
                mark,
                progress=self.progress,
                depth_range=self.config.depth_range,
                part="test" if test else "training",
            )
        return self._pixels[key]

    def training_images(self, table: ImageTable, order: NDArray[np.int64]) -> TrainingImages:
        """Return the pixels and cameras of a table, without identities, for training.

        Args:
            table: the images.
            order: ``[N]`` rows of the table, in the order in which a method receives them.
        """
        pixels = torch.from_numpy(self._ordered(table, order))
        if fits(pixels, self.device):
            pixels = pixels.to(self.device)
        return TrainingImages(table.modality, pixels, torch.from_numpy(table.cameras[order]))

    def decode(self, split: Split, *, test: bool) -> None:
        """Decode every image of a split, so that a damaged image stops the run before training."""
        for table, fingerprint in self._sources(split):
            self.pixels(table, test=test, fingerprint=fingerprint)

    def count(self, splits: Iterable[Split], *, test: bool) -> tuple[int, int]:
        """Count the images of splits, and those of them that no earlier run has decoded."""
        config, found = self.config, {}
        resize = self.test_filter if test else config.filter
        for split in splits:
            for table, mark in self._sources(split):
                path = cache_path(table, config.height, config.width, resize, mark, depth_range=config.depth_range)
                found[path] = len(table)
        return sum(found.values()), sum(number for path, number in found.items() if not path.exists())

    def _ordered(self, table: ImageTable, order: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return a copy of the images of a table in another order."""
        if not isinstance(table, UnpairedTable):
            return self.pixels(table, test=False)[order]
        pixels = self.pixels(table.own, test=False)[order]
        donors = self.pixels(table.donors, test=False, fingerprint=table.donor_fingerprint)
        pixels[np.argsort(order)[table.rows]] = donors[table.picks]
        return pixels

    def _sources(self, split: Split) -> list[tuple[ImageTable, str]]:
        """Return the tables of a split whose images are decoded, each with the content hash of its data set."""
        found = []
        for table in (split.visible, split.infrared):
            if isinstance(table, UnpairedTable):
                found += [(table.own, self.dataset.fingerprint), (table.donors, table.donor_fingerprint)]
            else:
                found.append((table, self.dataset.fingerprint))
        return found
