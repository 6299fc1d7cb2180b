"""The folder of a run: configuration, journal, checkpoints, record and report."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from components.encoder import TwoStreamEncoder
from engine import environment
from engine.config import digest
from engine.files import write_atomically, write_json
from engine.journal import Journal
from engine.memory import peak_memory_mib
from engine.plan import StagePlan
from engine.progress import METRICS
from engine.registry import METHODS
from engine.scoring import FEATURE, Embedder, mean_metrics
from engine.source import read_json
from leaderboard.record import Kind, Provenance, Record, Result, Score, write_record
from protocols.base import QueryScores, Ranking
from reports.evaluation import save_evaluation
from reports.queries import save_query_scores
from reports.report import write_report

if TYPE_CHECKING:
    from engine.run import Run


@dataclass(frozen=True)
class Showcase:
    """What the report shows of a run: the first fold's ranking, and features before and after training."""

    ranking: Ranking
    fold: int
    after: Embedder
    before: TwoStreamEncoder


def write_run(run: Run, scores: list[dict[str, Any]], queries: dict[int, QueryScores], showcase: Showcase) -> None:
    """Fill the run's folder; the record is written last but for the report that is drawn from it."""
    write_json(run.folder / "config.json", run.config.resolved())
    journal = Journal(run.folder / "journal.jsonl")
    lines = [line for plan in run.every_plan for line in Journal(plan.folder / "journal.jsonl").read()]
    journal.replace(lines)
    for plan in run.every_plan:
        _link_checkpoints(plan, run.folder / "checkpoints")
    started = time.perf_counter()
    save_query_scores(run.folder / "queries.npz", queries)
    split = run.dataset.test(showcase.fold)
    parts = (split.visible, split.infrared)
    before = run.scorer.embedder(showcase.before)
    save_evaluation(
        run.folder / "evaluation.npz",
        showcase.ranking,
        split,
        run.protocol.query,
        after=[showcase.after(part) for part in parts],
        before=[before(part) for part in parts],
    )
    write_record(run.folder / "record.json", Record(result=_result(run, scores), provenance=_provenance(run, lines)))
    if run.report:
        write_report(run.folder)
        run.progress.say(f"report written in {time.perf_counter() - started:.1f} s")


def _result(run: Run, scores: list[dict[str, Any]]) -> Result:
    """The half of the record that a repetition gives again, bit for bit."""
    config, dataset, protocol = run.config, run.dataset, run.protocol
    resolved = config.resolved()
    method = METHODS.get(config.method)
    trainers = {config.method, *(plan.method for plan in run.every_plan)}
    trained = {name: value for name, value in resolved.items() if name != "seed"}
    folds = protocol.folds(dataset)
    chance = [protocol.chance(dataset, fold) for fold in run.plans]
    return Result(
        method=config.method,
        protocol=config.protocol,
        dataset={
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "synthetic": dataset.synthetic,
            "description": run.data_sentence,
        },
        seed=config.seed,
        setting=config.setting,
        config=resolved,
        config_hash=digest({"config": trained, "start": run.start.identity}),
        start_weights=run.start.described(),
        uses_identities=any(METHODS.get(name).uses_identities for name in trainers),
        folds=list(folds),
        trials=protocol.trials_per_fold,
        headline=cast(Kind, {"model": method.headline, "selection": "last", "feature": FEATURE, **protocol.kind()}),
        chance=mean_metrics(chance, METRICS),
        scores=[Score(**entry) for entry in scores],
    )


def _provenance(run: Run, lines: list[dict[str, Any]]) -> Provenance:
    """Where the run took place; stages trained earlier or elsewhere are listed with their own commit."""
    stages = [read_json(plan.folder / "finished.json") for plan in run.every_plan]
    revision, dirty = environment.commit()
    epochs = [line for line in lines if line["kind"] == "epoch"]
    seconds = {phase: sum(line["seconds"][phase] for line in epochs) for phase in ("embed", "cluster", "train")}
    train = run.config.train
    memory = [line["peak_memory_mib"] for line in epochs] + [peak_memory_mib(run.device)]
    place = {
        **environment.describe(run.device),
        "commit": revision,
        "dirty": dirty or any(start["dirty"] for stage in stages for start in stage["starts"]),
        "stages": stages,
        "global_batch": train.instances * (train.visible_clusters + train.infrared_clusters) if epochs else None,
        "batch_norm": f"groups={run.config.encoder.bn_groups}",  # "groups=1" is sync; per_gpu is one a process
        "seconds": {**(seconds if epochs else {}), **run.seconds},
        "peak_memory_mib": max(memory),
        "finished": environment.now(),
        "chosen": run.chosen,
        **({"ablation": run.ablation} if run.ablation else {}),
    }
    return cast(Provenance, place)


def _copy(source: Path, file: BinaryIO) -> None:
    file.write(source.read_bytes())


def _link_checkpoints(plan: StagePlan, folder: Path) -> None:
    """Show a stage's last checkpoints in the run's folder, without copying where the disk allows it."""
    for path in sorted(plan.folder.glob("epoch_*.pt")):
        target = folder / f"fold{plan.fold}-{plan.position + 1}-{plan.method}-{path.name}"
        target.unlink(missing_ok=True)
        try:
            os.link(path, target)
        except OSError:
            write_atomically(target, partial(_copy, path))
