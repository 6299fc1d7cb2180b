"""Interface of data sets: tables of images by split (training, test) and modality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.types import Modality
from usvi_bench.datasets.corruption import Corruption


@dataclass(frozen=True, slots=True)
class ImageTable:
    """Image table of one modality of one split, sorted by path.

    Attributes:
        modality: modality of all images.
        root: folder that ``paths`` are relative to.
        paths: posix path of each image, relative to ``root``.
        identities: ``[N]`` int64, for evaluation and diagnosis only; training never receives them.
        cameras: ``[N]`` int64 camera numbers of the data set.
        corruption: corruption of the images, in protocols of corrupted images; None for the images as they are.
        boxes: ``[N, 4]`` int32 left, top, right and bottom of the person in the upright image; -1 for the whole image.
            None if all images are whole.
    """

    modality: Modality
    root: Path
    paths: tuple[str, ...]
    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]
    corruption: Corruption | None = None
    boxes: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images, each once: paths, followed by the box if there are boxes."""
        if self.boxes is None:
            return self.paths
        return tuple(f"{path}\t{box}" for path, box in zip(self.paths, self.boxes.tolist(), strict=True))

    def box(self, row: int) -> tuple[int, ...] | None:
        """Return the box of an image; None for a whole image."""
        return box_of(self.boxes, row)

    def take(self, rows: slice | NDArray[np.int64]) -> ImageTable:
        """Return the table of some rows, in their order."""
        paths = tuple(self.paths[row] for row in np.arange(len(self))[rows].tolist())
        boxes = None if self.boxes is None else self.boxes[rows]
        return replace(self, paths=paths, identities=self.identities[rows], cameras=self.cameras[rows], boxes=boxes)


def box_of(boxes: NDArray[np.int32] | None, row: int) -> tuple[int, ...] | None:
    """Return a row of :attr:`ImageTable.boxes`; None for a whole image."""
    return None if boxes is None or boxes[row, 0] < 0 else tuple(boxes[row].tolist())


@dataclass(frozen=True, slots=True)
class Split:
    """Split: the visible and the infrared images of a training or test set."""

    visible: ImageTable
    infrared: ImageTable


class Dataset(ABC):
    """Data set on disk in its published layout.

    Attributes:
        name: registered name (``sysu``, ``regdb``, ``llcm``, ``folder``).
        root: folder of the tree.
        labels_restart: whether equal identities of different lists are different people.
        published_folds: numbers of the folds of the published data set.
        folds: numbers of the training/test splits of this tree; ``(1,)`` for a single split.
        fingerprint: hash of the content; part of the key of every training and of every record.
        synthetic: content of ``synthetic.json`` (generator version, specification) for a generated tree, else None.
    """

    name: ClassVar[str]
    labels_restart: ClassVar[bool] = False
    published_folds: ClassVar[tuple[int, ...]] = (1,)
    root: Path
    folds: tuple[int, ...]
    fingerprint: str
    synthetic: dict[str, object] | None

    @property
    def knobs(self) -> dict[str, float]:
        """Knobs of the generator that differ from their defaults, by name; empty for real images."""
        from usvi_bench.synthetic import changed_knobs  # imported here: real data sets do not need the generator

        spec = (self.synthetic or {}).get("spec")
        return changed_knobs(spec) if isinstance(spec, dict) else {}

    @abstractmethod
    def train(self, fold: int = 1) -> Split:
        """Return the training images of a fold."""

    @abstractmethod
    def test(self, fold: int = 1) -> Split:
        """Return the test images of a fold, which a protocol scores."""
