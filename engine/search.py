"""Search of a gallery by pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.bounds import COUNT, bounded, check_bounds
from usvi_bench.core.errors import UsageError, show
from usvi_bench.core.options import similar_paths
from usvi_bench.core.paths import check_output, expanded, is_folder
from usvi_bench.core.table import Table, Value, value_rows
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.grey_depth import EACH_IMAGE
from usvi_bench.datasets.own_table import BOX
from usvi_bench.datasets.pictures import read_paths
from usvi_bench.engine.display import Display
from usvi_bench.engine.embed import check_modality, features_of
from usvi_bench.engine.embedder import Embedder
from usvi_bench.engine.feature_file import FeatureFile, read_features
from usvi_bench.engine.find_tables import find_tables
from usvi_bench.engine.open_embedder import ModelRequest, open_embedder
from usvi_bench.engine.ranked_lists import ranked_lists

REFUSED = "not in the gallery"
"""Note of a picture whose similarity is not above the threshold."""
_SAME = ("weights_sha256", "feature", "height", "width", "filter", "depth_range")
"""Entries of ``about`` that must be equal for features to be compared."""


@dataclass(frozen=True)
class SearchRequest:
    """Search that is asked for; see :func:`usvi_bench.api.search` for the fields."""

    queries: Sequence[Path]
    gallery: str
    model: ModelRequest
    modality: str
    gallery_modality: str | None = None
    top: int = bounded(20, 1, COUNT)
    threshold: float | None = bounded(None, -1, 1)
    data: Path | None = None
    output: Path | None = None
    with_pictures: bool = False

    def __post_init__(self) -> None:
        if type(self.top) is not int:
            raise UsageError(f"top={self.top!r:.60}: expected a whole number")
        check_bounds(self, "")
        check_modality(self.modality, "--modality")
        check_modality(self.gallery_modality, "--gallery-modality")
        if not self.queries:
            raise UsageError("there is no query; give pictures, or folders of pictures")
        if self.data is not None and not is_folder(self.data):
            raise UsageError(
                f"--data {self.data!s:.300}: no such folder{similar_paths(self.data)}; "
                "give the folder of the gallery's pictures"
            )
        check_new_folder(self.output)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Search result: ranked lists of gallery pictures.

    Attributes:
        queries: file of each query.
        modality: modality of the queries.
        gallery: features, paths and cameras of the pictures that were searched.
        rows: ``[Q, top]`` gallery rows, best first.
        similarity: ``[Q, top]`` cosine similarities.
        threshold: similarity that a picture in the gallery exceeds; None for no threshold.
        root: folder that the gallery's paths are relative to; None if it is not known.
        model: sentence about the model.
    """

    queries: tuple[Path, ...]
    modality: str
    gallery: FeatureFile
    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]
    threshold: float | None
    root: Path | None
    model: str

    def note(self, query: int, rank: int) -> str:
        """Return :data:`REFUSED` for a picture that is not above the threshold, else no text."""
        refused = self.threshold is not None and not self.similarity[query, rank] > self.threshold
        return REFUSED if refused else ""

    def table(self, most: int | None = None) -> Table:
        """Make a table of the ranked lists of the first ``most`` queries; ranks begin at 1."""
        gallery, known = self.gallery, bool((self.gallery.identities >= 0).any())
        columns = ["query", "path", "modality", "note", "rank", "camera", "similarity", "identity", *BOX]
        left_out = ([] if known else ["identity"]) + (["note"] if self.threshold is None else [])
        left_out += BOX if gallery.boxes is None else ()
        kept = [place for place, name in enumerate(columns) if name not in left_out]
        rows: list[list[Value]] = []
        for query, path in enumerate(self.queries[:most]):
            for rank, row in enumerate(self.rows[query].tolist()):
                cells: list[Value] = [
                    str(path),
                    gallery.paths[row],
                    MODALITIES[gallery.modality[row]],
                    self.note(query, rank),
                    rank + 1,
                    _known(gallery.cameras[row]),
                    round(float(self.similarity[query, rank]), 6),
                    _known(gallery.identities[row]),
                    *map(_known, np.full(4, -1) if gallery.boxes is None else gallery.boxes[row]),
                ]
                rows.append([cells[place] for place in kept])
        words = sum(columns[place] in ("query", "path", "modality", "note") for place in kept)
        return Table("Ranked lists", [columns[place] for place in kept], value_rows(rows, 4), words)


def search_pictures(request: SearchRequest, display: Display) -> SearchResult:
    """Find the gallery pictures that are most similar to each query.

    Raises:
        UsageError: an argument, the model, the features or a picture is wrong.
    """
    modality: Any = request.modality
    tables = read_paths(request.queries, modality)
    embedder = open_embedder(request.model)
    display.print(embedder.description)
    gallery, root = _gallery(request, embedder, display)
    found = np.concatenate([embedder.embed_table(table) for table in tables])
    if found.shape[1] != gallery.features.shape[1]:
        raise UsageError(
            f"{request.gallery}: features of {gallery.features.shape[1]} numbers, but the model gives "
            f"{found.shape[1]}; write them again with 'embed'"
        )
    rows, similarity = ranked_lists(found, gallery.features, request.top)
    queries = tuple(table.root / name for table in tables for name in table.paths)
    return SearchResult(
        queries, request.modality, gallery, rows, similarity, request.threshold, root, embedder.description
    )


def check_new_folder(output: Path | None) -> None:
    """Refuse an output folder that holds files, which could be those of others.

    Raises:
        UsageError: names the folder.
    """
    if output is None:
        return
    check_output(output)
    if is_folder(output) and any(output.iterdir()):
        raise UsageError(f"--output {output}: the folder is not empty; give a new one, or remove it")


def check_comparable(content: FeatureFile, embedder: Embedder, path: str) -> None:
    """Check that features are those of a model.

    Raises:
        UsageError: the weights, the kind of feature or the preparation of the images are others.
    """
    for name in _SAME:
        usual = EACH_IMAGE if name == "depth_range" else None
        stated, own = content.about.get(name, usual), embedder.about.get(name, usual)
        if stated != own:
            found = (
                "is missing"
                if stated is None
                else f"is {show(str(stated)[:16])}, but {show(str(own)[:16])} of {embedder.source}"
            )
            raise UsageError(
                f"{path}: about.{name} {found}; features of different models cannot be compared: give the model of "
                "the features, or write them again with 'embed'"
            )


def _gallery(request: SearchRequest, embedder: Embedder, display: Display) -> tuple[FeatureFile, Path | None]:
    path, modality = expanded(request.gallery), request.gallery_modality
    if path.suffix.lower() == ".npz" and not is_folder(path):
        content = read_features(path)
        check_comparable(content, embedder, request.gallery)
        return content if modality is None else only(content, modality, request.gallery), request.data
    if request.data is not None:
        raise UsageError("--data belongs to a features file; a folder as --gallery has its own pictures")
    try:
        source = find_tables(request.gallery, modality=modality, progress=display.print)  # type: ignore[arg-type]  # checked
    except UsageError as error:
        raise UsageError(f"--gallery {str(error).replace('--modality', '--gallery-modality')}") from error
    display.print(source.sentence)
    return features_of(embedder, source.tables, data_fingerprint=source.fingerprint), source.tables[0].root


def only(content: FeatureFile, modality: str, path: str) -> FeatureFile:
    """Return the rows of one modality.

    Raises:
        UsageError: there are none.
    """
    rows = np.flatnonzero(content.modality == MODALITIES.index(modality))
    if not len(rows):
        raise UsageError(f"{path}: it has no {modality} picture; give another modality")
    arrays = {name: getattr(content, name)[rows] for name in ("features", "modality", "cameras", "identities")}
    boxes = None if content.boxes is None else content.boxes[rows]
    return replace(content, **arrays, paths=tuple(content.paths[row] for row in rows), boxes=boxes)


def _known(number: np.int64) -> int | None:
    return None if number < 0 else int(number)
