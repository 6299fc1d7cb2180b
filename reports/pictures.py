"""Which pictures of people a report may show, and the small copies that it keeps of them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from usvi_bench.core.files import write_bytes
from usvi_bench.core.record import Record
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.base import ImageTable
from usvi_bench.protocols.evaluation_file import SavedEvaluation

FOLDER = "pictures"
SIZE = (64, 128)
"""Width and height of a copy in pixels; images keep their shape inside."""
QUALITY = 85


def may_be_shown(records: Sequence[Record], asked: bool) -> tuple[bool, str]:
    """Whether pictures are shown, and why: of real people only if asked for."""
    if all(record.result.dataset["synthetic"] is not None for record in records):
        return True, "The people are synthetic."
    if asked:
        return True, "The people are real; their pictures are shown because --with-pictures asked for them."
    return False, (
        "The people are real: nobody in the pictures was asked, and the licences of the data sets forbid to publish "
        "them. Ranked lists, worst queries and confused pairs are drawn with --with-pictures, for your eyes only."
    )


class Album:
    """The images that a report speaks of, each once, and a small copy of each where it may be shown."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.entries: list[dict[str, Any]] = []
        self._files: dict[int, Path] = {}
        self._known: dict[Path | None, int] = {}

    def add(self, table: ImageTable, row: int) -> int:
        """The number of an image of a table."""
        return self._add(
            table.root, table.paths[row], int(table.identities[row]), int(table.cameras[row]), table.modality
        )

    def add_sample(self, evaluation: SavedEvaluation) -> list[int]:
        """The numbers of the images of the feature sample; without paths and cameras where the run kept none."""
        sample, roots = evaluation.sample, {}
        for table in (evaluation.query, evaluation.gallery):
            roots[table.modality] = table.root
        numbers = []
        for row, (person, infrared) in enumerate(
            zip(sample.identities.tolist(), sample.infrared.tolist(), strict=True)
        ):
            modality = MODALITIES[infrared]
            path, camera = (sample.paths[row], int(sample.cameras[row])) if sample.paths else (None, None)
            numbers.append(self._add(roots[modality], path, person, camera, modality))
        return numbers

    def write(self, folder: Path) -> int:
        """Write the copies and note their names; copies of an earlier report go.

        Returns:
            How many pictures could not be opened.
        """
        lost, kept = 0, set()
        for number, file in self._files.items() if self.shown else ():
            try:
                content = _small(file)
            except OSError:
                lost += 1
                continue
            target = folder / FOLDER / f"{number:04d}.jpg"
            write_bytes(target, content)
            self.entries[number]["picture"] = f"{FOLDER}/{target.name}"
            kept.add(target.name)
        for old in (folder / FOLDER).glob("*.jpg"):
            if old.name not in kept:
                old.unlink()
        return lost

    def _add(self, root: Path, path: str | None, identity: int, camera: int | None, modality: str) -> int:
        file = None if path is None else root / path
        if file in self._known:
            return self._known[file]
        number = len(self.entries)
        entry = {"path": path, "identity": identity, "camera": camera, "modality": modality, "picture": None}
        self.entries.append(entry)
        if file is not None:
            self._known[file], self._files[number] = number, file
        return number


def _small(file: Path) -> bytes:
    with Image.open(file) as image:
        small = image.convert("RGB")
        small.thumbnail(SIZE)
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
