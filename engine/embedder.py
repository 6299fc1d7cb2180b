"""Embedder of pictures: a model, from weights or exported to ONNX, with the preparation of its images."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.components.encoder.weights import weights_as_bytes
from usvi_bench.core.environment import suite_version
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import temporary_folder
from usvi_bench.core.host import cache_folder
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.cache import BLOCK, Filter, decoded
from usvi_bench.datasets.grey_depth import EACH_IMAGE
from usvi_bench.engine.embedding_model import EmbeddingModel
from usvi_bench.engine.evaluation import FEATURE
from usvi_bench.engine.images import retrieval_features
from usvi_bench.protocols.base import Protocol

BATCH = 64
"""Number of images in a forward pass."""
FILTER: Filter = Protocol.resize
"""Filter that resizes pictures, that of test images."""


class Embedder(ABC):
    """Embedder of pictures of one size.

    Attributes:
        description: sentence about the model.
        source: name of the model's file, for messages.
        about: description of its features, as in the ``about`` of a features file.
    """

    description: str
    source: str
    about: dict[str, Any]

    @abstractmethod
    def embed(self, pixels: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        """Compute the unit features ``[N, D]`` of pictures ``[N, H, W, 3]``."""

    def embed_table(self, table: ImageTable) -> NDArray[np.float32]:
        """Decode the pictures of a table in blocks, and compute their features. No decoded picture is kept.

        Raises:
            UsageError: a picture cannot be decoded, or the model gives no unit features.
        """
        root, size = cache_folder(), (self.about["height"], self.about["width"])
        depth_range = self.about.get("depth_range", EACH_IMAGE)
        root.mkdir(parents=True, exist_ok=True)
        found = []
        for start in range(0, len(table), BLOCK):
            with temporary_folder(root, "embed-") as folder:
                block = table.take(slice(start, start + BLOCK))
                pixels = decoded(block, *size, self.about["filter"], "", cache=folder, depth_range=depth_range)
                found.append(self._checked(pixels, table.modality))
        return np.concatenate(found)

    def _checked(self, pixels: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        features = self.embed(pixels, modality)
        lengths = np.sqrt(np.einsum("nd,nd->n", features, features, dtype=np.float64))
        if not (np.abs(lengths - 1) < 1e-3).all():
            raise UsageError(f"{self.source}: some features are NaN or not of length 1; use weights that are trained")
        return features


class WeightsEmbedder(Embedder):
    """Embedder with the weights of a file or a run, on a device."""

    def __init__(self, model: EmbeddingModel, device: torch.device) -> None:
        self.description, self.source = model.description, model.source
        self.about = describe(model)
        self._encoder, self._device = model.encoder.to(device), device

    def embed(self, pixels: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        return retrieval_features(self._encoder, pixels, modality, BATCH, self._device, mirror=True, order=None)


def describe(model: EmbeddingModel) -> dict[str, Any]:
    """Describe the features of a model, as in the ``about`` of a features file.

    The hash of the weights is that of their names and values, so that it does not depend on the file that holds them.
    """
    return {
        "schema": 1,
        "feature": FEATURE,
        "similarity": "dot",
        "encoder": asdict(model.config),
        "height": model.height,
        "width": model.width,
        "filter": FILTER,
        **({} if model.depth_range == EACH_IMAGE else {"depth_range": model.depth_range}),
        "weights_sha256": hashlib.sha256(weights_as_bytes(model.encoder)).hexdigest(),
        **({} if model.training is None else {"training": model.training}),
        "version": suite_version(),
    }
