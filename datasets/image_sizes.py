"""Sizes of images, read from the headers of their files without decoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from usvi_bench.core.host import io_threads
from usvi_bench.datasets.cache import open_image

COMMON = 3
"""Number of sizes that are named."""


def describe_sizes(name: str, root: Path, paths: Sequence[str]) -> str:
    """Describe the widths and heights of images in one line: ranges, the most common sizes, unreadable files.

    Args:
        name: name of the images in the text.
        root: folder of the paths.
        paths: images, relative to ``root``.
    """
    with ThreadPoolExecutor(io_threads()) as threads:
        found = list(threads.map(size_of, [root / path for path in paths]))
    sizes = Counter(size for size in found if size is not None)
    unreadable = [path for path, size in zip(paths, found, strict=True) if size is None]
    text = f"no size of {name} images is known"
    if sizes:
        widths, heights = zip(*sizes, strict=True)
        ranges = f"width {min(widths)} to {max(widths)}, height {min(heights)} to {max(heights)}"
        often = ", ".join(f"{w}x{h} ({count})" for (w, h), count in sizes.most_common(COMMON))
        text = f"{name} images: {ranges}; most often {often}"
    if unreadable:
        text += f"; {len(unreadable)} without a readable header, first {unreadable[0]:.200}"
    return text


def size_of(path: Path) -> tuple[int, int] | None:
    """Read width and height of an image from its header; None if that fails."""
    try:
        with open_image(path) as image:
            return image.size
    except Exception:  # Pillow's readers raise many types
        return None
