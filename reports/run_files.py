"""Reading of the files of a run that others may have damaged or invented."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from usvi_bench.core.errors import UsageError
from usvi_bench.core.journal import Journal
from usvi_bench.core.record import Record, read_record
from usvi_bench.core.types import MODALITIES
from usvi_bench.datasets.base import ImageTable
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.evaluation_file import DEPTH, IDENTITIES, IMAGES, SavedEvaluation, load_evaluation
from usvi_bench.protocols.query_file import load_query_scores
from usvi_bench.reports.curves import Line

_T = TypeVar("_T")
LARGEST = 4 * 2**30
"""Largest size in bytes of a file, and of the arrays in it."""
SCORE_AGAIN = "score the run again (repeat its command)"


@contextmanager
def refused(path: Path, remedy: str) -> Iterator[None]:
    """Turn the errors that damaged content causes into one that names the file or folder, and the remedy.

    Raises:
        UsageError: an error occurred inside.
    """
    try:
        yield
    except (
        *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, MemoryError),
        *(EOFError, RuntimeError, zipfile.BadZipFile, zlib.error),
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{path}: damaged, or of another run ({type(error).__name__}: {reason}); {remedy}") from error


def require_regular(path: Path, remedy: str = "remove it, and repeat the command of the run") -> None:
    """Refuse a path that is not a regular file or a link to one, and a very large file.

    Raises:
        UsageError: names the kind of the path.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; {remedy}") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise UsageError(f"{path}: is {kind}; {remedy}")
    if status.st_size > LARGEST:
        raise UsageError(f"{path}: has more than {LARGEST >> 30} GiB; {remedy}")


def read_regular_record(path: Path) -> Record:
    """Read a record from a regular file, not from a device or a pipe, which may never end.

    Raises:
        UsageError: the file is not regular, or not a valid record.
    """
    require_regular(path)
    return read_record(path)


def read_journal(path: Path, record: Record) -> list[Line]:
    """Read the lines of a journal.

    Raises:
        UsageError: the file is damaged, is not the journal that the record names, or has folds that the record lacks.
    """
    remedy = "train the stage again with --overwrite"
    end = record.journal_end
    lines = _read(path, remedy, lambda: Journal(path).read() if end is None else Journal(path).read_all(end))
    with refused(path, remedy):
        _check(all(line["kind"] in ("epoch", "scores") for line in lines), "a line is neither an epoch nor scores")
        _check({line["fold"] for line in lines} <= {*record.result.folds}, "a fold is not in the record")
    return lines


def read_evaluation(path: Path) -> SavedEvaluation:
    """Read ``evaluation.npz``.

    Raises:
        UsageError: the file is damaged, or its arrays do not fit each other.
    """
    saved = _read(path, SCORE_AGAIN, lambda: load_evaluation(path))
    with refused(path, SCORE_AGAIN):
        for table in (saved.query, saved.gallery):
            _check_table(table)
        _check(saved.order.shape[-1] <= DEPTH, f"order: more than {DEPTH} images of a query")
        _check(len(saved.sample.identities) <= 2 * IDENTITIES * IMAGES, "identities: more images than a sample has")
        queries, gallery, sample = len(saved.query), len(saved.gallery), saved.sample
        _check(saved.query.modality != saved.gallery.modality, "queries and gallery have one modality")
        _check(saved.order.ndim == 2 and len(saved.order) == queries and saved.order.size > 0, "order: wrong shape")
        _check(
            saved.order.dtype.kind == "i" and -1 <= saved.order.min() <= saved.order.max() < gallery, "order: no row"
        )
        _check(saved.scores.shape == saved.matches.shape == saved.order.shape, "scores or matches: wrong shape")
        _check((saved.scores.dtype.kind, saved.matches.dtype.kind) == ("f", "b"), "scores or matches: wrong type")
        _check_precision(saved.average_precision, (queries,))
        size = len(sample.identities)
        for features in (sample.features, sample.before):
            _check(features is None or (features.ndim == 2 and len(features) == size), "features: wrong shape")
            _check(features is None or bool(np.isfinite(features).all()), "features: not finite")
        _check(sample.features.shape == (sample.features if sample.before is None else sample.before).shape, "before")
        _check(sample.identities.dtype.kind == "i" and sample.infrared.dtype.kind == "b", "identities: wrong type")
        _check(sample.infrared.shape == sample.identities.shape == (size,), "infrared: wrong shape")
        _check(len(sample.cameras) in (0, size) and len(sample.paths) in (0, size), "cameras or paths: wrong length")
        _check(all(map(_is_below, sample.paths)), "a path leads out of the folder of the images")
    return saved


def read_queries(path: Path, record: Record) -> dict[int, QueryScores]:
    """Read ``queries.npz``.

    Raises:
        UsageError: the file is damaged, its arrays do not fit each other, or it has folds that the record lacks.
    """
    found = _read(path, SCORE_AGAIN, lambda: load_query_scores(path))
    with refused(path, SCORE_AGAIN):
        _check({*found} <= {*record.result.folds}, "a fold is not in the record")
        for scores in found.values():
            shape = scores.average_precision.shape
            _check(len(shape) == 2 and 0 not in shape, "average_precision: wrong shape")
            _check_precision(scores.average_precision, shape)
            _check(scores.first_match_rank.shape == shape, "first_match_rank: wrong shape")
            _check(scores.first_match_rank.dtype.kind == scores.identities.dtype.kind == "i", "wrong type")
            _check(scores.identities.shape == (len(scores.paths),) == shape[1:], "identities or paths: wrong length")
    return found


def _read(path: Path, remedy: str, read: Callable[[], _T]) -> _T:
    require_regular(path, remedy)
    try:
        with refused(path, remedy):
            if path.suffix == ".npz" and zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    _check(sum(part.file_size for part in archive.infolist()) <= LARGEST, "the arrays are too large")
            return read()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; {remedy}") from error


def _check(right: bool, fault: str) -> None:
    if not right:
        raise ValueError(fault)


def _check_table(table: ImageTable) -> None:
    _check(table.modality in MODALITIES, f"unknown modality {table.modality!r:.40}")
    for values in (table.identities, table.cameras):
        _check(values.dtype.kind == "i" and values.shape == (len(table),), "identities or cameras: wrong shape")
    _check(all(map(_is_below, table.paths)), "a path leads out of the folder of the images")


def _check_precision(values: np.ndarray, shape: tuple[int, ...]) -> None:
    _check(values.dtype.kind == "f" and values.shape == shape, "average_precision: wrong shape")
    _check(bool(np.all(np.isnan(values) | ((values >= 0) & (values <= 1)))), "average_precision: not a fraction")


def _is_below(path: object) -> bool:
    place = PurePosixPath(str(path))
    return isinstance(path, str) and not place.is_absolute() and ".." not in place.parts and "\0" not in path
