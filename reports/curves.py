"""How a training went, epoch by epoch, from the lines of its journal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter

from engine.types import MODALITIES
from reports.style import MARKERS, MODALITY_COLOURS, NEUTRAL, PALETTE, new_figure, shared_legend

Line = dict[str, Any]
"""One line of a journal."""
AGREEMENT = {"ari": "ARI", "nmi": "NMI", "purity": "purity"}
MODALITY_LOOK = {
    name: {"color": MODALITY_COLOURS[name], "marker": MARKERS[name], "linestyle": dashes}
    for name, dashes in zip(MODALITIES, ("-", "-."), strict=True)
}
OTHER_COLOURS = [colour for colour in PALETTE if colour not in MODALITY_COLOURS.values()]
_MARK_UP_TO = 40
"""Longest training whose epochs are marked one by one."""


def epochs_of(journal: Sequence[Line], fold: int) -> list[Line]:
    """A fold's epochs in the order they were trained, over all stages."""
    lines = [line for line in journal if line["kind"] == "epoch" and line["fold"] == fold]
    return sorted(lines, key=lambda line: (line["stage_index"], line["epoch"]))


def losses_figure(epochs: Sequence[Line]) -> Figure:
    """Every named loss, mean over the steps of an epoch."""
    figure, (axes,) = new_figure()
    names = {name for line in epochs for name in line["losses"]}
    others = dict(zip(sorted(names - set(MODALITIES)), itertools.cycle(OTHER_COLOURS), strict=False))
    for name in [*(m for m in MODALITIES if m in names), *others]:
        look = MODALITY_LOOK.get(name) or {"color": others[name]}
        _draw(axes, [line["losses"].get(name) for line in epochs], name, **look)
    _finish(axes, epochs, "mean loss of the epoch")
    _from_zero(axes)
    shared_legend(figure)
    return figure


def clusters_figure(epochs: Sequence[Line]) -> Figure:
    """Clusters beside the true number of people, and the share of images left out."""
    figure, (counts, outliers) = new_figure(2)
    truth: dict[int, list[str]] = {}
    for name in MODALITIES:
        look = MODALITY_LOOK[name]
        _draw(counts, [line["clusters"][name] for line in epochs], name, **look)
        _draw(outliers, [line["outliers"][name] / line["images"][name] for line in epochs], name, **look)
        truth.setdefault(epochs[0]["identities"][name], []).append(name)
    for count, names in truth.items():
        whose = "training" if len(names) > 1 else names[0]
        counts.axhline(count, color=NEUTRAL, linestyle="--", label=f"people in the {whose} images ({count})")
    _finish(counts, epochs, "number of clusters")
    _finish(outliers, epochs, "images in no cluster (%)")
    outliers.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    _from_zero(counts)
    _from_zero(outliers, least=0.05)
    shared_legend(figure)
    return figure


def quality_figure(epochs: Sequence[Line]) -> Figure:
    """Agreement of clusters with identities in either modality, and of matched clusters across them."""
    matches = [line["quality"]["match_accuracy"] for line in epochs]
    associated = any(match is not None for match in matches)
    figure, panels = new_figure(3 if associated else 2)
    for name, axes in zip(MODALITIES, panels, strict=False):
        for (measure, label), dashes in zip(AGREEMENT.items(), ("-", "--", "-."), strict=True):
            _draw(axes, [line["quality"][name][measure] for line in epochs], label, linestyle=dashes)
        axes.set_title(f"{name} clusters")
    if associated:
        _draw(panels[2], matches, "matched to the same person", color=NEUTRAL)
        panels[2].set_title("matched clusters")
    for axes, label in zip(panels, ("agreement, 0 to 1", "", "share"), strict=False):
        _finish(axes, epochs, label)
        axes.set_ylim(0, 1.03)
    shared_legend(figure)
    return figure


def cost_figure(epochs: Sequence[Line]) -> Figure:
    """Seconds of an epoch by what they were spent on, and the memory that clustering took for itself."""
    figure, (seconds, memory) = new_figure(2)
    for phase in epochs[0]["seconds"]:
        _draw(seconds, [line["seconds"][phase] for line in epochs], phase)
    _draw(memory, [line.get("clustering", {}).get("memory_mib") for line in epochs], "clustering", color=NEUTRAL)
    _finish(seconds, epochs, "seconds")
    _finish(memory, epochs, "extra memory (MiB)")
    _from_zero(seconds)
    _from_zero(memory, least=1.0)
    shared_legend(figure)
    return figure


def scores_figure(scores: Sequence[Line]) -> Figure:
    """Test scores taken during training, against the epoch of the last stage."""
    figure, panels = new_figure(2)
    for axes, metric in zip(panels, ("mAP", "R1"), strict=True):
        for model in dict.fromkeys(line["model"] for line in scores):
            lines = [line for line in scores if line["model"] == model]
            axes.plot([line["epoch"] + 1 for line in lines], [line[metric] for line in lines], marker="o", label=model)
        axes.set(xlabel="epoch of the last stage", ylabel=f"test {metric} (%)")
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _from_zero(axes, least=0.05)
    shared_legend(figure)
    return figure


def _draw(axes: Axes, values: Sequence[float | None], label: str, **look: Any) -> None:
    """A line over epochs 1, 2, ...; None leaves a gap. Points on the edge are shown whole."""
    heights = np.array([np.nan if value is None else value for value in values], dtype=float)
    look = {"marker": "o", "markersize": 3.5, "clip_on": False, **look}
    if len(values) > _MARK_UP_TO:
        look["marker"] = None
    axes.plot(np.arange(1, len(values) + 1), heights, label=label, **look)


def _finish(axes: Axes, epochs: Sequence[Line], label: str) -> None:
    """Axis labels, and a named line wherever a new stage begins."""
    axes.set(xlabel="epoch", ylabel=label, xlim=(0.5, len(epochs) + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    for i in range(1, len(epochs)):
        if epochs[i]["stage_index"] != epochs[i - 1]["stage_index"]:
            axes.axvline(i + 0.5, color=NEUTRAL, linewidth=1, linestyle=":")
            name = axes.annotate(
                epochs[i]["stage"],
                (i + 0.5, 0.98),
                xycoords=("data", "axes fraction"),
                xytext=(2, 0),
                textcoords="offset points",
                rotation=90,
                va="top",
                fontsize=7,
                color=NEUTRAL,
            )
            name.set_path_effects([withStroke(linewidth=2, foreground="white")])


def _from_zero(axes: Axes, least: float = 0.0) -> None:
    """Let the axis start at zero, or below where values do, and end a little above the highest."""
    low, high = axes.dataLim.intervaly
    axes.set_ylim(min(0.0, low), max(1.08 * high, least))
