"""Content of the page of a run, from its record and report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.formatting import MISSING, counted
from usvi_bench.core.markdown import code, plain
from usvi_bench.core.record import Record
from usvi_bench.core.revision import ROOT
from usvi_bench.core.settings import flatten
from usvi_bench.core.table import Cell, Link, Table, TableRow, percent_cell, value_cell, value_rows
from usvi_bench.engine.recorded_experiment import recorded_experiment
from usvi_bench.leaderboard.board import lacking, protocol_name
from usvi_bench.leaderboard.plugin_words import plugin_words
from usvi_bench.leaderboard.score_table import gallery_words
from usvi_bench.reports.page import table_from_json
from usvi_bench.reports.site.find_runs import RunPage

IN_RECORD = ("scores", "made")
"""Sections of a report that the page already shows from the record."""
EXPLORED = ("tsne", "rankings")
"""Parts of a report's ``data`` that the page shows interactively."""


def run_facts(record: Record) -> list[tuple[str, str]]:
    """List protocol, data, settings, time and machine of a run; values are Markdown."""
    result, made = record.result, record.provenance
    commit = code((made["commit"] or "unknown")[:10]) + (" with uncommitted changes" if made["dirty"] else "")
    minutes = ", ".join(f"{plain(phase)} {seconds / 60:.1f}" for phase, seconds in sorted(made["seconds"].items()))
    data, weights = result.dataset, result.start_weights
    protocol = protocol_name(result.protocol, data["synthetic"] is not None)
    return [
        ("Protocol", plain(f"{protocol}, {gallery_words(*_gallery(record))}")),
        ("Data", f"{plain(data['description'])}; fingerprint {code(data['fingerprint'][:22])}"),
        (
            "Setting",
            f"{plain(result.setting)}, {plain(result.form)} form, seed {result.seed}, "
            f"configuration {code(result.config_hash[:10])}",
        ),
        ("Start", plain(weights["source"]) + (f", sha256 {code(weights['sha256'][:10])}" if weights["sha256"] else "")),
        ("Minutes", minutes or MISSING),
        ("Peak memory", MISSING if made["peak_memory_mib"] is None else f"{made['peak_memory_mib']:.0f} MiB"),
        ("Made on", plain(f"{made['gpu'] or made['cpu']}, {counted(made['threads'], 'thread')}")),
        ("Code", f"commit {commit}, finished {plain(made['finished'][:10])}"),
        *(("Plug-in", code(words)) for words in plugin_words(record)),
    ]


def _gallery(record: Record) -> tuple[int | None, str]:
    return record.result.headline["shots"], record.result.headline["gallery"]


def command_of(record: Record) -> str:
    """Return the command that repeats a run with the code of its commit."""
    try:
        experiment = recorded_experiment(record)
    except UsageError as error:  # a record of unknown origin
        return f"# no command: {error}"
    weights = Path(experiment.weights or "")
    if weights.is_relative_to(ROOT):
        experiment = replace(experiment, weights=weights.relative_to(ROOT).as_posix())
    return shlex.join(["python", "run.py", *experiment.words()])


def settings_table(record: Record) -> Table:
    """List the resolved configuration as a table."""
    settings = sorted((code(name), code(str(value))) for name, value in flatten(record.result.config).items())
    return Table("All settings", ["Setting", "Value"], value_rows(settings), words=2)


def runs_table(title: str, runs: Sequence[RunPage], shown: Mapping[str, Sequence[str]]) -> Table:
    """List runs with their headline scores as a table; ``shown`` names the further parts of the page of each run."""
    columns = ["Run", "Method", "Protocol", "Seed", "R1", "mAP", "mINP", "minutes", "page also has"]
    return Table(title, columns, [_run_row(run, shown[run.name]) for run in runs], words=3, left=columns[-1:])


def method_link(record: Record) -> str | Link:
    """Return the name of the method, as a link unless plug-ins may have changed the method."""
    method = record.result.method
    return method if record.plugins else Link(method, "method", method)


def _run_row(run: RunPage, shown: Sequence[str]) -> TableRow:
    result, means = run.record.result, run.record.means()
    minutes = sum(run.record.provenance["seconds"].values()) / 60
    name = Link(run.name.removeprefix("local/"), "run", run.name)
    cells = [
        Cell([name], tag="(incomplete)" if lacking(run.record) else ""),
        Cell([method_link(run.record)]),
        Cell(result.protocol),
        value_cell(result.seed),
        *(percent_cell(means.get(metric)) for metric in ("R1", "mAP", "mINP")),
        value_cell(minutes),
        Cell(", ".join(shown) or "settings", len(shown)),
    ]
    return TableRow(cells, quiet=result.uses_identities or result.method == "untrained")


def report_context(report: Mapping[str, Any], pictures: bool) -> dict[str, Any]:
    """Convert a report to variables of the template.

    Args:
        report: content of ``report.json``.
        pictures: whether pictures of people may be shown; if not, their addresses are omitted.
    """
    figures = {figure["id"]: figure for figure in report["figures"]}
    tables = {table["id"]: table_from_json(table) for table in report["tables"]}
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
                "tables": [tables[name] for name in section["tables"]],
            }
            for section in report["sections"]
            if section["id"] not in IN_RECORD
        ],
        "explored": {**data, "images": images} if data else {},
    }
