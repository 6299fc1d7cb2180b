"""Scoring the models of a training under a protocol, without touching any random state that training draws from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from components.encoder import TwoStreamEncoder
from datasets.base import Dataset, ImageTable
from datasets.cache import Filter, decoded
from engine.config import RunConfig
from engine.images import test_features
from protocols.base import Evaluation, Protocol

FEATURE = "bn+flip"
"""The test feature: output of the batch-norm neck, mean of the unit features of image and mirror."""


class Embedder:
    """Test features of one encoder whose weights no longer change; each table is embedded once."""

    def __init__(self, scorer: Scorer, model: TwoStreamEncoder) -> None:
        self._scorer, self._model = scorer, model
        self._features: dict[tuple[str, ...], NDArray[np.float32]] = {}

    def __call__(self, table: ImageTable) -> NDArray[np.float32]:
        """Unit features ``[N, D]`` of a table's images."""
        if table.paths not in self._features:
            pixels, batch = self._scorer.pixels(table, test=True), self._scorer.config.train.embed_batch
            precision, self._model.precision = self._model.precision, None  # scores are float32, whatever training is
            features = test_features(self._model, pixels, table.modality, batch, self._scorer.device)
            self._model.precision = precision
            self._features[table.paths] = features
        return self._features[table.paths]


@dataclass
class Scorer:
    """Scores encoders on one data set; decoded images are shared between calls."""

    protocol: Protocol
    dataset: Dataset
    config: RunConfig
    device: torch.device
    _pixels: dict[tuple[tuple[str, ...], Filter], NDArray[np.uint8]] = field(default_factory=dict)

    def embedder(self, model: TwoStreamEncoder) -> Embedder:
        """Test features of an encoder."""
        return Embedder(self, model)

    def evaluate(self, embed: Embedder, fold: int, trained_on: int) -> Evaluation:
        """Scores of one encoder on one fold."""
        return self.protocol.evaluate(embed, self.dataset, fold, trained_on)

    def pixels(self, table: ImageTable, *, test: bool) -> NDArray[np.uint8]:
        """Decoded images ``[N, H, W, 3]`` of a table, resized as the run trains or as the protocol tests on them."""
        data = self.config.data
        resize = self.protocol.resize if test else data.filter
        if (table.paths, resize) not in self._pixels:
            pixels = decoded(table, data.height, data.width, resize, self.dataset.fingerprint)
            self._pixels[table.paths, resize] = pixels
        return self._pixels[table.paths, resize]

    def entries(self, name: str, evaluation: Evaluation, selection: str) -> list[dict[str, Any]]:
        """An evaluation as score entries of a record."""
        kind = {"model": name, "selection": selection, "feature": FEATURE, **self.protocol.kind()}
        return [{**kind, "fold": s.fold, "trial": s.trial, **s.metrics} for s in evaluation.scores]


def mean_metrics(entries: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, float]:
    """Mean of each metric over entries."""
    return {name: float(np.mean([entry[name] for entry in entries])) for name in names}
