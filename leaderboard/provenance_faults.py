"""Contradictions in the provenance of a record: times, stages and machine."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from usvi_bench.core.errors import UsageError
from usvi_bench.core.journal import START
from usvi_bench.core.record import Record
from usvi_bench.core.registry import DATASETS, METHODS, PROTOCOLS
from usvi_bench.core.result import Result
from usvi_bench.core.sealed import SHA256
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.plan import CACHE_VERSION
from usvi_bench.leaderboard.derived import StageKey, stage_keys
from usvi_bench.leaderboard.option_faults import option_faults, plugin_faults

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
"""Earliest possible time of a record."""
TRAINED = ("embed", "cluster", "train")
"""Phases of an epoch."""
SLACK = timedelta(seconds=5)
"""Largest error of a time stamp."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_VERSION = re.compile(r"[\w.+-]+( [\w.+-]+)*")


def provenance_faults(record: Record, config: RunConfig | None) -> Iterator[str]:
    """Yield the contradictions of a provenance.

    Args:
        record: a record with valid types.
        config: configuration of the run; None if its settings cannot be read.
    """
    yield from _machine(record, config)
    yield from time_faults(record)
    yield from _stages(record, config)
    yield from option_faults(record)
    yield from plugin_faults(record)


def place_faults(record: Record) -> Iterator[str]:
    """Yield faults of the commit, the environment and the machine of a record."""
    yield from (f"provenance.{fault}" for fault in _place(cast(Mapping[str, Any], record.provenance), whole=True))


def _machine(record: Record, config: RunConfig | None) -> Iterator[str]:
    made = record.provenance
    yield from place_faults(record)
    for i, stage in enumerate(made.get("stages", [])):
        for start in stage["starts"]:
            faults = _place(cast(Mapping[str, Any], start), whole=False)
            yield from (f"provenance.stages[{i}].starts: {fault}" for fault in faults)
    if not made["dirty"] and any(start["dirty"] for stage in made.get("stages", []) for start in stage["starts"]):
        yield "provenance.dirty: false, but a stage started from a tree with uncommitted changes"
    end = record.journal_end
    if end is not None and end != START and not (end.length > 0 and SHA256.fullmatch(end.chain)):
        yield f"provenance.journal: {end.length} bytes and '{end.chain:.20}' are not the end of a journal"
    if config is None:
        return
    train = config.train
    batch = train.instances * (train.visible_clusters + train.infrared_clusters) if _trains(record) else None
    if made["global_batch"] != batch:
        yield f"provenance.global_batch: {made['global_batch']}, but the settings have {batch}"
    precision = made.get("numerics", {}).get("precision", config.train.precision)
    if precision != config.train.precision:
        yield f"provenance.numerics.precision: {precision!r:.40}, but the settings have {config.train.precision}"
    groups = f"groups={config.encoder.bn_groups}"
    if made["batch_norm"] != groups:
        yield f"provenance.batch_norm: '{made['batch_norm']:.40}', but the settings have {groups}"


def _place(made: Mapping[str, Any], whole: bool) -> Iterator[str]:
    """Yield faults of an environment.

    Args:
        made: environment of a run, or of the start of a stage.
        whole: whether versions must be there.
    """
    for name in ("threads", "global_batch", "peak_memory_mib", "processes"):
        number = made.get(name)
        if isinstance(number, (int, float)) and not (math.isfinite(number) and number > 0):
            yield f"{name}: {number} is not positive"
    commit = made["commit"]
    if commit is not None and not _COMMIT.fullmatch(commit):
        yield f"commit: '{commit:.50}' is not a commit"
    if commit is None and not made["dirty"]:
        yield "dirty: false, but the commit is unknown"
    for name in ("cpu", "gpu"):
        if (value := made.get(name)) is not None and not value.strip():
            yield f"{name}: empty"
    versions = made.get("environment", {})
    for name in ("python", "system", "torch", "numpy") if whole or versions else ():
        if name not in versions:
            yield f"environment.{name}: missing"
    for name, version in versions.items():
        if not (isinstance(version, str) and _VERSION.fullmatch(version)):
            yield f"environment.{name:.40}: {version!r:.40} is not a version"


def _trains(record: Record) -> bool:
    return bool(record.provenance.get("stages"))


def _moment(text: Any) -> datetime | None:
    """Parse a possible time of a run; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
        possible = moment.tzinfo is not None and FIRST <= moment <= datetime.now(UTC) + timedelta(days=1)
    except (ValueError, TypeError):
        return None
    return moment if possible else None


def time_faults(record: Record) -> Iterator[str]:
    """Yield impossible dates and durations. Folds may be trained at the same time, the stages of a fold may not."""
    made = record.provenance
    finished = _moment(made["finished"])
    if finished is None:
        yield f"provenance.finished: '{made['finished']:.40}' is not a possible date"
    seconds = made["seconds"]
    for name, value in seconds.items():
        if not (math.isfinite(value) and value >= 0):
            yield f"provenance.seconds.{name}: {value} is not a duration"
            return
    scored = () if record.result.only_trained else ("evaluate",)
    wanted = {*scored, *(TRAINED if _trains(record) else ())}
    if set(seconds) != wanted:
        yield f"provenance.seconds: has the phases {', '.join(sorted(seconds))}, not {', '.join(sorted(wanted))}"
    elif not all(seconds[name] > 0 for name in wanted & {"evaluate", "train", "embed"}):
        yield "provenance.seconds: a phase took no time"
    starts = []
    for stage in made.get("stages", []):
        moments = [_moment(start["started"]) for start in stage["starts"]]
        known = [moment for moment in moments if moment is not None]
        if len(known) < len(moments) or known != sorted(known):
            yield f"provenance.stages: the stage {stage['key']:.20} has no possible dates of its starts"
        starts += known
    if not starts or finished is None:
        return
    if max(starts) > finished + SLACK:
        yield f"provenance.finished: {finished.isoformat()} is before the start of a stage, {max(starts).isoformat()}"
    span, folds = finished - min(starts) + SLACK, len({stage["fold"] for stage in made.get("stages", [])})
    total = sum(seconds.values())
    if total > span.total_seconds() * folds:
        yield f"provenance.seconds: {total:.0f} in all, but {span.total_seconds():.0f} passed since the first start"


def _stages(record: Record, config: RunConfig | None) -> Iterator[str]:
    """Yield stages other than those that the settings, the data, the seed and the weights lead to."""
    result, made = record.result, record.provenance
    if config is None or result.method not in METHODS.own_names():
        return
    found = [(stage["fold"], stage["method"], stage["key"]) for stage in made.get("stages", [])]
    if any(not stage["starts"] for stage in made.get("stages", [])):
        yield "provenance.stages: a stage without a start"
    expected: list[StageKey] = []
    for version in range(CACHE_VERSION, 0, -1):
        try:
            expected = stage_keys(result, config, version)
        except (UsageError, ValueError, TypeError) as error:
            yield f"result.config: {error}"
            return
        if found == expected:
            return
    if [stage[:2] for stage in found] != [stage[:2] for stage in expected]:
        yield f"provenance.stages: {_words(found)}, but {result.method} has {_words(expected)}"
    elif _all_ours(result, config):  # else the source of a plug-in is part of a key
        yield "provenance.stages: the keys are not those of these settings, data, folds, seed and starting weights"


def _all_ours(result: Result, config: RunConfig) -> bool:
    data = (result.trained_on or result.dataset)["name"] in DATASETS.own_names()
    return data and (not config.evaluate_every or result.protocol in PROTOCOLS.own_names())


def _words(stages: list[StageKey]) -> str:
    return ", ".join(f"{stage[1]} on fold {stage[0]}" for stage in stages[:8]) or "no stage"
