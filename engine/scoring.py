"""Scoring the models of a training under a protocol, without touching any random state that training draws from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from components.encoder import TwoStreamEncoder
from datasets.base import Dataset, ImageTable
from datasets.cache import decoded
from engine.config import RunConfig
from engine.images import test_features
from protocols.base import Evaluation, Protocol

FEATURE = "bn+flip"
"""The test feature: output of the batch-norm neck, mean of the unit features of image and mirror."""


@dataclass
class Scorer:
    """Scores encoders on one data set; decoded test images are shared between calls."""

    protocol: Protocol
    dataset: Dataset
    config: RunConfig
    device: torch.device
    _pixels: dict[tuple[str, ...], NDArray[np.uint8]] = field(default_factory=dict)

    def evaluate(self, model: TwoStreamEncoder, fold: int, trained_on: int) -> Evaluation:
        """Scores of one encoder on one fold."""
        return self.protocol.evaluate(lambda table: self.embed(model, table), self.dataset, fold, trained_on)

    def embed(self, model: TwoStreamEncoder, table: ImageTable) -> NDArray[np.float32]:
        """Unit test features of a table's images."""
        pixels, batch = self.pixels(table), self.config.train.embed_batch
        return test_features(model, pixels, table.modality, batch, self.device)

    def pixels(self, table: ImageTable) -> NDArray[np.uint8]:
        """Decoded images ``[N, H, W, 3]`` of a table."""
        if table.paths not in self._pixels:
            data = self.config.data
            self._pixels[table.paths] = decoded(table, data.height, data.width, data.filter, self.dataset.fingerprint)
        return self._pixels[table.paths]

    def entries(self, name: str, evaluation: Evaluation, selection: str) -> list[dict[str, Any]]:
        """An evaluation as score entries of a record."""
        kind = {"model": name, "selection": selection, "feature": FEATURE, **self.protocol.kind()}
        return [{**kind, "fold": s.fold, "trial": s.trial, **s.metrics} for s in evaluation.scores]


def mean_metrics(entries: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, float]:
    """Mean of each metric over entries."""
    return {name: float(np.mean([entry[name] for entry in entries])) for name in names}
