"""Record of a run: its result and its provenance, in a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from usvi_bench.core.errors import UsageError
from usvi_bench.core.external import check_kind
from usvi_bench.core.files import read_json
from usvi_bench.core.journal import Mark
from usvi_bench.core.plugins import Plugin
from usvi_bench.core.provenance import Provenance
from usvi_bench.core.result import KIND, Result, Score, check_result, mean_metrics
from usvi_bench.core.sealed import DIGEST, write_sealed_json
from usvi_bench.core.settings import committed_defaults, config_hash, digest
from usvi_bench.core.typed import convert

SCHEMA = 2


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
        check_result(result)
        committed_defaults(record.result.format)
    except (ValueError, UsageError) as error:
        raise UsageError(f"{source}: {error}") from error
    return record
