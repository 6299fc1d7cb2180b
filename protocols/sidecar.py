"""Sidecar of a record: the results of each query of the headline model, in a small file beside the record.

``NAME.npz`` belongs to ``NAME.json``. The record has its hash, its size and the digest of the queries and galleries
(:mod:`usvi_bench.protocols.draw_digest`). Results are in the order of the protocol's queries. They name no image and no
person: two runs have the same order if their digests are equal, and people are numbered from 0 in each fold.

The file is an uncompressed archive of plain arrays, where N is the sum of ``trials x queries`` over the folds:

| array | shape | content |
|---|---|---|
| ``folds`` | ``[F]`` | scored folds, ascending |
| ``queries`` | ``[F]`` | number of queries of each fold |
| ``average_precision`` | ``[N]`` | float16, NaN for an invalid query; fold by fold, trial by trial |
| ``first_match`` | ``[N]`` | rank of the first right image in the CMC, counted from 1; 0 for an invalid query |
| ``people`` | ``[sum of queries]`` | number of the person of each query |
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_bytes
from usvi_bench.core.npz import parse_npz
from usvi_bench.core.paths import is_file
from usvi_bench.core.result import QueriesNote
from usvi_bench.protocols.base import QueryScores

LARGEST = 64 << 20
"""Largest size of a sidecar in bytes; full-size SYSU-MM01 needs 0.1 MB."""
ROUNDING = 2.0**-12
"""Largest error of an average precision that is rounded to float16."""
REMEDY = "copy it again from the folder of the run, or score the run again (repeat its command)"
_WHOLE = "uint8 uint16 uint32"
_ARRAYS = {
    "folds": _WHOLE,
    "queries": _WHOLE,
    "average_precision": "float16",
    "first_match": _WHOLE,
    "people": _WHOLE,
}


def sidecar_path(record: Path) -> Path:
    """Return the path of the sidecar of a record's file.

    >>> sidecar_path(Path("sysu_all/pgm-seed0.json")).as_posix()
    'sysu_all/pgm-seed0.npz'
    """
    return record.with_suffix(".npz")


def write_sidecar(path: Path, folds: Mapping[int, QueryScores], draws: str) -> QueriesNote:
    """Write a sidecar atomically; equal results give equal bytes.

    Args:
        path: file to write.
        folds: results of each query by fold, in the order of the protocol's queries.
        draws: digest of the queries and galleries.

    Returns:
        The note for the record.
    """
    ordered = [folds[fold] for fold in sorted(folds)]
    arrays: dict[str, Any] = {
        "folds": _small(sorted(folds)),
        "queries": _small([len(scores.identities) for scores in ordered]),
        "average_precision": np.concatenate([scores.average_precision.ravel() for scores in ordered]).astype("<f2"),
        "first_match": _small(np.concatenate([scores.first_match_rank.ravel() + 1 for scores in ordered])),
        "people": _small(np.concatenate([person_numbers(scores) for scores in ordered])),
    }
    file = BytesIO()
    np.savez(file, **arrays)
    content = file.getvalue()
    write_bytes(path, content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "draws": draws}


def person_numbers(scores: QueryScores) -> NDArray[np.int64]:
    """Return the number of the person of each query ``[Q]``, counted from 0 in the order of their identities."""
    return np.unique(scores.identities, return_inverse=True)[1]


def read_sidecar(path: Path, note: QueriesNote, trials: int) -> dict[int, QueryScores]:
    """Read a sidecar of any origin: its size and hash are checked first, then every value.

    Args:
        path: the file.
        note: what the record has about it.
        trials: number of trials of each fold.

    Returns:
        Results of each query by fold, with numbers instead of identities and without paths.

    Raises:
        UsageError: the file is missing, is not the one that the record names, or has impossible values.
    """
    if not is_file(path):  # reading a device might never end
        raise UsageError(f"{path}: no such file, but the record has results of each query; {REMEDY}")
    if not 0 < note["size"] <= LARGEST:
        raise UsageError(f"{path}: result.queries.size: {note['size']} is not between 1 and {LARGEST} bytes")
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size == note["size"] else b""
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; make it readable") from error
    if size != note["size"]:
        raise UsageError(
            f"{path}: {size} bytes, but the record has {note['size']}: changed, or of another run; {REMEDY}"
        )
    if hashlib.sha256(content).hexdigest() != note["sha256"]:
        raise UsageError(f"{path}: changed, or of another run (its hash is not that of the record); {REMEDY}")
    arrays = parse_npz(content, path, _ARRAYS, {})
    try:
        return _folds(arrays, trials)
    except ValueError as error:
        raise UsageError(f"{path}: {error}; {REMEDY}") from error


def _folds(arrays: Mapping[str, NDArray[Any]], trials: int) -> dict[int, QueryScores]:
    """Split checked arrays by fold.

    Raises:
        ValueError: names the array that is wrong.
    """
    for name, array in arrays.items():
        _check(array.ndim == 1, f"{name} has {array.ndim} dimensions, not 1")
    whole = {name: array.astype(np.int64) for name, array in arrays.items() if name != "average_precision"}
    folds, counts, people, first = (whole[name] for name in ("folds", "queries", "people", "first_match"))
    precision = arrays["average_precision"].astype(np.float64)
    _check(len(folds) > 0 and bool((np.diff(folds) > 0).all()), f"folds are {folds.tolist()[:20]}, not ascending")
    _check(len(counts) == len(folds), f"queries has {len(counts)} values for {len(folds)} folds")
    _check(bool((counts > 0).all()), "queries: a fold has no query")
    total = int(counts.sum())
    for name, array, length in (
        ("people", people, total),
        ("first_match", first, trials * total),
        ("average_precision", precision, trials * total),
    ):
        _check(len(array) == length, f"{name} has {len(array)} values, expected {length}")
    _check_values(precision, first)
    found, start = {}, 0
    for fold, count in zip(folds.tolist(), counts.tolist(), strict=True):
        numbers, rows = people[start : start + count], slice(trials * start, trials * (start + count))
        _check(np.array_equal(np.unique(numbers), np.arange(numbers.max() + 1)), f"people of fold {fold} have gaps")
        ranks = first[rows].reshape(trials, count) - 1
        _check(bool((ranks >= 0).any(axis=1).all()), f"first_match: a trial of fold {fold} has no valid query")
        found[fold] = QueryScores(precision[rows].reshape(trials, count), ranks, numbers, paths=())
        start += count
    return found


def _check_values(precision: NDArray[np.float64], first: NDArray[np.int64]) -> None:
    invalid = np.isnan(precision)
    _check(np.array_equal(invalid, first == 0), "average_precision is NaN for other queries than first_match is 0")
    _check(bool((invalid | ((precision >= 0) & (precision <= 1))).all()), "average_precision: not between 0 and 1")


def _check(right: bool, fault: str) -> None:
    if not right:
        raise ValueError(fault)


def _small(values: Any) -> NDArray[Any]:
    """Return whole numbers in the smallest type that holds them."""
    array = np.asarray(values)
    kind = next(each for each in _WHOLE.split() if array.max() <= np.iinfo(each).max)
    return array.astype(np.dtype(kind).newbyteorder("<"))
