"""Protocols of own images: all queries of one modality against all gallery images of the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.folder import UNKNOWN_CAMERA, UNKNOWN_PERSON, FolderData
from usvi_bench.protocols.base import Protocol, ProtocolConfig
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.protocols.rules import llcm_masks, regdb_masks

EVERY_CAMERA, OTHER_CAMERAS = "all", "all, other cameras"
"""Names of the galleries: all images, and all but those of the query's person from the query's camera."""


class FolderProtocol(Protocol):
    """Folder protocol for own images: the gallery has all images of its modality and split; one trial.

    If the camera of every query and gallery image is known, images of the query's person from the camera of its name
    are ignored, and the CMC counts people, as in LLCM. Otherwise no image is ignored, and the CMC counts images, as in
    RegDB. Queries of unknown people are not scored. Gallery images of unknown people match no query.
    """

    dataset: ClassVar[str] = "folder"
    trials_per_fold: ClassVar[int] = 1

    def __init__(self, config: ProtocolConfig | None = None) -> None:
        super().__init__(config)
        self._by_camera = False

    def check(self, dataset: Dataset) -> None:
        """Check as the base class does, unless nothing can be scored; refuse settings of drawn galleries."""
        self.refuse_drawn_galleries()
        if dataset.name == self.dataset and not self.unscorable(dataset):
            query, gallery = self._sides(dataset)
            cameras = np.concatenate([query.cameras, gallery.cameras])
            self._by_camera = bool((cameras != UNKNOWN_CAMERA).all())
            self._check_pairs(query, gallery)
            super().check(dataset)

    def unscorable(self, dataset: Dataset) -> str:
        """Return which images or identities are missing; empty if the data can be scored."""
        sides = self._sides(dataset)
        for table, role in zip(sides, ("query", "gallery"), strict=True):
            if not len(table):
                return f"no {table.modality} image has the split {role} or test"
            if (table.identities == UNKNOWN_PERSON).all():
                return f"no {table.modality} {role} image has an identity"
        return ""

    def queries(self, dataset: Dataset, fold: int) -> NDArray[np.int64]:
        """Return the rows of the images with the split ``query`` or ``test``."""
        return _own(dataset).rows(self.query, "query")

    def galleries(self, dataset: Dataset, fold: int) -> tuple[NDArray[np.int64], ...]:
        """Return the rows of the images with the split ``gallery`` or ``test``."""
        return (_own(dataset).rows(self.gallery, "gallery"),)

    def masks(self, query: ImageTable, gallery: ImageTable) -> RetrievalMasks:
        """Match known people; ignore images of the query's person and camera if all cameras are known."""
        people = gallery.identities.copy()
        unknown = np.flatnonzero(people == UNKNOWN_PERSON)
        people[unknown] = UNKNOWN_PERSON - 1 - unknown  # each is somebody else
        rule = llcm_masks if self._by_camera else regdb_masks
        return rule(query.identities, people, query.cameras, gallery.cameras)

    def kind(self) -> dict[str, int | str | None]:
        """Return ``shots: None`` and which images the gallery of a query has."""
        return {"shots": None, "gallery": OTHER_CAMERAS if self._by_camera else EVERY_CAMERA}

    def kinds(self) -> list[dict[str, int | str | None]]:
        """List the galleries with and without cameras."""
        return [{"shots": None, "gallery": gallery} for gallery in (EVERY_CAMERA, OTHER_CAMERAS)]

    def restore(self, headline: Mapping[str, object]) -> None:
        """Ignore images of the query's person and camera if the gallery of a record has other cameras only."""
        self._by_camera = headline["gallery"] == OTHER_CAMERAS

    def _sides(self, dataset: Dataset) -> tuple[ImageTable, ImageTable]:
        query, pool = self.tables(dataset, 1)
        return query.take(self.queries(dataset, 1)), pool.take(self.galleries(dataset, 1)[0])

    def _check_pairs(self, query: ImageTable, gallery: ImageTable) -> None:
        known = query.identities[query.identities != UNKNOWN_PERSON]
        if not np.isin(known, gallery.identities).any():
            raise UsageError(
                f"{self.name}: none of the {len(query)} {self.query} queries has a {self.gallery} gallery image of its "
                "person; give people the same name in both modalities"
            )


def _own(dataset: Dataset) -> FolderData:
    if not isinstance(dataset, FolderData):
        raise UsageError(f"the data set is '{dataset.name}', not own images: choose a protocol that fits")
    return dataset


@PROTOCOLS.register("folder_i2v")
class InfraredToVisible(FolderProtocol):
    """Infrared-to-visible protocol of own images."""

    name: ClassVar[str] = "folder_i2v"
    summary: ClassVar[str] = "own images infrared to visible: all infrared queries, all visible gallery images"
    query: ClassVar[Modality] = "infrared"
    gallery: ClassVar[Modality] = "visible"


@PROTOCOLS.register("folder_v2i")
class VisibleToInfrared(FolderProtocol):
    """Visible-to-infrared protocol of own images."""

    name: ClassVar[str] = "folder_v2i"
    summary: ClassVar[str] = "own images visible to infrared: all visible queries, all infrared gallery images"
    query: ClassVar[Modality] = "visible"
    gallery: ClassVar[Modality] = "infrared"
