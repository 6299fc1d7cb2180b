"""Records of synthetic people with the results of their queries, from features that are made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.leaderboard.records import consistent, make_record
from usvi_bench.core.record import Record, write_record
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.result import Score
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.planned import PlannedDataset
from usvi_bench.protocols.base import Evaluation
from usvi_bench.protocols.draw_digest import draw_digest, fold_digest
from usvi_bench.protocols.sidecar import sidecar_path, write_sidecar
from usvi_bench.synthetic import SyntheticSpec

PEOPLE = PlannedDataset("sysu", SyntheticSpec(size="tiny"))


def evaluate(noise: float, seed: int, protocol: str = "sysu_all") -> Evaluation:
    """Score features that are one direction for each person, and noise."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(1000, 8))

    def embed(table: ImageTable) -> NDArray[np.float32]:
        features = centres[table.identities] + noise * draw.normal(size=(len(table), 8))
        return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)

    return PROTOCOLS.get(protocol)().evaluate(embed, PEOPLE, 1, 1)


def scored_record(method: str, seed: int, evaluation: Evaluation) -> Record:
    """Make the consistent record of a run with the scores of an evaluation, without a note about its queries."""
    record = consistent(make_record(method, seed))
    result = record.result
    scores = [Score(**result.headline, fold=s.fold, trial=s.trial, metrics=s.metrics) for s in evaluation.scores]
    return replace(record, result=replace(result, scores=scores))


def write_scored(file: Path, method: str = "sclhm", seed: int = 0, noise: float = 1.5) -> Record:
    """Write the record of a run and the results of its queries beside it, as a run does; return the record."""
    evaluation = evaluate(noise, seed)
    record = scored_record(method, seed, evaluation)
    return write_beside(file, record, evaluation)


def write_beside(file: Path, record: Record, evaluation: Evaluation) -> Record:
    """Write a record with the results of an evaluation beside it; return it with its note."""
    result, protocol = record.result, PROTOCOLS.get(record.result.protocol)()
    parts = {1: fold_digest(protocol, PEOPLE, 1)}
    draws = draw_digest(result.dataset["fingerprint"], protocol.name, protocol.kind(), result.trials, parts)
    note = write_sidecar(sidecar_path(file), {1: evaluation.queries}, draws)
    record = replace(record, result=replace(result, queries=note))
    write_record(file, record)
    return record
