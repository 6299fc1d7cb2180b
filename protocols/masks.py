"""Masks of a retrieval: which gallery images match a query, and which are left out of its ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RetrievalMasks:
    """Retrieval masks of some queries and a gallery: everything that a metric reads besides the similarity.

    Arrays are numpy or torch.

    Attributes:
        positives: ``[Q, G]`` bool, true where a gallery image matches the query.
        ignored: ``[Q, G]`` bool, true where a gallery image is left out of the query's ranking, whether it matches or
            not; None if no image is left out.
        cmc_units: ``[G]`` ids of the units that the CMC counts at most once each, such as identities; None if each
            image is a unit of its own.
    """

    positives: Any
    ignored: Any = None
    cmc_units: Any = None

    def arrays(self, size: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return ``positives`` and ``ignored`` as contiguous arrays.

        Raises:
            ValueError: their shape is not ``size``, or they are not bool.
        """
        positives = _mask("positives", self.positives, size)
        return positives, np.zeros(size, bool) if self.ignored is None else _mask("ignored", self.ignored, size)

    def units(self, length: int) -> NDArray[np.int64]:
        """Return ``cmc_units`` numbered from 0 without a gap.

        >>> RetrievalMasks([[True, False, True]], cmc_units=[7, 5, 7]).units(3).tolist()
        [1, 0, 1]

        Raises:
            ValueError: their shape is not ``[length]``, or they are neither finite numbers nor text.
        """
        if self.cmc_units is None:
            return np.arange(length)
        units = as_array("cmc_units", self.cmc_units)
        if units.shape != (length,):
            raise ValueError(f"cmc_units must have shape {(length,)}, one id per gallery image; it has {units.shape}")
        check_ids("cmc_units", units)
        return np.unique(units, return_inverse=True)[1]


def as_array(name: str, values: Any) -> NDArray[Any]:
    """Return a list, an array or a tensor on any device as a numpy array.

    Args:
        name: name of the argument, for the message.
        values: the argument.

    Raises:
        ValueError: it is a masked array, whose mask would be lost, or a tensor that NumPy cannot hold.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{name} must be a plain array; it is a masked array, remove its masked entries")
    try:
        return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, RuntimeError) as error:
        kind = f"a tensor of {values.dtype}, {values.layout}" if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(
            f"{name} must be an array, or a dense tensor of a type that NumPy has; it is {kind}"
        ) from error


def check_ids(name: str, values: NDArray[Any], kinds: str = "biufUS") -> None:
    """Refuse ids that cannot be compared: objects, complex numbers, NaN.

    Args:
        name: name of the argument, for the message.
        values: array of ids.
        kinds: NumPy's letters of the types that are right.

    Raises:
        ValueError: another type, or a number that is not finite.
    """
    if values.dtype.kind not in kinds or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        wanted = "finite numbers or text" if "U" in kinds else "finite numbers"
        raise ValueError(f"{name} must be {wanted}; it is an array of {values.dtype}")
    if values.dtype.kind == "f" and abs(values).max(initial=0) >= 2**53:
        raise ValueError(f"{name} has ids of 2**53 or more as {values.dtype}, which are not exact; give whole numbers")


def _mask(name: str, values: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = as_array(name, values)
    if mask.shape != size or mask.dtype != np.bool_:
        raise ValueError(f"{name} must be bool of the similarity's shape {size}; it is {mask.dtype} of {mask.shape}")
    return np.require(mask, np.bool_, ["C", "W"])  # compiled loops need this layout
