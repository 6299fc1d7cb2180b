"""Build and load the library of ``guard.cpp``, which adds a pretended CUDA device to a torch built without CUDA.

:func:`load` must run before torch is imported, so a test starts a process of its own (see ``run.py``).
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

SOURCE = Path(__file__).with_name("guard.cpp")
FOLDER = Path(__file__).resolve().parents[2] / "build" / "pretended_cuda"
"""Cache of the library; it is built once for each version of torch and of the source (20 to 30 s)."""


def missing() -> str | None:
    """Return why the device cannot be pretended here, or None."""
    if shutil.which("g++") is None:
        return "g++ is not installed"
    (config,) = _torch().glob("version.py")
    return None if "cuda: Optional[str] = None" in config.read_text() else "torch was built with CUDA"


def build() -> Path:
    """Return the library; compile it if it is not in the cache. Processes that start together wait for one build."""
    key = hashlib.sha256(SOURCE.read_bytes() + version("torch").encode()).hexdigest()[:12]
    library = FOLDER / f"guard-{key}.so"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            headers = [f"-I{_torch() / 'include'}", f"-I{_torch() / 'include/torch/csrc/api/include'}"]
            linked = [f"-L{_torch() / 'lib'}", "-lc10", "-ltorch_cpu"]
            partial = library.with_suffix(".partial")
            flags = ["-O1", "-std=c++20", "-shared", "-fPIC", *headers, *linked]
            subprocess.run(["g++", str(SOURCE), "-o", str(partial), *flags], check=True)
            partial.rename(library)
    return library


def load() -> None:
    """Load the library, before torch."""
    assert "torch" not in sys.modules, "load the guard before torch is imported"
    library = build()
    for name in ("torch_global_deps", "c10", "torch_cpu"):
        ctypes.CDLL(os.fspath(_torch() / f"lib/lib{name}.so"), mode=ctypes.RTLD_GLOBAL)
    install = ctypes.CDLL(os.fspath(library)).install
    install.restype = ctypes.c_bool
    assert install(), "torch looked for CUDA before the guard was loaded"


def _torch() -> Path:
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
