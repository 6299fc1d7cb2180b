"""Report section on open-set figures: curves, and tables of rates at chosen thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.table import Table, Value, value_rows
from usvi_bench.protocols.evaluation_file import SavedEvaluation
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.protocols.open_set import Pairs
from usvi_bench.reports.open_set import Identities, OpenSet, Rates, open_set
from usvi_bench.reports.page import Picture, Report, Section
from usvi_bench.reports.runs import RecordedRun
from usvi_bench.reports.style import COLUMN, LOOKS, NEUTRAL, new_figure

NOT_SHOWN = "Open set"
Features = NDArray[np.float32]
Curve = NDArray[np.float64]
LARGEST = 100_000_000
"""Largest number of pairs; more would need several GiB."""
RULE = (
    "People are split in two: thresholds are chosen on the queries of one half, rates are measured on those of the "
    "other, and both ways are averaged. There is no other labelled set to choose them on, because training is "
    "unsupervised. Low and high: 95 % interval over resampled people, at these thresholds."
)


def add_open_set(run: RecordedRun, report: Report) -> None:
    """Add the open-set figures of the first trial of the first fold, or a note about what is missing."""
    evaluation = run.evaluation
    if evaluation is None:  # the section on retrieval notes it
        return
    if evaluation.features is None:
        report.notes.append(f"{NOT_SHOWN}: the run has no features of all images; score it again (repeat its command).")
        return
    try:
        protocol = PROTOCOLS.get(run.record.result.protocol)()
    except UsageError:
        report.notes.append(f"{NOT_SHOWN}: the protocol is that of a plug-in; write the report with --import.")
        return
    protocol.restore(run.record.result.headline)
    masks = protocol.masks(evaluation.query, evaluation.gallery)
    images = (evaluation.query.identities, evaluation.gallery.identities)
    add_pairs(report, evaluation.features, masks, images, "First trial of the first fold", _foot(run, evaluation))


def add_pairs(
    report: Report,
    features: tuple[Features, Features],
    masks: RetrievalMasks,
    identities: tuple[Identities, Identities],
    scope: str,
    foot: str,
) -> None:
    """Add the open-set figures of queries and a gallery, or a note.

    Args:
        report: report to add to.
        features: ``[Q, D]`` and ``[G, D]``.
        masks: which images match and which are ignored.
        identities: ``[Q]`` and ``[G]``.
        scope: words for these queries and this gallery.
        foot: footer of the figure.
    """
    try:
        found = feature_open_set(features, masks, identities)
    except ValueError as error:
        report.notes.append(f"{NOT_SHOWN}: {error}.")
        return
    report.sections.append(open_set_section(found, scope, foot))
    report.data["open_set"] = asdict(found)


def feature_open_set(
    features: tuple[Features, Features], masks: RetrievalMasks, identities: tuple[Identities, Identities]
) -> OpenSet:
    """Compute the open-set figures of features; arguments are those of :func:`add_pairs`.

    Images with a negative identity, those of unknown people, are left out.

    Raises:
        ValueError: there are too many pairs, no genuine one or no impostor.
    """
    size = len(identities[0]), len(identities[1])
    if size[0] * size[1] > LARGEST:
        raise ValueError(f"more than {LARGEST:,} pairs of a query and a gallery image")
    known = np.ix_(*(part >= 0 for part in identities))
    queries, gallery = (part[own >= 0].astype(np.float64) for part, own in zip(features, identities, strict=True))
    positives, ignored = (mask[known] for mask in masks.arrays(size))
    pairs = Pairs(queries @ gallery.T, positives, ~ignored)  # in double precision, as they are scored
    return open_set(pairs, *(own[own >= 0] for own in identities))


def open_set_section(found: OpenSet, scope: str, foot: str) -> Section:
    """Build the section: a figure with two curves, a table of pairs and a table of queries."""
    section = Section("open_set", "Open set", _text(found, scope), csv=True)
    caption = (
        f"Left: share of {found.genuine:,} pairs of one person that are accepted (TAR), by the share of "
        f"{found.impostors:,} pairs of two people that are accepted too (FAR). Right: share of {found.enrolled:,} "
        f"queries whose person is in the gallery with a right best image above the threshold (DIR), by the share of "
        f"{found.queries - found.enrolled:,} other queries with any image above it (FPIR). Curves use all people; "
        "points are the rows of the tables."
    )
    alt = "ROC: " + ", ".join(_point(rates, "TAR", "FAR") for rates in found.verification if rates.values)
    draw = partial(open_set_figure, found)
    section.pictures.append(Picture("open_set", "Verification and identification", caption, alt, draw, foot, True))
    section.tables += [
        _table("Pairs", "open_set_pairs", "FAR", ("FAR", "TAR"), found.verification),
        _table("Queries", "open_set_queries", "FPIR", ("FPIR", "DIR", "found"), found.identification),
    ]
    return section


def open_set_figure(found: OpenSet, width: float = COLUMN) -> Figure:
    """Draw the ROC of pairs and the DIR of queries, with the points of the tables."""
    figure, (left, right) = new_figure(2, height=1.75, width=width)
    curves = found.curves
    _panel(left, curves["far"], curves["tar"], found.verification, ("FAR", "TAR"), LOOKS[0]["color"])
    _panel(right, curves["fpir"], curves["dir"], found.identification, ("FPIR", "DIR"), LOOKS[1]["color"])
    left.set(xlabel="FAR", ylabel="TAR")
    right.set(xlabel="FPIR", ylabel="DIR at rank 1")
    return figure


def _panel(
    axes: Axes, rates: Curve, shares: Curve, points: Sequence[Rates], names: tuple[str, str], colour: Any
) -> None:
    axes.set(xscale="log", ylim=(0, 1.03))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{100 * rate:g} %"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(color=NEUTRAL, alpha=0.25, linewidth=0.4)
    if len(rates):
        axes.set_xlim(max(rates[0], 1e-4), 1)
        axes.plot(rates, shares, color=colour)
    for each in points:
        if each.values:
            (x, *_), (y, low, high) = (each.values[name] for name in names)
            spread = [[max(y - low, 0)], [max(high - y, 0)]]
            axes.errorbar(x, y, spread, color=colour, marker="o", markersize=2.5, capsize=1.5, linewidth=0.7)


def _text(found: OpenSet, scope: str) -> str:
    how = (
        f"the images of {found.removed} of {found.people} people left the gallery, drawn at random, because nearly "
        "all people are in it"
        if found.removed
        else "people outside the gallery are those whom the protocol leaves out"
    )
    return (
        f"{scope}: {found.queries:,} queries of {found.people} people. Queries: {how}; "
        f"{found.queries - found.enrolled:,} queries show a person who is not in the gallery. {RULE}"
    )


def _table(title: str, name: str, aim: str, columns: tuple[str, ...], rows: Sequence[Rates]) -> Table:
    words = {"DIR": "DIR at rank 1", "found": "not in the gallery, found"}
    heads = [head for column in columns for head in (words.get(column, column), f"{column} low", f"{column} high")]
    plain = (f"{aim} low", f"{aim} high")  # the interval of the rate that was aimed at is in the JSON file only
    lines: list[list[Value]] = []
    for rates in rows:
        cells: list[Value] = [f"{100 / rates.one_in:g} %", _thresholds(rates)]
        for column in columns:
            cells += [_percent(value) for value in rates.values.get(column, (None,) * 3)][: 1 if column == aim else 3]
        lines.append(cells)
    notes = [
        "Percent. Thresholds are similarities, one for each half. A dash: too few people, so that a single false "
        "acceptance would exceed the rate."
    ]
    return Table(
        title,
        [f"{aim} aimed at", "thresholds", *(head for head in heads if head not in plain)],
        value_rows(lines),
        words=2,
        notes=notes,
        name=name,
    )


def _thresholds(rates: Rates) -> str | None:
    return None if rates.thresholds is None else " / ".join(f"{value:.4f}" for value in rates.thresholds)


def _percent(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else 100 * value


def _point(rates: Rates, name: str, at: str) -> str:
    return f"{name} {rates.values[name][0]:.3f} at {at} {1 / rates.one_in:g}"


def _foot(run: RecordedRun, evaluation: SavedEvaluation) -> str:
    return (
        f"{run.words}; n = {len(evaluation.query)} {evaluation.query.modality} queries of "
        f"{len(np.unique(evaluation.query.identities))} people, gallery of {len(evaluation.gallery)} "
        f"{evaluation.gallery.modality} images; seed {run.record.result.seed}"
    )
