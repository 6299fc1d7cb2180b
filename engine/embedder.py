"""Embedder of pictures: a model, from weights or exported to ONNX, with the preparation of its images."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.components.encoder.weights import weights_as_bytes
from usvi_bench.core.distributed.group import select_device
from usvi_bench.core.environment import suite_version
from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.files import temporary_folder
from usvi_bench.core.host import cache_folder, cpu_count
from usvi_bench.core.plugins import import_plugins
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.cache import BLOCK, Filter, decoded
from usvi_bench.engine.config import EngineConfig
from usvi_bench.engine.device import set_up
from usvi_bench.engine.embedding_model import EmbeddingModel, open_model
from usvi_bench.engine.evaluation import FEATURE
from usvi_bench.engine.images import test_features
from usvi_bench.engine.load_config import build, nested
from usvi_bench.protocols.base import Protocol

BATCH = 64
"""Number of images in a forward pass."""
FILTER: Filter = Protocol.resize
"""Filter that resizes pictures, that of test images."""
_ALLOWED = {"encoder": None, "data": ("height", "width"), "engine": ("threads", "deterministic")}
"""Groups of settings, and the settings of each; None for all."""


@dataclass(frozen=True)
class ModelRequest:
    """Model that is asked for; see :func:`usvi_bench.api.embed` for the fields."""

    path: Path
    network: str | None = None
    fold: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    imports: Sequence[str] = ()


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
        root.mkdir(parents=True, exist_ok=True)
        found = []
        for start in range(0, len(table), BLOCK):
            with temporary_folder(root, "embed-") as folder:
                block = table.take(slice(start, start + BLOCK))
                pixels = decoded(block, *size, self.about["filter"], "", cache=folder)
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
        return test_features(self._encoder, pixels, modality, BATCH, self._device, mirror=True)


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
        "weights_sha256": hashlib.sha256(weights_as_bytes(model.encoder)).hexdigest(),
        **({} if model.training is None else {"training": model.training}),
        "version": suite_version(),
    }


def open_embedder(request: ModelRequest) -> Embedder:
    """Open the model that embeds: a weight file, a checkpoint, the folder of a run, or a model exported to ONNX.

    Raises:
        UsageError: the file or a setting is wrong.
    """
    from usvi_bench.engine.onnx_model import OnnxEmbedder, is_exported

    if is_exported(request.path):
        if request.settings or request.network or request.fold is not None:
            raise UsageError(
                f"--model {request.path}: an exported model has no settings, network or fold; leave them out"
            )
        return OnnxEmbedder(request.path, cpu_count())
    device, tree = prepare_device(request)
    model = open_model(request.path, settings=tree, network=request.network, fold=request.fold)
    return WeightsEmbedder(model, device)


def prepare_device(request: ModelRequest) -> tuple[torch.device, dict[str, Any]]:
    """Import plug-ins, check the settings, and set up the device; return it and the settings.

    Raises:
        UsageError: a setting is unknown, or there is no such device.
    """
    import_plugins(request.imports)
    tree = nested(request.settings)
    for group, values in tree.items():
        if group not in _ALLOWED or not isinstance(values, Mapping):
            raise UsageError(f"--set {show(group)}: no such group of settings: {did_you_mean(group, _ALLOWED)}")
        if (known := _ALLOWED[group]) is not None and (odd := sorted(values.keys() - {*known})):
            raise UsageError(f"--set {group}.{show(odd[0])}: no such setting: {did_you_mean(odd[0], known)}")
    engine = build(EngineConfig, tree.pop("engine", {}), "engine")
    device = select_device(request.device)
    set_up(device, engine.deterministic)
    torch.set_num_threads(engine.threads or cpu_count())
    return device, tree
