"""Protocols of SYSU-MM01: infrared queries and ten drawn visible galleries.

Source: wuancong/SYSU-MM01 @0499112; draws of mangye16/Cross-Modal-Re-ID-baseline @e817a26.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.protocols.base import Protocol
from usvi_bench.protocols.draws import official_gallery, read_permutations, seeded_gallery
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.protocols.rules import sysu_masks


class SysuProtocol(Protocol):
    """SYSU-MM01 protocol: all infrared test images against ten galleries; the result is the mean of the ten trials."""

    dataset: ClassVar[str] = "sysu"
    query: ClassVar[Modality] = "infrared"
    gallery: ClassVar[Modality] = "visible"
    trials_per_fold: ClassVar[int] = 10
    gallery_cameras: ClassVar[tuple[int, ...]]

    def galleries(self, dataset: Dataset, fold: int) -> tuple[NDArray[np.int64], ...]:
        """Draw one or ten visible images of every test person and gallery camera, for each of ten trials."""
        table, shots = dataset.test(fold).visible, self.config.shots
        trials = range(self.trials_per_fold)
        if self.config.gallery == "official":
            permutations = read_permutations(dataset.root / "exp" / "rand_perm_cam.mat")
            return tuple(official_gallery(table, self.gallery_cameras, permutations, t, shots) for t in trials)
        return tuple(seeded_gallery(table, self.gallery_cameras, t, shots) for t in trials)

    def masks(self, query: ImageTable, gallery: ImageTable) -> RetrievalMasks:
        """Ignore images from the query's place; the CMC counts identities."""
        return sysu_masks(query.identities, gallery.identities, query.cameras, gallery.cameras)


@PROTOCOLS.register("sysu_all")
class SysuAll(SysuProtocol):
    """All-search: visible cameras indoors and outdoors. SYSU-MM01 has 301 single-shot gallery images."""

    name: ClassVar[str] = "sysu_all"
    summary: ClassVar[str] = "SYSU-MM01 all-search: infrared queries, visible gallery of cameras 1, 2, 4, 5; 10 trials"
    gallery_cameras: ClassVar[tuple[int, ...]] = (1, 2, 4, 5)


@PROTOCOLS.register("sysu_indoor")
class SysuIndoor(SysuProtocol):
    """Indoor-search: visible cameras indoors. SYSU-MM01 has 112 single-shot gallery images.

    Queries of people without an indoor image are not scored.
    """

    name: ClassVar[str] = "sysu_indoor"
    summary: ClassVar[str] = "SYSU-MM01 indoor-search: infrared queries, visible gallery of cameras 1, 2; 10 trials"
    gallery_cameras: ClassVar[tuple[int, ...]] = (1, 2)
