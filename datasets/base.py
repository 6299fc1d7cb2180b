"""What a reader hands out: tables of images, split into training and test, visible and infrared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.types import Modality


@dataclass(frozen=True, slots=True)
class ImageTable:
    """Images of one modality of one split, sorted by path.

    Attributes:
        modality: which stem of the encoder reads them.
        root: folder that ``paths`` are relative to.
        paths: posix paths relative to ``root``, one an image.
        identities: ``[N]`` int64. For evaluation and diagnosis; training never receives them.
        cameras: ``[N]`` int64 camera numbers as the data set writes them.
    """

    modality: Modality
    root: Path
    paths: tuple[str, ...]
    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, slots=True)
class Split:
    """The two modalities of a training or a test set."""

    visible: ImageTable
    infrared: ImageTable


class Dataset(ABC):
    """A data set on disk in its published layout.

    Attributes:
        name: registered name (``sysu``, ``regdb``).
        root: folder of the tree.
        folds: numbers of the training/test splits; ``(1,)`` where there is only one.
        fingerprint: hash of the content, which keys trainings and is written into every record.
        synthetic: generator version, size, seed and knobs if the tree was generated, else None.
    """

    name: str
    root: Path
    folds: tuple[int, ...]
    fingerprint: str
    synthetic: dict[str, object] | None

    @property
    def knobs(self) -> dict[str, float]:
        """Knobs of the generator that are off their defaults, by name; empty for real images."""
        from usvi_bench.synthetic import changed_knobs  # here, because a real data set does not need the generator

        spec = (self.synthetic or {}).get("spec")
        return changed_knobs(spec) if isinstance(spec, dict) else {}

    @abstractmethod
    def train(self, fold: int = 1) -> Split:
        """The images of a fold that a method may learn from."""

    @abstractmethod
    def test(self, fold: int = 1) -> Split:
        """The images of a fold that a protocol scores on."""
