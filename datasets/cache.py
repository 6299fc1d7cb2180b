"""Cache of decoded images: a uint8 array on disk that later runs map into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from usvi_bench.core.errors import DamagedFileError, UsageError
from usvi_bench.core.host import cache_folder, io_threads
from usvi_bench.core.progress import report_progress
from usvi_bench.core.sealed import check_seal, write_sealed
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.grey_depth import EACH_IMAGE, DepthRange, is_deep, parse_depth_range, scaled

Filter = Literal["bicubic", "bilinear", "lanczos"]
FILTERS: dict[Filter, Image.Resampling] = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""Formats that are read, whatever the suffix of a file; PostScript, for example, would start another program."""
LEAST = 4
"""Least width and height of an image in pixels; a smaller one shows no person."""
BLOCK = 512
"""Number of images decoded between two writes; bounds the memory in use."""
DECODER_VERSION = "4"
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
    depth_range: str = EACH_IMAGE,
    part: str = "",
) -> NDArray[np.uint8]:
    """Decode and resize the images of a table, or map the array of an earlier call into memory.

    EXIF rotation is applied, boxes are cut out, and transparency is dropped. Grey images of more than 8 bits are scaled
    linearly (:mod:`~usvi_bench.datasets.grey_depth`). The checksum of an earlier array is verified, and a damaged array
    is decoded again. The images of a table with a corruption are corrupted after they are resized, or before if it is
    native. Concurrent calls for one table each write it; the last file stays.

    Args:
        table: images to decode, in this order.
        height: height of the result in pixels.
        width: width of the result in pixels.
        filter: ``bicubic``, ``bilinear``, or ``lanczos`` as in the test code of AGW and methods based on it.
        fingerprint: content hash of the data set; changed images are decoded again.
        cache: folder of the array; :func:`cache_folder` if None.
        progress: receives a message if an earlier array is damaged.
        depth_range: grey values of more than 8 bits that become 0 and 255: ``LOW:HIGH``, or ``image``.
        part: which images they are, for the progress: ``test``.

    Returns:
        Read-only RGB array ``[N, height, width, 3]``.

    Raises:
        UsageError: an image is missing or cannot be decoded completely.
        StorageError: the array cannot be written.
    """
    if filter not in FILTERS:
        raise UsageError(f"unknown resize filter '{filter}': choose one of {', '.join(FILTERS)}")
    shape = (len(table), height, width, 3)
    path = cache_path(table, height, width, filter, fingerprint, cache, depth_range=depth_range)
    try:
        pixels = _mapped(path, shape)
    except DamagedFileError as error:
        (progress or (lambda _: None))(str(error))
        pixels = None
    if pixels is None:
        work = f"decoding {table.modality} images{f' ({part})' if part else ''}"
        _decode_all(table, shape, filter, path, parse_depth_range(depth_range), work)
        pixels = _mapped(path, shape)
    if pixels is None:
        raise UsageError(f"{path} was changed while it was read; delete it and run again")
    return pixels


def cache_path(
    table: ImageTable,
    height: int,
    width: int,
    filter: Filter,
    fingerprint: str,
    cache: Path | None = None,
    *,
    depth_range: str = EACH_IMAGE,
) -> Path:
    """Return the path of the array of :func:`decoded` with the same arguments; the file may not exist."""
    shape = (len(table), height, width, 3)
    changes = [table.corruption.key] if table.corruption else []
    text = "\n".join(
        [DECODER_VERSION, fingerprint, str(shape), filter, depth_range, PIL.__version__, *changes, *table.names]
    )
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


def _decode_all(
    table: ImageTable, shape: tuple[int, ...], filter: Filter, path: Path, limits: DepthRange, work: str
) -> None:
    corruption, size, resampling = table.corruption, (shape[2], shape[1]), FILTERS[filter]

    # Plain writes raise on a full disk; a writable memory map would kill the process.
    def decode(row: int) -> bytes:
        name = table.paths[row]
        image = _decode(table.root / name, limits, table.box(row))
        if corruption is None:
            return image.resize(size, resampling).tobytes()
        if corruption.native:
            return Image.fromarray(corruption.apply(np.asarray(image), name)).resize(size, resampling).tobytes()
        return corruption.apply(np.asarray(image.resize(size, resampling)), name).tobytes()

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        # corruptions seed NumPy's global generator, which threads share
        with ThreadPoolExecutor(1 if corruption else io_threads()) as threads:
            for start in range(0, len(table), BLOCK):
                report_progress(work, start, len(table))
                file.writelines(threads.map(decode, range(start, min(start + BLOCK, len(table)))))

    write_sealed(path, write, CACHE_REMEDY)
    report_progress(work, len(table), len(table))


def _decode(path: Path, limits: DepthRange, box: tuple[int, ...] | None) -> Image.Image:
    try:
        return open_upright(path, limits, box)
    except Exception as error:  # Pillow's decoders raise many types
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error).replace("\n", " ")
        raise UsageError(f"cannot decode {path}: {reason}; restore this file, or leave it out") from error


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file, without decoding it.

    Pillow maps some files that it opens by their path, and confuses the rows of those that are turned. It reads open
    files instead.

    Raises:
        UnidentifiedImageError: the file is no image of a known format.
    """
    with path.open("rb") as file:
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError as error:
            raise UnidentifiedImageError(f"cannot identify image file {str(path)!r}") from error
        with image:
            yield image


def open_upright(path: Path, limits: DepthRange = None, box: tuple[int, ...] | None = None) -> Image.Image:
    """Open an image as it is used: rotated by its EXIF tag, cut to its box, as RGB with 8 bits a channel.

    Args:
        path: file of the image.
        limits: see :func:`~usvi_bench.datasets.grey_depth.scaled`; the whole image counts, not only the box.
        box: left, top, right, bottom in pixels of the upright image; -1 for the whole image.

    Raises:
        ValueError: the image is too small, or the box is not inside.
        Exception: Pillow cannot decode the file; its decoders raise many types.
    """
    with open_image(path) as image:
        if min(image.size) < LEAST:
            raise ValueError(f"it has {image.width}x{image.height} pixels, at least {LEAST}x{LEAST} are needed")
        upright = ImageOps.exif_transpose(image)
        grey = scaled(upright, limits) if is_deep(upright) else upright
        rgb = grey.convert("RGB")
    return rgb if box is None or box[0] < 0 else _cut(rgb, box)


def _cut(image: Image.Image, box: tuple[int, ...]) -> Image.Image:
    left, top, right, bottom = box
    if not (left >= 0 and left + LEAST <= right <= image.width and top >= 0 and top + LEAST <= bottom <= image.height):
        raise ValueError(
            f"its box from ({left}, {top}) to ({right}, {bottom}) is not inside of its {image.width}x{image.height} "
            f"pixels, or smaller than {LEAST}x{LEAST}"
        )
    return image.crop((left, top, right, bottom))
