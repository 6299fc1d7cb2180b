"""Folder of a run: configuration, journal, checkpoints, evaluation and record."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from usvi_bench.core.environment import commit, environment_info, now
from usvi_bench.core.files import write_bytes, write_json
from usvi_bench.core.journal import Journal, Mark
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.plugins import used_plugins
from usvi_bench.core.process_memory import peak_memory_mib
from usvi_bench.core.provenance import Provenance
from usvi_bench.core.record import Record, write_record
from usvi_bench.core.registry import METHODS
from usvi_bench.core.result import DatasetIdentity, Donors, Kind, QueriesNote, Result, Score
from usvi_bench.core.settings import FORMAT
from usvi_bench.datasets.base import Dataset
from usvi_bench.engine.evaluation import FEATURE, TableEmbedder
from usvi_bench.engine.numerics import numerics
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.run import Run
from usvi_bench.protocols.base import QueryScores, Ranking
from usvi_bench.protocols.corrupted import CorruptedProtocol
from usvi_bench.protocols.draw_digest import draw_digest, fold_digest
from usvi_bench.protocols.evaluation_file import save_evaluation
from usvi_bench.protocols.query_file import save_query_scores
from usvi_bench.protocols.sidecar import sidecar_path, write_sidecar


@dataclass(frozen=True)
class FirstFold:
    """First fold of a run, for its report: the headline's ranking, and embedders after and before training."""

    ranking: Ranking
    fold: int
    after: TableEmbedder
    before: TableEmbedder


@dataclass(frozen=True)
class RunResult:
    """Result of training and scoring a run.

    Attributes:
        scores: all scores of all folds.
        queries: scores of each query of the headline model, by fold.
        first: first fold, for figures; None if the run only trains.
        seconds: wall-clock time of the phases that are not in a journal.
    """

    scores: list[Score]
    queries: dict[int, QueryScores]
    first: FirstFold | None
    seconds: dict[str, float]


def write_run(run: Run, result: RunResult) -> Record:
    """Write the folder of a run; the record is written last."""
    write_json(run.folder / "config.json", run.config.settings())
    journal = Journal(run.folder / "journal.jsonl")
    lines = [line for plan in run.every_plan for line in plan.entries()]
    journal.replace(lines)
    for plan in run.every_plan:
        _link_checkpoints(plan, run)
    if result.first is not None:
        save_query_scores(run.folder / "queries.npz", result.queries)
        _save_first_fold(run, result.first)
    path = run.folder / "record.json"
    queries = _write_sidecar(run, result.queries, sidecar_path(path)) if result.queries else None
    made = _provenance(run, result, lines, journal.mark)
    record = Record(result=_result(run, result.scores, lines, queries), provenance=made)
    write_record(path, record)
    return record


def _write_sidecar(run: Run, queries: dict[int, QueryScores], path: Path) -> QueriesNote:
    protocol, dataset = run.protocol, run.dataset
    folds = {fold: fold_digest(protocol, dataset, fold) for fold in queries}
    draws = draw_digest(dataset.fingerprint, protocol.name, protocol.kind(), protocol.trials_per_fold, folds)
    return write_sidecar(path, queries, draws)


def _save_first_fold(run: Run, first: FirstFold) -> None:
    split, protocol = run.dataset.test(first.fold), run.protocol
    parts = (split.visible, split.infrared)
    scored = None
    if isinstance(protocol, CorruptedProtocol):
        queries, gallery = protocol.first_trial(run.dataset, first.fold)
        scored = first.after(queries), first.after(gallery)
    save_evaluation(
        run.folder / "evaluation.npz",
        first.ranking,
        split,
        run.protocol.query,
        after=[first.after(part) for part in parts],
        before=[first.before(part) for part in parts],
        scored=scored,
    )


def _result(run: Run, scores: list[Score], lines: list[dict[str, Any]], queries: QueriesNote | None) -> Result:
    """Build the half of the record that is equal, bit for bit, when the run is repeated."""
    config, dataset, protocol = run.config, run.dataset, run.protocol
    method = METHODS.get(config.method)
    chance = [] if run.unscored else [protocol.chance(dataset, fold) for fold in run.folds]
    return Result(
        method=config.method,
        protocol=config.protocol,
        dataset=identity_of(dataset, run.data_sentence),
        trained_on=None if run.training is None else identity_of(run.training, run.training_sentence),
        donors=_donors(run),
        seed=config.seed,
        setting=config.setting,
        config=config.settings(),
        format=FORMAT,
        config_hash=config.hash(run.start.identity),
        start_weights=run.start.described(),
        uses_identities=any(line["given_identities"] for line in lines if line["kind"] == "epoch"),
        folds=list(protocol.folds(dataset)),
        trials=protocol.trials_per_fold,
        headline=cast(Kind, {"model": method.headline, "selection": "last", "feature": FEATURE, **protocol.kind()}),
        chance={name: float(np.mean([each[name] for each in chance])) for name in METRICS if chance},
        scores=scores,
        queries=queries,
    )


def _donors(run: Run) -> Donors | None:
    if run.donors is None or run.unpaired is None:
        return None
    return {**identity_of(run.donors, run.donors_sentence), "repeated": run.unpaired.repeated(run.folds)}


def identity_of(dataset: Dataset, sentence: str) -> DatasetIdentity:
    """Return the identity of a data set, for a record; ``sentence`` describes it."""
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "synthetic": dataset.synthetic,
        "knobs": dataset.knobs,
        "description": sentence,
    }


def _provenance(run: Run, result: RunResult, lines: list[dict[str, Any]], journal: Mark) -> Provenance:
    """Describe code, machine and time of the run; stages trained earlier or elsewhere have their own commit."""
    stages = [plan.summary() for plan in run.every_plan]
    revision, dirty = commit()
    epochs = [line for line in lines if line["kind"] == "epoch"]
    seconds = {phase: sum(line["seconds"][phase] for line in epochs) for phase in ("embed", "cluster", "train")}
    train = run.config.train
    memory = [line["peak_memory_mib"] for line in epochs] + [peak_memory_mib(run.device)]
    plugins = used_plugins(run.imports, run.parts)
    content = {
        **environment_info(run.device),
        "numerics": numerics(run.config, run.device),
        "commit": revision,
        "dirty": dirty or any(start["dirty"] for stage in stages for start in stage["starts"]),
        "stages": stages,
        "global_batch": train.instances * (train.visible_clusters + train.infrared_clusters) if epochs else None,
        "batch_norm": f"groups={run.config.encoder.bn_groups}",  # "groups=1" is sync; per_gpu has one group per process
        "seconds": {**(seconds if epochs else {}), **result.seconds},
        "peak_memory_mib": max(memory),
        "finished": now(),
        "journal": journal._asdict(),
        "overrides": run.overrides,
        **({"ablation": run.ablation} if run.ablation else {}),
        **({"plugins": plugins} if plugins else {}),
    }
    return cast(Provenance, content)


def _link_checkpoints(plan: StagePlan, run: Run) -> None:
    """Link a stage's last checkpoints into the folder of the run; copy them if the file system has no hard links."""
    for path in sorted(plan.folder.glob("epoch_*.pt")):
        target = run.folder / "checkpoints" / f"fold{plan.fold}-{plan.position + 1}-{plan.method}-{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(path, target)
        except OSError:
            write_bytes(target, path.read_bytes())
