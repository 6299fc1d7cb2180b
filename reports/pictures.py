"""Pictures of people in reports: permission to show them, and small copies."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from usvi_bench.core.files import write_bytes
from usvi_bench.core.markdown import plain
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.base import ImageTable, box_of
from usvi_bench.datasets.cache import open_upright
from usvi_bench.datasets.tree import SYNTHETIC_NOTE
from usvi_bench.protocols.evaluation_file import SavedEvaluation
from usvi_bench.reports.output import remove_link, remove_old
from usvi_bench.reports.runs import RecordedRun

FOLDER = "pictures"
SIZE = (64, 128)
"""Maximum width and height of a copy in pixels; the aspect ratio is kept."""
QUALITY = 85
_Image = tuple[Path, tuple[int, ...] | None]
"""File and box of an image; see :func:`read_picture`."""


def may_be_shown(runs: Sequence[RecordedRun], asked: bool) -> tuple[bool, str]:
    """Decide whether pictures are shown, and give the reason. Real people are shown only if ``asked``.

    A run on synthetic people names the folders of its images itself. They must be generated trees, so that the run of a
    stranger cannot copy other pictures into a report, and no image may be a link to a file elsewhere.
    """
    if all(run.record.result.dataset["synthetic"] is not None for run in runs):
        files = [run.evaluation for run in runs if run.evaluation is not None]
        roots = {table.root for saved in files for table in (saved.query, saved.gallery)}
        if odd := sorted(str(root) for root in roots if root.exists() and not (root / SYNTHETIC_NOTE).is_file()):
            return False, f"{plain(odd[0])} is not a folder of synthetic people (no {SYNTHETIC_NOTE})."
        if link := next((str(file) for saved in files for file in _leading_out(saved)), None):
            return False, f"{plain(link)} is a link out of its folder of synthetic people; remove the folder."
        return True, "The people are synthetic."
    if asked:
        return True, "The people are real; their pictures are shown because of --with-pictures."
    return False, (
        "The people are real. They did not consent to publication, and the licences of the data sets forbid it. For "
        "private use, --with-pictures draws ranked lists, worst queries and confused pairs."
    )


def _leading_out(saved: SavedEvaluation) -> Iterator[Path]:
    """Yield the images of an evaluation that are, or lie behind, a link out of their folder."""
    roots = {table.modality: table.root for table in (saved.query, saved.gallery)}
    named = {table.root / path for table in (saved.query, saved.gallery) for path in table.paths}
    rows = zip(saved.sample.infrared.tolist(), saved.sample.paths, strict=False)
    named |= {roots[MODALITIES[infrared]] / path for infrared, path in rows}
    real = tuple(f"{os.path.realpath(root)}/" for root in roots.values())
    return (file for file in sorted(named) if not os.path.realpath(file).startswith(real))


class Album:
    """Album of the images in a report: one entry per image, with a small copy if pictures may be shown."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.entries: list[dict[str, Any]] = []
        self._images: dict[int, _Image] = {}
        self._known: dict[_Image, int] = {}

    def add(self, table: ImageTable, row: int) -> int:
        """Add an image of a table and return its number."""
        image = table.root / table.paths[row], table.box(row)
        return self._add(image, table.paths[row], int(table.identities[row]), int(table.cameras[row]), table.modality)

    def add_sample(self, evaluation: SavedEvaluation) -> list[int]:
        """Add the images of the feature sample and return their numbers.

        Entries have no path and camera if the run did not store them.
        """
        sample, roots = evaluation.sample, {}
        for table in (evaluation.query, evaluation.gallery):
            roots[table.modality] = table.root
        numbers = []
        for row, (person, infrared) in enumerate(
            zip(sample.identities.tolist(), sample.infrared.tolist(), strict=True)
        ):
            modality = MODALITIES[infrared]
            path, camera = (sample.paths[row], int(sample.cameras[row])) if sample.paths else (None, None)
            image = None if path is None else (roots[modality] / path, box_of(sample.boxes, row))
            numbers.append(self._add(image, path, person, camera, modality))
        return numbers

    def write(self, folder: Path) -> int:
        """Write the copies, store their names in the entries, and remove copies of an earlier report.

        Returns:
            Number of images that could not be opened.
        """
        lost, kept = 0, set()
        remove_link(folder / FOLDER)
        for number, image in self._images.items() if self.shown else ():
            try:
                content = small_copy(*image)
            except OSError:
                lost += 1
                continue
            target = folder / FOLDER / f"{number:04d}.jpg"
            write_bytes(target, content, synced=False)  # a thousand files, which the next report makes again
            self.entries[number]["picture"] = f"{FOLDER}/{target.name}"
            kept.add(target.name)
        remove_old(folder, f"{FOLDER}/*.jpg", kept)
        return lost

    def _add(self, image: _Image | None, path: str | None, identity: int, camera: int | None, modality: str) -> int:
        if image in self._known:
            return self._known[image]
        number = len(self.entries)
        entry = {"path": path, "identity": identity, "camera": camera, "modality": modality, "picture": None}
        self.entries.append(entry)
        if image is not None:
            self._known[image], self._images[number] = number, image
        return number


def read_picture(file: Path, box: tuple[int, ...] | None = None) -> Image.Image:
    """Read an image file, or a part of it, upright and as RGB with 8 bits.

    Raises:
        OSError: the path is not a regular file, or the image is damaged or very large.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such image")
    try:
        return open_upright(file, box=box)
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise OSError(f"{file}: {error}") from error


def small_copy(file: Path, box: tuple[int, ...] | None = None) -> bytes:
    """Return a small copy of an image file, or of a part of it, as a JPEG file.

    Raises:
        OSError: as for :func:`read_picture`.
    """
    small = read_picture(file, box)
    small.thumbnail(SIZE)
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
