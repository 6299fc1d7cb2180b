"""Record of a run: its result, equal bit for bit when the run is repeated, and its provenance."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, TypedDict, cast

from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.external import External, check_kind
from usvi_bench.core.files import read_json
from usvi_bench.core.journal import Mark
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.plugins import Plugin
from usvi_bench.core.sealed import DIGEST, write_sealed_json
from usvi_bench.core.settings import committed_defaults, config_hash, digest, flatten
from usvi_bench.core.typed import convert

SCHEMA = 2
REPAIRED = "repaired"
"""Usual form of a method."""
MOST_FOLDS = 100
"""Most folds of a record; checks take time for each."""


class DatasetIdentity(TypedDict):
    """Identity of the data set that was scored.

    ``synthetic`` describes generated people: layout, generator's version, specification. ``knobs`` holds the knobs of
    the generator that differ from their defaults, by name; it is empty for default people and for real images.
    """

    name: str
    fingerprint: str
    synthetic: dict[str, Any] | None
    knobs: dict[str, float]
    description: str


class Donors(DatasetIdentity):
    """Donors: data set whose people replace training people in visible images (setting ``data.foreign``).

    ``repeated`` is the share of the replaced images that repeat an image of the same fold.
    """

    repeated: float


class StartWeights(TypedDict):
    """Starting weights of the training; ``sha256`` is the hash of the weight file, None for random weights."""

    source: str
    sha256: str | None


class Kind(TypedDict):
    """Kind of a score within a run; see :class:`Score` for the fields."""

    model: str
    selection: str
    shots: int | None
    gallery: str
    feature: str


KIND = tuple(Kind.__annotations__)


class QueriesNote(TypedDict):
    """Note about the results of each query, a file beside the record (:mod:`usvi_bench.protocols.sidecar`).

    ``sha256`` is the hash of the file and ``size`` its length in bytes. ``draws`` identifies the queries and galleries.
    """

    sha256: str
    size: int
    draws: str


@dataclass(frozen=True, slots=True)
class Score:
    """Score of one model in one trial of one fold.

    Attributes:
        model: encoder that was scored: ``student``, ``teacher``.
        selection: ``last`` (weights at the end of training), ``oracle`` (best epoch by test score), or ``released``
            (an external model, :mod:`usvi_bench.core.external`).
        shots: number of gallery images of each person and camera; None if the gallery has all images.
        gallery: how the gallery was drawn: ``seeded``, ``official``, ``all``.
        feature: the test feature, for example ``bn+flip``.
        metrics: fractions in full precision, one for each of :data:`~usvi_bench.core.metrics.METRICS`.
    """

    model: str
    selection: str
    shots: int | None
    gallery: str
    feature: str
    fold: int
    trial: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a run: the half of a record that depends only on code, data, configuration and seed.

    Attributes:
        setting: name of the shared configuration that methods are compared under.
        config: all settings, nested and named as ``--set`` names them.
        format: number of the defaults that ``config_hash`` is computed with (:mod:`usvi_bench.core.settings`).
        config_hash: hash of method, protocol, setting, starting weights and settings that differ from the defaults;
            runs with equal hashes on the same data (``dataset``) are seeds of one experiment.
        folds: all folds of the protocol, including those that were not run.
        trials: number of trials of the protocol in each fold.
        headline: kind of score that tables show.
        chance: metrics of random similarities under this protocol, averaged over folds and trials.
        trained_on: data set of the training, if it is another one than the scored ``dataset``.
        donors: data set of the people that replace training people, if any are replaced.
        queries: the results of each query; older records lack them.
        external: the model, if it was not trained by a run; then ``method`` and ``setting`` are ``external``.
    """

    method: str
    protocol: str
    dataset: DatasetIdentity
    seed: int
    setting: str
    config: dict[str, Any]
    format: int
    config_hash: str
    start_weights: StartWeights
    uses_identities: bool
    folds: list[int]
    trials: int
    headline: Kind
    chance: dict[str, float]
    scores: list[Score]
    external: External | None = None
    trained_on: DatasetIdentity | None = None
    donors: Donors | None = None
    queries: QueriesNote | None = None

    @property
    def form(self) -> str:
        """Form of the method: ``repaired``, or ``released`` with the defects of its released code.

        A method without a released form is ``repaired``.
        """
        return str(self.config.get("method", {}).get("form", REPAIRED))

    @property
    def only_trained(self) -> bool:
        """Whether the run trained without scoring, because the identities of the images are not known."""
        return not self.scores and not self.chance and self.external is None


class Overrides(TypedDict):
    """Options of ``run.py`` that differ from the setting: values of ``--set`` by name, and ``--schedule``."""

    settings: dict[str, Any]
    schedule: str | None


class _Required(TypedDict):
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


class _Start(TypedDict):
    commit: str | None
    dirty: bool
    started: str


class StageStart(_Start, total=False):
    """Start of a stage, or its resumption, with its environment."""

    environment: dict[str, Any]
    cpu: str
    gpu: str | None
    threads: int
    processes: int
    deterministic: bool
    numerics: dict[str, Any]


class StageNote(TypedDict):
    """Stage of a run: its key, the method that it trains, its fold, and all its starts."""

    key: str
    method: str
    fold: int
    starts: list[StageStart]


class JournalEnd(TypedDict):
    """End of the journal of a run: its length in bytes, and the chain value of its last line."""

    length: int
    chain: str


class Provenance(_Required, total=False):
    """Provenance of a run: the half of a record that may differ between repetitions. Further keys are kept.

    ``seconds`` has one entry per phase and no total. ``finished`` is in UTC, ISO 8601. ``overrides`` holds the options
    that differ from the setting. ``ablation`` names the grid and the row that the run belongs to. ``plugins`` lists the
    plug-ins that were imported or whose parts were used; it is absent if there are none. ``stages`` lists the trained
    stages, ``processes`` is the number of training processes, ``deterministic`` selects deterministic kernels,
    ``numerics`` holds precision, TF32, memory layout, fused Adam and compilation (older records lack it), and
    ``journal`` ties the journal to the record.
    """

    overrides: Overrides
    stages: list[StageNote]
    processes: int
    deterministic: bool
    numerics: dict[str, Any]
    ablation: str
    plugins: list[Plugin]
    journal: JournalEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Record of a run: its result and its provenance. All tables are made from records."""

    schema: int = SCHEMA
    result: Result
    provenance: Provenance

    def scores(self, **other: str) -> list[Score]:
        """Select the headline scores; arguments select another kind of score, such as ``model="teacher"``."""
        wanted: dict[str, Any] = {**self.result.headline, **other}
        return [score for score in self.result.scores if all(getattr(score, name) == wanted[name] for name in KIND)]

    @property
    def plugins(self) -> list[Plugin]:
        """Plug-ins that were imported or whose parts were used."""
        return self.provenance.get("plugins", [])

    @property
    def models(self) -> list[str]:
        """Names of the scored networks, the headline's first."""
        return list(dict.fromkeys([self.result.headline["model"], *(score.model for score in self.result.scores)]))

    @property
    def trained(self) -> bool:
        """Whether anything was trained; the method ``untrained`` only scores the starting weights."""
        return self.provenance["global_batch"] is not None

    def name_of(self, model: str) -> str:
        """Return the name of a scored network for tables; weights that were not trained are no student."""
        return model if self.trained or self.result.external is not None else "starting weights"

    def means(self, **other: str) -> dict[str, float]:
        """Average each metric over the trials and folds of a kind of score, as fractions; empty without scores."""
        return mean_metrics(self.scores(**other))

    @property
    def missing_trials(self) -> dict[int, int]:
        """Number of headline trials that each unfinished fold lacks; empty for a complete record."""
        done = [score.fold for score in self.scores()]
        lacking = {fold: self.result.trials - done.count(fold) for fold in self.result.folds}
        return {fold: count for fold, count in lacking.items() if count}

    @property
    def complete(self) -> bool:
        """True if every expected trial of every expected fold has a headline score."""
        return not self.missing_trials

    @property
    def journal_end(self) -> Mark | None:
        """Mark of the end of the journal of the run; None for a record that has none."""
        end = self.provenance.get("journal")
        return None if end is None else Mark(end["length"], end["chain"])

    def expected_hash(self) -> str:
        """Compute ``result.config_hash`` again, with the defaults of the record's own format number."""
        result = self.result
        return config_hash(
            result.config,
            method=result.method,
            protocol=result.protocol,
            setting=result.setting,
            start=result.start_weights["sha256"] or "random",
            number=result.format,
        )


def record_digest(record: Record) -> str:
    """Return the digest that the file of a record has."""
    return digest(_plain(record))


def _plain(record: Record) -> dict[str, Any]:
    """Return the content of the file of a record, without entries that do not apply to it."""
    content = asdict(record)
    for name in ("external", "trained_on", "donors", "queries"):
        if content["result"][name] is None:
            del content["result"][name]
    return content


def mean_metrics(scores: Sequence[Score]) -> dict[str, float]:
    """Average each metric over scores; empty without scores."""
    return {name: fmean(score.metrics[name] for score in scores) for name in METRICS} if scores else {}


def write_record(path: Path, record: Record) -> None:
    """Validate a record and write it atomically; equal records give equal bytes.

    Raises:
        UsageError: a field is missing, unknown, of the wrong type or not finite.
    """
    write_sealed_json(path, _plain(_parse_record(_plain(record), str(path))))


def read_record(path: str | Path) -> Record:
    """Read and validate one record.

    Raises:
        UsageError: the record is not valid; the message names the file and the field.
    """
    path = Path(path)
    try:
        content = read_json(path)
        json.dumps(content, ensure_ascii=False).encode()  # a lone surrogate cannot be written again
    except (OSError, ValueError) as error:
        again = "remove it or write it again"
        remedy = again if path.suffix == ".json" else "give a record.json or the folder of a run"
        raise UsageError(f"{path}: not a readable record ({error}); {remedy}") from error
    found = content.pop(DIGEST, None) if isinstance(content, dict) else None
    record = _parse_record(content, str(path))
    if found != digest(content):
        raise UsageError(f"{path}: changed since it was written (its digest differs); restore it or run it again")
    return record


def _parse_record(content: Any, source: str) -> Record:
    schema = content.get("schema") if isinstance(content, dict) else None
    if type(schema) is not int or schema < 1:
        raise UsageError(f"{source}: schema: expected a version number, found {schema!r}; this is not a record")
    if schema < SCHEMA:
        raise UsageError(f"{source}: schema: version {schema} is older than {SCHEMA} and no longer read; run it again")
    if schema > SCHEMA:
        raise UsageError(f"{source}: schema: version {schema} is newer than {SCHEMA}; update USVI-Bench to read it")
    try:
        record: Record = convert(Record, content, "")
        result = record.result
        selections = {result.headline["selection"], *(score.selection for score in result.scores)}
        check_kind(result.method, result.external, selections, result.config, cast(dict[str, Any], record.provenance))
        _check(result)
        committed_defaults(record.result.format)
    except (ValueError, UsageError) as error:
        raise UsageError(f"{source}: {error}") from error
    return record


def _check(result: Result) -> None:
    """Check conditions beyond types: fractions, expected folds and trials, no repeated trial, knobs as specified."""
    if not result.folds or result.trials < 1:
        raise ValueError(f"result.folds: {result.folds} with result.trials {result.trials}: nothing would be scored")
    data = result.config.get("data")
    chosen = data.get("folds", ()) if isinstance(data, dict) else ()
    for name, folds in (("folds", result.folds), ("config.data.folds", chosen)):
        if isinstance(folds, (list, tuple)) and len(folds) > MOST_FOLDS:
            raise ValueError(f"result.{name}: {len(folds)} folds are more than {MOST_FOLDS}")
    if "method" not in result.config and result.external is None:
        raise ValueError("result.config.method: missing")
    for name, group in result.config.items():
        if name != "evaluate_every" and not isinstance(group, dict):
            raise ValueError(f"result.config.{name}: expected a mapping, found {group!r:.60}")
    for name, value in flatten(result.config).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"result.config.{name}: {value} is not a finite number")
    if len(set(result.folds)) < len(result.folds):
        raise ValueError(f"result.folds: {result.folds} names a fold twice")
    trials: dict[tuple[Any, ...], set[int]] = {}
    for i, score in enumerate(result.scores):
        where = f"result.scores[{i}]"
        for name in METRICS:
            if name not in score.metrics:
                raise ValueError(f"{where}.metrics.{name}: missing")
        for name, value in score.metrics.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{where}.metrics.{name}: {value} is not a fraction in [0, 1]")
        if score.fold not in result.folds:
            raise ValueError(f"{where}.fold: {score.fold} is not among result.folds {result.folds}")
        done = trials.setdefault((*(getattr(score, name) for name in KIND), score.fold), set())
        if score.trial < 0:
            raise ValueError(f"{where}.trial: {score.trial} is below 0")
        if score.trial in done:
            raise ValueError(f"{where}.trial: a second score of trial {score.trial} of fold {score.fold}")
        done.add(score.trial)
        if len(done) > result.trials:
            raise ValueError(f"{where}.trial: more than the {result.trials} trials of fold {score.fold}")
    spec = (result.dataset["synthetic"] or {}).get("spec", {})
    if not isinstance(spec, dict):
        raise ValueError(f"result.dataset.synthetic.spec: expected a mapping, found {spec!r:.60}")
    for name, level in result.dataset["knobs"].items():
        if spec.get(name) != level:
            raise ValueError(f"result.dataset.knobs.{name}: {level} is not in result.dataset.synthetic.spec")
    for name in result.chance:
        if name not in METRICS:
            raise ValueError(f"result.chance.{name}: unknown metric, {did_you_mean(name, METRICS)}")
