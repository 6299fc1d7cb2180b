"""Content hash of a data set, cached so that only the first run reads all images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from usvi_bench.core.errors import DamagedFileError, UsageError
from usvi_bench.core.host import cache_folder, io_threads
from usvi_bench.core.progress import report_progress
from usvi_bench.core.sealed import read_sealed_json, write_sealed_json
from usvi_bench.datasets.cache import CACHE_REMEDY

WORK = "reading all images once"
"""Name of the work, for its bar."""
REPORTED = 100
"""Number of files between two reports of progress."""


class ContentHash(NamedTuple):
    """Content hashes of a tree, SHA-256 in hexadecimal digits.

    Attributes:
        content: hash of names, sizes and bytes of lists and images.
        images: hash of names and bytes of the images, as the generator of synthetic people computes it.
    """

    content: str
    images: str


def content_hash(root: Path, lists: Sequence[str], images: Sequence[str], keep: bool = True) -> ContentHash:
    """Hash files below ``root`` in path order.

    The hashes are cached by the size, the inode and the times of each file, so only the first call reads the files.

    Args:
        root: folder of the tree.
        lists: paths of the lists below the root.
        images: paths of the images below the root.
        keep: write the hashes to the cache.

    Raises:
        UsageError: a file is absent or cannot be read.
        StorageError: the cache cannot be written.
    """
    names = sorted({*lists, *images})
    try:
        stats = [(root / name).stat() for name in names]
    except OSError as error:
        raise _unreadable(error) from error
    state = (
        f"{name} {s.st_size} {s.st_ino} {s.st_mtime_ns} {s.st_ctime_ns}" for name, s in zip(names, stats, strict=True)
    )
    key = hashlib.sha256(os.fsencode("\n".join([str(root.resolve()), *state]))).hexdigest()
    memo = cache_folder() / "fingerprints" / f"{key}.json"
    if memo.exists():
        try:
            return ContentHash(**read_sealed_json(memo, "delete it"))
        except (DamagedFileError, OSError, TypeError):
            pass  # hashed again and replaced

    def hash_file(name: str) -> tuple[int, str]:
        content = (root / name).read_bytes()
        return len(content), hashlib.sha256(content).hexdigest()

    try:
        with ThreadPoolExecutor(io_threads()) as threads:
            found: dict[str, tuple[int, str]] = {}
            for name, hashed in zip(names, threads.map(hash_file, names), strict=True):
                if len(found) % REPORTED == 0:
                    report_progress(WORK, len(found), len(names))
                found[name] = hashed
            report_progress(WORK, len(names), len(names))
    except OSError as error:
        raise _unreadable(error) from error
    content = "".join(f"{name} {size} {sha256}\n" for name, (size, sha256) in found.items())
    pictures = "".join(f"{name} {found[name][1]}\n" for name in sorted(set(images)))
    answer = ContentHash(*(hashlib.sha256(text.encode()).hexdigest() for text in (content, pictures)))
    if keep:
        write_sealed_json(memo, answer._asdict(), CACHE_REMEDY)
    return answer


def _unreadable(error: OSError) -> UsageError:
    return UsageError(f"cannot read {error.filename}: {error.strerror}; restore it or make it readable")
