"""Description of own images for ``run.py --check-data``: counts, files, what is possible with them."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags

from usvi_bench.core.errors import UsageError
from usvi_bench.core.host import io_threads
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.cache import open_image, open_upright
from usvi_bench.datasets.folder import read_own
from usvi_bench.datasets.grey_depth import EACH_IMAGE, is_deep, parse_depth_range
from usvi_bench.datasets.own_images import GALLERY, QUERY, SPLITS, TEST, OwnImage, OwnImages

LINES = 20
"""Number of items that are listed; further ones are only counted."""
COMMON = 4
"""Number of sizes and kinds of files that are named."""


class FileFacts(NamedTuple):
    """File facts: what is stored in one image file.

    Attributes:
        size: width and height as stored, before a rotation.
        kind: format and mode, such as ``PNG I;16``.
        rotated: whether EXIF rotates the image.
        coloured: whether any pixel is not grey.
        range: smallest and largest grey value of an image of more than 8 bits, else None.
        sha256: hash of the file.
    """

    size: tuple[int, int]
    kind: str
    rotated: bool
    coloured: bool
    range: tuple[float, float] | None
    sha256: str


def listed(items: Sequence[str]) -> list[str]:
    """Return a line for each of the first items, and one that counts the others."""
    rest = [f"  and {len(items) - LINES} more"] if len(items) > LINES else []
    return [*(f"  {item}" for item in items[:LINES]), *rest]


def own_report(
    path: Path, camera: str = "", sheet: Path | None = None, depth_range: str = EACH_IMAGE
) -> tuple[str, bool]:
    """Describe own images, after decoding all of them; return the text, and whether a run accepts the images.

    Args:
        path: folder or table.
        camera: regular expression of the camera in the names of files; empty for none.
        sheet: picture to draw of some of the images; it shows real people.
        depth_range: grey values of more than 8 bits that become black and white in it (``data.depth_range``).

    Raises:
        UsageError: the table cannot be read, or the picture cannot be written.
    """
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError(f"--contact-sheet {sheet}: give the name of a .png file")
    limits = parse_depth_range(depth_range)
    found = read_own(path, camera)
    facts, unreadable = _facts(found)
    lines = [f"{path}: {'table of own images' if found.table else 'own images in folders'}", "", *_counts(found)]
    lines += ["", *_people(found), *_files(found, facts, depth_range), *found.notes]
    faults = [*found.faults, *unreadable]
    if faults:
        lines += ["", "cannot be read:", *listed(faults)]
        lines += ["", "A run refuses these images."]
    else:
        lines += ["", "complete: every image can be read", *_possible(found)]
    if sheet is not None:
        from usvi_bench.datasets.contact_sheet import write_sheet

        lines += ["", write_sheet(found, facts, sheet, limits)]
    return "\n".join(lines), not faults


def _facts(found: OwnImages) -> tuple[dict[str, FileFacts], list[str]]:
    """Read every file once; also return the reasons why files or boxes cannot be used."""
    boxes: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for image in found.images:
        boxes[image.path].append(image.box)
    paths = sorted(boxes.keys() - set(found.unusable))
    read = partial(_fact, found.base)
    with ThreadPoolExecutor(io_threads()) as threads:
        answers = list(threads.map(read, paths, [boxes[path] for path in paths]))
    facts = {path: answer for path, answer in zip(paths, answers, strict=True) if isinstance(answer, FileFacts)}
    return facts, [answer for answer in answers if isinstance(answer, str)]


def _fact(base: Path, path: str, boxes: Sequence[tuple[int, ...]]) -> FileFacts | str:
    try:
        with (base / path).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        with open_image(base / path) as image:
            kind, size = f"{image.format} {image.mode}", image.size
            rotated = image.getexif().get(ExifTags.Base.Orientation, 1) not in (0, 1)
            deep = np.asarray(image) if is_deep(image) else None
        coloured = False
        for box in dict.fromkeys(boxes):
            pixels = np.asarray(open_upright(base / path, None, box))
            coloured |= bool((pixels != pixels[..., :1]).any())
    except Exception as error:  # Pillow's decoders raise many types
        return f"{path:.200}: {' '.join(str(error).split()):.200}; replace the image, or remove it"
    limits = None if deep is None else (float(deep.min()), float(deep.max()))
    return FileFacts(size, kind, rotated, coloured, limits, sha256)


def _counts(found: OwnImages) -> Iterator[str]:
    yield "split     people   visible  infrared"
    for split in SPLITS:
        images = [image for image in found.images if image.split == split]
        if images:
            people = len({image.identity for image in images if image.identity})
            numbers = [sum(image.modality == modality for image in images) for modality in MODALITIES]
            yield f"{split:<8}{people:>8}{numbers[0]:>10}{numbers[1]:>10}"


def _people(found: OwnImages) -> Iterator[str]:
    for modality in MODALITIES:
        images = [image for image in found.images if image.modality == modality]
        people = {image.identity for image in images if image.identity}
        unknown = sum(not image.identity for image in images)
        cameras = Counter(image.camera for image in images if image.camera)
        often = ", ".join(f"{name:.20} ({count})" for name, count in sorted(cameras.items())[:8])
        more = f" and {len(cameras) - 8} more" if len(cameras) > 8 else ""
        text = f"{len(cameras)} cameras: {often}{more}" if cameras else "cameras unknown"
        yield f"{modality}: {len(people)} people, {unknown} images of unknown people; {text}"


def _files(found: OwnImages, facts: dict[str, FileFacts], depth_range: str) -> Iterator[str]:
    for modality in MODALITIES:
        own = [
            facts[path] for path in sorted({i.path for i in found.images if i.modality == modality}) if path in facts
        ]
        if not own:
            continue
        widths, heights = zip(*(fact.size for fact in own), strict=True)
        kinds, sizes = Counter(fact.kind for fact in own), Counter(fact.size for fact in own)
        yield (
            f"{modality} files: width {min(widths)} to {max(widths)}, height {min(heights)} to {max(heights)}; "
            + "most often "
            + ", ".join(f"{width}x{height} ({count})" for (width, height), count in sizes.most_common(COMMON))
        )
        yield f"{modality} kinds: " + ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(COMMON))
        if turned := sum(fact.rotated for fact in own):
            yield f"{modality}: {turned} files are rotated by EXIF"
        if ranges := [fact.range for fact in own if fact.range is not None]:
            low, high = min(each[0] for each in ranges), max(each[1] for each in ranges)
            how = f"scaled by data.depth_range={depth_range}"
            if depth_range == EACH_IMAGE:
                how = "each is scaled by its own range, unless data.depth_range=LOW:HIGH is set"
            yield f"{modality}: {len(ranges)} files have more than 8 bits, with values from {low:g} to {high:g}; {how}"
        if modality == "visible" and not any(fact.coloured for fact in own):
            yield "visible: all files are grey; are they visible images?"
    if twins := len(facts) - len({fact.sha256 for fact in facts.values()}):
        pairs = Counter(fact.sha256 for fact in facts.values()).most_common(1)[0][0]
        first = " and ".join(f"{path:.100}" for path in [p for p, fact in facts.items() if fact.sha256 == pairs][:2])
        yield f"duplicates: {twins} files have the content of another one, first {first}"


def _possible(found: OwnImages) -> Iterator[str]:
    sides: dict[str, list[OwnImage]] = defaultdict(list)
    for image in found.images:
        sides[image.split].append(image)
    train = {image.modality for image in sides["train"]} == set(MODALITIES)
    yield f"training: {'possible' if train else 'not possible, no images of both modalities have the split train'}"
    for name, query, gallery in (("folder_i2v", "infrared", "visible"), ("folder_v2i", "visible", "infrared")):
        asked = {i.identity for i in [*sides[QUERY], *sides[TEST]] if i.modality == query and i.identity}
        kept = {i.identity for i in [*sides[GALLERY], *sides[TEST]] if i.modality == gallery and i.identity}
        both = len(asked & kept)
        why = "no person has a query and a gallery image with an identity"
        yield f"scores by {name}: {f'{both} people' if both else f'not possible, {why}'}"
