"""Content hash of a data set, cached so that only the first run reads all images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.cache import cache_folder, write_to_cache


def content_hash(root: Path, paths: Sequence[str]) -> str:
    """Hash names, sizes and bytes of files below ``root`` with SHA-256, in path order.

    The hash is cached by the sizes and modification times of the files, so only the first call reads them.

    Raises:
        UsageError: a file is absent.
        StorageError: the cache cannot be written.
    """
    names = sorted(set(paths))
    try:
        stats = [(root / name).stat() for name in names]
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}; restore it") from error
    state = [str(root.resolve()), *(f"{n} {s.st_size} {s.st_mtime_ns}" for n, s in zip(names, stats, strict=True))]
    key = hashlib.sha256("\n".join(state).encode()).hexdigest()
    memo = cache_folder() / "fingerprints" / f"{key}.txt"
    if memo.exists():
        return memo.read_text()

    def digest(name: str) -> str:
        content = (root / name).read_bytes()
        return f"{name} {len(content)} {hashlib.sha256(content).hexdigest()}\n"

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        answer = hashlib.sha256("".join(threads.map(digest, names)).encode()).hexdigest()
    write_to_cache(memo, lambda file: file.writelines([answer.encode()]))
    return answer
