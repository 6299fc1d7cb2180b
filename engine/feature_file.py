"""Features file: features of images with their paths, modalities, cameras and identities, as ``.npz`` without pickle.

| array | type | content |
|---|---|---|
| ``features`` | float32 ``[N, D]`` | rows of length 1 |
| ``paths`` | text ``[N]`` | path of each image below the root of its data set, with ``/`` |
| ``modality`` | uint8 ``[N]`` | 0 visible, 1 infrared |
| ``cameras``, ``identities`` | int64 ``[N]`` | -1 unknown |
| ``boxes`` | int32 ``[N, 4]`` | left, top, right, bottom of the part of the image; left out for whole images |
| ``about`` | text | JSON object, see :data:`ABOUT` |
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError, did_you_mean, printable, show
from usvi_bench.core.files import parse_json, write_atomically
from usvi_bench.core.npz import read_npz
from usvi_bench.core.paths import is_file
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.base import ImageTable

ABOUT: dict[str, type] = {
    "schema": int,  # 1
    "feature": str,  # kind of feature: "bn+flip"
    "similarity": str,  # "dot"
    "encoder": dict,  # settings of the encoder
    "height": int,  # size and filter that images were resized with
    "width": int,
    "filter": str,
    "depth_range": str,  # grey values of more than 8 bits that became black and white; absent for those of each image
    "weights_sha256": str,
    "training": str,  # key of the last stage of the training
    "data_fingerprint": str,  # fingerprint of the data set
    "version": str,  # version of the suite that wrote the file
    "note": str,
}
"""Entries of ``about`` and their types; the first three must be there."""
_NEEDED = {
    "features": "float32",
    "paths": "str",
    "modality": "uint8",
    "cameras": "int64",
    "identities": "int64",
    "about": "str",
}
_OPTIONAL = {"boxes": "int32"}
FOREIGN = (".npy", ".mat", ".h5", ".hdf5", ".pkl", ".pickle", ".pt", ".pth", ".csv")
"""Endings of files that other code saves features in."""
ImageKey = tuple[str, str, tuple[int, ...]]
"""Modality, path and box of an image; the box of a whole image is empty."""
UNIT = 1e-3
"""Largest difference of the length of a row from 1."""


@dataclass(frozen=True, eq=False)
class FeatureFile:
    """Features file that was read or is to be written; see the table of the module.

    Attributes:
        sha256: hash of the file; empty before it is written.
    """

    features: NDArray[np.float32]
    paths: tuple[str, ...]
    modality: NDArray[np.uint8]
    cameras: NDArray[np.int64]
    identities: NDArray[np.int64]
    about: Mapping[str, Any]
    boxes: NDArray[np.int32] | None = None
    sha256: str = ""

    @cached_property
    def rows(self) -> dict[ImageKey, int]:
        """Row of each image, by modality, path and box."""
        names = [MODALITIES[number] for number in self.modality.tolist()]
        return {key: row for row, key in enumerate(_keys(names, self.paths, self.boxes))}

    def of_table(self, table: ImageTable) -> NDArray[np.float32]:
        """Return the features ``[N, D]`` of the images of a table, which :func:`check_covers` has found."""
        return self.features[[self.rows[key] for key in keys_of(table)]]


def keys_of(table: ImageTable) -> list[ImageKey]:
    """Return the key of each image of a table in :attr:`FeatureFile.rows`."""
    return _keys([table.modality] * len(table), table.paths, table.boxes)


def _keys(modalities: Iterable[str], paths: Sequence[str], boxes: NDArray[np.int32] | None) -> list[ImageKey]:
    given: Iterable[list[int]] = [[]] * len(paths) if boxes is None else boxes.tolist()
    parts = (() if box and box[0] < 0 else tuple(box) for box in given)  # -1: the whole image
    return list(zip(modalities, paths, parts, strict=True))


def _name(key: ImageKey) -> str:
    return f"{key[1]} {key[2]}" if key[2] else key[1]


def write_features(path: Path, content: FeatureFile) -> None:
    """Check and write a features file atomically; equal content gives equal bytes.

    Raises:
        UsageError: the content is not that of a features file.
        StorageError: the file cannot be written.
    """
    _check(content, path)
    arrays: dict[str, Any] = {
        "features": content.features,
        "paths": np.array(content.paths, dtype=str),
        "modality": content.modality,
        "cameras": content.cameras,
        "identities": content.identities,
        "about": np.array(json.dumps(content.about, sort_keys=True, allow_nan=False)),
        **({} if content.boxes is None else {"boxes": content.boxes}),
    }
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays), "choose another --output")


def read_features(path: Path) -> FeatureFile:
    """Read a features file of any origin, and check everything that can be checked without its data set.

    Raises:
        UsageError: names the file, and the first array and row that is wrong.
    """
    try:
        arrays, raw = read_npz(path, _NEEDED, _OPTIONAL)
    except UsageError as error:
        raise UsageError(_with_form(path, str(error))) from error
    if arrays["about"].shape != () or arrays["paths"].ndim != 1:
        raise UsageError(f"{path}: about must be one text and paths a list of texts; write it as described")
    try:
        paths = tuple(arrays["paths"].tolist())
        about = parse_json(str(arrays["about"]))
    except ValueError as error:
        raise UsageError(f"{path}: about or paths: {printable(error):.100}; write it again") from error
    content = FeatureFile(
        features=arrays["features"],
        paths=paths,
        modality=arrays["modality"],
        cameras=arrays["cameras"],
        identities=arrays["identities"],
        about=about,
        boxes=arrays.get("boxes"),
        sha256=hashlib.sha256(raw).hexdigest(),
    )
    _check(content, path)
    return content


def _with_form(path: Path, message: str) -> str:
    """Complete the message about a file that cannot be read by the arrays that a features file must have."""
    if not is_file(path):
        return message
    names, page = ", ".join(_NEEDED), "docs/external_models.md"
    if (kind := path.suffix.lower()) in FOREIGN:
        return f"{path}: a features file is an .npz file with the arrays {names}; {page} converts {kind} files"
    return f"{message}; a features file has the arrays {names}; {page} describes them and converts other files"


def check_covers(
    content: FeatureFile, scored: Iterable[ImageTable], known: Iterable[ImageTable], fingerprint: str, path: Path
) -> None:
    """Check that a features file has every image that is scored, and no image that the data set does not have.

    Args:
        content: the file.
        scored: tables of the images that are scored.
        known: tables of all images of the data set that the file may have.
        fingerprint: fingerprint of the data set.
        path: path of the file, for messages.

    Raises:
        UsageError: names the first three images, or the identity or camera that is another one.
    """
    stated = content.about.get("data_fingerprint", fingerprint)
    if stated != fingerprint:
        raise UsageError(f"{path}: features of other images: their fingerprint is {show(stated)}, not {fingerprint}")
    tables = list(scored)
    for table in tables:
        if missing := [_name(key) for key in keys_of(table) if key not in content.rows]:
            raise UsageError(
                f"{path}: {len(missing)} of {len(table)} {table.modality} test images are missing "
                f"({_first(missing)}); write the features of all of them"
            )
    images = {key for table in (*known, *tables) for key in keys_of(table)}
    if unknown := sorted(map(_name, content.rows.keys() - images)):
        raise UsageError(f"{path}: {len(unknown)} images are not in the data set ({_first(unknown)}); remove them")
    for table in tables:
        rows = [content.rows[key] for key in keys_of(table)]
        for name, given, true in (
            ("identity", content.identities[rows], table.identities),
            ("camera", content.cameras[rows], table.cameras),
        ):
            wrong = np.flatnonzero((given >= 0) & (given != true))
            if len(wrong):
                row = int(wrong[0])
                raise UsageError(
                    f"{path}: {show(table.paths[row])} has the {name} {given[row]}, in the data set {true[row]}; "
                    "give -1 if it is unknown"
                )


def _check(content: FeatureFile, path: Path) -> None:
    """Check shapes, values, paths, duplicates and the description."""
    count = len(content.paths)
    shapes = {"features": (count, -1), "modality": (count,), "cameras": (count,), "identities": (count,)}
    shapes |= {} if content.boxes is None else {"boxes": (count, 4)}
    for name, shape in shapes.items():
        found = getattr(content, name).shape
        if len(found) != len(shape) or any(want not in (-1, have) for want, have in zip(shape, found, strict=True)):
            expected = ", ".join("D" if size < 0 else str(size) for size in shape)
            raise UsageError(f"{path}: {name} has the shape {list(found)}, expected [{expected}] for {count} paths")
    if not count or not content.features.shape[1]:
        raise UsageError(f"{path}: there is no feature; write at least one row")
    _check_rows(content, path)
    _check_paths(content, path)
    check_about(content.about, path)


def _check_rows(content: FeatureFile, path: Path) -> None:
    lengths = np.sqrt(np.einsum("nd,nd->n", content.features, content.features, dtype=np.float64))
    for fault, wrong in (
        ("holds NaN or infinite values; write finite features", ~np.isfinite(lengths)),
        ("does not have the length 1; normalise it", np.abs(lengths - 1) > UNIT),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise UsageError(f"{path}: row {row} of {len(wrong)} ({show(content.paths[row])}) {fault}")
    if (most := int(content.modality.max())) >= len(MODALITIES):
        raise UsageError(f"{path}: modality {most}; write 0 for visible and 1 for infrared")
    for name in ("cameras", "identities"):
        if (least := int(getattr(content, name).min())) < -1:
            raise UsageError(f"{path}: {name} has {least}; write -1 if it is unknown")


def is_plain_path(name: str) -> bool:
    """Return whether a text is a relative path with slashes that a features file may have."""
    place = PurePosixPath(name)
    odd = not name or place.is_absolute() or ".." in place.parts or not name.isprintable() or "\\" in name
    return not odd and place.as_posix() == name


def _check_paths(content: FeatureFile, path: Path) -> None:
    for name in content.paths:
        if not is_plain_path(name):
            raise UsageError(
                f"{path}: '{show(name)}' is not a path below the data set; write it as in 'cam1/0001/0001.jpg'"
            )
    keys = Counter(_keys(map(str, content.modality.tolist()), content.paths, content.boxes))
    if twice := [_name(key) for key, times in keys.items() if times > 1]:
        raise UsageError(f"{path}: {len(twice)} images occur twice ({_first(twice)}); remove the others")


def check_about(about: Any, path: Path) -> None:
    """Check the description of features; see :data:`ABOUT`.

    Raises:
        UsageError: names the entry that is unknown, missing or of another type.
    """
    where = f"{path}: about"
    if not isinstance(about, dict):
        raise UsageError(f"{where}: expected a JSON object, found {show(about)}")
    for name, value in about.items():
        if name not in ABOUT:
            raise UsageError(f"{where}: unknown entry '{show(name)}': {did_you_mean(name, ABOUT)}; see also 'note'")
        if type(value) is not ABOUT[name]:
            raise UsageError(f"{where}.{name}: expected {ABOUT[name].__name__}, found {show(value)}")
    for name, right in (("schema", 1), ("similarity", "dot")):
        if about.get(name) != right:
            raise UsageError(f"{where}.{name}: expected {right!r}, found {show(about.get(name))}")
    if not about.get("feature"):
        raise UsageError(f"{where}.feature: missing; write the kind of feature, for example 'bn+flip'")


def _first(names: list[str]) -> str:
    return ", ".join(show(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
