"""External models in records: models that others trained, which this suite only scores."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

METHOD = "external"
"""Name in place of a method and of a setting; no method can have it."""
RELEASED = "released"
"""Selection of a score: the weights or features as their author gave them; how they were chosen is not known."""
CHECKPOINT, FEATURES = "checkpoint", "features"
NETWORKS = ("student", "teacher", "unknown")
"""Networks whose weights a file can hold."""
_TRAINING = ("method", "train", "augment", "evaluate_every")
"""Groups of settings that only a training has."""
_TRAINED = ("stages", "journal", "ablation")
"""Entries of a provenance that only a training has."""


@dataclass(frozen=True, slots=True)
class ExternalFile:
    """External file: name without folders, SHA-256, and the fold that it was scored on."""

    source: str
    sha256: str
    fold: int


@dataclass(frozen=True, slots=True)
class External:
    """External model of a record. Its author, its training and its use of identities cannot be verified.

    Attributes:
        kind: ``checkpoint`` or ``features``.
        claims: whose model it is, in the words of the user.
        container: form of the weight files, see :class:`~usvi_bench.components.encoder.weight_file.PackedWeights`, or
            ``training`` for a checkpoint of this suite; None for features.
        key_map: name of the map from the names of a release to ours; None if the names are ours.
        network: ``student``, ``teacher`` or ``unknown``.
        files: one file for each scored fold.
    """

    kind: str
    claims: str | None
    container: str | None
    key_map: str | None
    network: str
    files: list[ExternalFile]


def hash_of_files(files: Sequence[ExternalFile]) -> str:
    """Return the hash that stands for the starting weights: that of the file, or of all hashes in their order."""
    if len(files) == 1:
        return files[0].sha256
    return hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()


def name_of_files(files: Sequence[ExternalFile]) -> str:
    """Return the name of the file, or the number of files."""
    return files[0].source if len(files) == 1 else f"{len(files)} files"


def check_kind(
    method: str,
    external: External | None,
    selections: Collection[str],
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """Check that a record is either that of a training or that of an external model, in all of its parts.

    Raises:
        ValueError: names the field that belongs to the other kind.
    """
    if (method == METHOD) != (external is not None):
        raise ValueError(
            f"result.external: {'missing' if external is None else f'present, but the method is {method}'}"
        )
    if external is None:
        if RELEASED in selections:
            raise ValueError(f"result.scores: the selection '{RELEASED}' belongs to external models")
        return
    if not external.files:
        raise ValueError("result.external.files: empty")
    if others := set(selections) - {RELEASED}:
        raise ValueError(f"result.scores: the selection of an external model is '{RELEASED}', not '{min(others):.40}'")
    for name in _TRAINING:
        if name in config:
            raise ValueError(f"result.config.{name}: an external model has no settings of a training")
    for name in _TRAINED:
        if name in provenance:
            raise ValueError(f"provenance.{name}: an external model was not trained here")
