"""``evaluation.npz``: ranked lists and features of a run's first fold, from which figures are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.sealed import write_sealed
from usvi_bench.core.types import MODALITIES, Modality
from usvi_bench.datasets.base import ImageTable, Split
from usvi_bench.protocols.array_file import checked, read_arrays
from usvi_bench.protocols.base import Ranking
from usvi_bench.protocols.meeting import Meeting, count_meeting

DEPTH = 10
"""Number of gallery images kept in each ranked list."""
IDENTITIES = 100
"""Number of identities in the feature sample."""
IMAGES = 12
"""Number of images of each identity in each modality of the feature sample."""


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """Sample of the test features: the features of some identities, for figures.

    Attributes:
        features: ``[S, D]`` float32 unit features after training.
        before: ``[S, D]`` float32 unit features before training, or None.
        identities: ``[S]`` true identities.
        infrared: ``[S]`` bool: True for infrared, False for visible images.
        cameras: ``[S]`` camera numbers; empty in runs that did not keep them.
        paths: ``S`` paths below the root of the test images; empty in runs that did not keep them.
        boxes: ``[S, 4]`` boxes as in :class:`~usvi_bench.datasets.base.ImageTable`; None if all images are whole.
    """

    features: NDArray[np.float32]
    before: NDArray[np.float32] | None
    identities: NDArray[np.int64]
    infrared: NDArray[np.bool_]
    cameras: NDArray[np.int64]
    paths: tuple[str, ...]
    boxes: NDArray[np.int32] | None = None

    def people(self, count: int) -> Sample:
        """Select the images of the first ``count`` identities, in ascending order."""
        rows = np.flatnonzero(np.isin(self.identities, np.unique(self.identities)[:count]))
        return Sample(
            features=self.features[rows],
            before=None if self.before is None else self.before[rows],
            identities=self.identities[rows],
            infrared=self.infrared[rows],
            cameras=self.cameras[rows] if len(self.cameras) else self.cameras,
            paths=tuple(self.paths[row] for row in rows) if self.paths else (),
            boxes=None if self.boxes is None else self.boxes[rows],
        )


@dataclass(frozen=True, eq=False, slots=True)
class SavedEvaluation:
    """Saved evaluation of the first trial of the first fold, as it was scored.

    Attributes:
        query: all query images.
        gallery: the gallery drawn for this trial.
        order: ``[Q, 10]`` rows of ``gallery``, best first; -1 where fewer images are ranked.
        scores: ``[Q, 10]`` similarity; NaN where ``order`` is -1.
        matches: ``[Q, 10]`` whether the image shows the person of the query.
        average_precision: ``[Q]``; NaN where a query is invalid.
        sample: sample of the test features.
        features: ``[Q, D]`` and ``[G, D]`` float32 unit features of the queries and the gallery; None in runs that did
            not keep them.
        meetings: people whose images of the two modalities meet, ``after`` training and, if the features are known,
            ``before``. All test people of the fold are counted; in older runs, those of ``sample``.
    """

    query: ImageTable
    gallery: ImageTable
    order: NDArray[np.int64]
    scores: NDArray[np.float64]
    matches: NDArray[np.bool_]
    average_precision: NDArray[np.float64]
    sample: Sample
    features: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    meetings: Mapping[str, Meeting] = field(default_factory=dict)


def save_evaluation(
    path: Path,
    ranking: Ranking,
    split: Split,
    query: Modality,
    *,
    after: Sequence[NDArray[np.float32]],
    before: Sequence[NDArray[np.float32]] | None = None,
    scored: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> None:
    """Write ``evaluation.npz`` atomically.

    Args:
        path: file to write.
        ranking: ranked lists of the first trial.
        split: test images of the fold; rows of ``ranking`` refer to them.
        query: modality of the queries.
        after: test features of all (visible, infrared) images of ``split`` from the headline model.
        before: test features of the same images from the network with the starting weights.
        scored: features of the queries and of the gallery, if they are not those of these images, which were corrupted.
    """
    (queries, probes), (pool, candidates) = zip((split.visible, split.infrared), after, strict=True)
    if query == "infrared":
        queries, probes, pool, candidates = pool, candidates, queries, probes
    position = np.full(len(pool) + 1, -1)  # order == -1 selects the last entry
    position[ranking.gallery] = np.arange(len(ranking.gallery))
    visible, infrared = sample_rows(split.visible.identities, split.infrared.identities)
    pick = {"after": after, **({} if before is None else {"before": before})}
    arrays: dict[str, Any] = {
        **_table_arrays("query", queries, ranking.query),
        **_table_arrays("gallery", pool, ranking.gallery),
        "order": position[ranking.order[:, :DEPTH]],
        "scores": ranking.scores[:, :DEPTH],
        "matches": ranking.matches[:, :DEPTH],
        "average_precision": ranking.average_precision,
        "query_features": (probes[ranking.query] if scored is None else scored[0]).astype(np.float32),
        "gallery_features": (candidates[ranking.gallery] if scored is None else scored[1]).astype(np.float32),
        "identities": np.concatenate([split.visible.identities[visible], split.infrared.identities[infrared]]),
        "infrared": np.repeat([False, True], [len(visible), len(infrared)]),
        "sample_cameras": np.concatenate([split.visible.cameras[visible], split.infrared.cameras[infrared]]),
        "sample_paths": np.array(
            [split.visible.paths[row] for row in visible] + [split.infrared.paths[row] for row in infrared], dtype=str
        ),
        **{name: np.concatenate([v[visible], i[infrared]]).astype(np.float16) for name, (v, i) in pick.items()},
        **{f"meeting_{name}": _meeting(split, features) for name, features in pick.items()},
        **_boxes("sample", split.visible.take(visible), split.infrared.take(infrared)),
    }
    write_sealed(path, lambda file: np.savez_compressed(file, **arrays))


def load_evaluation(path: Path) -> SavedEvaluation:
    """Read a file that :func:`save_evaluation` wrote.

    Raises:
        DamagedFileError: the file does not match its checksum, or its arrays are not those of an evaluation.
    """
    return read_arrays(path, _evaluation)


def _evaluation(arrays: Any) -> SavedEvaluation:
    query, gallery = _table(arrays, "query"), _table(arrays, "gallery")
    order = checked(arrays, "order", "i", len(query), None)
    if order.size and not -1 <= order.min() <= order.max() < len(gallery):
        raise ValueError(f"order has rows {order.min()} to {order.max()} of a gallery of {len(gallery)}")
    sample = _sample(arrays)
    return SavedEvaluation(
        query=query,
        gallery=gallery,
        order=order,
        scores=checked(arrays, "scores", "f", *order.shape),
        matches=checked(arrays, "matches", "b", *order.shape),
        average_precision=checked(arrays, "average_precision", "f", len(query)),
        sample=sample,
        features=_features(arrays, len(query), len(gallery)),
        meetings=_meetings(arrays, sample),
    )


def _meeting(split: Split, features: Sequence[NDArray[np.float32]]) -> NDArray[np.int64]:
    """Count the meeting people among all test people, as an array ``[people, met]``."""
    tables = (split.visible, split.infrared)
    infrared = np.repeat([False, True], [len(table) for table in tables])
    found = count_meeting(np.concatenate(features), np.concatenate([table.identities for table in tables]), infrared)
    return np.array([found.people, found.met])


def _meetings(arrays: Any, sample: Sample) -> dict[str, Meeting]:
    found = {}
    for name, features in (("after", sample.features), ("before", sample.before)):
        if features is not None and f"meeting_{name}" in arrays:
            people, met = checked(arrays, f"meeting_{name}", "iu", 2).tolist()
            if not 0 <= met <= people:
                raise ValueError(f"meeting_{name}: {met} of {people} people")
            found[name] = Meeting(people, met)
        elif features is not None:
            found[name] = count_meeting(features, sample.identities, sample.infrared)
    return found


def _features(arrays: Any, queries: int, gallery: int) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    if "query_features" not in arrays:
        return None
    first = checked(arrays, "query_features", "f", queries, None)
    second = checked(arrays, "gallery_features", "f", gallery, first.shape[1])
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("query_features or gallery_features hold NaN or infinite values")
    return first, second


def _sample(arrays: Any) -> Sample:
    after = checked(arrays, "after", "f", None, None)
    size = len(after)
    before = checked(arrays, "before", "f", *after.shape) if "before" in arrays else None
    for name, features in (("after", after), ("before", before)):
        if features is not None and not np.isfinite(features).all():
            raise ValueError(f"{name} holds NaN or infinite values")
    cameras = checked(arrays, "sample_cameras", "iu", size) if "sample_cameras" in arrays else np.empty(0, np.int64)
    return Sample(
        features=after.astype(np.float32),
        before=None if before is None else before.astype(np.float32),
        identities=checked(arrays, "identities", "iu", size),
        infrared=checked(arrays, "infrared", "b", size),
        cameras=cameras,
        paths=tuple(checked(arrays, "sample_paths", "U", size).tolist()) if "sample_paths" in arrays else (),
        boxes=checked(arrays, "sample_boxes", "i", size, 4) if "sample_boxes" in arrays else None,
    )


def sample_rows(visible: NDArray[np.int64], infrared: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the visible and the infrared images whose features are kept.

    These are the first :data:`IMAGES` images in each modality of the first :data:`IDENTITIES` identities, in ascending
    order, that have images in both modalities. A negative identity is unknown. Here, only person 4 has both:

    >>> visible, infrared = sample_rows(np.array([3, -1, 4]), np.array([4, -1, 4]))
    >>> visible.tolist(), infrared.tolist()
    ([2], [0, 2])
    """
    both = np.intersect1d(visible, infrared)
    chosen = both[both >= 0][:IDENTITIES]
    first, second = (
        np.concatenate([np.flatnonzero(identities == each)[:IMAGES] for each in chosen] or [np.empty(0, np.int64)])
        for identities in (visible, infrared)
    )
    return first, second


def _table_arrays(name: str, table: ImageTable, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return {
        f"{name}_modality": np.array(table.modality),
        f"{name}_root": np.array(str(table.root.resolve())),
        f"{name}_paths": np.array(table.paths)[rows],
        f"{name}_identities": table.identities[rows],
        f"{name}_cameras": table.cameras[rows],
        **_boxes(name, table.take(rows)),
    }


def _boxes(name: str, *tables: ImageTable) -> dict[str, NDArray[Any]]:
    """Return the boxes of tables in one array; no array if all images are whole."""
    if all(table.boxes is None for table in tables):
        return {}
    whole = (np.full((len(table), 4), -1, np.int32) if table.boxes is None else table.boxes for table in tables)
    return {f"{name}_boxes": np.concatenate([*whole])}


def _table(arrays: Any, name: str) -> ImageTable:
    modality = str(checked(arrays, f"{name}_modality", "U"))
    if modality not in MODALITIES:
        raise ValueError(f"{name}_modality is {modality!r:.40}")
    paths = checked(arrays, f"{name}_paths", "U", None)
    return ImageTable(
        modality=modality,
        root=Path(str(checked(arrays, f"{name}_root", "U"))),
        paths=tuple(paths.tolist()),
        identities=checked(arrays, f"{name}_identities", "iu", len(paths)),
        cameras=checked(arrays, f"{name}_cameras", "iu", len(paths)),
        boxes=checked(arrays, f"{name}_boxes", "i", len(paths), 4) if f"{name}_boxes" in arrays else None,
    )
