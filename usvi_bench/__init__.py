"""USVI-Bench: a comparative benchmark suite for unsupervised visible-infrared person re-identification.

>>> import usvi_bench
>>> record = usvi_bench.run("sclhm", "sysu_all", data="synthetic:size=tiny", schedule="quick")  # doctest: +SKIP
>>> record.means()["mAP"]  # doctest: +SKIP
"""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usvi_bench.core.host import home_folder, kernel_folder

if TYPE_CHECKING:
    from usvi_bench.api import cluster, embed, evaluate, export, open_data, run, search
    from usvi_bench.components.encoder.network import EmbeddingNetwork, EncoderConfig
    from usvi_bench.core.errors import UsageError
    from usvi_bench.core.record import Record, read_record
    from usvi_bench.core.registry import DATASETS, ENCODERS, LR_SCHEDULES, METHODS, PROTOCOLS, SCORE_METRICS
    from usvi_bench.engine.experiment import Experiment
    from usvi_bench.methods.base import Method, MethodConfig
    from usvi_bench.protocols.metrics import retrieval_metrics
    from usvi_bench.protocols.rules import rank_metrics

__version__ = "0.1.0"
_HOMES = {
    "usvi_bench.api": ("cluster", "embed", "evaluate", "export", "open_data", "run", "search"),
    "usvi_bench.components.encoder.network": ("EmbeddingNetwork", "EncoderConfig"),
    "usvi_bench.core.errors": ("UsageError",),
    "usvi_bench.core.record": ("Record", "read_record"),
    "usvi_bench.core.registry": ("DATASETS", "ENCODERS", "LR_SCHEDULES", "METHODS", "PROTOCOLS", "SCORE_METRICS"),
    "usvi_bench.engine.experiment": ("Experiment",),
    "usvi_bench.methods.base": ("Method", "MethodConfig"),
    "usvi_bench.protocols.metrics": ("retrieval_metrics",),
    "usvi_bench.protocols.rules": ("rank_metrics",),
}
"""Modules of the public names; each is imported on its first use, so that ``import usvi_bench`` is cheap."""
__all__ = [
    "DATASETS",
    "ENCODERS",
    "LR_SCHEDULES",
    "METHODS",
    "PROTOCOLS",
    "SCORE_METRICS",
    "EmbeddingNetwork",
    "EncoderConfig",
    "Experiment",
    "Method",
    "MethodConfig",
    "Record",
    "UsageError",
    "cluster",
    "embed",
    "evaluate",
    "export",
    "open_data",
    "rank_metrics",
    "read_record",
    "retrieval_metrics",
    "run",
    "search",
]


if "NUMBA_CACHE_DIR" not in os.environ:
    _installed = Path(__file__).with_name("_build.json").exists()  # pip does not remove compiled kernels
    if (_folder := kernel_folder(None if _installed else Path(__file__).resolve().parent.parent)) is not None:
        os.environ["NUMBA_CACHE_DIR"] = str(_folder)
if home_folder() is None:  # mmengine imports libraries that look for their caches in it
    os.environ.setdefault("XDG_CACHE_HOME", os.environ.get("USVI_CACHE") or tempfile.gettempdir())


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'usvi_bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
