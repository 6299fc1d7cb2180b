"""Peak memory of the process or of a block, and reuse of freed memory (glibc)."""

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
"""Linux: writing 5 resets the peak resident memory to the present value, see proc(5)."""

_STATUS = Path("/proc/self/status")

_MALLOPT = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_TOP_PAD": (-2, 2**28)}
"""glibc, see mallopt(3): large blocks are not mapped separately, and freed blocks are not returned to the system."""

_highest: dict[str, float] = {}
"""Peaks before the last reset, by kind of device."""


def keep_freed_memory() -> bool:
    """Keep freed memory in the process for reuse by the next step.

    By default glibc maps, zeroes and unmaps every large tensor of a step on a CPU, which takes a fifth of the step.
    Results do not change.

    Returns:
        True if ``mallopt`` accepted the options (glibc only).
    """
    if not hasattr(mallopt := ctypes.CDLL(None), "mallopt") or not sys.platform.startswith("linux"):
        return False
    return all(mallopt.mallopt(option, value) == 1 for option, value in _MALLOPT.values())


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak memory so far: of the device if it is a GPU, else of this process."""
    return max(_mark(device), _highest.get(device.type, 0.0))


def forget_peak(device: torch.device) -> None:
    """Reset the peak, if the system can, so that the peak of a run does not include earlier runs of the process."""
    _highest.pop(device.type, None)
    _reset(device)


@contextmanager
def extra_memory(device: torch.device) -> Iterator[None]:
    """Record as ``memory_mib`` the peak memory of the block minus the memory in use at its start.

    The memory is that of the device if it is a GPU, else of this process. Nothing is recorded if the system cannot
    reset its peak.
    """
    with peak_rise(device) as rise:
        yield
    if rise:
        record_value("memory_mib", rise[0])


@contextmanager
def peak_rise(device: torch.device) -> Iterator[list[float]]:
    """Measure the peak memory of the block minus the memory in use at its start.

    Yields:
        A list that holds the rise in MiB after the block; it stays empty if the system cannot measure it.
    """
    _highest[device.type] = peak_memory_mib(device)
    if hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)  # memory that was freed and kept would hide a rise
    known = _reset(device)
    before, rise = _mark(device), list[float]()
    yield rise
    if known:
        rise.append(_mark(device) - before)


def _mark(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if _STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+)", _STATUS.read_text())):
        return float(found[1]) / 2**10  # getrusage never reports less than the parent process had
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
