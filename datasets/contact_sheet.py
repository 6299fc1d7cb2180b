"""Contact sheet of own images: a picture with some images of both modalities, as a run uses them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from usvi_bench.core.files import write_bytes
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.cache import open_upright
from usvi_bench.datasets.grey_depth import DepthRange
from usvi_bench.datasets.own_images import OwnImage, OwnImages

COLUMNS, ROWS = 12, 3
"""Images in a row of the sheet, and rows for each modality."""
TILE, GAP = (64, 128), 4
"""Largest width and height of an image, and the space between two, in pixels."""
BACKGROUND = (255, 255, 255)


def write_sheet(found: OwnImages, readable: Collection[str], path: Path, limits: DepthRange = None) -> str:
    """Draw images at equal distances in the order of the tables: visible ones above, infrared ones below.

    Args:
        found: own images.
        readable: paths of the images that can be decoded.
        path: PNG file to write.
        limits: grey values of more than 8 bits that become black and white; those of each image if None.

    Returns:
        Sentence about the picture.

    Raises:
        StorageError: the file cannot be written.
    """
    width = COLUMNS * (TILE[0] + GAP) + GAP
    height = len(MODALITIES) * ROWS * (TILE[1] + GAP) + GAP
    sheet, count = Image.new("RGB", (width, height), BACKGROUND), 0
    for part, modality in enumerate(MODALITIES):
        images = sorted(i for i in found.images if i.modality == modality and i.path in readable)
        for place, image in enumerate(chosen(images, COLUMNS * ROWS)):
            row, column = divmod(place, COLUMNS)
            small = open_upright(found.base / image.path, limits, image.box)
            small.thumbnail(TILE)
            sheet.paste(small, (GAP + column * (TILE[0] + GAP), GAP + (part * ROWS + row) * (TILE[1] + GAP)))
            count += 1
    buffer = BytesIO()
    sheet.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue(), "choose another --contact-sheet")
    return f"{path}: {count} images. It shows real people; do not publish it without their consent."


def chosen(images: Sequence[OwnImage], count: int) -> list[OwnImage]:
    """Choose up to ``count`` images at equal distances, the first and the last among them.

    >>> from usvi_bench.datasets.own_images import WHOLE
    >>> [each.path for each in chosen([OwnImage(name, WHOLE, "visible") for name in "abcde"], 3)]
    ['a', 'c', 'e']
    """
    if len(images) <= count:
        return list(images)
    return [images[round(place * (len(images) - 1) / (count - 1))] for place in range(count)]
