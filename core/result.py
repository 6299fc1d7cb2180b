"""Result of a run: scores, settings and data, equal bit for bit when the run is repeated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypedDict

from usvi_bench.core.errors import did_you_mean
from usvi_bench.core.external import External
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.settings import flatten

REPAIRED = "repaired"
"""Usual form of a method."""
MOST_FOLDS = 100
"""Most folds of a record; checks take time for each."""


class DatasetIdentity(TypedDict):
    """Identity of the data set that was scored.

    ``synthetic`` describes generated people: layout, generator's version, specification. ``knobs`` holds the knobs of
    the generator that differ from their defaults, by name; it is empty for default people and for real images.
    """

    name: str
    fingerprint: str
    synthetic: dict[str, Any] | None
    knobs: dict[str, float]
    description: str


class Donors(DatasetIdentity):
    """Donors: data set whose people replace training people in visible images (setting ``data.foreign``).

    ``repeated`` is the share of the replaced images that repeat an image of the same fold.
    """

    repeated: float


class StartWeights(TypedDict):
    """Starting weights of the training; ``sha256`` is the hash of the weight file, None for random weights."""

    source: str
    sha256: str | None


class Kind(TypedDict):
    """Kind of a score within a run; see :class:`Score` for the fields."""

    model: str
    selection: str
    shots: int | None
    gallery: str
    feature: str


KIND = tuple(Kind.__annotations__)


class QueriesNote(TypedDict):
    """Note about the results of each query, a file beside the record (:mod:`usvi_bench.protocols.sidecar`).

    ``sha256`` is the hash of the file and ``size`` its length in bytes. ``draws`` identifies the queries and galleries.
    """

    sha256: str
    size: int
    draws: str


@dataclass(frozen=True, slots=True)
class Score:
    """Score of one model in one trial of one fold.

    Attributes:
        model: encoder that was scored: ``student``, ``teacher``.
        selection: ``last`` (weights at the end of training), ``oracle`` (best epoch by test score), or ``released``
            (an external model, :mod:`usvi_bench.core.external`).
        shots: number of gallery images of each person and camera; None if the gallery has all images.
        gallery: how the gallery was drawn: ``seeded``, ``official``, ``all``.
        feature: the test feature, for example ``bn+flip``.
        metrics: fractions in full precision, one for each of :data:`~usvi_bench.core.metrics.METRICS`.
    """

    model: str
    selection: str
    shots: int | None
    gallery: str
    feature: str
    fold: int
    trial: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a run: the half of a record that depends only on code, data, configuration and seed.

    Attributes:
        setting: name of the shared configuration that methods are compared under.
        config: all settings, nested and named as ``--set`` names them.
        format: number of the defaults that ``config_hash`` is computed with (:mod:`usvi_bench.core.settings`).
        config_hash: hash of method, protocol, setting, starting weights and settings that differ from the defaults;
            runs with equal hashes on the same data (``dataset``) are seeds of one experiment.
        folds: all folds of the protocol, including those that were not run.
        trials: number of trials of the protocol in each fold.
        headline: kind of score that tables show.
        chance: metrics of random similarities under this protocol, averaged over folds and trials.
        trained_on: data set of the training, if it is another one than the scored ``dataset``.
        donors: data set of the people that replace training people, if any are replaced.
        queries: the results of each query; older records lack them.
        external: the model, if it was not trained by a run; then ``method`` and ``setting`` are ``external``.
    """

    method: str
    protocol: str
    dataset: DatasetIdentity
    seed: int
    setting: str
    config: dict[str, Any]
    format: int
    config_hash: str
    start_weights: StartWeights
    uses_identities: bool
    folds: list[int]
    trials: int
    headline: Kind
    chance: dict[str, float]
    scores: list[Score]
    external: External | None = None
    trained_on: DatasetIdentity | None = None
    donors: Donors | None = None
    queries: QueriesNote | None = None

    @property
    def form(self) -> str:
        """Form of the method: ``repaired``, or ``released`` with the defects of its released code.

        A method without a released form is ``repaired``.
        """
        return str(self.config.get("method", {}).get("form", REPAIRED))

    @property
    def only_trained(self) -> bool:
        """Whether the run trained without scoring, because the identities of the images are not known."""
        return not self.scores and not self.chance and self.external is None


def mean_metrics(scores: Sequence[Score]) -> dict[str, float]:
    """Average each metric over scores; empty without scores."""
    return {name: fmean(score.metrics[name] for score in scores) for name in METRICS} if scores else {}


def check_result(result: Result) -> None:
    """Check conditions beyond types: fractions, expected folds and trials, no repeated trial, knobs as specified.

    Raises:
        ValueError: a condition does not hold; the message names the field.
    """
    if not result.folds or result.trials < 1:
        raise ValueError(f"result.folds: {result.folds} with result.trials {result.trials}: nothing would be scored")
    data = result.config.get("data")
    chosen = data.get("folds", ()) if isinstance(data, dict) else ()
    if not isinstance(chosen, (list, tuple)) or any(type(fold) is not int for fold in chosen):
        raise ValueError(f"result.config.data.folds: expected a list of whole numbers, found {chosen!r:.60}")
    for name, folds in (("folds", result.folds), ("config.data.folds", chosen)):
        if len(folds) > MOST_FOLDS:
            raise ValueError(f"result.{name}: {len(folds)} folds are more than {MOST_FOLDS}")
    if "method" not in result.config and result.external is None:
        raise ValueError("result.config.method: missing")
    for name, group in result.config.items():
        if name != "evaluate_every" and not isinstance(group, dict):
            raise ValueError(f"result.config.{name}: expected a mapping, found {group!r:.60}")
    for name, value in flatten(result.config).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"result.config.{name}: {value} is not a finite number")
    if len(set(result.folds)) < len(result.folds):
        raise ValueError(f"result.folds: {result.folds} names a fold twice")
    trials: dict[tuple[Any, ...], set[int]] = {}
    for i, score in enumerate(result.scores):
        where = f"result.scores[{i}]"
        for name in METRICS:
            if name not in score.metrics:
                raise ValueError(f"{where}.metrics.{name}: missing")
        for name, value in score.metrics.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{where}.metrics.{name}: {value} is not a fraction in [0, 1]")
        if score.fold not in result.folds:
            raise ValueError(f"{where}.fold: {score.fold} is not among result.folds {result.folds}")
        done = trials.setdefault((*(getattr(score, name) for name in KIND), score.fold), set())
        if score.trial < 0:
            raise ValueError(f"{where}.trial: {score.trial} is below 0")
        if score.trial in done:
            raise ValueError(f"{where}.trial: a second score of trial {score.trial} of fold {score.fold}")
        done.add(score.trial)
        if len(done) > result.trials:
            raise ValueError(f"{where}.trial: more than the {result.trials} trials of fold {score.fold}")
    note, encoder = result.dataset["synthetic"] or {}, result.config.get("encoder", {})
    for name, text in (
        ("config.encoder.name", encoder.get("name", "")),
        ("dataset.synthetic.layout", note.get("layout", "")),
    ):
        if not isinstance(text, str):
            raise ValueError(f"result.{name}: expected text, found {text!r:.60}")
    spec = note.get("spec", {})
    if not isinstance(spec, dict):
        raise ValueError(f"result.dataset.synthetic.spec: expected a mapping, found {spec!r:.60}")
    for name, level in result.dataset["knobs"].items():
        if spec.get(name) != level:
            raise ValueError(f"result.dataset.knobs.{name}: {level} is not in result.dataset.synthetic.spec")
    for name in result.chance:
        if name not in METRICS:
            raise ValueError(f"result.chance.{name}: unknown metric, {did_you_mean(name, METRICS)}")
