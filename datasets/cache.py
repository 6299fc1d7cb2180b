"""Cache of decoded images: a uint8 array on disk that later runs map into memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps

from usvi_bench.core.errors import DamagedFileError, UsageError
from usvi_bench.core.host import cache_folder
from usvi_bench.core.progress import report_progress
from usvi_bench.core.sealed import check_seal, write_sealed
from usvi_bench.datasets.base import ImageTable

Filter = Literal["bicubic", "lanczos"]
FILTERS: dict[Filter, Image.Resampling] = {
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""Formats that are read, whatever the suffix of a file; PostScript, for example, would start another program."""
LEAST = 4
"""Least width and height of an image in pixels; a smaller one shows no person."""
BLOCK = 512
"""Number of images decoded between two writes; bounds the memory in use."""
DECODER_VERSION = "2"
"""Raise it when equal files are decoded to other pixels."""
CACHE_REMEDY = "free some space or set USVI_CACHE to a folder that has it"
"""End of the messages of failed writes to the cache."""
Progress = Callable[[str], None]


def decoded(
    table: ImageTable,
    height: int,
    width: int,
    filter: Filter,
    fingerprint: str,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> NDArray[np.uint8]:
    """Decode and resize the images of a table, or map the array of an earlier call into memory.

    EXIF rotation is applied, and transparency is dropped. Grey images of 16 bits are scaled from 0 ... 65535 to
    0 ... 255; those of floats are refused, because their range is not known. The checksum of an earlier array is
    verified, and a damaged array is decoded again. The images of a table with a corruption are corrupted after they are
    resized, or before if it is native. Concurrent calls for one table each write it; the last file stays.

    Args:
        table: images to decode, in this order.
        height: height of the result in pixels.
        width: width of the result in pixels.
        filter: ``bicubic``, or ``lanczos`` as in the test code of AGW and methods based on it.
        fingerprint: content hash of the data set; changed images are decoded again.
        cache: folder of the array; :func:`cache_folder` if None.
        progress: receives a message if an earlier array is damaged.

    Returns:
        Read-only RGB array ``[N, height, width, 3]``.

    Raises:
        UsageError: an image is missing or cannot be decoded completely.
        StorageError: the array cannot be written.
    """
    if filter not in FILTERS:
        raise UsageError(f"unknown resize filter '{filter}': choose one of {', '.join(FILTERS)}")
    shape = (len(table), height, width, 3)
    path = cache_path(table, height, width, filter, fingerprint, cache)
    try:
        pixels = _mapped(path, shape)
    except DamagedFileError as error:
        (progress or (lambda _: None))(str(error))
        pixels = None
    if pixels is None:
        _decode_all(table, shape, filter, path)
        pixels = _mapped(path, shape)
    if pixels is None:
        raise UsageError(f"{path} was changed while it was read; delete it and run again")
    return pixels


def cache_path(
    table: ImageTable, height: int, width: int, filter: Filter, fingerprint: str, cache: Path | None = None
) -> Path:
    """Return the path of the array of :func:`decoded` with the same arguments; the file may not exist."""
    shape = (len(table), height, width, 3)
    changes = [table.corruption.key] if table.corruption else []
    text = "\n".join([DECODER_VERSION, fingerprint, str(shape), filter, PIL.__version__, *changes, *table.paths])
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    return (cache or cache_folder()) / "images" / f"{key}.npy"


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Map the array at ``path``, or return None if it is absent or of another shape.

    Raises:
        DamagedFileError: it does not match its checksum.
    """
    try:
        check_seal(path, "decoding the images again")
        pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _decode_all(table: ImageTable, shape: tuple[int, ...], filter: Filter, path: Path) -> None:
    work = f"decoding {table.modality} images"

    # Plain writes raise on a full disk; a writable memory map would kill the process.
    corruption, size, resampling = table.corruption, (shape[2], shape[1]), FILTERS[filter]

    def decode(name: str) -> bytes:
        image = _decode(table.root / name)
        if corruption is None:
            return image.resize(size, resampling).tobytes()
        if corruption.native:
            return Image.fromarray(corruption.apply(np.asarray(image), name)).resize(size, resampling).tobytes()
        return corruption.apply(np.asarray(image.resize(size, resampling)), name).tobytes()

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        # corruptions seed NumPy's global generator, which threads share
        with ThreadPoolExecutor(1 if corruption else min(8, os.cpu_count() or 1)) as threads:
            for start in range(0, len(table), BLOCK):
                report_progress(work, start, len(table))
                file.writelines(threads.map(decode, table.paths[start : start + BLOCK]))

    write_sealed(path, write, CACHE_REMEDY)
    report_progress(work, len(table), len(table))


def _decode(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=FORMATS) as image:
            if min(image.size) < LEAST:
                raise ValueError(f"it has {image.width}x{image.height} pixels, at least {LEAST}x{LEAST} are needed")
            upright = ImageOps.exif_transpose(image)
            return _to_rgb(upright)
    except Exception as error:  # Pillow's decoders raise many types
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error).replace("\n", " ")
        raise UsageError(f"cannot decode {path}: {reason}; restore the image from the original data set") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to RGB with 8 bits a channel; ``convert`` would clip grey images of 16 bits.

    Raises:
        ValueError: grey values are floats, or not between 0 and 65535.
    """
    if image.mode == "F":
        raise ValueError("its grey values are floats of unknown range; save them with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image.convert("RGB")
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"grey values from {values.min()} to {values.max()} are not those of 16 bits")
    return Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")
