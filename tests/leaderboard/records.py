"""Records for the tests of the leaderboard and the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from usvi_bench.core.metrics import METRICS, RANKS
from usvi_bench.core.record import Record
from usvi_bench.core.registry import METHODS, PROTOCOLS
from usvi_bench.core.result import Result, Score
from usvi_bench.core.settings import flatten
from usvi_bench.datasets.planned import PlannedDataset
from usvi_bench.engine.load_config import load_config
from usvi_bench.leaderboard.derived import data_sentence, scoring, stage_keys
from usvi_bench.leaderboard.published import Figure
from usvi_bench.synthetic import GENERATOR_VERSIONS, SyntheticSpec
from usvi_bench.synthetic.digests import known_digest

HEADLINE = {"model": "student", "selection": "last", "shots": 1, "gallery": "seeded", "feature": "bn+flip"}
COMMIT = "0123456789abcdef" * 2 + "01234567"
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
        "commit": COMMIT,
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
    """Copy a made record as a run of the suite would have written it: its data, settings, stages, trials, chance.

    The headline scores keep the Rank-1 of the first score, to a whole number of queries.
    """
    result, rate = record.result, record.scores()[0].metrics["R1"]
    method, protocol = METHODS.get(result.method), PROTOCOLS.get(result.protocol)
    usual = load_config(result.method, result.protocol, profile="synthetic_sysu", seed=result.seed)
    known = flatten(usual.settings())
    settings = {name: value for name, value in flatten(result.config).items() if name in known}
    config = load_config(result.method, result.protocol, profile="synthetic_sysu", seed=result.seed, settings=settings)
    data: dict[str, Any] = {"name": "sysu", "fingerprint": "f" * 16, "synthetic": None, "knobs": {}}
    if result.dataset["synthetic"] is not None:
        spec = SyntheticSpec(size="tiny")
        people = PlannedDataset("sysu", spec)
        note = {"generator_version": GENERATOR_VERSIONS["sysu"], "layout": "sysu", "spec": people.entries}
        data |= {
            "fingerprint": f"synthetic-{'f' * 16}",
            "synthetic": {**note, "images": people.images, "bytes": known_digest("sysu", spec)},
        }
    changed = replace(
        result,
        dataset={**data, "description": ""},  # type: ignore[typeddict-item]
        config=config.settings(),
        config_hash=config.hash("random"),
        headline={**HEADLINE, "model": method.headline, **protocol().kind()},
        trials=protocol.trials_per_fold,
    )
    changed = replace(changed, dataset={**changed.dataset, "description": data_sentence(changed)})
    facts = scoring(changed, config.protocol_config, 1)
    queries = facts.limits.queries or 100
    hits = round(rate * queries) / queries
    average = 0.9 * hits * (1 - 1e-6 * (result.seed + int(config.hash("random")[:4], 16)))  # no two runs score alike
    rates, trials = {f"R{rank}": hits for rank in RANKS}, range(protocol.trials_per_fold)
    averages = [average * (1 - 1e-8 * trial) for trial in trials]  # nor do two galleries
    scores = [
        Score(**changed.headline, fold=1, trial=trial, metrics={**rates, "mAP": each, "mINP": 0.8 * each})
        for trial, each in zip(trials, averages, strict=True)
    ]
    changed = replace(changed, scores=scores, chance=dict(facts.chance) or dict.fromkeys(METRICS, 0.05))
    train = config.train
    starts = [{"commit": COMMIT, "dirty": False, "started": "2026-01-01T00:00:00+00:00"}]
    keys = stage_keys(changed, config)
    place = {
        "commit": COMMIT,
        "environment": dict.fromkeys(("python", "system", "torch", "numpy"), "1"),
        "stages": [{"fold": fold, "method": name, "key": key, "starts": starts} for fold, name, key in keys],
        "global_batch": train.instances * (train.visible_clusters + train.infrared_clusters) if keys else None,
        "batch_norm": "groups=1",
        "finished": "2026-01-01T01:00:00+00:00",
        "seconds": dict.fromkeys(("embed", "cluster", "train", "evaluate") if keys else ("evaluate",), 30.0),
    }
    return replace(record, result=changed, provenance={**record.provenance, **place})  # type: ignore[typeddict-item]


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
