"""Consistency of a record: facts that follow from its other parts, from this suite, or from the definition of a metric.

A consistent record may still be invented. Only a repetition of the run shows that its scores are right.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

from usvi_bench.core.errors import did_you_mean
from usvi_bench.core.metrics import METRICS, RANKS
from usvi_bench.core.record import Record
from usvi_bench.core.registry import METHODS, PROTOCOLS
from usvi_bench.core.revision import ROOT
from usvi_bench.synthetic import changed_knobs

PUBLIC_WEIGHTS = ("19c8e357", "0676ba61", "11ad3fa6")
"""First digits of the SHA-256 of torchvision's files ``resnet50-<digits>.pth``."""
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
"""No record is older."""


def faults(record: Record, *, ranked: bool = True) -> list[str]:
    """List the reasons why a record cannot be right, or cannot be ranked; empty for a consistent record.

    Args:
        record: a record with valid types.
        ranked: also list what a table needs: a complete run of a method of the suite, or of a plug-in that is named.
    """
    checks: list[Callable[[Record], Iterator[str]]] = [
        _names,
        _configuration,
        _data,
        _weights,
        _scores,
        _provenance,
    ]
    if ranked:
        checks.append(not_ranked)
    return [fault for check in checks for fault in check(record)]


def _names(record: Record) -> Iterator[str]:
    result = record.result
    for kind, name in (("method", result.method), ("protocol", result.protocol), ("setting", result.setting)):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            yield f"result.{kind}: '{name:.40}' is not a valid name"


def _configuration(record: Record) -> Iterator[str]:
    result = record.result
    if record.expected_hash() != result.config_hash:
        yield "result.config_hash: not the hash of result.config"
    if result.method in METHODS.own_names():
        method = METHODS.get(result.method)
        if result.uses_identities != method.uses_identities:
            yield f"result.uses_identities: {result.uses_identities}, but {result.method} has {method.uses_identities}"
        if result.headline["model"] != method.headline:
            yield f"result.headline.model: {result.headline['model']}, but {result.method} has {method.headline}"


def _data(record: Record) -> Iterator[str]:
    result, data = record.result, record.result.dataset
    synthetic = data["synthetic"]
    prefix = "synthetic-" if synthetic is not None else ""
    if not re.fullmatch(rf"{prefix}[0-9a-f]{{16}}", data["fingerprint"]):
        kind = "synthetic" if prefix else "real"
        yield f"result.dataset.fingerprint: '{data['fingerprint']:.40}' is not the form of {kind} images"
    spec = synthetic.get("spec") if synthetic is not None else None
    if isinstance(spec, dict) and data["knobs"] != (knobs := changed_knobs(spec)):
        yield f"result.dataset.knobs: {data['knobs']}, but the generated people have {knobs}"
    if result.protocol not in PROTOCOLS.own_names():
        return
    protocol = PROTOCOLS.get(result.protocol)
    if data["name"] != protocol.dataset:
        yield f"result.dataset.name: {data['name']}, but {result.protocol} scores {protocol.dataset}"
    if result.trials != protocol.trials_per_fold:
        yield f"result.trials: {result.trials}, but {result.protocol} has {protocol.trials_per_fold}"


def _weights(record: Record) -> Iterator[str]:
    sha256 = record.result.start_weights["sha256"]
    if sha256 is None or sha256 in _shipped() or any(sha256.startswith(digits) for digits in PUBLIC_WEIGHTS):
        return
    yield f"result.start_weights: {sha256[:16]} is neither a file of this suite nor a public file that is known"


@cache
def _shipped() -> frozenset[str]:
    files = (ROOT / "components" / "encoder" / "pretrained").glob("*.safetensors")
    return frozenset(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def _scores(record: Record) -> Iterator[str]:
    result = record.result
    kinds = {(score.model, score.selection) for score in result.scores}
    if result.headline["selection"] != "last":
        yield f"result.headline.selection: {result.headline['selection']}; a headline is scored after the last epoch"
    for model, selection in sorted(kinds):
        if selection not in ("last", "oracle"):
            yield f"result.scores: selection '{selection}' of {model}: {did_you_mean(selection, ('last', 'oracle'))}"
    sets = {f"result.scores[{i}].metrics": score.metrics for i, score in enumerate(result.scores)}
    for where, metrics in {**sets, "result.chance": result.chance}.items():
        if missing := [name for name in METRICS if name not in metrics]:
            yield f"{where}: {missing[0]} is missing"
            continue
        if not all(0 <= metrics[name] <= 1 for name in METRICS):
            yield f"{where}: a value is not between 0 and 1"
        ranks = [metrics[f"R{rank}"] for rank in RANKS]
        if ranks != sorted(ranks):
            yield f"{where}: {', '.join(f'R{rank}' for rank in RANKS)} do not increase"
    for model, selection in sorted(kinds):
        means = record.means(model=model, selection=selection)
        if means and means["mINP"] > means["mAP"]:
            yield f"result.scores: mINP of {model} ({selection}) is above its mAP"


def _provenance(record: Record) -> Iterator[str]:
    made = record.provenance
    try:
        finished = datetime.fromisoformat(made["finished"])
        known = finished.tzinfo is not None and FIRST <= finished <= datetime.now(UTC) + timedelta(days=1)
    except ValueError:
        known = False
    if not known:
        yield f"provenance.finished: '{made['finished']:.40}' is not a possible date"
    for name, value in made["seconds"].items():
        if not (math.isfinite(value) and value >= 0):
            yield f"provenance.seconds.{name}: {value} is not a duration"
    for name in ("threads", "global_batch", "peak_memory_mib"):
        number = made.get(name)
        if isinstance(number, (int, float)) and not (math.isfinite(number) and number > 0):
            yield f"provenance.{name}: {number} is not positive"
    if made["commit"] is not None and not re.fullmatch(r"[0-9a-f]{40}", made["commit"]):
        yield f"provenance.commit: '{made['commit']:.50}' is not a commit"


def not_ranked(record: Record) -> Iterator[str]:
    """Yield the reasons why a table leaves out a record."""
    result = record.result
    if result.method not in METHODS.own_names() and not record.plugins:
        yield (
            f"unknown method '{result.method}', and the record lists no plug-in; remove the record, "
            "or run the method again with --import"
        )
    if made_for := record.provenance.get("ablation"):
        yield f"belongs to an ablation ({made_for}); remove it, and run the method without the ablation"
