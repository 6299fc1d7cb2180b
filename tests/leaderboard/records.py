"""Records for the tests of the leaderboard and the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record, Result, Score
from usvi_bench.core.registry import METHODS
from usvi_bench.leaderboard.published import Figure

HEADLINE = {"model": "student", "selection": "last", "shots": 1, "gallery": "seeded", "feature": "bn+flip"}
SYNTHETIC = {"generator_version": 1, "spec": {"size": "small", "seed": 0, "pose": 1.0}}


def make_score(mean: float, fold: int = 1, trial: int = 0, **kind: Any) -> Score:
    """Make a score whose six metrics are ``mean`` plus 0, 1, ... 5 thousandths."""
    return Score(
        **{**HEADLINE, **kind}, fold=fold, trial=trial, metrics={m: mean + 0.001 * i for i, m in enumerate(METRICS)}
    )


def with_metric(score: Score, **metrics: float) -> Score:
    """Copy a score with some metrics replaced."""
    return replace(score, metrics={**score.metrics, **metrics})


def make_record(
    method: str = "sclhm",
    seed: int = 0,
    means: Sequence[float] = (0.3, 0.5),
    real: bool = False,
    config: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Record:
    """Make a complete record of one fold with a trial for each of ``means``; ``changes`` replace result fields."""
    config = {"method": {"eps": 0.6}, "train": {"epochs": 12}, **(config or {})}
    data = {
        "name": "sysu",
        "fingerprint": "f" * 16,
        "synthetic": None if real else SYNTHETIC,
        "knobs": {},
        "description": "SYSU-MM01" if real else "synthetic people, size small, seed 0",
    }
    result = Result(
        method=method,
        protocol="sysu_all",
        dataset=data,
        seed=seed,
        setting="shared",
        config=config,
        format=1,
        config_hash="",
        start_weights={"source": "random", "sha256": None},
        uses_identities=method == "supervised",
        folds=[1],
        trials=len(means),
        headline=HEADLINE,
        chance=dict.fromkeys(METRICS, 0.05),
        scores=[make_score(mean, trial=trial) for trial, mean in enumerate(means)],
    )
    place = {
        "commit": "0123456789abcdef",
        "dirty": False,
        "environment": {"python": "3.11"},
        "cpu": "a processor",
        "gpu": None,
        "threads": 2,
        "global_batch": 96,
        "batch_norm": "one group",
        "seconds": {"train": 60.0, "evaluate": 30.0},
        "peak_memory_mib": 1000.0,
        "finished": "2026-01-01T00:00:00+00:00",
    }
    record = Record(result=replace(result, **changes), provenance={**place, **(provenance or {})})
    right = changes.get("config_hash", record.expected_hash())
    return replace(record, result=replace(record.result, config_hash=right))


def consistent(record: Record) -> Record:
    """Copy a made record with the facts that a run of the suite would have: ten trials, its network, its commit."""
    result, mean = record.result, record.scores()[0].metrics["R1"]
    headline = {**result.headline, "model": METHODS.get(result.method).headline}
    data = {**result.dataset, "fingerprint": ("" if result.dataset["synthetic"] is None else "synthetic-") + "f" * 16}
    scores = [with_metric(make_score(mean, trial=trial, model=headline["model"]), mINP=mean) for trial in range(10)]
    changed = replace(result, headline=headline, dataset=data, trials=10, scores=scores)
    return replace(
        record, result=changed, provenance={**record.provenance, "commit": "0123456789abcdef" * 2 + "01234567"}
    )


def make_figure(*, at_odds: bool = False, **changes: Any) -> Figure:
    """Make a published figure; ``at_odds`` marks it as different from the table of the paper."""
    given: dict[str, Any] = {
        "method": "ADCA",
        "venue": "ACM MM",
        "year": 2022,
        "setting": "unsupervised",
        "cameras": "no",
        "protocol": "sysu_all",
        "metrics": {"R1": "45.5", "mAP": "42.7"},
        "evidence": "secondary",
        "source": "tables",
        **changes,
    }
    return Figure(**given | ({"source": f"{given['source']} (differs from the paper table)"} if at_odds else {}))
