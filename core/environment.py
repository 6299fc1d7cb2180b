"""Where a run took place: written beside a result, never part of it."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from usvi_bench.core.distributed.collectives import world_size
from usvi_bench.core.revision import Revision, find_revision

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "faiss-cpu", "faiss-gpu", "numba", "pillow", "mmengine")


def environment_info(device: torch.device) -> dict[str, Any]:
    """Versions, processor and threads of this process, and how many of its kind train together."""
    return {
        "cpu": _cpu(),
        "environment": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            **{name: version for name in PACKAGES if (version := _version(name))},
        },
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "processes": world_size(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def stage_provenance(device: torch.device) -> dict[str, Any]:
    """Where, when and with which code a stage was started or resumed."""
    revision, dirty = commit()
    return {"commit": revision, "dirty": dirty, "started": now(), **environment_info(device)}


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> Revision:
    """Return the commit of this code, and whether files differ from it; ``(None, True)`` where neither is known."""
    return find_revision()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
