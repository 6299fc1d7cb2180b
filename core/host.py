"""Properties of the host: processors, memory, and writable folders for files that can be made again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import expanded

GIB = 2**30


def cpu_count() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


def io_threads() -> int:
    """Return the number of threads that read files at once."""
    return min(8, cpu_count())


def memory_available() -> int:
    """Return the bytes of memory that new processes can get; of all memory if the system has no such figure."""
    meminfo = Path("/proc/meminfo")
    for line in meminfo.read_text().splitlines() if meminfo.exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def home_folder() -> Path | None:
    """Return the home folder; None for a user without one, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def cache_folder() -> Path:
    """Return the folder of all reproducible files: ``USVI_CACHE``, else ``~/.cache/usvi-bench``.

    Raises:
        UsageError: neither the variable nor a home folder exists, or the variable names a user without a home folder.
    """
    chosen, home = os.environ.get("USVI_CACHE"), home_folder()
    if chosen:
        return Path(chosen) if home is None else expanded(chosen)
    if home is None:
        raise UsageError("this user has no home folder: set USVI_CACHE to a writable folder for the cache")
    return home / ".cache" / "usvi-bench"


def kernel_folder(beside: Path | None) -> Path | None:
    """Return a writable folder for compiled kernels; None if numba can keep them beside the code.

    Args:
        beside: folder of the code; None if kernels must not be beside it.
    """
    if beside is not None and os.access(beside, os.W_OK):
        return None
    home = home_folder()
    if home is not None and os.access(_existing(home / ".cache"), os.W_OK):
        return home / ".cache" / "usvi-bench" / "numba"
    return Path(tempfile.gettempdir()) / f"usvi-bench-{os.getuid()}" / "numba"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
