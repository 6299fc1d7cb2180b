"""Environment of a run: versions, hardware and commit. It is recorded beside a result and is not part of it."""

from __future__ import annotations

import platform
import re
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from usvi_bench.core.distributed.collectives import world_size
from usvi_bench.core.revision import Revision, find_revision

FAISS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12", "faiss-gpu-cuvs")
CORRUPTIONS = ("imagecorruptions-imaug", "scikit-image", "opencv-python")
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", *FAISS, "numba", "pillow", "mmengine", *CORRUPTIONS)
_CPU = Path("/proc/cpuinfo")
"""Linux: description of each processor."""
_DRIVER = Path("/proc/driver/nvidia/version")
"""Linux: version of the NVIDIA driver."""


def environment_info(device: torch.device) -> dict[str, Any]:
    """Return the versions, the processor and the threads of this process, and the number of training processes."""
    return {
        "cpu": _cpu(),
        "environment": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            **{name: version for name in PACKAGES if (version := _version(name))},
            **(gpu_versions() if device.type == "cuda" else {}),
        },
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "processes": world_size(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def gpu_versions() -> dict[str, str]:
    """Return the versions of CUDA and cuDNN that torch was built with, and of the driver; without unknown ones."""
    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None
    found = {"cuda": torch.version.cuda, "cudnn": cudnn, "driver": _driver()}
    return {name: str(version) for name, version in found.items() if version is not None}


def stage_provenance(device: torch.device) -> dict[str, Any]:
    """Return the environment, time and commit with which a stage starts or resumes."""
    revision, dirty = commit()
    return {"commit": revision, "dirty": dirty, "started": now(), **environment_info(device)}


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> Revision:
    """Return the commit of this code, and whether files differ from it; ``(None, True)`` if the commit is unknown."""
    return find_revision()


def suite_version() -> str:
    """Return the version of this suite."""
    return str(vars(sys.modules[__name__.partition(".")[0]])["__version__"])  # the package itself is always imported


def _cpu() -> str:
    """Return the name of the processor, its generation and the vector instructions that torch uses.

    A name such as "AMD EPYC" is shared by generations with other instructions, whose results differ in last digits.
    """
    vectors = torch.backends.cpu.get_cpu_capability()
    if _CPU.exists():
        first = _CPU.read_text().partition("\n\n")[0]
        found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
        if name := found.get("model name"):
            generation = [
                f"{part.removeprefix('cpu ')} {found[part]}" for part in ("cpu family", "model") if part in found
            ]
            return f"{name} ({', '.join([*generation, vectors])})"
    return f"{platform.processor() or platform.machine()} ({vectors})"


def _driver() -> str | None:
    """Return the version of the NVIDIA driver; None if the system does not name it."""
    if not _DRIVER.exists():
        return None
    found = re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", _DRIVER.read_text())
    return found[1] if found else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
