"""Protocols of RegDB: all test images of one modality against all of the other, with a model for each fold.

Source: mangye16/Cross-Modal-Re-ID-baseline @e817a26. The result is the mean over the folds.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset
from usvi_bench.protocols.base import Protocol


class RegDBProtocol(Protocol):
    """RegDB protocol: the gallery has all images, none is ignored, and the CMC counts images. One trial per fold."""

    dataset: ClassVar[str] = "regdb"
    trials_per_fold: ClassVar[int] = 1

    def check(self, dataset: Dataset) -> None:
        """Check as the base class does, and refuse settings of drawn galleries."""
        self.refuse_drawn_galleries()
        super().check(dataset)

    def kind(self) -> dict[str, int | str | None]:
        """Return ``shots: None`` and ``gallery: all``: the gallery is not drawn."""
        return {"shots": None, "gallery": "all"}

    def galleries(self, dataset: Dataset, fold: int) -> tuple[NDArray[np.int64], ...]:
        """Return all images of the gallery modality."""
        _, pool = self.tables(dataset, fold)
        return (np.arange(len(pool), dtype=np.int64),)


@PROTOCOLS.register("regdb_v2i")
class VisibleToInfrared(RegDBProtocol):
    """Visible-to-infrared protocol ("visible to thermal", V2T)."""

    name: ClassVar[str] = "regdb_v2i"
    summary: ClassVar[str] = "RegDB visible to infrared: visible queries, thermal gallery; a model for each fold"
    query: ClassVar[Modality] = "visible"
    gallery: ClassVar[Modality] = "infrared"


@PROTOCOLS.register("regdb_i2v")
class InfraredToVisible(RegDBProtocol):
    """Infrared-to-visible protocol ("thermal to visible", T2V)."""

    name: ClassVar[str] = "regdb_i2v"
    summary: ClassVar[str] = "RegDB infrared to visible: thermal queries, visible gallery; a model for each fold"
    query: ClassVar[Modality] = "infrared"
    gallery: ClassVar[Modality] = "visible"
