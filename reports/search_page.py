"""Page and table of a search, which need no connection: ranked lists with pictures, if they may be shown."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from usvi_bench.core.files import write_bytes, write_text
from usvi_bench.core.formatting import counted
from usvi_bench.core.table import to_csv
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.base import box_of
from usvi_bench.datasets.tree import SYNTHETIC_NOTE
from usvi_bench.engine.search import SearchResult
from usvi_bench.reports.pictures import FOLDER, small_copy
from usvi_bench.reports.site.render import render

PAGE, TABLE = "index.html", "search.csv"
REAL = (
    "The people are real and did not consent to publication, so their pictures are not shown. For private use, "
    "--with-pictures shows them."
)
ASKED = "The people are real; their pictures are shown because of --with-pictures. Do not publish this folder."
_NO_ROOT = "The features file has no pictures; --data names their folder."


def write_search(result: SearchResult, output: Path, with_pictures: bool) -> Path:
    """Write ``search.csv``, the page ``index.html`` with its style, and small copies of pictures that may be shown.

    Returns:
        Path of the page.

    Raises:
        StorageError: a file cannot be written.
    """
    synthetic = _is_synthetic(result)
    shown = synthetic or with_pictures
    album = _Album(output, shown)
    queries = [_query(result, number, album) for number in range(len(result.queries))]
    privacy = ["The people are synthetic." if synthetic else ASKED if shown else REAL]
    privacy += [_NO_ROOT] if shown and result.root is None else []
    privacy += [f"{album.lost} pictures could not be opened."] if album.lost else []
    facts = [
        ("model", result.model),
        ("queries", counted(len(queries), f"{result.modality} picture")),
        ("gallery", " and ".join(_gallery_counts(result))),
        ("threshold", "none" if result.threshold is None else f"similarity above {result.threshold:g}"),
    ]
    write_text(output / TABLE, to_csv(result.table()))
    static = files("usvi_bench.reports.site").joinpath("static")
    for name in ("style.css", "icon.svg"):
        write_bytes(output / "assets" / name, static.joinpath(name).read_bytes())
    page = render("search.html", PAGE, queries=queries, privacy=" ".join(privacy), facts=facts)
    write_text(output / PAGE, page)
    return output / PAGE


def _gallery_counts(result: SearchResult) -> Iterator[str]:
    """Count the pictures of each modality in the gallery."""
    for number, name in enumerate(MODALITIES):
        if count := int((result.gallery.modality == number).sum()):
            yield counted(count, f"{name} picture")


Box = tuple[int, ...]
"""Left, top, right and bottom of the part of an image that is a picture."""


class _Album:
    """Album of the small copies that a page shows, each written once."""

    def __init__(self, output: Path, shown: bool) -> None:
        self.lost = 0
        self._output, self._shown = output, shown
        self._names: dict[tuple[Path, Box | None], str | None] = {}

    def add(self, file: Path | None, box: Box | None = None) -> str | None:
        """Write a copy and return its address in the page; None if it may not be shown or cannot be opened."""
        if not self._shown:
            return None
        if file is None:
            self.lost += 1
            return None
        key = file, box
        if key not in self._names:
            name = f"{FOLDER}/{len(self._names):05d}.jpg"
            try:
                content = small_copy(file, box)
            except OSError:
                self.lost += 1
                self._names[key] = None
            else:
                write_bytes(self._output / name, content)
                self._names[key] = name
        return self._names[key]


def _query(result: SearchResult, number: int, album: _Album) -> dict[str, Any]:
    path = result.queries[number]
    ranked = []
    for rank, row in enumerate(result.rows[number].tolist()):
        gallery = result.gallery
        identity, camera = int(gallery.identities[row]), int(gallery.cameras[row])
        words = [f"{rank + 1}.", f"{result.similarity[number, rank]:.3f}"]
        words += [f"camera {camera}"] if camera >= 0 else []
        words += [f"person {identity}"] if identity >= 0 else []
        ranked.append(
            {
                "name": gallery.paths[row],
                "modality": MODALITIES[gallery.modality[row]],
                "picture": result.root
                and album.add(inside(result.root, gallery.paths[row]), box_of(gallery.boxes, row)),
                "words": words,
                "note": result.note(number, rank),
            }
        )
    own = {"name": path.name, "modality": result.modality, "picture": album.add(path), "words": ["query"], "note": ""}
    return {**own, "ranked": ranked}


def inside(root: Path, name: str) -> Path | None:
    """Return the file of a path below a folder; None if links lead out of it, or to themselves."""
    try:
        return path if (path := (root / name).resolve()).is_relative_to(root.resolve()) else None
    except (OSError, RuntimeError, ValueError):
        return None


def _is_synthetic(result: SearchResult) -> bool:
    """Return whether all pictures that the page could show are in folders of generated people."""
    folders = {query.resolve().parent for query in result.queries}
    generated = all(any((up / SYNTHETIC_NOTE).is_file() for up in (each, *each.parents)) for each in folders)
    return generated and (result.root is None or (result.root / SYNTHETIC_NOTE).is_file())
