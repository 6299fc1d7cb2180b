"""Check of the trials of a protocol before any training: folds, galleries and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.base import ImageTable
from usvi_bench.protocols.masks import RetrievalMasks


def check_folds(name: str, folds: Any, known: tuple[int, ...]) -> None:
    """Check that a protocol scores folds of its data set, each once.

    Raises:
        UsageError: names the protocol and the folds.
    """
    fits = isinstance(folds, (tuple, list)) and folds and all(fold in known for fold in folds)
    if not fits or len(set(folds)) < len(folds):
        raise UsageError(
            f"folds() of '{name}' returned {folds!r:.60}; return one or more of {', '.join(map(str, known))}, each once"
        )


def check_tables(name: str, tables: Any) -> None:
    """Check that a protocol has a table of queries and one of gallery images.

    Raises:
        UsageError: names the protocol.
    """
    pair = isinstance(tables, tuple) and len(tables) == 2 and all(isinstance(table, ImageTable) for table in tables)
    if not pair:
        raise UsageError(f"tables() of '{name}' returned {tables!r:.60}; return two tables, of queries and gallery")


def check_galleries(name: str, galleries: Any, again: Any, trials: int, size: int) -> list[NDArray[Any]]:
    """Check the galleries of a fold, and return them.

    Args:
        name: name of the protocol.
        galleries: what it returned.
        again: what it returned when called a second time.
        trials: number of trials of a fold.
        size: number of images that galleries are drawn from.

    Raises:
        UsageError: names the protocol, the trial and what is expected.
    """
    where = f"galleries() of '{name}'"
    if not isinstance(galleries, (tuple, list)) or len(galleries) != trials:
        count = f" of {len(galleries)}" if isinstance(galleries, (tuple, list)) else ""
        raise UsageError(
            f"{where} returned {type(galleries).__name__}{count}; return a tuple of trials_per_fold={trials} arrays"
        )
    for trial, rows in enumerate(galleries):
        whole = isinstance(rows, np.ndarray) and rows.ndim == 1 and rows.dtype.kind in "iu"
        if not whole or rows.min(initial=0) < 0 or rows.max(initial=0) >= size:
            found = f"{rows.dtype} of {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
            raise UsageError(
                f"{where}, trial {trial}: {found}; return an array of rows from 0 to {size - 1} of the gallery table"
            )
    if len(again) != trials or not all(map(np.array_equal, galleries, again)):
        raise UsageError(
            f"{where} returned other rows when called again; draw with a seed that is fixed for each trial"
        )
    return list(galleries)


def check_masks(name: str, masks: Any, size: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Check the masks of a trial, and return positives and ignored images.

    Raises:
        UsageError: names the protocol and what is expected.
    """
    where = f"masks() of '{name}'"
    if not isinstance(masks, RetrievalMasks):
        raise UsageError(f"{where} returned {type(masks).__name__}; return RetrievalMasks")
    try:
        masks.units(size[1])
        return masks.arrays(size)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
