"""``queries.npz``: scores of each query in each fold and trial, by which two runs are compared query by query."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from usvi_bench.core.sealed import write_sealed
from usvi_bench.protocols.array_file import checked, read_arrays
from usvi_bench.protocols.base import QueryScores

_FIELDS = ("average_precision", "first_match_rank", "identities", "paths")


def save_query_scores(path: Path, folds: Mapping[int, QueryScores]) -> None:
    """Write the headline model's scores of each query of each fold, atomically."""
    arrays: dict[str, Any] = {
        f"{name}_{fold}": np.asarray(getattr(scores, name)) for fold, scores in folds.items() for name in _FIELDS
    }
    write_sealed(path, lambda file: np.savez_compressed(file, folds=np.array(list(folds)), **arrays))


def load_query_scores(path: Path) -> dict[int, QueryScores]:
    """Read the scores that :func:`save_query_scores` wrote, by fold.

    Raises:
        DamagedFileError: the file does not match its checksum, or its arrays are not those of scores.
    """
    return read_arrays(path, _query_scores)


def _query_scores(arrays: Any) -> dict[int, QueryScores]:
    found = {}
    for fold in checked(arrays, "folds", "iu", None).tolist():
        precision = checked(arrays, f"average_precision_{fold}", "f", None, None)
        trials, queries = precision.shape
        found[fold] = QueryScores(
            average_precision=precision,
            first_match_rank=checked(arrays, f"first_match_rank_{fold}", "i", trials, queries),
            identities=checked(arrays, f"identities_{fold}", "iu", queries),
            paths=tuple(checked(arrays, f"paths_{fold}", "U", queries).tolist()),
        )
    return found
