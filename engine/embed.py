"""Features of pictures, as a features file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.paths import check_output, is_folder
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.base import ImageTable
from usvi_bench.engine.display import Display
from usvi_bench.engine.embedder import Embedder
from usvi_bench.engine.feature_file import FeatureFile, is_plain_path, write_features
from usvi_bench.engine.find_tables import SPLITS, find_tables
from usvi_bench.engine.open_embedder import ModelRequest, open_embedder


@dataclass(frozen=True)
class EmbedRequest:
    """Embedding that is asked for; see :func:`usvi_bench.api.embed` for the fields."""

    data: str
    model: ModelRequest
    output: Path
    modality: str | None = None
    dataset: str | None = None
    split: str = "all"

    def __post_init__(self) -> None:
        check_modality(self.modality, "--modality")
        if self.split not in SPLITS:
            raise UsageError(f"--split: unknown split '{show(self.split)}': {did_you_mean(self.split, SPLITS)}")
        if self.output.suffix != ".npz" or is_folder(self.output):
            raise UsageError(f"--output {self.output!s:.300}: give the name of a file that ends with .npz")
        check_output(self.output.parent)


def check_modality(modality: str | None, option: str) -> None:
    """Refuse an unknown modality.

    Raises:
        UsageError: names the option.
    """
    if modality is not None and modality not in MODALITIES:
        raise UsageError(f"{option}: unknown modality '{show(modality)}': {did_you_mean(modality, MODALITIES)}")


def embed_data(request: EmbedRequest, display: Display) -> FeatureFile:
    """Embed the pictures of a data set or a folder, and write their features.

    Raises:
        UsageError: an argument, the model or a picture is wrong; nothing is written.
        StorageError: the file cannot be written.
    """
    embedder = open_embedder(request.model)
    display.print(embedder.description)
    modality: Any = request.modality
    source = find_tables(
        request.data, modality=modality, dataset=request.dataset, split=request.split, progress=display.print
    )
    display.print(source.sentence)
    content = features_of(embedder, source.tables, data_fingerprint=source.fingerprint)
    write_features(request.output, content)
    return content


def features_of(embedder: Embedder, tables: Sequence[ImageTable], **about: Any) -> FeatureFile:
    """Compute the features of tables, visible pictures first, each modality in the order of paths.

    Args:
        embedder: the model.
        tables: the pictures, each once.
        about: further entries of the description.

    Raises:
        UsageError: a picture cannot be decoded, or its name cannot be in a features file.
    """
    modality = np.repeat([MODALITIES.index(table.modality) for table in tables], list(map(len, tables)))
    paths = [path for table in tables for path in table.paths]
    if odd := [path for path in paths if not is_plain_path(path)]:
        raise UsageError(f"{show(odd[0])}: this path cannot be written to a features file; rename the picture")
    order = sorted(range(len(paths)), key=lambda row: (modality[row], paths[row], row))
    boxes = [table.boxes for table in tables]  # of tables whose pictures are parts of files
    whole = [np.full((len(table), 4), -1, np.int32) for table in tables]
    given = [part if box is None else box for box, part in zip(boxes, whole, strict=True)]
    return FeatureFile(
        features=np.concatenate([embedder.embed_table(table) for table in tables])[order],
        paths=tuple(paths[row] for row in order),
        modality=modality[order].astype(np.uint8),
        cameras=np.concatenate([table.cameras for table in tables])[order].astype(np.int64),
        identities=np.concatenate([table.identities for table in tables])[order].astype(np.int64),
        about={**embedder.about, **about},
        boxes=None if all(box is None for box in boxes) else np.concatenate(given)[order],
    )
