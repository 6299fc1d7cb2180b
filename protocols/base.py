"""Base class of evaluation protocols."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.core.bounds import one_of
from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.cache import Filter
from usvi_bench.datasets.corruption import check_package
from usvi_bench.protocols.check_trials import check_folds, check_galleries, check_masks, check_tables
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.protocols.metrics import GalleryScores, query_blocks, score_blocks, score_galleries
from usvi_bench.protocols.score_metrics import score_metrics

SHOTS = (1, 10)
GALLERIES = ("seeded", "official")
SIDES = ("visible", "both")
MOMENTS = ("resized", "native")
RANKING_DEPTH = 20
"""Number of gallery images kept in each ranked list."""

Embed = Callable[[ImageTable], NDArray[np.float32]]
"""Function that returns unit features ``[N, D]`` of the images of a table."""


@dataclass(frozen=True)
class ProtocolConfig:
    """Protocol settings: how galleries are drawn and images corrupted, in protocols that do so."""

    shots: int = one_of(SHOTS, default=1)
    """Number of gallery images of each person and camera: 1 (single-shot) or 10 (multi-shot)."""
    gallery: str = one_of(GALLERIES, default="seeded")
    """``seeded``: drawn as in the AGW family's code. ``official``: the data set's permutation file."""
    corrupt: str = one_of(SIDES, default="visible")
    """Images that are corrupted in protocols of corrupted images: ``visible``, or ``both`` modalities."""
    corrupt_at: str = one_of(MOMENTS, default="resized")
    """Whether images are corrupted after they are ``resized``, or before, at their ``native`` size."""

    def __post_init__(self) -> None:
        if self.shots not in SHOTS:
            raise UsageError(f"protocol.shots={self.shots}: choose 1 or 10")
        for name, known in (("gallery", GALLERIES), ("corrupt", SIDES), ("corrupt_at", MOMENTS)):
            if (value := getattr(self, name)) not in known:
                raise UsageError(f"unknown protocol.{name} '{show(value)}': {did_you_mean(value, known)}")


@dataclass(frozen=True)
class TrialScore:
    """Score of one trial: ``R1 R5 R10 R20 mAP mINP`` and further registered metrics, in full precision."""

    fold: int
    trial: int
    metrics: dict[str, float]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranking of the first trial: the ranked lists that were scored, for figures.

    Attributes:
        query: ``[Q]`` rows of the test table of the query modality.
        gallery: ``[G]`` rows of the test table of the gallery modality.
        order: ``[Q, K]`` rows of the gallery modality's test table, best first; -1 where fewer images are ranked.
        scores: ``[Q, K]`` similarity; NaN where ``order`` is -1.
        matches: ``[Q, K]`` whether the image is a positive of the query.
        average_precision: ``[Q]``; NaN where a query is invalid.
    """

    query: NDArray[np.int64]
    gallery: NDArray[np.int64]
    order: NDArray[np.int64]
    scores: NDArray[np.float64]
    matches: NDArray[np.bool_]
    average_precision: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class QueryScores:
    """Scores of each query of a fold in each trial, for comparisons of two models.

    Attributes:
        average_precision: ``[T, Q]``; NaN where a query is invalid.
        first_match_rank: ``[T, Q]`` zero-based rank of the first match in the CMC; -1 where a query is invalid.
        identities: ``[Q]`` identities of the queries.
        paths: paths of the ``Q`` query images.
    """

    average_precision: NDArray[np.float64]
    first_match_rank: NDArray[np.int64]
    identities: NDArray[np.int64]
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """Evaluation of a model on one fold: scores of all trials and all queries, and ranked lists of the first trial."""

    scores: tuple[TrialScore, ...]
    queries: QueryScores
    ranking: Ranking


class Protocol(ABC):
    """Protocol that scores a model on the test images of a data set: its queries, galleries and masks.

    Global random state is neither read nor changed.
    """

    name: ClassVar[str]
    dataset: ClassVar[str]
    """Registered name of the data set that it scores on."""
    summary: ClassVar[str]
    """One line for ``run.py --list``."""
    query: ClassVar[Modality]
    gallery: ClassVar[Modality]
    trials_per_fold: ClassVar[int]
    resize: ClassVar[Filter] = "lanczos"
    """Pillow's filter that resizes test images to the encoder's size, as in the AGW family's test code. Images of that
    size are not changed. Training images are resized with ``data.filter``."""
    corrupted: ClassVar[bool] = False
    """Whether it scores corrupted images."""

    def __init__(self, config: ProtocolConfig | None = None) -> None:
        self.config = config or ProtocolConfig()

    @classmethod
    def missing_parts(cls) -> list[str]:
        """List wrong values of the class, in words."""
        trials = getattr(cls, "trials_per_fold", 1)
        few = isinstance(trials, int) and trials < 1
        return [f"its attribute 'trials_per_fold' is {trials}, it must be at least 1"] if few else []

    @classmethod
    def check_packages(cls) -> None:
        """Check that the optional packages of the protocol are installed.

        Raises:
            UsageError: a package is missing; the message names the extra that installs it.
        """
        if cls.corrupted:
            check_package(cls.name)

    @abstractmethod
    def galleries(self, dataset: Dataset, fold: int) -> tuple[NDArray[np.int64], ...]:
        """Return rows of the gallery modality's test table, one array per trial."""

    def queries(self, dataset: Dataset, fold: int) -> NDArray[np.int64]:
        """Return the rows of the query modality's test table that are queries; all by default."""
        return np.arange(len(self.tables(dataset, fold)[0]))

    def unscorable(self, dataset: Dataset) -> str:
        """Return why a data set cannot be scored, although a method can train on it; empty by default."""
        return ""

    def masks(self, query: ImageTable, gallery: ImageTable) -> RetrievalMasks:
        """Return which images match, which are ignored, and what the CMC counts.

        By default, images of one identity match, none is ignored, and the CMC counts images. A protocol with another
        rule overrides this method.

        Args:
            query: query images of one block; queries are scored in blocks.
            gallery: all images of one trial's gallery.
        """
        return RetrievalMasks(query.identities[:, None] == gallery.identities)

    def check(self, dataset: Dataset) -> None:
        """Check, before any training, that every trial of every fold can be scored.

        Raises:
            UsageError: the data set is another one, a setting does not apply to this protocol, its folds,
                galleries or masks are wrong, or a trial has no valid query.
        """
        if dataset.name != self.dataset:
            raise UsageError(
                f"{self.name} scores '{self.dataset}', the data set is '{dataset.name}': choose a protocol that fits"
            )
        check_folds(self.name, self.folds(dataset), dataset.folds)
        for name, usual in (("corrupt", "visible"), ("corrupt_at", "resized")):
            if not self.corrupted and (value := getattr(self.config, name)) != usual:
                raise UsageError(f"{self.name} corrupts no images: leave out protocol.{name}={value}")
        for fold in self.folds(dataset):
            check_tables(self.name, self.tables(dataset, fold))
            query, pool = self.tables(dataset, fold)
            query = query.take(self.queries(dataset, fold))
            drawn = self.galleries(dataset, fold), self.galleries(dataset, fold)
            for trial, rows in enumerate(check_galleries(self.name, *drawn, self.trials_per_fold, len(pool))):
                gallery, valid = pool.take(rows), False
                for part in query_blocks(len(query), len(rows)):
                    asked = query.take(part)
                    masks = check_masks(self.name, self.masks(asked, gallery), (len(asked), len(rows)))
                    valid |= bool(np.greater(*masks).any())
                if not valid:
                    raise UsageError(
                        f"{self.name}: fold {fold}, trial {trial}: none of the {len(query)} {self.query} queries has "
                        f"a matching {self.gallery} gallery image that is not ignored; test on more people or cameras"
                    )

    def refuse_drawn_galleries(self) -> None:
        """Refuse the settings of drawn galleries, for a protocol whose gallery has all images.

        Raises:
            UsageError: names the setting.
        """
        if self.config.shots != 1:
            raise UsageError(f"{self.name} compares with all images: protocol.shots={self.config.shots} must be 1")
        if self.config.gallery != "seeded":
            raise UsageError(f"{self.name} draws no gallery: leave out protocol.gallery={self.config.gallery}")

    def folds(self, dataset: Dataset) -> tuple[int, ...]:
        """Return the folds to train and score; a complete result has all of them."""
        return dataset.folds

    def kind(self) -> dict[str, int | str | None]:
        """Return how the galleries are drawn, for the record."""
        return {"shots": self.config.shots, "gallery": self.config.gallery}

    def kinds(self) -> list[dict[str, int | str | None]]:
        """List all values that :meth:`kind` can have for the same settings, depending on the data; one by default."""
        return [self.kind()]

    def kind_of(self, headline: Mapping[str, object]) -> dict[str, int | str | None]:
        """Return the value of :meth:`kinds` that a headline has; the first one if it has none of them."""
        kinds = self.kinds()
        return next((kind for kind in kinds if kind.items() <= headline.items()), kinds[0])

    def restore(self, headline: Mapping[str, object]) -> None:  # noqa: B027 - most protocols need none
        """Set the rule of :meth:`masks` that :meth:`check` derives from the data; by default, there is one rule.

        Args:
            headline: headline of a record of this protocol.
        """

    def tables(self, dataset: Dataset, fold: int) -> tuple[ImageTable, ImageTable]:
        """Return all test images of a fold in the query modality, and in the gallery modality."""
        split = dataset.test(fold)
        tables = {"visible": split.visible, "infrared": split.infrared}
        return tables[self.query], tables[self.gallery]

    def evaluate(self, embed: Embed, dataset: Dataset, fold: int, trained_on: int) -> Evaluation:
        """Score a model on one fold. Each test image is embedded once for all trials.

        Args:
            embed: function that returns the unit features of a table.
            dataset: data set of the test images.
            fold: fold to score.
            trained_on: fold that the model was trained on.

        Raises:
            UsageError: the folds differ, so that the model was trained on test people of ``fold``.
            ValueError: ``embed`` does not return ``[N, D]``, or it returns NaN.
        """
        if trained_on != fold:
            raise UsageError(
                f"{self.name}: a model trained on fold {trained_on} cannot be scored on fold {fold}, "
                f"because it was trained on test people of that fold; train fold {fold}"
            )
        everyone, pool = self.tables(dataset, fold)
        chosen = self.queries(dataset, fold)
        query = everyone.take(chosen)
        galleries = self.galleries(dataset, fold)
        result = self.score(embed, query, pool, galleries, fold)
        scores = [TrialScore(fold, trial, score_metrics(metrics)) for trial, metrics in enumerate(result.metrics)]
        queries = QueryScores(
            average_precision=np.stack([metrics.average_precision for metrics in result.metrics]),
            first_match_rank=np.stack([metrics.first_match_rank for metrics in result.metrics]),
            identities=query.identities,
            paths=query.paths,
        )
        return Evaluation(tuple(scores), queries, _ranking(result, chosen, galleries[0]))

    def score(
        self, embed: Embed, query: ImageTable, pool: ImageTable, galleries: Sequence[NDArray[np.int64]], fold: int
    ) -> GalleryScores:
        """Score the features of the query and gallery images of a fold, whose galleries are rows of ``pool``."""
        tables = [pool.take(rows) for rows in galleries]
        return score_galleries(
            embedded(embed, query),
            embedded(embed, pool),
            galleries,
            lambda rows, trial: self.masks(query.take(rows), tables[trial]),
            depth=RANKING_DEPTH,
        )

    def chance(self, dataset: Dataset, fold: int, seed: int = 0) -> dict[str, float]:
        """Score random similarities under the same masks, and average the scores over all trials."""
        query, pool = self.tables(dataset, fold)
        query = query.take(self.queries(dataset, fold))
        results = []
        for trial, rows in enumerate(self.galleries(dataset, fold)):
            generator = numpy_generator(seed, "chance", self.name, fold, trial)
            gallery, width = pool.take(rows), len(rows)
            blocks = (
                (part, torch.from_numpy(generator.random((part.stop - part.start, width))))
                for part in query_blocks(len(query), width)
            )
            masks = lambda part, gallery=gallery: self.masks(query.take(part), gallery)  # noqa: E731
            results.append(score_metrics(score_blocks(blocks, width, masks)))
        return {key: float(np.mean([result[key] for result in results])) for key in results[0]}


def _ranking(result: GalleryScores, query: NDArray[np.int64], gallery: NDArray[np.int64]) -> Ranking:
    return Ranking(
        query=query,
        gallery=gallery,
        order=np.where(result.columns >= 0, gallery[result.columns], -1),
        scores=result.similarity,
        matches=result.matches,
        average_precision=result.metrics[0].average_precision,
    )


def embedded(embed: Embed, table: ImageTable) -> NDArray[np.float64]:
    """Return the features of a table in double precision, as the reference code uses."""
    features = np.asarray(embed(table))
    if features.ndim != 2 or len(features) != len(table):
        raise ValueError(f"embed returned {features.shape} for {len(table)} {table.modality} images; expected [N, D]")
    return features.astype(np.float64)
