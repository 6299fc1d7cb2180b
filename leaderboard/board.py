"""Formatted tables of the leaderboard, shared by ``LEADERBOARD.md`` and the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from usvi_bench.core.formatting import MISSING, file_name, over_seeds
from usvi_bench.core.markdown import plain
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.result import REPAIRED
from usvi_bench.core.table import Cell, Link, Table, TableRow, percent_cell, value_cell
from usvi_bench.leaderboard.knob_table import knob_table
from usvi_bench.leaderboard.knobs import separate_sweeps
from usvi_bench.leaderboard.order import order_table
from usvi_bench.leaderboard.published import Published, find_published, footnote
from usvi_bench.leaderboard.score_rows import IDENTITY_MARK, ScoreRow
from usvi_bench.leaderboard.score_table import PROTOCOLS, ScoreTable, TableKey
from usvi_bench.leaderboard.significance import leaders

BESIDE = ("R1", "mAP")
"""Metrics compared with published figures."""
RERANKED_METRICS = ("R1", "mAP")
"""Metrics that are shown after re-ranking."""
RERANKED_COLUMNS = tuple(f"re-ranked {metric}" for metric in RERANKED_METRICS)
RERANKED_NOTE = (
    "Re-ranked: k-reciprocal encoding with k1 = 20, k2 = 6 and lambda = 0.3. It uses all queries at once, and is never "
    "ranked."
)
REFERENCES = ("", "untrained")
"""Methods shown as unranked references; the empty string is chance."""


@dataclass(frozen=True, slots=True)
class BoardSection:
    """Section of the leaderboard: all runs that are comparable with each other.

    Attributes:
        scores: unformatted scores.
        table: main table, one row per method.
        asides: additional tables of the same runs.
        order: ranking of the methods compared with the published ranking; synthetic people only.
        knobs: one table for each knob of these people that was varied.
    """

    scores: ScoreTable
    table: Table
    asides: Sequence[Table] = ()
    order: Table | None = None
    knobs: Sequence[Table] = ()


def board_sections(found: Sequence[ScoreTable], published: Sequence[Published]) -> list[BoardSection]:
    """Build all sections, in the order of ``found``. Runs with a varied knob belong to the section of their base.

    Args:
        found: all score tables.
        published: published figures. Sections on real data show them; sections on synthetic people show only the
            ranking that follows from them.
    """
    whole, sweeps = separate_sweeps(found)
    sections = []
    for scores in whole:
        models = _models_table(scores.rows)
        sections.append(
            BoardSection(
                scores,
                board_table(scores, published),
                asides=[models] if models else [],
                order=order_table(scores, published) if _is_ordered(scores.key) else None,
                knobs=[knob_table(sweep) for sweep in sweeps if sweep.base is scores],
            )
        )
    return sections


def _is_ordered(key: TableKey) -> bool:
    return bool(key.synthetic) and key.usual_training and key.form == REPAIRED


def board_table(scores: ScoreTable, published: Sequence[Published]) -> Table:
    """Build the main table of a section, one row per method; on real data with published figures and differences."""
    lead = leaders(scores.rows)
    beside = _counterparts(scores, published)
    disputed = {label: text for label, entry in beside.items() if (text := footnote(entry))}
    columns = ["Method", "seeds", *METRICS]
    if beside:
        columns += [f"{what} {metric}" for metric in BESIDE for what in ("published", "difference")] + ["evidence"]
    reranked = any(row.reranked is not None for row in scores.rows)
    columns += RERANKED_COLUMNS if reranked else ()
    rows = []
    for row in scores.rows:
        cells = _score_cells(row, lead)
        if beside:
            tag = f"[{[*disputed].index(row.label) + 1}]" if row.label in disputed else ""
            cells += _published_cells(row, beside.get(row.label), tag)
        cells += _reranked_cells(row) if reranked else []
        rows.append(
            TableRow([*cells, _records_cell(row)], not row.competes, "reference" if row.method in REFERENCES else "")
        )
    key = scores.key
    marks = [mark[-6:] for mark in (key.fingerprint, key.trained_on, key.donors) if mark]
    marks += [key.form] if key.form != REPAIRED else []
    return Table(
        title=f"{protocol_name(key.protocol, bool(key.synthetic))}: {scores.title}",
        columns=[*columns, "records"],
        rows=rows,
        notes=[RERANKED_NOTE] if reranked else [],
        footnotes=[f"{plain(label)}: elsewhere {text}." for label, text in disputed.items()] + _spreads(scores),
        name=file_name("-".join([key.protocol, key.setting, key.gallery, str(key.shots), *marks])),
    )


def _spreads(scores: ScoreTable) -> list[str]:
    """Return a footnote with the spread of mAP over corruptions; none for clean images."""
    found = [f"{plain(row.label)} {100 * row.spread:.1f}" for row in scores.rows if row.spread is not None]
    return [f"Standard deviation of mAP over the corruptions, mean over seeds: {', '.join(found)}."] if found else []


def protocol_name(protocol: str, synthetic: bool) -> str:
    """Return the display name of a protocol, with ``SYSU-MM01-like`` for synthetic people."""
    name = PROTOCOLS.get(protocol, protocol)
    return name.replace(",", "-like,", 1) if synthetic else name


def lacking(record: Record) -> list[str]:
    """List the missing trials of an incomplete run, one entry per fold; empty for a complete run."""
    trials = record.result.trials
    return [f"fold {fold} lacks {n} of {trials} trials" for fold, n in record.missing_trials.items()]


def _counterparts(scores: ScoreTable, published: Sequence[Published]) -> dict[str, Published]:
    key = scores.key
    if key.synthetic or not key.usual_training:
        return {}
    found = {row.label: find_published(published, row.method, key.protocol, key.shots) for row in scores.rows}
    return {label: entry for label, entry in found.items() if entry is not None}


def _score_cells(row: ScoreRow, lead: Mapping[str, str]) -> list[Cell]:
    name = row.label.removesuffix(IDENTITY_MARK).strip()
    tags = [IDENTITY_MARK] if row.label != name else []
    tags += ["†"] if row.dirty else []
    tags += ["‡"] if row.repeats else []
    return [
        Cell([Link(name, "method", row.method)] if row.method and not row.plugins else name, tag=" ".join(tags)),
        value_cell(row.seeds or None),
        *(percent_cell(*over_seeds(row.values[metric]), bold=lead.get(metric) == row.label) for metric in METRICS),
    ]


def _published_cells(row: ScoreRow, entry: Published | None, tag: str) -> list[Cell]:
    """Return the cells for published figure and difference of each metric, and for the level of evidence."""
    if entry is None:
        return [Cell(MISSING)] * (2 * len(BESIDE) + 1)
    cells = []
    for metric in BESIDE:
        value = entry.shown.value(metric)
        gap = None if value is None else 100 * float(row.values[metric].mean()) - value
        cells += [Cell(entry.shown.metrics.get(metric, MISSING), value)]
        cells += [Cell(MISSING) if gap is None else Cell(f"{gap:+.1f}", gap)]
    return [*cells, Cell(entry.shown.evidence, tag=tag)]


def _reranked_cells(row: ScoreRow) -> list[Cell]:
    values = row.reranked
    return [percent_cell(*over_seeds(None if values is None else values[metric])) for metric in RERANKED_METRICS]


def _records_cell(row: ScoreRow) -> Cell:
    links = [
        Link(str(seed), "run", record, f"{row.label}, seed {seed}")
        for seed, record in zip(row.values.index, row.records, strict=False)
    ]
    return Cell([part for link in links for part in (" ", link)][1:] or MISSING)


def _models_table(rows: Sequence[ScoreRow]) -> Table | None:
    """Compare student and teacher, to separate the effect of weight averaging from that of the loss."""
    several = [row for row in rows if len(row.models) > 1]
    models = list(dict.fromkeys(model for row in several for model in row.models))
    shown = [(model, metric) for model in models for metric in BESIDE]
    columns = ["Method", "seeds", "headline", *(f"{model} {metric}" for model, metric in shown)]
    lines = []
    for row in several:
        means = [over_seeds(row.models[model][metric] if model in row.models else None) for model, metric in shown]
        cells = [Cell(row.label), value_cell(row.seeds), Cell(next(iter(row.models)))]
        lines.append(TableRow([*cells, *(percent_cell(*mean) for mean in means)]))
    return Table("Student and teacher of the same runs", columns, lines) if lines else None
