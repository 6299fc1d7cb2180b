"""Facts that follow from parts of a record: its configuration, stages, data sentence, and limits of its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from usvi_bench.components.augment import AugmentConfig
from usvi_bench.components.encoder.registered import network_class
from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.registry import DATASETS, METHODS, PROTOCOLS
from usvi_bench.core.result import Result
from usvi_bench.core.settings import current_names
from usvi_bench.datasets.open import describe
from usvi_bench.datasets.planned import PlannedDataset
from usvi_bench.datasets.unpaired import unpaired_fingerprint
from usvi_bench.engine.config import DataConfig, RunConfig, TrainConfig
from usvi_bench.engine.load_config import SECTIONS, build
from usvi_bench.engine.plan import CACHE_VERSION, plan_stages
from usvi_bench.engine.transfer import TRAINED_FOLD
from usvi_bench.leaderboard.bounds import LARGEST, Limits
from usvi_bench.protocols.base import Protocol, ProtocolConfig
from usvi_bench.synthetic import GENERATOR_VERSIONS, SyntheticSpec

TEST_PARTS = ("test", "fold 1 test")
"""Names of a test set in the published counts of the data sets."""
StageKey = tuple[int, str, str]
"""Fold, method and key of a stage."""


def run_config(result: Result) -> RunConfig:
    """Build the configuration of a run from its settings, which are checked as those of a new run are.

    Raises:
        UsageError: a setting is unknown, of the wrong type or out of range.
    """
    given = current_names(result.config)
    sections: dict[str, type[Any]] = {
        "method": METHODS.get(result.method).Config,
        "data": DataConfig,
        "encoder": network_class(given.get("encoder", {}).get("name", "")).Config,
        "augment": AugmentConfig,
        "train": TrainConfig,
        "protocol": ProtocolConfig,
    }
    parts = {SECTIONS.get(name, name): build(cls, given.get(name, {}), name) for name, cls in sections.items()}
    if type(every := given.get("evaluate_every", 0)) is not int or every < 0:
        raise UsageError(f"evaluate_every={every!r:.40} must be a whole number, 0 or more")
    return RunConfig(
        method=result.method,
        protocol=result.protocol,
        setting=result.setting,
        seed=result.seed,
        evaluate_every=every,
        **parts,
    )


def scored_folds(result: Result) -> list[int]:
    """Return the folds that a run with these settings trains and scores."""
    return sorted(result.config.get("data", {}).get("folds") or result.folds)


def stage_keys(result: Result, config: RunConfig, version: int = CACHE_VERSION) -> list[StageKey]:
    """Return fold, method and key of each stage, in order; the keys are those of a version of the training code."""
    start, trained = result.start_weights["sha256"] or "random", result.trained_on
    data = trained or result.dataset
    mark = data["fingerprint"]
    if result.donors is not None:
        mark = unpaired_fingerprint(mark, result.donors["fingerprint"])
    return [
        (fold, plan.method, plan.key)
        for fold in (scored_folds(result) if trained is None else [TRAINED_FOLD])
        for plan in plan_stages(config, fold, mark, start, Path(), version, trained=data["name"])
    ]


def data_sentence(result: Result) -> str:
    """Return the sentence that a run writes about the images of a data set of the suite."""
    reader, note = DATASETS.get(result.dataset["name"]), result.dataset["synthetic"]
    if note is not None and isinstance(spec := note.get("spec"), dict):  # a record has its keys in alphabetical order
        order = [field.name for field in fields(SyntheticSpec)]
        note = {**note, "spec": dict(sorted(spec.items(), key=lambda item: (*order, item[0]).index(item[0])))}
    published = any(reader.published(part) for part in TEST_PARTS)
    return describe(reader.title, note, published=published, check_counts=counts_checked(result))


def planned_people(result: Result) -> PlannedDataset | None:
    """Return the synthetic people that a record names; None for other images and for another generator version.

    Raises:
        UsageError: a value of the specification is unknown or out of range.
    """
    note, name = result.dataset["synthetic"], result.dataset["name"]
    if note is None or GENERATOR_VERSIONS.get(name) != note.get("generator_version"):
        return None
    try:
        return PlannedDataset(name, SyntheticSpec(**note["spec"]))
    except (TypeError, KeyError):  # no specification, which is reported as a fault
        return None


@dataclass(frozen=True, slots=True)
class Scoring:
    """Scoring of one fold.

    Attributes:
        limits: limits of its scores.
        chance: scores of a random ranking; empty if they are unknown.
        galleries: number of different galleries of its trials; 1 if it is unknown.
    """

    limits: Limits
    chance: Mapping[str, float]
    galleries: int = 1


def scoring(result: Result, config: ProtocolConfig, fold: int) -> Scoring:
    """Derive the limits of the scores of a fold from the people and the protocol, as far as they are known."""
    protocol: Protocol = PROTOCOLS.get(result.protocol)(config)
    people = planned_people(result)
    if people is not None and config.gallery == "seeded" and fold in people.folds:
        return _planned(result.protocol, config, PlannedFold(people, fold))
    cameras = len(getattr(protocol, "gallery_cameras", ()))
    positives = cameras * config.shots if cameras else LARGEST
    if not _claims_published(result):
        return Scoring(Limits(positives, positives), {})
    galleries = protocol.trials_per_fold if cameras else 1  # each camera has more images of a person than are drawn
    return Scoring(Limits(positives, positives, _published_queries(result, protocol)), {}, galleries)


class PlannedFold:
    """Planned fold: its test people; equal for specifications that differ only in training people or in the images."""

    def __init__(self, people: PlannedDataset, fold: int) -> None:
        self.people, self.fold = people, fold
        split = people.test(fold)
        tables = (split.visible, split.infrared)
        self._rows = [(table.paths, table.identities.tobytes(), table.cameras.tobytes()) for table in tables]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlannedFold) and (self.fold, self._rows) == (other.fold, other._rows)

    def __hash__(self) -> int:
        return hash((self.fold, *self._rows))


@cache
def _planned(name: str, config: ProtocolConfig, tested: PlannedFold) -> Scoring:
    protocol: Protocol = PROTOCOLS.get(name)(config)
    people, fold = tested.people, tested.fold
    query, pool = protocol.tables(people, fold)
    query = query.take(protocol.queries(people, fold))
    most = unit = queries = 0
    different: set[bytes] = set()
    for rows in protocol.galleries(people, fold):
        different.add(rows.tobytes())
        masks = protocol.masks(query, pool.take(rows))
        positives, ignored = masks.arrays((len(query), len(rows)))
        counts = (positives & ~ignored).sum(axis=1)
        most, queries = max(most, int(counts.max())), max(queries, int((counts > 0).sum()))
        unit = max(unit, int(np.bincount(masks.units(len(rows))).max()))
    return Scoring(Limits(most, unit, queries, exact=True), protocol.chance(people, fold), len(different))


def expected_chance(scorings: Mapping[int, Scoring]) -> dict[str, float]:
    """Average the scores of a random ranking over folds; empty if they are unknown."""
    known = [scoring.chance for scoring in scorings.values()]
    if not known or not all(known):
        return {}
    return {name: float(np.mean([each[name] for each in known])) for name in METRICS}


def _claims_published(result: Result) -> bool:
    real = result.dataset["synthetic"] is None and result.dataset["name"] in DATASETS.own_names()
    return real and counts_checked(result)


def unchecked_data(result: Result) -> str:
    """Return which images of a data set the run did not compare with known ones; empty if there are none."""
    for data in (result.dataset, result.trained_on) if not counts_checked(result) else ():
        if data is not None and data["name"] in DATASETS.own_names():
            reader = DATASETS.get(data["name"])
            if data["synthetic"] is not None:
                return "the generated people"
            if any(reader.published(part) for part in TEST_PARTS):
                return f"the published {reader.title}"
    return ""


def counts_checked(result: Result) -> bool:
    """Return whether the run compared the numbers of images with the published ones."""
    return bool(result.config.get("data", {}).get("check_counts", True))


def _published_queries(result: Result, protocol: Protocol) -> int | None:
    reader = DATASETS.get(result.dataset["name"])
    counts = [reader.published(part).get(protocol.query) for part in TEST_PARTS]
    return max((count for count in counts if count), default=None)
