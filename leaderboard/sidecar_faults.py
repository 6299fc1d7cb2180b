"""Contradictions between a record and the results of its queries, the file beside it.

The file must be the one that the record names by its hash. What it has must give the scores of the record: Rank-k
exactly, and mAP up to the rounding of float16. For synthetic people, the queries, their people, the valid queries and
the digest of the galleries are computed again. A record without results of its queries is valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import RANKS
from usvi_bench.core.record import Record
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.result import QueriesNote, Result
from usvi_bench.core.sealed import SHA256
from usvi_bench.leaderboard.bounds import TOLERANCE, Limits, precision_limits
from usvi_bench.leaderboard.derived import run_config, scored_folds
from usvi_bench.leaderboard.drawn import Drawn, drawn
from usvi_bench.leaderboard.score_faults import scorings
from usvi_bench.protocols.base import ProtocolConfig, QueryScores
from usvi_bench.protocols.draw_digest import draw_digest
from usvi_bench.protocols.sidecar import ROUNDING, read_sidecar, sidecar_path


def sidecar_faults(file: Path, record: Record) -> list[str]:
    """List the contradictions between a record and the file of its queries.

    A record of an ablation may lack the file, because ablations are published without.

    Args:
        file: file of the record; the other one is beside it.
        record: its content.
    """
    path, note = sidecar_path(file), record.result.queries
    if note is None:
        return [f"{path.name}: the record names no results of its queries; remove the file"] if path.exists() else []
    found = list(_note_faults(note, record))
    if found or (not path.exists() and record.provenance.get("ablation")):
        return found
    try:
        folds = read_sidecar(path, note, record.result.trials)
    except UsageError as error:
        return [f"result.queries: {str(error).replace(str(path), path.name)}"]
    return list(_content_faults(folds, note, record.result))


def stray_sidecars(folder: Path, records: Mapping[str, Record]) -> Iterator[str]:
    """Yield files of queries in a folder of records that belong to no record."""
    expected = {sidecar_path(folder / name) for name in records}
    for path in sorted(folder.rglob("*.npz")):
        if path not in expected:
            yield f"{path.relative_to(folder).as_posix()}: belongs to no record; remove it"


def _note_faults(note: QueriesNote, record: Record) -> Iterator[str]:
    if record.result.external is not None:
        yield "result.queries: the record of an external model has none"
    if unknown := sorted(set(note) - set(QueriesNote.__annotations__)):
        yield f"result.queries.{unknown[0]:.40}: unknown field"
    for name, value in (("sha256", note["sha256"]), ("draws", note["draws"])):
        if not SHA256.fullmatch(value):
            yield f"result.queries.{name}: '{value:.70}' is not a SHA-256"


def _content_faults(folds: Mapping[int, QueryScores], note: QueriesNote, result: Result) -> Iterator[str]:
    scored = sorted(scored_folds(result))
    if sorted(folds) != scored:
        yield f"result.queries: results of the folds {sorted(folds)}, but {scored} were scored"
        return
    try:
        config = run_config(result).protocol_config
    except (UsageError, ValueError, TypeError):  # reported as a fault of the settings
        config = None
    known = scorings(result, config)
    for fold, scores in folds.items():
        yield from _score_faults(fold, scores, result)
        limits = known[fold].limits if fold in known else Limits()
        yield from _query_faults(fold, scores, limits)
    yield from _draw_faults(folds, note, result, config)


def _score_faults(fold: int, scores: QueryScores, result: Result) -> Iterator[str]:
    """Yield headline scores that the results of the queries do not give."""
    headline = {name: result.headline[name] for name in ("model", "selection", "feature")}
    for score in result.scores:
        kind = {name: getattr(score, name) for name in headline}
        if score.fold != fold or kind != headline or not 0 <= score.trial < len(scores.average_precision):
            continue
        first, precision = scores.first_match_rank[score.trial], scores.average_precision[score.trial]
        valid = first >= 0
        for rank in RANKS:
            if abs((found := float((first[valid] < rank).mean())) - score.metrics[f"R{rank}"]) > TOLERANCE:
                where = f"result.queries: fold {fold}, trial {score.trial}: R{rank}"
                yield f"{where} is {found:.9g}, but the record has {score.metrics[f'R{rank}']:.9g}"
        if abs((mean := float(precision[valid].mean())) - score.metrics["mAP"]) > ROUNDING:
            where = f"result.queries: fold {fold}, trial {score.trial}: mAP"
            yield f"{where} is {mean:.6g}, but the record has {score.metrics['mAP']:.6g}"


def _query_faults(fold: int, scores: QueryScores, limits: Limits) -> Iterator[str]:
    """Yield average precisions that are impossible for the rank of the first match, and wrong numbers of queries."""
    valid = scores.first_match_rank >= 0
    ranks, precision = scores.first_match_rank[valid], scores.average_precision[valid]
    for rank in np.unique(ranks).tolist():
        least, most = precision_limits(rank, limits)
        values = precision[ranks == rank]
        if values.min() < least - ROUNDING or values.max() > most + ROUNDING:
            span = f"from {values.min():.6g} to {values.max():.6g}"
            yield (
                f"result.queries: fold {fold}: average precision {span}, but {least:.6g} to {most:.6g} are possible "
                f"for a first match of rank {rank + 1}"
            )
            return
    if limits.queries is not None and (count := int(valid.sum(axis=1).max())) > limits.queries:
        yield f"result.queries: fold {fold}: {count} valid queries, but at most {limits.queries} are possible"


def _draw_faults(
    folds: Mapping[int, QueryScores], note: QueriesNote, result: Result, config: ProtocolConfig | None
) -> Iterator[str]:
    """Yield queries, people and galleries that are not those of the synthetic people."""
    if config is None or result.protocol not in PROTOCOLS.own_names():
        return
    try:
        known = {fold: drawn(result, config, fold) for fold in folds}
    except (UsageError, ValueError, TypeError):  # reported as a fault of the people
        return
    found: dict[int, Drawn] = {fold: each for fold, each in known.items() if each is not None}
    for fold, each in found.items():
        valid = folds[fold].first_match_rank >= 0
        if valid.shape != each.valid.shape:
            yield f"result.queries: fold {fold}: {valid.shape[1]} queries, but these people have {each.valid.shape[1]}"
        elif not np.array_equal(valid, each.valid):
            yield f"result.queries: fold {fold}: other queries are valid than those of these people"
        elif not np.array_equal(folds[fold].identities, each.people):
            yield f"result.queries: fold {fold}: queries of other people"
    if len(found) == len(folds):
        parts = {fold: each.digest for fold, each in found.items()}
        mark = result.dataset["fingerprint"]
        if note["draws"] != draw_digest(mark, result.protocol, dict(result.headline), result.trials, parts):
            yield "result.queries.draws: not the digest of the queries and galleries of these people"
