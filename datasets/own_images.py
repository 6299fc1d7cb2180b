"""Own images: rows of a table or of folders, before names become numbers."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from usvi_bench.core.errors import UsageError, show
from usvi_bench.core.types import Modality
from usvi_bench.datasets.entries import files_in

MODALITY_WORDS: dict[str, Modality] = {
    "visible": "visible",
    "rgb": "visible",
    "infrared": "infrared",
    "thermal": "infrared",
    "ir": "infrared",
    "nir": "infrared",
}
"""Names of the modalities in folders and tables, in lower case."""
SYNONYMS: dict[str, Modality] = {
    **dict.fromkeys(("color", "colour", "vis", "visible_light"), "visible"),
    **dict.fromkeys(("infra", "infra_red", "near_infrared"), "infrared"),
}
"""Names of folders that probably mean a modality, in lower case."""
TRAIN, QUERY, GALLERY, TEST = SPLITS = ("train", "query", "gallery", "test")
"""Names of the splits. ``test`` images are both queries and gallery images."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")
LONGEST_PATTERN = 200
"""Most characters of a regular expression."""
WHOLE = (-1, -1, -1, -1)
"""Box of an image that shows one person."""
Box = tuple[int, int, int, int]


class OwnImage(NamedTuple):
    """Own image: path below the folder of the data and what is known about it; unknown values are empty."""

    path: str
    box: Box
    modality: Modality
    identity: str = ""
    camera: str = ""
    split: str = TRAIN


@dataclass(frozen=True)
class OwnImages:
    """Own images that were found, and what is wrong with them.

    Attributes:
        base: folder that the paths are relative to.
        table: name of the table in that folder; empty if the images are in folders.
        images: the images, in any order.
        notes: sentences about parts of the input that are not used.
        faults: reasons why a run refuses the images, one sentence each.
        unusable: paths of images that must not be opened.
    """

    base: Path
    table: str
    images: Sequence[OwnImage]
    notes: Sequence[str] = ()
    faults: Sequence[str] = ()
    unusable: Collection[str] = ()


def camera_pattern(text: str) -> re.Pattern[str] | None:
    """Compile the regular expression of ``data.camera``; None if it is empty.

    Raises:
        UsageError: it is not valid, too long, or has no group.
    """
    if not text:
        return None
    try:
        pattern = re.compile(text) if len(text) <= LONGEST_PATTERN else None
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"data.camera={show(text)} is not a regular expression ({error}); correct it") from error
    if pattern is None or not pattern.groups:
        raise UsageError(
            f"data.camera={show(text)}: give a regular expression of at most {LONGEST_PATTERN} characters with a group "
            r"around the camera, for example '_c(\d+)'"
        )
    return pattern


def with_cameras(images: Sequence[OwnImage], pattern: re.Pattern[str]) -> tuple[list[OwnImage], list[str]]:
    """Read the cameras from the names of the files; also return the faults."""
    found, lost = [], []
    for image in images:
        match = pattern.search(PurePosixPath(image.path).name)
        if match is None or not match[1]:
            lost.append(image.path)
        found.append(image._replace(camera=match[1] or "" if match else ""))
    if not lost:
        return found, []
    names = f"{', '.join(f'{path:.200}' for path in sorted(lost)[:3])}{', ...' if len(lost) > 3 else ''}"
    return found, [
        f"data.camera='{show(pattern.pattern)}' finds no camera in the names of {len(lost)} of {len(images)} files, "
        f"{names}; correct it, or rename the files"
    ]


def path_fault(name: str) -> str:
    """Describe what is wrong with a relative path; empty if nothing is."""
    parts = name.split("/")
    if not name.isprintable() or parts[-1] in ("", "."):
        return "is not a printable path of a file"
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
        return "is not a path below the folder of the data"
    return ""


def file_faults(base: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return the images that are no files, or that links lead out of the folder of the data, and what is wrong.

    Raises:
        UsageError: a folder cannot be read.
    """
    root, found = Path(os.path.realpath(base)), {}
    inside: dict[str, bool] = {}
    files: dict[str, dict[str, bool]] = {}
    for path in sorted(set(paths)):
        folder, _, name = path.rpartition("/")
        if folder not in files:
            files[folder] = files_in(base / folder)
            inside[folder] = Path(os.path.realpath(base / folder)).is_relative_to(root)
        is_link = files[folder].get(name)
        if is_link is None:
            found[path] = f"no image {path:.200}: restore it, or remove its row"
        elif not (Path(os.path.realpath(base / path)).is_relative_to(root) if is_link else inside[folder]):
            found[path] = f"{path:.200} is a link out of {base}: copy the images there, or give the folder of both"
    return found


def image_faults(images: Sequence[OwnImage]) -> Iterator[str]:
    """Yield faults of all images together: repeated ones, modalities without images, people of both splits."""
    for (path, box), times in Counter((image.path, image.box) for image in images).items():
        if times > 1:
            where = "" if box == WHOLE else f" with the box {box}"
            yield f"{path:.200}{where} is listed {times} times: remove the others"
    for modality in ("visible", "infrared"):
        if not any(image.modality == modality for image in images):
            yield f"no {modality} image: give images of both modalities"
    splits: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for image in images:
        if image.identity:
            splits[image.split == TRAIN].setdefault(image.identity, image.split)
    for name in sorted(splits[True].keys() & splits[False].keys()):
        yield (
            f"person {show(name)} is in train and in {splits[False][name]}, so it was seen in training: give different "
            "people different names, or move its images to one of them"
        )
