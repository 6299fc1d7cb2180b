"""Opening of the model that embeds pictures, and set-up of its device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from usvi_bench.core.distributed.group import select_device
from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.host import cpu_count
from usvi_bench.core.plugins import import_plugins
from usvi_bench.engine.config import EngineConfig
from usvi_bench.engine.device import set_up
from usvi_bench.engine.embedder import Embedder, WeightsEmbedder
from usvi_bench.engine.embedding_model import open_model
from usvi_bench.engine.load_config import build, nested
from usvi_bench.engine.onnx_model import OnnxEmbedder, is_exported

_ALLOWED = {"encoder": None, "data": ("height", "width", "depth_range"), "engine": ("threads", "deterministic")}
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


def open_embedder(request: ModelRequest) -> Embedder:
    """Open the model that embeds: a weight file, a checkpoint, the folder of a run, or a model exported to ONNX.

    Raises:
        UsageError: the file or a setting is wrong.
    """
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
