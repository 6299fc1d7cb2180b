"""Consistent records of external models for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.leaderboard.records import consistent, make_record
from usvi_bench.core.external import External, ExternalFile
from usvi_bench.core.record import Record


def make_external(
    claims: str | None = "PGM @ed4a7df", sha: str = "a", features: bool = False, rate: float = 0.3
) -> Record:
    """Make the record that a scoring of one file writes, on the tiny people in SYSU-MM01's layout."""
    base = consistent(make_record("untrained", means=(rate,)))
    network = "unknown" if features else "student"
    files = [ExternalFile("f.npz" if features else "model_best.pth.tar", sha * 64, 1)]
    kind: dict[str, Any] = {"model": network, "selection": "released", "feature": "given" if features else "bn+flip"}
    config: dict[str, Any] = {
        "data": {"folds": [], "check_counts": True},
        "protocol": {"shots": 1, "gallery": "seeded"},
    }
    if not features:
        config["data"] |= {"height": 288, "width": 144}
        config["encoder"] = {"name": "resnet50", "bn_groups": 1, "non_local": True}
        config["scoring"] = {"filter": "lanczos", "mirror": True}
    result = replace(
        base.result,
        method="external",
        setting="external",
        config=config,
        start_weights={"source": files[0].source, "sha256": files[0].sha256},
        headline={**base.result.headline, **kind},  # type: ignore[typeddict-item]
        scores=[replace(score, **kind) for score in base.result.scores],
        external=External(
            kind="features" if features else "checkpoint",
            claims=claims,
            container=None if features else "state_dict",
            key_map=None if features else "two-stream-1",
            network=network,
            files=files,
        ),
    )
    made: Any = {**base.provenance, "global_batch": None, "batch_norm": "none", "seconds": {"evaluate": 3.0}}
    del made["stages"]
    record = Record(result=result, provenance=made)
    return rehashed(record)


def rehashed(record: Record) -> Record:
    """Copy a record with the hash of its settings, as an attacker computes it."""
    return replace(record, result=replace(record.result, config_hash=record.expected_hash()))
