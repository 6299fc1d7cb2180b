"""Peak memory of the process or of a block; and freed memory that is kept for reuse (glibc)."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from usvi_bench.core.measuring import record_value

_RESET = Path("/proc/self/clear_refs")
"""Linux: writing 5 makes the resident memory's high-water mark what is resident now, see proc(5)."""

_STATUS = Path("/proc/self/status")

_MALLOPT = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_TOP_PAD": (-2, 2**28)}
"""glibc, see mallopt(3): no mapping of its own for a large block, and freed blocks are not handed back."""

_highest: dict[str, float] = {}
"""High-water marks before they were reset, by kind of device."""


def keep_freed_memory() -> bool:
    """Keep the memory that this process frees, so that the next step finds its pages in place.

    By default every large tensor of a step on a CPU is mapped, zeroed page by page, and given back: a fifth of the
    step. Results do not change.

    Returns:
        True if ``mallopt`` accepted the options (glibc only).
    """
    if not hasattr(mallopt := ctypes.CDLL(None), "mallopt") or not sys.platform.startswith("linux"):
        return False
    return all(mallopt.mallopt(option, value) == 1 for option, value in _MALLOPT.values())


def peak_memory_mib(device: torch.device) -> float:
    """Return the highest memory use so far: of the GPU where there is one, else of this process."""
    return max(_mark(device), _highest.get(device.type, 0.0))


@contextmanager
def extra_memory(device: torch.device) -> Iterator[None]:
    """Record, as ``memory_mib``, how far memory use rises above where it is when the block begins.

    It is the memory of the GPU where there is one, else of this process. Nothing is recorded where the system cannot
    reset its high-water mark.
    """
    with peak_rise(device) as rise:
        yield
    if rise:
        record_value("memory_mib", rise[0])


@contextmanager
def peak_rise(device: torch.device) -> Iterator[list[float]]:
    """Measure how far memory use rises above where it is when the block begins.

    Yields:
        A list that holds the rise in MiB once the block has ended; empty where the system cannot measure it.
    """
    _highest[device.type] = peak_memory_mib(device)
    if hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)  # freed memory that was kept would hide what the block takes
    known = _reset(device)
    before, rise = _mark(device), list[float]()
    yield rise
    if known:
        rise.append(_mark(device) - before)


def _mark(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if _STATUS.exists():  # getrusage never reports less than the parent process had
        return float(re.findall(r"VmHWM:\s+(\d+)", _STATUS.read_text())[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _reset(device: torch.device) -> bool:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return True
