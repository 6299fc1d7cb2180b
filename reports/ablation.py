"""An ablation's page: its table in three formats, a figure of all rows, and a curve for every swept setting."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_json, write_text
from usvi_bench.core.record import read_record, write_record
from usvi_bench.leaderboard.markdown import page
from usvi_bench.reports.ablation_effects import effects_table
from usvi_bench.reports.ablation_table import (
    GRID,
    Ablation,
    Line,
    csv_table,
    latex_table,
    markdown_table,
    read_ablation,
)
from usvi_bench.reports.style import NEUTRAL, PALETTE, SMALL, new_figure, save_figure, stamp, styled

DRAWN = ("mAP", "R1")
COLOURS = {"mAP": PALETTE[0], "R1": PALETTE[1]}
MARKERS = {"mAP": "o", "R1": "s"}
NAMES = {"mAP": "mAP", "R1": "rank-1"}
SWEPT = 3
"""Different values of a setting that make a sweep."""
ROW_HEIGHT = 0.34
"""Inches of a row in the figure of all rows: its name, and a bar for each metric."""


@dataclass(frozen=True)
class Sweep:
    """Rows that differ in one numeric setting only, by its value."""

    setting: str
    points: dict[float, Line]


def write_ablation(folder: Path) -> Path:
    """Write the table and the figures of an ablation's folder from its ``grid.json`` and the records it names.

    Returns:
        Path of ``table.md``.
    """
    ablation = read_ablation(folder)
    drawn: dict[str, tuple[str, Figure]] = {}
    with styled():
        if any(len(line.scores) for line in ablation.lines):
            drawn["rows"] = ("All rows", rows_figure(ablation))
        for sweep in sweeps(ablation):
            name = "sensitivity-" + sweep.setting.replace(".", "-")
            while name in drawn:
                name += "-again"
            drawn[name] = (f"Sensitivity to `{sweep.setting}`", sensitivity_figure(ablation, sweep))
        for name, (_, figure) in drawn.items():
            save_figure(figure, folder / name)
    pictures = [block for name, (title, _) in drawn.items() for block in (f"## {title}", f"![{title}]({name}.png)")]
    text = page(*_head(ablation), markdown_table(ablation), *_notes(ablation), *_effects(ablation), *pictures)
    for name, content in (("csv", csv_table(ablation)), ("tex", latex_table(ablation)), ("md", text)):
        write_text(folder / f"table.{name}", content)
    for old in [*folder.glob("*.png"), *folder.glob("*.svg")]:
        if old.stem not in drawn:
            old.unlink()
    return folder / "table.md"


def publish_ablation(folder: Path, place: Path) -> Path:
    """Table, figures and the records they are made from, and nothing else, in a folder that may be committed.

    What an earlier call put there is brought up to date.

    Returns:
        Path of ``table.md``; its folder is named after method and protocol.

    Raises:
        UsageError: the folder holds another grid.
    """
    about = json.loads((folder / GRID).read_text(encoding="utf-8"))
    target = place / f"{about['method']}-{about['protocol']}"
    check_publishable(about, target)
    for row in about["rows"]:
        for seed, run in row["runs"].items():
            row["runs"][seed] = f"jobs/{Path(run).name}"
            old, new = folder / run, target / row["runs"][seed]
            shutil.rmtree(new, ignore_errors=True)
            if (old / "record.json").exists():
                write_record(new / "record.json", read_record(old / "record.json"))
            elif (old / "error.json").exists():
                error = json.loads((old / "error.json").read_text(encoding="utf-8"))
                write_json(new / "error.json", {"message": error["message"]})
    named = {Path(run).name for row in about["rows"] for run in row["runs"].values()}
    for job in (target / "jobs").glob("*"):
        if job.name not in named:
            shutil.rmtree(job)
    write_json(target / GRID, about)
    return write_ablation(target)


def check_publishable(about: Mapping[str, Any], target: Path) -> None:
    """Whether a folder is free for a grid, or holds an earlier state of it.

    Raises:
        UsageError: neither, or what should be its parent is a file.
    """
    if target.parent.is_file():
        raise UsageError(f"--publish {target.parent} is a file; name a folder")
    if target.exists() and not (target / GRID).is_file():
        raise UsageError(f"--publish: {target} is there and is no published grid; name another folder")
    there = json.loads((target / GRID).read_text(encoding="utf-8")) if target.exists() else about
    for name in ("data", "setting", "settings"):
        if there[name] != about[name]:
            raise UsageError(f"--publish: {target} has {name} {there[name]}, not {about[name]}; name another folder")


def sweeps(ablation: Ablation) -> list[Sweep]:
    """Every numeric setting that takes three or more values while all others stay."""
    groups: dict[tuple[str, frozenset[tuple[str, Any]]], dict[float, Line]] = {}
    lines = [line for line in ablation.lines if len(line.scores)]
    for line in lines:
        for key in line.settings:
            groups.setdefault((key, _others(line, key)), {})
    for (key, rest), points in groups.items():
        for line in lines:
            value = line.values[key]
            if _others(line, key) == rest and isinstance(value, (int, float)) and not isinstance(value, bool):
                points.setdefault(float(value), line)
    return [Sweep(key, dict(sorted(points.items()))) for (key, _), points in groups.items() if len(points) >= SWEPT]


def rows_figure(ablation: Ablation) -> Figure:
    """Bars from zero, a pair a row, with the spread over seeds and a dot for each seed."""
    lines = ablation.lines
    figure, (axes,) = new_figure(height=0.7 + ROW_HEIGHT * len(lines))
    height = 0.3
    for i, line in enumerate(lines):
        axes.text(0, i - 0.3, f" {line.name}" + ("" if len(line.scores) else " (no result)"), va="center", fontsize=6)
        for j, metric in enumerate(DRAWN if len(line.scores) else ()):
            y = i + j * height
            values = 100 * line.scores[metric]
            axes.barh(y, values.mean(), height, color=COLOURS[metric], alpha=0.75, label=NAMES[metric])
            spread = values.std(ddof=1) if len(values) > 1 else 0.0
            if len(values) > 1:
                axes.errorbar(values.mean(), y, xerr=spread, color="0.2", capsize=1.5, linewidth=0.7, capthick=0.7)
                axes.plot(values, [y] * len(values), ".", color="0.2", markersize=2, alpha=0.7)
            end = max(values.mean() + spread, values.max())
            axes.annotate(
                f"{values.mean():.1f}", (end, y), (2, 0), textcoords="offset points", va="center", fontsize=SMALL
            )
    axes.set(xlabel="percent", yticks=[], ylim=(len(lines) - 0.4, -0.6))
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    _legend_above(axes)
    stamp(figure, f"{ablation.title}; {ablation.made_from}")
    return figure


def sensitivity_figure(ablation: Ablation, sweep: Sweep) -> Figure:
    """Mean and spread over seeds against the setting's value; the value of the full method is marked."""
    figure, (axes,) = new_figure()
    for metric in DRAWN:
        means = [100 * line.mean(metric) for line in sweep.points.values()]
        spreads = [100 * (line.sd(metric) or 0.0) for line in sweep.points.values()]
        style: dict[str, Any] = {"color": COLOURS[metric], "marker": MARKERS[metric], "label": NAMES[metric]}
        axes.errorbar(list(sweep.points), means, yerr=spreads if any(spreads) else None, capsize=2, **style)
    for value, line in sweep.points.items():
        if sweep.setting not in line.settings:
            axes.axvline(value, color=NEUTRAL, linestyle=":", linewidth=0.8, zorder=0, label="value of the method")
    axes.set(xlabel=sweep.setting, ylabel="percent")
    _legend_above(axes)
    stamp(figure, f"{ablation.title}; {ablation.made_from}")
    return figure


def _legend_above(axes: Axes) -> None:
    found = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))  # every label once
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "borderaxespad": 0.2}
    axes.legend(list(found.values()), list(found), ncols=len(found), **place)


def _others(line: Line, key: str) -> frozenset[tuple[str, Any]]:
    return frozenset((name, value) for name, value in line.settings.items() if name != key)


def _head(ablation: Ablation) -> Iterator[str]:
    about = ablation.about
    yield f"# Ablation: {ablation.title}"
    changed = (
        f" All rows: `{' '.join(f'{name}={value}' for name, value in about['settings'].items())}`."
        if about["settings"]
        else ""
    )
    yield f"Data: {about['data']}. Setting: {about['setting']}.{changed}"


def _notes(ablation: Ablation) -> Iterator[str]:
    threads = sorted({count for line in ablation.lines for count in line.threads})
    models = sorted({"+".join(sorted(line.models)) for line in ablation.lines if line.models})
    notes = [
        "Percent, mean ± sample standard deviation over n seeds; a run's figure is the mean over its folds and trials, "
        "weights of the last epoch. Δ: gain over the row above and over the first row, as the mean difference of runs "
        "with the same seed, ± the standard deviation of these differences.",
    ]
    if threads:
        notes.append(f"CPU threads a run: {', '.join(map(str, threads))} (the last bits depend on them).")
    if len(models) > 1:
        shown = "; ".join(f"{line.name}: {', '.join(sorted(line.models))}" for line in ablation.lines if line.models)
        notes.append(f"Whose scores: {shown}.")
    if any(line.dirty for line in ablation.lines):
        notes.append("†: at least one run was made from a tree with uncommitted changes.")
    lacking = [f"{line.name}, seed {seed}: {why}" for line in ablation.lines for seed, why in line.missing.items()]
    yield "\n".join(f"* {note}" for note in notes)
    if lacking:
        yield "Missing runs:"
        yield "\n".join(f"* {text}" for text in lacking)


def _effects(ablation: Ablation) -> Iterator[str]:
    if shown := effects_table(ablation):
        yield "## One setting at a time"
        yield shown
        yield (
            "* Gain of the value that the method has over another one, mean over the pairs of rows that differ in this "
            "setting alone: its main effect where the rows hold all combinations. Percent, ± sample standard deviation "
            "over the n seeds that all these pairs have."
        )
