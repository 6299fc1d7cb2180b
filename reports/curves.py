"""Training curves by epoch, from the journal of a run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter, ScalarFormatter
from numpy.typing import NDArray

from usvi_bench.core.types import MODALITIES
from usvi_bench.reports.style import LOOKS, MARKERS, MODALITY_COLOURS, NEUTRAL, SMALL, new_figure, shared_legend

Line = dict[str, Any]
"""Line of a journal."""
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


def losses_figure(epochs: Sequence[Line]) -> Figure:
    """Draw each loss, mean over the steps of an epoch, and the learning rate below."""
    series = series_of(epochs)
    figure, (losses, rate) = new_figure(rows=2, height=2.6, ratios=(2, 1))
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
    _finish(rate, epochs, "learning rate", named=False)
    from_zero(rate)
    scientific = ScalarFormatter(useMathText=True)
    scientific.set_powerlimits((0, 0))
    rate.yaxis.set_major_formatter(scientific)
    for text in (rate.yaxis.get_offset_text(), *(tick.label1 for tick in rate.yaxis.get_major_ticks(20))):
        text.set_parse_math(True)  # the formatter's own text
    rate.yaxis.get_offset_text().set_fontsize(SMALL)
    shared_legend(figure)
    return figure


def clusters_figure(epochs: Sequence[Line]) -> Figure:
    """Draw the number of clusters, with the true number of people if it is known, and the share of outliers."""
    series = series_of(epochs)
    figure, (counts, outliers) = new_figure(2, height=2.0)
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
    _finish(outliers, epochs, "outliers (% of images)", named=False)
    outliers.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    from_zero(counts)
    from_zero(outliers, least=0.05)
    shared_legend(figure)
    return figure


def quality_figure(epochs: Sequence[Line]) -> Figure | None:
    """Draw the agreement of clusters with identities in both modalities; None if no training image has an identity."""
    if not any(epochs[0]["identities"].values()):
        return None
    series = series_of(epochs)
    figure, panels = new_figure(2, height=2.0)
    for name, axes in zip(MODALITIES, panels, strict=True):
        for label, look in zip(AGREEMENT.values(), LOOKS, strict=False):
            _draw(axes, series.get(f"{label} {name}", _nothing(epochs)), label, **look)
        axes.set_title(f"{name} clusters")
        _finish(axes, epochs, "agreement (0 to 1)" if name == MODALITIES[0] else "", named=False)
        axes.set_ylim(0, 1.03)
    shared_legend(figure)
    return figure


def matches_figure(epochs: Sequence[Line]) -> Figure | None:
    """Draw precision and recall of cross-modal matches; None if the run has no matches."""
    series = series_of(epochs)
    shown = {label: series[f"match {label}"] for label in MATCHES.values() if f"match {label}" in series}
    if not shown:
        return None
    figure, (axes,) = new_figure(height=1.9)
    for (label, values), look in zip(shown.items(), LOOKS, strict=False):
        _draw(axes, values, label, **look)
    _finish(axes, epochs, "share (0 to 1)")
    axes.set_ylim(0, 1.03)
    shared_legend(figure)
    return figure


def cost_figure(epochs: Sequence[Line]) -> Figure:
    """Draw seconds of an epoch by phase, of clustering by step and of a training step, and memory."""
    series = series_of(epochs)
    figure, panels = new_figure(2, rows=2, height=3.3)
    parts: dict[str, dict[str, NDArray[np.float64]]] = {
        "epoch (s)": {phase: series[f"seconds {phase}"] for phase in epochs[0]["seconds"]},
        "clustering step (s)": {n: series[k] for n in STEPS.values() if (k := f"clustering seconds {n}") in series},
        "training step (ms)": {"_step": 1000 * series["seconds a step"]},
        "memory (MiB)": {n: series[k] for n in ("peak", "clustering") if (k := f"{n} memory (MiB)") in series},
    }
    for axes, (label, lines) in zip(panels, parts.items(), strict=True):
        for (name, values), look in zip(lines.items(), LOOKS, strict=False):
            _draw(axes, values, name, **{**look, **({"color": NEUTRAL} if len(lines) == 1 else {})})
        _finish(axes, epochs, label, named=False)
        from_zero(axes)
        if not lines:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=NEUTRAL)
            axes.set_yticks([])
        elif len(lines) > 1:
            axes.set_ylim(top=axes.get_ylim()[1] * (1 + 0.16 * len(lines)))  # space for the legend above the lines
            axes.legend(loc="upper center", ncols=1)
    for axes in panels[:2]:
        axes.set_xlabel("")
    return figure


def scores_figure(scores: Sequence[Line]) -> Figure:
    """Draw test scores measured during training, against the epoch of the last stage."""
    figure, panels = new_figure(2)
    for axes, metric in zip(panels, ("mAP", "R1"), strict=True):
        for model, look in zip(dict.fromkeys(line["model"] for line in scores), LOOKS, strict=False):
            lines = [line for line in scores if line["model"] == model]
            epochs, values = [line["epoch"] + 1 for line in lines], [line["metrics"][metric] for line in lines]
            axes.plot(epochs, values, label=model, **look)
        axes.set(xlabel="epoch of the last stage", ylabel=f"test {metric} (%)")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        from_zero(axes, least=0.05)
    shared_legend(figure)
    return figure


def from_zero(axes: Axes, least: float = 0.0) -> None:
    """Set the limits of the y axis: from zero or the lowest negative value to slightly above the highest value."""
    low, high = axes.dataLim.intervaly
    if np.isfinite([low, high]).all():
        axes.set_ylim(min(0.0, low), max(1.08 * high, least) or 1.0)


def _nothing(epochs: Sequence[Line]) -> NDArray[np.float64]:
    return np.full(len(epochs), np.nan)


def _draw(axes: Axes, values: NDArray[np.float64], label: str, **look: Any) -> None:
    """Draw a line over epochs 1, 2, ...; NaN leaves a gap. Markers at the edge are not clipped."""
    look = {"marker": "o", "clip_on": False, **look}
    if len(values) > _MARK_UP_TO:
        look["marker"] = None
    axes.plot(np.arange(1, len(values) + 1), values, label=label, **look)


def _finish(axes: Axes, epochs: Sequence[Line], label: str, named: bool = True) -> None:
    """Set axis labels, and draw a line at the start of each later stage, with its name if ``named``."""
    axes.set(xlabel="epoch", ylabel=label, xlim=(0.5, len(epochs) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    for i in range(1, len(epochs)):
        if epochs[i]["stage_index"] != epochs[i - 1]["stage_index"]:
            axes.axvline(i + 0.5, color=NEUTRAL, linewidth=0.7, linestyle=":")
            if named:
                name = axes.annotate(
                    f"{epochs[i]['stage']} ▸",
                    (i + 0.5, 1.0),
                    xycoords=("data", "axes fraction"),
                    xytext=(2, 0),
                    textcoords="offset points",
                    va="bottom",
                    fontsize=SMALL,
                    color=NEUTRAL,
                )
                name.set_path_effects([withStroke(linewidth=1.5, foreground="white")])
