"""Clusters of the pictures of a features file."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.components.clustering.labelling import Clustering
from usvi_bench.components.clustering.neighbours import Search, check_search
from usvi_bench.core.bounds import COUNT, TINY, bounded, check_bounds
from usvi_bench.core.errors import StorageError, UsageError, show
from usvi_bench.core.files import temporary_folder, write_text
from usvi_bench.core.paths import check_output, is_file, is_folder
from usvi_bench.core.table import Table, Value, to_csv, value_rows
from usvi_bench.core.types import MODALITIES, OUTLIER
from usvi_bench.datasets.own_table import BOX
from usvi_bench.engine.embed import check_modality
from usvi_bench.engine.feature_file import FeatureFile, read_features
from usvi_bench.engine.load_config import build
from usvi_bench.engine.search import check_new_folder, only

TABLE = "clusters.csv"
"""Table in a folder of clusters."""
LONGEST = 50
"""Longest part of a picture's own name in the name of its link or copy."""


@dataclass(frozen=True)
class ClusterSettings:
    """Settings of the clustering; names and defaults are those of ``cluster_contrast``.

    Attributes:
        eps: largest Jaccard distance between neighbours in DBSCAN.
        k1: number of nearest neighbours in the k-reciprocal encoding.
        k2: number of nearest neighbours whose encodings are averaged.
        min_samples: number of pictures within ``eps``, itself included, that make a picture a core point.
        search: neighbour search, as ``method.search`` of a training.
    """

    eps: float = bounded(0.6, TINY, 1 - TINY)
    k1: int = bounded(30, 1, COUNT)
    k2: int = bounded(6, 1, COUNT)
    min_samples: int = bounded(4, 1, COUNT)
    search: Search = "auto"

    def __post_init__(self) -> None:
        check_bounds(self, "method")


@dataclass(frozen=True)
class ClusterRequest:
    """Clustering that is asked for; see :func:`usvi_bench.api.cluster` for the fields."""

    features: Path
    output: Path
    modality: str | None = None
    joint: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Path | None = None
    with_pictures: bool = False

    def __post_init__(self) -> None:
        check_modality(self.modality, "--modality")
        if self.joint and self.modality is not None:
            raise UsageError("--joint clusters both modalities together; leave out --modality")
        if self.as_table:
            if is_folder(self.output):
                raise UsageError(
                    f"--output {self.output}: this is a folder; give a new file, or a folder whose name has no .csv"
                )
            if self.data is not None or self.with_pictures:
                raise UsageError("--data and --with-pictures belong to a folder of clusters; give --output DIR")
            check_output(self.output.parent)
        else:
            check_new_folder(self.output)
            if self.data is None or not is_folder(self.data):
                raise UsageError(
                    f"--data {self.data or 'is missing'}: give the folder that the paths of {self.features} are "
                    "relative to, or --output FILE.csv for a table only"
                )

    @property
    def as_table(self) -> bool:
        """Whether only a table is written."""
        return self.output.suffix == ".csv"


@dataclass(frozen=True, eq=False)
class ClusterResult:
    """Cluster result: the cluster of each picture of a features file.

    Attributes:
        content: the features file.
        labels: ``[N]`` cluster of each picture from 0, by modality or jointly; -1 for an outlier.
    """

    content: FeatureFile
    labels: NDArray[np.int64]

    @property
    def sentence(self) -> str:
        """Sentence about the numbers of clusters, by the modalities they hold, and of outliers."""
        count, outliers = int(self.labels.max()) + 1, int((self.labels == OUTLIER).sum())
        visible, infrared = (
            set(self.labels[self.content.modality == number].tolist()) - {OUTLIER} for number in (0, 1)
        )
        parts = {
            "visible": visible - infrared,
            "infrared": infrared - visible,
            "with both modalities": visible & infrared,
        }
        held = ", ".join(f"{len(part)} {name}" for name, part in parts.items() if part)
        clusters = f"{count} clusters ({held})" if held else f"{count} clusters"
        return f"{len(self.labels)} pictures: {clusters}, {outliers} outliers"

    def table(self, files: list[str] | None = None) -> Table:
        """Make a table of the pictures, clusters first in order; ``files`` are their links or copies."""
        content, known = self.content, bool((self.content.identities >= 0).any())
        columns = ["path", "modality", *(["file"] if files else []), "cluster", "camera"]
        rows: list[list[Value]] = []
        for row in sorted(
            range(len(self.labels)), key=lambda row: (self.labels[row] == OUTLIER, self.labels[row], row)
        ):
            words = [content.paths[row], MODALITIES[content.modality[row]], *([files[row]] if files else [])]
            camera, identity = int(content.cameras[row]), int(content.identities[row])
            numbers = [int(self.labels[row]), None if camera < 0 else camera]
            numbers += [None if identity < 0 else identity] if known else []
            box = [] if content.boxes is None else content.boxes[row].tolist()
            numbers += [None if edge < 0 else edge for edge in box]
            rows.append([*words, *numbers])
        columns += [*(["identity"] if known else []), *([] if content.boxes is None else BOX)]
        return Table("Clusters", columns, value_rows(rows), 3 if files else 2)


def cluster_features(request: ClusterRequest) -> ClusterResult:
    """Cluster the pictures of a features file, and write a table, or folders with a link or copy of each picture.

    Raises:
        UsageError: an argument or the features are wrong, or a picture is missing; nothing is written.
        StorageError: a file cannot be written.
    """
    for name in request.settings:
        if not name.startswith("method."):
            raise UsageError(
                f"--set {show(name)}: no such setting; see method.eps, method.k1, method.k2, "
                "method.min_samples, method.search"
            )
    values = {name.partition(".")[2]: value for name, value in request.settings.items()}
    settings = build(ClusterSettings, values, "method")
    check_search(settings.search)
    content = read_features(request.features)
    if request.modality is not None:
        content = only(content, request.modality, str(request.features))
    files = None if request.as_table else _pictures(content, request.data)
    result = ClusterResult(content, _labels(content, settings, request.joint))
    if files is None:
        write_text(request.output, to_csv(result.table()), "choose another --output")
    else:
        _write_folders(result, files, request)
    return result


def _labels(content: FeatureFile, settings: ClusterSettings, joint: bool) -> NDArray[np.int64]:
    """Cluster each modality on its own, or both together with a balanced expansion; number the clusters from 0."""
    clustering = Clustering(settings.eps, settings.k1, settings.k2, settings.min_samples, search=settings.search)
    features = torch.from_numpy(np.array(content.features))
    if joint:
        groups = torch.from_numpy(content.modality.astype(np.int64))
        found: NDArray[np.int64] = clustering(features, groups, "visible and infrared", at_least=0).numpy()
        return found
    labels = np.full(len(features), OUTLIER, np.int64)
    for number, modality in enumerate(MODALITIES):
        rows = np.flatnonzero(content.modality == number)
        if len(rows):
            own = clustering(features[rows], None, modality, at_least=0).numpy()
            labels[rows] = np.where(own == OUTLIER, OUTLIER, own + labels.max() + 1)
    return labels


def _pictures(content: FeatureFile, data: Path | None) -> list[Path]:
    """Return the file of each picture; links may not lead out of the folder."""
    assert data is not None, "checked by ClusterRequest"
    root, found = data.resolve(), []
    for name in content.paths:
        path = (root / name).resolve()
        if not (is_file(path) and path.is_relative_to(root)):
            raise UsageError(f"--data {data}: no picture {show(name)} there; give the folder of the features' pictures")
        found.append(path)
    return found


def _write_folders(result: ClusterResult, pictures: list[Path], request: ClusterRequest) -> None:
    """Write a folder for each cluster and the table, beside the place of the output, then move them there."""
    names = []
    for row, (label, path) in enumerate(zip(result.labels.tolist(), result.content.paths, strict=True)):
        folder = "outliers" if label == OUTLIER else f"cluster-{label:05d}"
        names.append(f"{folder}/{row:06d}-{PurePosixPath(path).name[-LONGEST:]}")
    output = request.output
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(output.parent, f".{output.name}.clusters-") as place:
            made = place / "made"
            for name, picture in zip(names, pictures, strict=True):
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                if request.with_pictures:
                    shutil.copyfile(picture, made / name)
                else:
                    (made / name).symlink_to(picture)
            write_text(made / TABLE, to_csv(result.table(names)))
            made.replace(output)
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror}; choose another --output") from error
