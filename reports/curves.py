"""Training curves by epoch, from the journal of a run."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from usvi_bench.core.types import MODALITIES
from usvi_bench.reports.style import (
    COLUMN,
    LOOKS,
    MARKERS,
    MODALITY_COLOURS,
    NEUTRAL,
    SMALL,
    new_figure,
    shared_legend,
    show_percent,
    wrapped,
)

Line = dict[str, Any]
"""Line of a journal."""
Span = tuple[str, int, int]
"""Name of a stage, and its first and last epoch, counted from 1."""
AGREEMENT = {"ari": "ARI", "nmi": "NMI", "purity": "purity"}
MATCHES = {
    "match_precision": "precision",
    "match_recall": "recall",
    "match_accuracy": "correct cluster matches",
    "joint_precision": "precision of joint clusters",
    "joint_recall": "recall of joint clusters",
}
STEPS = {"search_seconds": "neighbours", "distance_seconds": "distances", "dbscan_seconds": "DBSCAN"}
MODALITY_LOOK: dict[str, dict[str, Any]] = {
    name: {"color": MODALITY_COLOURS[name], "marker": MARKERS[name], "linestyle": dashes}
    for name, dashes in zip(MODALITIES, ("-", "-."), strict=True)
}
OTHER_LOOKS = [look for look in LOOKS if look["color"] not in MODALITY_COLOURS.values()]
_MARK_UP_TO = 40
"""Largest number of epochs that have markers."""


def epochs_of(journal: Sequence[Line], fold: int) -> list[Line]:
    """Select the epochs of a fold in training order, over all stages."""
    lines = [line for line in journal if line["kind"] == "epoch" and line["fold"] == fold]
    return sorted(lines, key=lambda line: (line["stage_index"], line["epoch"]))


def series_of(epochs: Sequence[Line]) -> dict[str, NDArray[np.float64]]:
    """Collect all drawn series by name: one value per epoch, NaN if undefined; series without values are omitted."""
    read = [_numbers(line) for line in epochs]
    drawn: dict[str, NDArray[np.float64]] = {}
    for name in dict.fromkeys(name for numbers in read for name in numbers):
        values = [numbers.get(name) for numbers in read]
        if any(value is not None for value in values):
            drawn[name] = np.array([np.nan if value is None else value for value in values], dtype=float)
    return drawn


def _numbers(line: Line) -> dict[str, float | None]:
    """Return the numbers of one epoch, by name."""
    found: dict[str, float | None] = {"learning rate": line.get("lr")}
    found |= {f"loss {name}": value for name, value in sorted(line["losses"].items())}
    for name in MODALITIES:
        found[f"clusters {name}"] = line["clusters"][name]
        found[f"people {name}"] = line["identities"][name]
        found[f"outliers {name}"] = line["outliers"][name] / line["images"][name]
        found |= {f"{label} {name}": line["quality"][name][measure] for measure, label in AGREEMENT.items()}
    found |= {f"match {label}": line["quality"].get(measure) for measure, label in MATCHES.items()}
    found |= {f"seconds {phase}": value for phase, value in line["seconds"].items()}
    found["seconds a step"] = line["seconds"]["train"] / line["steps"]
    clustering = line.get("clustering", {})
    found |= {f"clustering seconds {label}": clustering.get(key) for key, label in STEPS.items()}
    found["clustering memory (MiB)"] = clustering.get("memory_mib")
    found["peak memory (MiB)"] = line.get("peak_memory_mib")
    return found


def losses_figure(epochs: Sequence[Line], width: float = COLUMN) -> Figure:
    """Draw each loss, mean over the steps of an epoch, and the learning rate below."""
    series = series_of(epochs)
    figure, (losses, rate) = new_figure(rows=2, height=2.6, ratios=(2, 1), width=width)
    names = [name.removeprefix("loss ") for name in series if name.startswith("loss ")]
    others = zip((name for name in names if name not in MODALITIES), itertools.cycle(OTHER_LOOKS), strict=False)
    looks: dict[str, dict[str, Any]] = {**MODALITY_LOOK, **dict(others)}
    for name in [*(m for m in MODALITIES if m in names), *(n for n in names if n not in MODALITIES)]:
        _draw(losses, series[f"loss {name}"], name.replace("_", " "), **looks[name])
    _finish(losses, epochs, "mean loss of the epoch")
    from_zero(losses)
    losses.set_xlabel("")
    if "learning rate" in series:
        _draw(rate, series["learning rate"], "_learning rate", color=NEUTRAL, drawstyle="steps-mid")
    _finish(rate, epochs, "learning rate")
    from_zero(rate)
    scientific = ScalarFormatter(useMathText=True)
    scientific.set_powerlimits((0, 0))
    rate.yaxis.set_major_formatter(scientific)
    for text in (rate.yaxis.get_offset_text(), *(tick.label1 for tick in rate.yaxis.get_major_ticks(20))):
        text.set_parse_math(True)  # the formatter's own text
    rate.yaxis.get_offset_text().set_fontsize(SMALL)
    name_stages(figure, stage_spans(epochs))
    shared_legend(figure)
    return figure


def clusters_figure(epochs: Sequence[Line], width: float = COLUMN) -> Figure:
    """Draw the number of clusters, with the true number of people if it is known, and the share of outliers."""
    series = series_of(epochs)
    figure, (counts, outliers) = new_figure(2, height=2.0, width=width)
    truth: dict[int, list[str]] = {}
    for name in MODALITIES:
        _draw(counts, series[f"clusters {name}"], name, **MODALITY_LOOK[name])
        _draw(outliers, series[f"outliers {name}"], name, **MODALITY_LOOK[name])
        if people := epochs[0]["identities"][name]:
            truth.setdefault(people, []).append(name)
    for (count, names), dashes in zip(truth.items(), ("--", ":"), strict=False):
        whose = "" if len(names) > 1 else f"{names[0]} "
        counts.axhline(count, color=NEUTRAL, linestyle=dashes, label=f"true {whose}people ({count})")
    _finish(counts, epochs, "number of clusters")
    _finish(outliers, epochs, "outliers (% of images)")
    show_percent(outliers.yaxis)
    from_zero(counts)
    from_zero(outliers, least=0.05)
    name_stages(figure, stage_spans(epochs))
    shared_legend(figure)
    return figure


def quality_figure(epochs: Sequence[Line], width: float = COLUMN) -> Figure:
    """Draw the agreement of clusters with identities in both modalities."""
    series = series_of(epochs)
    figure, panels = new_figure(2, height=2.0, width=width)
    for name, axes in zip(MODALITIES, panels, strict=True):
        for label, look in zip(AGREEMENT.values(), LOOKS, strict=False):
            _draw(axes, series.get(f"{label} {name}", _nothing(epochs)), label, **look)
        axes.set_title(f"{name} clusters", pad=9)
        _finish(axes, epochs, "agreement (0 to 1)" if name == MODALITIES[0] else "")
        axes.set_ylim(0, 1.03)
    name_stages(figure, stage_spans(epochs))
    shared_legend(figure)
    return figure


def matched_epochs(epochs: Sequence[Line]) -> range:
    """Return the positions of the epochs from the first stage with cross-modal matches to the last; empty if none."""
    found = [line["stage_index"] for line in epochs if any(line["quality"].get(key) is not None for key in MATCHES)]
    kept = [i for i, line in enumerate(epochs) if found and found[0] <= line["stage_index"] <= found[-1]]
    return range(kept[0], kept[-1] + 1) if kept else range(0)


def matches_figure(epochs: Sequence[Line], width: float = COLUMN) -> Figure:
    """Draw precision and recall of cross-modal matches, in the stages that match."""
    shown, series = matched_epochs(epochs), series_of(epochs)
    figure, (axes,) = new_figure(height=1.9, width=width)
    names = [label for label in MATCHES.values() if f"match {label}" in series]
    for label, look in zip(names, LOOKS, strict=False):
        _draw(axes, series[f"match {label}"], label, **look)
    _finish(axes, epochs, "share (0 to 1)")
    axes.set_xlim(shown.start + 0.5, shown.stop + 0.5)
    highest = max(float(np.nanmax(series[f"match {label}"])) for label in names)
    axes.set_ylim(0, min(1.03, max(1.25 * highest, 0.1)))
    name_stages(figure, stage_spans(epochs), shown)
    shared_legend(figure)
    return figure


def cost_figure(epochs: Sequence[Line], width: float = COLUMN) -> Figure:
    """Draw seconds of an epoch by phase, of clustering by step and of a training step, and memory."""
    series = series_of(epochs)
    figure, panels = new_figure(2, rows=2, height=3.7, width=width)
    parts: dict[str, dict[str, NDArray[np.float64]]] = {
        "epoch (s)": {phase: series[f"seconds {phase}"] for phase in epochs[0]["seconds"]},
        "clustering step (s)": {n: series[k] for n in STEPS.values() if (k := f"clustering seconds {n}") in series},
        "training step (ms)": {"_step": 1000 * series["seconds a step"]},
        "memory (MiB)": {n: series[k] for n in ("peak", "clustering") if (k := f"{n} memory (MiB)") in series},
    }
    for axes, (label, lines) in zip(panels, parts.items(), strict=True):
        for (name, values), look in zip(lines.items(), LOOKS, strict=False):
            _draw(axes, values, name, **{**look, **({"color": NEUTRAL} if len(lines) == 1 else {})})
        _finish(axes, epochs, label)
        from_zero(axes)
        if not lines:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=NEUTRAL)
            axes.set_yticks([])
        elif len(lines) > 1:  # above the axes and the numbers of the stages
            place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "borderaxespad": 1.4}
            axes.legend(**place, ncols=2 if width == COLUMN else 3, handlelength=1.5, columnspacing=0.8)
    for axes in panels[:2]:
        axes.set_xlabel("")
    name_stages(figure, stage_spans(epochs))
    return figure


def scores_figure(scores: Sequence[Line], width: float = COLUMN) -> Figure:
    """Draw test scores measured during training, against the epoch of the last stage."""
    figure, panels = new_figure(2, width=width)
    for axes, metric in zip(panels, ("mAP", "R1"), strict=True):
        for model, look in zip(dict.fromkeys(line["model"] for line in scores), LOOKS, strict=False):
            lines = [line for line in scores if line["model"] == model]
            epochs, values = [line["epoch"] + 1 for line in lines], [line["metrics"][metric] for line in lines]
            axes.plot(epochs, values, label=model, **look)
        axes.set(xlabel="epoch of the last stage", ylabel=f"test {metric} (%)")
        show_percent(axes.yaxis)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        from_zero(axes, least=0.05)
    shared_legend(figure)
    return figure


def from_zero(axes: Axes, least: float = 0.0) -> None:
    """Set the limits of the y axis: from zero or the lowest negative value to slightly above the highest value."""
    low, high = axes.dataLim.intervaly
    if np.isfinite([low, high]).all():
        axes.set_ylim(min(0.0, low), max(1.08 * high, least) or 1.0)


def stage_spans(epochs: Sequence[Line]) -> list[Span]:
    """Return the stages of a training."""
    spans = []
    for _, lines in itertools.groupby(enumerate(epochs, start=1), lambda entry: entry[1]["stage_index"]):
        numbered = list(lines)
        spans.append((str(numbered[0][1]["stage"]), numbered[0][0], numbered[-1][0]))
    return spans


def mark_stages(axes: Axes, spans: Sequence[Span]) -> None:
    """Draw a line at the start of each later stage, and the number of each stage above the axes."""
    for number, (_, first, last) in enumerate(spans if len(spans) > 1 else (), start=1):
        if number > 1:
            axes.axvline(first - 0.5, color=NEUTRAL, linewidth=0.7, linestyle=":")
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "ha": "center"}
        axes.annotate(
            str(number),
            ((first + last) / 2, 1.0),
            (0, 1.5),
            fontsize=SMALL,
            color=NEUTRAL,
            annotation_clip=True,
            **place,
        )


def name_stages(figure: Figure, spans: Sequence[Span], shown: range = range(sys.maxsize)) -> None:
    """Name the numbered stages above all panels, without those outside the positions ``shown`` of epochs."""
    numbered = enumerate(spans, start=1)
    drawn = [(i, name) for i, (name, first, last) in numbered if last > shown.start and first <= shown.stop]
    if drawn:
        names = ", ".join(f"{i} {name}" for i, name in drawn) if len(spans) > 1 else spans[0][0]
        figure.suptitle(wrapped(f"stage: {names}", figure.get_figwidth()), fontsize=SMALL, color=NEUTRAL)


def _nothing(epochs: Sequence[Line]) -> NDArray[np.float64]:
    return np.full(len(epochs), np.nan)


def _draw(axes: Axes, values: NDArray[np.float64], label: str, **look: Any) -> None:
    """Draw a line over epochs 1, 2, ...; NaN leaves a gap. Markers at the edge are not clipped."""
    look = {"marker": "o", "clip_on": False, **look}
    if len(values) > _MARK_UP_TO:
        look["marker"] = None
    axes.plot(np.arange(1, len(values) + 1), values, label=label, **look)


def _finish(axes: Axes, epochs: Sequence[Line], label: str) -> None:
    """Set axis labels and mark the stages."""
    axes.set(xlabel="epoch", ylabel=label, xlim=(0.5, len(epochs) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    mark_stages(axes, stage_spans(epochs))
