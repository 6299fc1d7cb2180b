"""Protocols of corrupted test images: those of clean images, with noise, blur, weather and rain.

Training is that of clean images. Sources: MinghuiChen43/CIL-ReID @ac44dfa and Zoky-2020/CIL-CrossModal @9e390b0;
``docs/robustness.md`` lists the differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.corruption import Corruption
from usvi_bench.protocols import llcm, regdb, sysu
from usvi_bench.protocols.base import RANKING_DEPTH, Embed, Protocol, embedded
from usvi_bench.protocols.metrics import GalleryScores, score_galleries


class CorruptedProtocol(Protocol):
    """Corrupted protocol: the first gallery of each fold, with other corruptions in each evaluation.

    Evaluations are numbered consecutively over folds and trials: trials of one fold, or folds with one trial.
    """

    corrupted: ClassVar[bool] = True

    def kind(self) -> dict[str, int | str | None]:
        """Return how the gallery is drawn, and what is corrupted."""
        kind = super().kind()
        infrared = "+infrared" if self.config.corrupt == "both" else ""
        native = "+native" if self.config.corrupt_at == "native" else ""
        return {**kind, "gallery": f"{kind['gallery']}+corrupted{infrared}{native}"}

    def galleries(self, dataset: Dataset, fold: int) -> tuple[NDArray[np.int64], ...]:
        """Return the gallery of the first trial for every evaluation, so that only the corruption varies."""
        return super().galleries(dataset, fold)[:1] * self.trials_per_fold  # type: ignore[safe-super]  # a later base has it

    def corrupt(self, table: ImageTable, evaluation: int) -> ImageTable:
        """Return a table whose images are corrupted, if those of its modality are."""
        infrared = table.modality == "infrared"
        if infrared and self.config.corrupt != "both":
            return table
        return replace(table, corruption=Corruption(evaluation, infrared, native=self.config.corrupt_at == "native"))

    def first_trial(self, dataset: Dataset, fold: int) -> tuple[ImageTable, ImageTable]:
        """Return the queries and the gallery of the first trial of a fold, as they are corrupted in it."""
        everyone, pool = self.tables(dataset, fold)
        queries, gallery = everyone.take(self.queries(dataset, fold)), pool.take(self.galleries(dataset, fold)[0])
        return self.corrupt(queries, fold - 1), self.corrupt(gallery, fold - 1)

    def score(
        self, embed: Embed, query: ImageTable, pool: ImageTable, galleries: Sequence[NDArray[np.int64]], fold: int
    ) -> GalleryScores:
        """Score every evaluation on its own images."""
        features: dict[tuple[Modality, Corruption | None], NDArray[np.float64]] = {}

        def of(table: ImageTable) -> NDArray[np.float64]:
            key = table.modality, table.corruption
            return features[key] if key in features else features.setdefault(key, embedded(embed, table))

        results = []
        for trial, rows in enumerate(galleries):
            evaluation = fold - 1 + trial
            asked, gallery = self.corrupt(query, evaluation), self.corrupt(pool.take(rows), evaluation)
            results.append(
                score_galleries(
                    of(asked),
                    of(gallery),
                    (np.arange(len(rows)),),
                    lambda own, _, table=gallery: self.masks(query.take(own), table),  # type: ignore[misc]
                    depth=RANKING_DEPTH,
                )
            )
        first = results[0]
        metrics = tuple(result.metrics[0] for result in results)
        return GalleryScores(metrics, first.columns, first.similarity, first.matches)


_TEN = "10 evaluations of one gallery"
SUMMARIES: dict[type[Protocol], str] = {
    sysu.SysuAll: f"SYSU-MM01 all-search in corrupted visible images; {_TEN}",
    sysu.SysuIndoor: f"SYSU-MM01 indoor-search in corrupted visible images; {_TEN}",
    regdb.VisibleToInfrared: "RegDB visible to infrared, corrupted visible queries; a model for each fold",
    regdb.InfraredToVisible: "RegDB infrared to visible, corrupted visible gallery; a model for each fold",
    llcm.VisibleToInfrared: f"LLCM visible to infrared, corrupted visible queries; {_TEN}",
    llcm.InfraredToVisible: f"LLCM infrared to visible, corrupted visible gallery; {_TEN}",
}
"""Protocols that have a corrupted variant, with its summary."""


def _register(clean: type[Protocol], summary: str) -> None:
    """Register the corrupted variant of a protocol, ``<name>_c``."""
    name = f"{clean.name}_c"
    content = {"__module__": __name__, "__doc__": f"Corrupted protocol {name}.", "name": name, "summary": summary}
    PROTOCOLS.register(name)(type(f"{clean.__name__}Corrupted", (CorruptedProtocol, clean), content))


for _clean, _summary in SUMMARIES.items():
    _register(_clean, _summary)
