"""A record: what a run scored (equal bit for bit when the run is repeated) and where it took place."""

from __future__ import annotations

import json
import math
import types
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

from engine.files import write_json
from engine.registry import UsageError, did_you_mean

SCHEMA = 1
METRICS = ("R1", "R5", "R10", "R20", "mAP", "mINP")


class DatasetIdentity(TypedDict):
    """Which images were scored; ``synthetic`` describes generated people: layout, generator's version, knobs."""

    name: str
    fingerprint: str
    synthetic: dict[str, Any] | None
    description: str


class StartWeights(TypedDict):
    """What the training started from; ``sha256`` of the weight file, None for random weights."""

    source: str
    sha256: str | None


class Kind(TypedDict):
    """What distinguishes one kind of score from another within a run; see :class:`Score`."""

    model: str
    selection: str
    shots: int | None
    gallery: str
    feature: str


KIND = tuple(Kind.__annotations__)


@dataclass(frozen=True, slots=True)
class Score:
    """The metrics of one trial of one fold, as fractions in full precision.

    Attributes:
        model: which encoder was scored: ``student``, ``teacher``.
        selection: ``last`` (weights at the end of training) or ``oracle`` (best epoch by test score).
        shots: gallery images for each person and camera; None where the protocol takes all images.
        gallery: how the gallery was drawn: ``seeded``, ``official``, ``all``.
        feature: the test feature, for example ``bn+flip``.
    """

    model: str
    selection: str
    shots: int | None
    gallery: str
    feature: str
    fold: int
    trial: int
    R1: float
    R5: float
    R10: float
    R20: float
    mAP: float  # noqa: N815 - the field's own name
    mINP: float  # noqa: N815


@dataclass(frozen=True, slots=True)
class Result:
    """The half of a record that depends on nothing but code, data, config and seed.

    Attributes:
        setting: name of the shared configuration that methods are compared under.
        config: all settings, nested.
        config_hash: hash of ``config`` without the seed; equal hashes are seeds of one experiment.
        folds: folds the protocol asks for, run or not.
        trials: trials the protocol asks for in each fold.
        headline: the kind of score that the table shows.
        chance: expected metrics of a random ranking under this protocol.
    """

    method: str
    protocol: str
    dataset: DatasetIdentity
    seed: int
    setting: str
    config: dict[str, Any]
    config_hash: str
    start_weights: StartWeights
    uses_identities: bool
    folds: list[int]
    trials: int
    headline: Kind
    chance: dict[str, float]
    scores: list[Score]


class Provenance(TypedDict):
    """The half of a record that may differ between repetitions; further keys are kept.

    ``seconds`` has one entry a phase and no total. ``finished`` is in UTC, ISO 8601. ``chosen``, where it is there, has
    the options of ``run.py`` by which the run departs from its setting.
    """

    commit: str | None
    dirty: bool
    environment: dict[str, Any]
    cpu: str
    gpu: str | None
    threads: int
    global_batch: int | None
    batch_norm: str
    seconds: dict[str, float]
    peak_memory_mib: float | None
    finished: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is written for every run, and all that the table is made from."""

    schema: int = SCHEMA
    result: Result
    provenance: Provenance


def write_record(path: Path, record: Record) -> None:
    """Validate and write atomically; equal records give equal bytes.

    Raises:
        UsageError: a field is missing, unknown, of the wrong type or not finite.
    """
    write_json(path, asdict(_parse_record(asdict(record), str(path))))


def read_record(path: Path) -> Record:
    """Read and validate one record.

    Raises:
        UsageError: naming the file and the field.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a readable record ({error}); remove it or write it again") from error
    return _parse_record(content, str(path))


def headline_scores(record: Record, **other: str) -> list[Score]:
    """The scores of the headline kind, or of the kind that differs from it as told: ``model="teacher"``."""
    wanted: dict[str, Any] = {**record.result.headline, **other}
    return [score for score in record.result.scores if all(getattr(score, name) == wanted[name] for name in KIND)]


def missing_trials(record: Record) -> dict[int, int]:
    """How many trials of the headline each unfinished fold lacks; empty for a complete record."""
    done = [score.fold for score in headline_scores(record)]
    lacking = {fold: record.result.trials - done.count(fold) for fold in record.result.folds}
    return {fold: count for fold, count in lacking.items() if count}


def is_complete(record: Record) -> bool:
    """Whether every expected trial of every expected fold has a score of the headline kind."""
    return not missing_trials(record)


def _parse_record(content: Any, source: str) -> Record:
    schema = content.get("schema") if isinstance(content, dict) else None
    if type(schema) is not int or schema < 1:
        raise UsageError(f"{source}: schema: expected a version number, found {schema!r}; this is not a record")
    if schema > SCHEMA:
        raise UsageError(f"{source}: schema: version {schema} is newer than {SCHEMA}; update USVI-Bench to read it")
    try:
        record: Record = _parse(Record, content, "")
        _check(record.result)
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from error
    return record


def _parse(kind: Any, value: Any, where: str) -> Any:
    """``value`` as an instance of the annotated type ``kind``; ValueError names the field."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):  # only "X | None" occurs
        return None if value is None else _parse(arguments[0], value, where)
    if is_dataclass(kind) or is_typeddict(kind):
        return _parse_fields(kind, _of_type(dict, value, where), where)
    if origin is list:
        return [_parse(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(_of_type(list, value, where))]
    if origin is dict:
        return {k: _parse(arguments[1], item, f"{where}.{k}") for k, item in _of_type(dict, value, where).items()}
    return _of_type(kind, value, where)


def _parse_fields(kind: Any, value: dict[str, Any], where: str) -> Any:
    """A dataclass, which refuses unknown fields, or a typed dictionary, which keeps them."""
    hints, prefix, closed = get_type_hints(kind), f"{where}." if where else "", is_dataclass(kind)
    for name in value:
        if closed and name not in hints:
            raise ValueError(f"{prefix}{name}: unknown field, {did_you_mean(name, hints)}")
    for name in hints:
        if name not in value:
            raise ValueError(f"{prefix}{name}: missing")
    parsed = {name: _parse(hint, value[name], prefix + name) for name, hint in hints.items()}
    return kind(**parsed) if closed else {**value, **parsed}


def _of_type(kind: type, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where}: expected {kind.__name__}, found {value!r:.60}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}: {value} is not a finite number")
    return value


def _check(result: Result) -> None:
    """What types cannot say: fractions, expected folds and trials, no trial twice."""
    if not result.folds or result.trials < 1:
        raise ValueError(f"result.folds: {result.folds} with result.trials {result.trials}: nothing would be scored")
    trials: dict[tuple[Any, ...], set[int]] = {}
    for i, score in enumerate(result.scores):
        where = f"result.scores[{i}]"
        for name in METRICS:
            if not 0 <= getattr(score, name) <= 1:
                raise ValueError(f"{where}.{name}: {getattr(score, name)} is not a fraction in [0, 1]")
        if score.fold not in result.folds:
            raise ValueError(f"{where}.fold: {score.fold} is not among result.folds {result.folds}")
        done = trials.setdefault((*(getattr(score, name) for name in KIND), score.fold), set())
        if score.trial in done:
            raise ValueError(f"{where}.trial: a second score of trial {score.trial} of fold {score.fold}")
        done.add(score.trial)
        if len(done) > result.trials:
            raise ValueError(f"{where}.trial: more than the {result.trials} trials of fold {score.fold}")
    for name in result.chance:
        if name not in METRICS:
            raise ValueError(f"result.chance.{name}: unknown metric, {did_you_mean(name, METRICS)}")
