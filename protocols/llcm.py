"""Protocols of LLCM: all test images of one modality against ten drawn galleries of the other.

Source: ZYK100/LLCM @886e27c, whose evaluation of the visible-to-infrared direction swaps the roles of the two sides.
The roles here are those of the names of the protocols; ``docs/protocols.md`` describes the difference.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.llcm import CAMERAS
from usvi_bench.protocols.base import Protocol
from usvi_bench.protocols.draws import seeded_gallery
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.protocols.rules import llcm_masks


class LLCMProtocol(Protocol):
    """LLCM protocol: galleries have one image of each test person and camera; the result is the mean of ten trials."""

    dataset: ClassVar[str] = "llcm"
    trials_per_fold: ClassVar[int] = 10

    def check(self, dataset: Dataset) -> None:
        """Check as the base class does, and refuse settings that only SYSU-MM01 has."""
        if self.config.shots != 1:
            raise UsageError(f"{self.name} is single-shot: protocol.shots={self.config.shots} must be 1")
        if self.config.gallery != "seeded":
            raise UsageError(
                f"{self.name} has no file of galleries: protocol.gallery={self.config.gallery} must be seeded"
            )
        super().check(dataset)

    def galleries(self, dataset: Dataset, fold: int) -> tuple[NDArray[np.int64], ...]:
        """Draw one image of every test person and camera of the gallery modality, for each of ten trials."""
        _, pool = self.tables(dataset, fold)
        return tuple(seeded_gallery(pool, CAMERAS[self.gallery], trial) for trial in range(self.trials_per_fold))

    def masks(self, query: ImageTable, gallery: ImageTable) -> RetrievalMasks:
        """Ignore images of the query's identity from the camera with its number; the CMC counts identities."""
        return llcm_masks(query.identities, gallery.identities, query.cameras, gallery.cameras)


@PROTOCOLS.register("llcm_v2i")
class VisibleToInfrared(LLCMProtocol):
    """Visible-to-infrared protocol: visible queries, drawn infrared galleries."""

    name: ClassVar[str] = "llcm_v2i"
    summary: ClassVar[str] = "LLCM visible to infrared: visible queries, drawn infrared gallery; 10 trials"
    query: ClassVar[Modality] = "visible"
    gallery: ClassVar[Modality] = "infrared"


@PROTOCOLS.register("llcm_i2v")
class InfraredToVisible(LLCMProtocol):
    """Infrared-to-visible protocol: infrared queries, drawn visible galleries."""

    name: ClassVar[str] = "llcm_i2v"
    summary: ClassVar[str] = "LLCM infrared to visible: infrared queries, drawn visible gallery; 10 trials"
    query: ClassVar[Modality] = "infrared"
    gallery: ClassVar[Modality] = "visible"
