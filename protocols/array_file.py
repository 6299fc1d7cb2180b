"""Reading of sealed archives of arrays, whose types and shapes are checked."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import DamagedFileError
from usvi_bench.core.sealed import check_seal

REMEDY = "score the run again (repeat its command)"
T = TypeVar("T")


def read_arrays(path: Path, make: Callable[[Any], T]) -> T:
    """Read a sealed ``.npz`` file.

    Args:
        path: the file.
        make: makes the result from the arrays by name; raises ValueError or KeyError if they are wrong.

    Raises:
        DamagedFileError: the file does not match its checksum, or ``make`` refuses its arrays.
    """
    check_seal(path, REMEDY)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return make(arrays)
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise DamagedFileError(f"{path} does not have the expected arrays ({reason:.100}); {REMEDY}") from error


def checked(arrays: Any, name: str, kinds: str, *shape: int | None) -> NDArray[Any]:
    """Return an array of a file.

    Args:
        arrays: arrays by name.
        name: name of the array.
        kinds: NumPy's letters of the types that are right.
        shape: expected shape; None for any length.

    Raises:
        KeyError: there is no such array.
        ValueError: it has another type or shape.
    """
    array: NDArray[Any] = arrays[name]
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not fits or array.dtype.kind not in kinds:
        raise ValueError(f"{name} is {array.dtype} of {array.shape}")
    return array
