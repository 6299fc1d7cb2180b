"""What a run's page shows: its record, and the report that was made of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.revision import ROOT
from usvi_bench.core.settings import flatten
from usvi_bench.engine.experiment import Experiment
from usvi_bench.leaderboard.build import lacking
from usvi_bench.leaderboard.markdown import MISSING, counted
from usvi_bench.leaderboard.table import gallery_words
from usvi_bench.reports.site.board import protocol_name
from usvi_bench.reports.site.find_runs import RunSource
from usvi_bench.reports.site.grid import Cell, Grid, Line, Link, figure_cell

IN_RECORD = ("scores", "made")
"""Sections of a report that say what the page shows of the record anyway."""
EXPLORED = ("tsne", "rankings")
"""Parts of a report's ``data`` that a page lets its reader walk through."""


def run_facts(record: Record) -> list[tuple[str, str]]:
    """What was run, on what, where and for how long; values in Markdown."""
    result, made = record.result, record.provenance
    commit = f"`{(made['commit'] or 'unknown')[:10]}`" + (" with uncommitted changes" if made["dirty"] else "")
    minutes = ", ".join(f"{phase} {seconds / 60:.1f}" for phase, seconds in sorted(made["seconds"].items()))
    weights, synthetic = result.start_weights, result.dataset["synthetic"] is not None
    return [
        ("Protocol", f"{protocol_name(result.protocol, synthetic)}, {gallery_words(*_gallery(record))}"),
        ("Data", f"{result.dataset['description']}; fingerprint `{result.dataset['fingerprint'][:22]}`"),
        ("Setting", f"{result.setting}, seed {result.seed}, configuration `{result.config_hash[:10]}`"),
        ("Start", weights["source"] + (f", sha256 `{weights['sha256'][:10]}`" if weights["sha256"] else "")),
        ("Minutes", minutes or MISSING),
        ("Peak memory", MISSING if made["peak_memory_mib"] is None else f"{made['peak_memory_mib']:.0f} MiB"),
        ("Made on", f"{made['gpu'] or made['cpu']}, {counted(made['threads'], 'thread')}"),
        ("Code", f"commit {commit}, finished {made['finished'][:10]}"),
    ]


def _gallery(record: Record) -> tuple[int | None, str]:
    return record.result.headline["shots"], record.result.headline["gallery"]


def command_of(record: Record) -> str:
    """Return the command that repeats a run with the code of its commit."""
    experiment = Experiment.from_record(record)
    weights = Path(experiment.weights or "")
    if weights.is_relative_to(ROOT):
        experiment = replace(experiment, weights=weights.relative_to(ROOT).as_posix())
    return shlex.join(["python", "run.py", *experiment.words()])


def score_grid(record: Record) -> Grid:
    """Every kind of score of the run, mean over folds and trials; chance last."""
    result = record.result
    lines = []
    for model, selection in dict.fromkeys((score.model, score.selection) for score in result.scores):
        found = record.means(model=model, selection=selection)
        if not found:
            continue
        head = (model, selection) == (result.headline["model"], result.headline["selection"])
        tag = "headline" if head else "best epoch by test score, no result" if selection == "oracle" else ""
        means = [figure_cell(found[metric]) for metric in METRICS]
        lines.append(Line([Cell(model, tag=tag), *means], quiet=not head))
    lines.append(Line([Cell("chance"), *(figure_cell(result.chance.get(metric)) for metric in METRICS)], quiet=True))
    done = record.scores()
    folds = len({score.fold for score in done})
    note = f"Percent; mean over {counted(len(done), 'trial')} in {counted(folds, 'fold')}. One seed, hence no spread."
    return Grid(
        "Scores", ["Model", *METRICS], lines, notes=[note, *(f"Incomplete: {text}." for text in lacking(record))]
    )


def settings_of(record: Record) -> list[tuple[str, str]]:
    """The resolved configuration, flat."""
    return sorted((name, str(value)) for name, value in flatten(record.result.config).items())


def runs_grid(caption: str, runs: Sequence[RunSource]) -> Grid:
    """A line a run, with its headline scores."""
    return Grid(
        caption,
        ["Run", "Method", "Protocol", "Seed", "R1", "mAP", "mINP", "min", "Report"],
        [_run_line(run) for run in runs],
        words=3,
    )


def _run_line(run: RunSource) -> Line:
    result, means = run.record.result, run.record.means()
    minutes = sum(run.record.provenance["seconds"].values()) / 60
    name = run.name.removeprefix("local/")
    return Line(
        [
            Cell(links=[Link(name, run.page)], tag="incomplete" if lacking(run.record) else ""),
            Cell(links=[Link(result.method, f"methods/{result.method}.html")]),
            Cell(result.protocol),
            Cell(str(result.seed), result.seed),
            *(figure_cell(means.get(m)) for m in ("R1", "mAP", "mINP")),
            Cell(f"{minutes:.1f}", round(minutes, 4)),
            Cell("yes" if run.has_report else MISSING, float(run.has_report)),
        ],
        quiet=result.uses_identities or result.method == "untrained",
    )


def report_context(report: Mapping[str, Any], pictures: bool) -> dict[str, Any]:
    """A report's content as the template takes it.

    Args:
        report: content of ``report.json``.
        pictures: whether pictures of people may be shown; without, their addresses are left out.
    """
    figures = {figure["id"]: figure for figure in report["figures"]}
    grids = {table["id"]: _report_grid(table) for table in report["tables"]}
    data = {name: report["data"][name] for name in EXPLORED if report["data"].get(name)}
    images = [{**image, "picture": image["picture"] if pictures else None} for image in report["images"]]
    return {
        "summary": report["summary"],
        "notes": report["notes"],
        "pictures": report["pictures"],
        "sections": [
            {
                **section,
                "figures": [figures[name] for name in section["figures"]],
                "tables": [grids[name] for name in section["tables"]],
            }
            for section in report["sections"]
            if section["id"] not in IN_RECORD
        ],
        "explored": {**data, "images": images} if data else {},
    }


def _report_grid(table: Mapping[str, Any]) -> Grid:
    form = ".1f" if table["note"].startswith("Percent") else ".3g"
    lines = [Line([_cell(value, form) for value in row]) for row in table["rows"]]
    return Grid(table["title"], table["columns"], lines, notes=[table["note"]] if table["note"] else [])


def _cell(value: object, form: str) -> Cell:
    if value is None:
        return Cell(MISSING)
    if isinstance(value, float):
        return Cell(f"{value:{form}}", value)
    return Cell(str(value), value if isinstance(value, int) else None)


def report_files(report: Mapping[str, Any], pictures: bool) -> list[Path]:
    """Files beside ``report.json`` that a page shows, relative to it."""
    names = [figure[kind] for figure in report["figures"] for kind in ("svg", "png") if figure.get(kind)]
    shown = [image["picture"] for image in report["images"] if pictures and image["picture"]]
    return [Path(name) for name in dict.fromkeys([*names, *shown])]
