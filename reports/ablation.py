"""Output of an ablation: its table in three formats, a figure of all rows, and a curve for each swept setting."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_json, write_text
from usvi_bench.core.formatting import file_name
from usvi_bench.core.markdown import address, bullets, code, page, plain
from usvi_bench.core.record import read_record, write_record
from usvi_bench.core.sealed import write_sealed_json
from usvi_bench.core.table import to_markdown
from usvi_bench.reports.ablation_effects import effects_table
from usvi_bench.reports.ablation_table import (
    GRID,
    Ablation,
    AblationRow,
    csv_table,
    latex_table,
    read_ablation,
    read_failure,
    read_grid,
    rows_table,
)
from usvi_bench.reports.style import LITERAL, NEUTRAL, PALETTE, SMALL, new_figure, save_figure, stamp, styled

DRAWN = ("mAP", "R1")
COLOURS = {"mAP": PALETTE[0], "R1": PALETTE[1]}
MARKERS = {"mAP": "o", "R1": "s"}
NAMES = {"mAP": "mAP", "R1": "rank-1"}
SWEPT = 3
"""Minimum number of values of a swept setting."""
ROW_HEIGHT = 0.34
"""Height in inches of a row in the figure of all rows: its name, and a bar for each metric."""


@dataclass(frozen=True)
class Sensitivity:
    """Sensitivity to one numeric setting: the rows that differ only in it, by value."""

    setting: str
    points: dict[float, AblationRow]


def write_ablation(folder: Path) -> Path:
    """Write the tables and figures of an ablation from its ``grid.json`` and records.

    Returns:
        Path of ``table.md``.
    """
    ablation = read_ablation(folder)
    drawn: dict[str, tuple[str, Figure]] = {}
    with styled(LITERAL):
        if any(len(row.scores) for row in ablation.rows):
            drawn["rows"] = ("All rows", rows_figure(ablation))
        for found in sensitivities(ablation):
            name = "sensitivity-" + file_name(found.setting.replace(".", "-"))
            while name in drawn:
                name += "-again"
            drawn[name] = (f"Sensitivity to {code(found.setting)}", sensitivity_figure(ablation, found))
        for name, (_, figure) in drawn.items():
            save_figure(figure, folder / name)
    pictures = [
        block for name, (title, _) in drawn.items() for block in (f"## {title}", f"![{title}]({address(name)}.png)")
    ]
    rows, effects = rows_table(ablation), effects_table(ablation)
    blocks = [
        f"# {plain(rows.title)}",
        conditions(ablation),
        to_markdown(rows),
        bullets(rows.notes),
        *_missing(ablation),
    ]
    if effects:
        blocks += ["## One setting at a time", to_markdown(effects), bullets(effects.notes)]
    text = page(*blocks, *pictures)
    for name, content in (("csv", csv_table(ablation)), ("tex", latex_table(ablation)), ("md", text)):
        write_text(folder / f"table.{name}", content)
    for kind in ("png", "svg", "pdf"):
        for old in (folder / f"rows.{kind}", *folder.glob(f"sensitivity-*.{kind}")):
            if old.stem not in drawn:
                old.unlink(missing_ok=True)
    return folder / "table.md"


def conditions(ablation: Ablation) -> str:
    """Describe in Markdown the data and settings that all rows share."""
    about = ablation.about
    changed = " ".join(f"{name}={value}" for name, value in about["settings"].items())
    shared = f" All rows: {code(changed)}." if changed else ""
    schedule = f" Schedule: {plain(about['schedule'])}." if "schedule" in about else ""
    return f"Data: {plain(about['data'])}. Setting: {plain(about['setting'])}.{schedule}{shared}"


def publish_ablation(folder: Path, place: Path) -> Path:
    """Write only the tables, figures and records of an ablation to a folder that can be committed.

    Results of an earlier call are updated.

    Returns:
        Path of ``table.md``; its folder is named after method and protocol.

    Raises:
        UsageError: the target has another grid.
    """
    about = read_grid(folder)
    target = published_folder(about, place)
    check_publishable(about, target)
    for row in about["rows"]:
        for seed, run in row["runs"].items():
            row["runs"][seed] = f"jobs/{Path(run).name}"
            old, new = folder / run, target / row["runs"][seed]
            shutil.rmtree(new, ignore_errors=True)
            if (old / "record.json").exists():
                write_record(new / "record.json", read_record(old / "record.json"))
            elif (error := read_failure(old)) is not None:
                write_json(new / "error.json", {"message": error})
    named = {Path(run).name for row in about["rows"] for run in row["runs"].values()}
    for job in (target / "jobs").glob("*"):
        if job.name not in named:
            shutil.rmtree(job)
    write_sealed_json(target / GRID, about)
    return write_ablation(target)


def published_folder(about: Mapping[str, Any], place: Path) -> Path:
    """Return the folder in ``place`` of the ablation of a method and a protocol."""
    return place / file_name(f"{about['method']}-{about['protocol']}")


def check_publishable(about: Mapping[str, Any], target: Path) -> None:
    """Check that a folder does not exist or has an earlier state of the same grid.

    Raises:
        UsageError: the folder has other content, or its parent is a file.
    """
    if target.parent.is_file():
        raise UsageError(f"--publish {target.parent} is a file; choose a folder")
    if target.exists() and not (target / GRID).is_file():
        raise UsageError(f"--publish: {target} exists and is not a published grid; choose another folder")
    there = read_grid(target) if target.exists() else about
    for name in ("data", "setting", "settings", "schedule"):
        old, new = there.get(name), about.get(name)
        if old != new:
            raise UsageError(f"--publish: {target} has {name} {old}, not {new}; choose another folder")
    before, after = ({row["name"]: row for row in content["rows"]} for content in (there, about))
    both = before.keys() & after.keys()
    if len(both) < min(len(before), len(after)) or any(_differ(before[name], after[name]) for name in both):
        raise UsageError(
            f"--publish: {target} has another grid, or rows with other weights, donors or defaults; choose another "
            "folder, or remove this one"
        )


def _differ(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two states of a row have other settings, or other runs of the same seed."""
    first, second = ({seed: Path(run).name for seed, run in each["runs"].items()} for each in (row, other))
    return row["settings"] != other["settings"] or any(first[seed] != second[seed] for seed in first.keys() & second)


def sensitivities(ablation: Ablation) -> list[Sensitivity]:
    """Find each numeric setting with three or more values while all other settings are fixed."""
    groups: dict[tuple[str, frozenset[tuple[str, Any]]], dict[float, AblationRow]] = {}
    rows = [row for row in ablation.rows if len(row.scores)]
    for row in rows:
        for key in row.settings:
            groups.setdefault((key, _others(row, key)), {})
    for (key, rest), points in groups.items():
        for row in rows:
            value = row.values[key]
            if _others(row, key) == rest and isinstance(value, (int, float)) and not isinstance(value, bool):
                points.setdefault(float(value), row)
    return [
        Sensitivity(key, dict(sorted(points.items()))) for (key, _), points in groups.items() if len(points) >= SWEPT
    ]


def rows_figure(ablation: Ablation) -> Figure:
    """Draw a pair of bars per row, with the standard deviation over seeds and a dot for each seed."""
    rows = ablation.rows
    figure, (axes,) = new_figure(height=0.7 + ROW_HEIGHT * len(rows))
    height = 0.3
    for i, row in enumerate(rows):
        axes.text(0, i - 0.3, f" {row.name}" + ("" if len(row.scores) else " (no result)"), va="center", fontsize=6)
        for j, metric in enumerate(DRAWN if len(row.scores) else ()):
            y = i + j * height
            values = 100 * row.scores[metric]
            axes.barh(y, values.mean(), height, color=COLOURS[metric], alpha=0.75, label=NAMES[metric])
            spread = values.std(ddof=1) if len(values) > 1 else 0.0
            if len(values) > 1:
                axes.errorbar(values.mean(), y, xerr=spread, color="0.2", capsize=1.5, linewidth=0.7, capthick=0.7)
                axes.plot(values, [y] * len(values), ".", color="0.2", markersize=2, alpha=0.7)
            end = max(values.mean() + spread, values.max())
            axes.annotate(
                f"{values.mean():.1f}", (end, y), (2, 0), textcoords="offset points", va="center", fontsize=SMALL
            )
    axes.set(xlabel="percent", yticks=[], ylim=(len(rows) - 0.4, -0.6))
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    _legend_above(axes)
    stamp(figure, f"{ablation.title}; {ablation.made_from}")
    return figure


def sensitivity_figure(ablation: Ablation, found: Sensitivity) -> Figure:
    """Draw mean and spread over seeds against the value of a setting; the value of the full method is marked."""
    figure, (axes,) = new_figure()
    for metric in DRAWN:
        means = [100 * row.mean(metric) for row in found.points.values()]
        spreads = [100 * (row.sd(metric) or 0.0) for row in found.points.values()]
        style: dict[str, Any] = {"color": COLOURS[metric], "marker": MARKERS[metric], "label": NAMES[metric]}
        axes.errorbar(list(found.points), means, yerr=spreads if any(spreads) else None, capsize=2, **style)
    for value, row in found.points.items():
        if found.setting not in row.settings:
            axes.axvline(value, color=NEUTRAL, linestyle=":", linewidth=0.8, zorder=0, label="value of the method")
    axes.set(xlabel=found.setting, ylabel="percent")
    _legend_above(axes)
    stamp(figure, f"{ablation.title}; {ablation.made_from}")
    return figure


def _legend_above(axes: Axes) -> None:
    found = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))  # each label once
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "borderaxespad": 0.2}
    axes.legend(list(found.values()), list(found), ncols=len(found), **place)


def _others(row: AblationRow, key: str) -> frozenset[tuple[str, Any]]:
    return frozenset((name, value) for name, value in row.settings.items() if name != key)


def _missing(ablation: Ablation) -> Iterator[str]:
    lacking = [plain(f"{row.name}, seed {seed}: {why}") for row in ablation.rows for seed, why in row.missing.items()]
    if lacking:
        yield "Missing runs:"
        yield bullets(lacking)
