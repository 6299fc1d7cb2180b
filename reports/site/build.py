"""Generation of the site from records, published figures, method files and reports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import StorageError, UsageError
from usvi_bench.core.files import write_bytes
from usvi_bench.core.record import Record
from usvi_bench.leaderboard.board import BoardSection, board_sections, lacking, protocol_name
from usvi_bench.leaderboard.build import (
    DIRTY_RULE,
    MODELS_RULE,
    PUBLISHED_RULE,
    REPORTS,
    RULES,
    SYNTHETIC_NOTE,
    load_records,
)
from usvi_bench.leaderboard.published import Published, choose, find_published, footnote, read_figures
from usvi_bench.leaderboard.published_page import ORDER_NOTE, ORDER_TITLE, PLOT, READING_RULES, published_tables
from usvi_bench.leaderboard.published_plot import draw_published
from usvi_bench.leaderboard.record_pages import KNOBS_NOTE
from usvi_bench.leaderboard.score_table import PROTOCOLS, ScoreTable, score_tables
from usvi_bench.reports.report import write_report
from usvi_bench.reports.run_scores import run_scores
from usvi_bench.reports.site.ablations import AblationPage, find_ablations
from usvi_bench.reports.site.board import SITE_RULES, board_json, drawn_table
from usvi_bench.reports.site.find_runs import REPORT, RunPage, find_runs, read_json, read_report
from usvi_bench.reports.site.methods import MethodPage, read_methods
from usvi_bench.reports.site.published import describe_published, published_json
from usvi_bench.reports.site.render import HERE, render
from usvi_bench.reports.site.runs import command_of, report_context, report_files, run_facts, runs_table, settings_table

PLOTLY = "plotly.min.js"
REFUSAL = (
    "The people in these images are real and did not consent to publication, so their pictures are not shown. For "
    "private use of a lawfully held data set, `python run.py site --with-pictures` builds a site with them."
)


@dataclass(frozen=True, slots=True)
class Content:
    """Content of all pages; ``sections`` are the formatted ``scores``."""

    records: Mapping[str, Record]
    scores: Sequence[ScoreTable]
    sections: Sequence[BoardSection]
    published: Sequence[Published]
    methods: Sequence[MethodPage]
    runs: Sequence[RunPage]
    ablations: Sequence[AblationPage]


def read_content(leaderboard: Path, runs: Path | None) -> Content:
    """Read the folder of the leaderboard and optionally a folder of finished runs.

    Raises:
        UsageError: a record, a report or a line of the published figures is damaged.
    """
    records = load_records(leaderboard / "records")
    published = choose(read_figures(leaderboard / "published.csv"))
    scores = score_tables(records)
    return Content(
        records=records,
        scores=scores,
        sections=[replace(section, table=drawn_table(section)) for section in board_sections(scores, published)],
        published=published,
        methods=read_methods(),
        runs=find_runs(records, runs, leaderboard / REPORTS),
        ablations=find_ablations(leaderboard / "ablations", runs),
    )


def build_site(
    content: Content, output: Path, with_pictures: bool = False, say: Callable[[str], None] = lambda _: None
) -> None:
    """Write all pages to an empty folder; equal content gives equal bytes.

    For a run without a report, a report is written to its folder, so that it is drawn only once. Reports with pictures
    of real people are written only to the site.

    Args:
        content: result of :func:`read_content`.
        output: empty folder.
        with_pictures: show pictures of people even if they are real.
        say: function that receives a progress message before each report is drawn.
    """
    for run in content.runs:
        _write(output / run.address, _run_page(run, output / run.address, with_pictures, say))
    for name, text in _pages(content):
        _write(output / name, text)
    write_bytes(output / PLOT, draw_published(content.published))
    for ablation in content.ablations:
        for file in (f"{figure}.{kind}" for figure in ablation.figures for kind in ("svg", "png")):
            _copy(ablation.folder / file, output / "methods" / ablation.name / file)
    for asset in sorted((HERE / "static").iterdir()):
        _copy(asset, output / "assets" / asset.name)
    (output / "assets" / PLOTLY).write_bytes(files("plotly").joinpath("package_data", PLOTLY).read_bytes())


def _pages(content: Content) -> Iterator[tuple[str, str]]:
    real = [section for section in content.sections if not section.scores.key.synthetic]
    models_rules = [MODELS_RULE] if any(section.asides for section in content.sections) else []
    published_rules = [PUBLISHED_RULE.format("published.html")] if real else []
    yield (
        "index.html",
        render(
            "board.html",
            "index.html",
            real=real,
            synthetic=[section for section in content.sections if section.scores.key.synthetic],
            synthetic_note=SYNTHETIC_NOTE,
            rules="\n".join([RULES, *models_rules, SITE_RULES, DIRTY_RULE, *published_rules]),
            incomplete=[(run, lacks) for run in content.runs if run.committed and (lacks := lacking(run.record))],
        ),
    )
    yield (
        "knobs.html",
        render(
            "knobs.html",
            "knobs.html",
            tables=[table for section in content.sections for table in section.knobs],
            note=KNOBS_NOTE,
        ),
    )
    yield "methods/index.html", render("methods.html", "methods/index.html", methods=content.methods)
    for method in content.methods:
        page = f"methods/{method.name}.html"
        yield page, render("method.html", page, method=method, **_method_context(method, content))
    yield (
        "runs/index.html",
        render(
            "runs.html",
            "runs/index.html",
            committed=runs_table("Runs of the leaderboard", [run for run in content.runs if run.committed]),
            local=runs_table(
                "Further runs on the machine that built this site", [run for run in content.runs if not run.committed]
            ),
        ),
    )
    yield (
        "published.html",
        render(
            "published.html",
            "published.html",
            plot=PLOT,
            words=describe_published(content.published),
            tables=published_tables(content.published),
            orders=[section.order for section in content.sections if section.order],
            order_title=ORDER_TITLE,
            order_note=ORDER_NOTE,
            rules=READING_RULES,
        ),
    )
    yield "leaderboard.json", _json(board_json(content.scores, content.records))
    yield "published.json", _json(published_json(content.published))


def _method_context(method: MethodPage, content: Content) -> dict[str, Any]:
    """Collect rows of tables, runs, ablations and published figures of a method."""
    places = []
    for section in content.sections:
        pairs = zip(section.table.rows, section.scores.rows, strict=True)
        rows = [row for row, scores in pairs if scores.method == method.name]
        if rows:
            places.append(replace(section.table, rows=rows, footnotes=()))
    found = [find_published(content.published, method.name, protocol, 1) for protocol in PROTOCOLS]
    return {
        "places": places,
        "runs": runs_table("Runs", [run for run in content.runs if run.record.result.method == method.name]),
        "ablations": [ablation for ablation in content.ablations if ablation.method == method.name],
        "published": [
            (e.shown, protocol_name(e.shown.protocol, synthetic=False), footnote(e)) for e in found if e is not None
        ],
    }


def _run_page(run: RunPage, page: Path, with_pictures: bool, say: Callable[[str], None]) -> str:
    """Render the page of a run, and copy the figures of its report."""
    synthetic = run.record.result.dataset["synthetic"] is not None
    pictures = synthetic or with_pictures
    folder, report = _report(run, page.parent, pictures, say)
    if report is not None:
        for name in report_files(report, pictures):
            if folder != page.parent:
                _copy(folder / name, page.parent / name)
    return render(
        "run.html",
        run.address,
        run=run,
        record=run.record,
        synthetic=synthetic,
        refusal="" if pictures else REFUSAL,
        facts=run_facts(run.record),
        scores=run_scores(run.record),
        settings=settings_table(run.record),
        command=command_of(run.record),
        report=None if report is None else report_context(report, pictures),
    )


def _report(
    run: RunPage, place: Path, pictures: bool, say: Callable[[str], None]
) -> tuple[Path, dict[str, Any] | None]:
    """Return the folder and content of a run's report, drawn if necessary.

    An existing report is used unless it is damaged, or shows pictures of real people contrary to ``pictures``; then a
    new report is written, in the second case to ``place``. A report is also written there if the folder of the run is
    not writable.
    """
    synthetic = run.record.result.dataset["synthetic"] is not None
    damaged = False
    if run.report is not None:
        try:
            report = read_report(run.report)
            if synthetic or report["pictures"]["shown"] == pictures:
                return run.report, report
        except UsageError as error:
            if run.folder is None:
                raise
            damaged = True
            say(f"{error}; drawing it again")
    if run.folder is None:
        return place, None
    say(f"drawing the report of {run.name}")
    if (damaged or run.report is None) and (synthetic or not pictures):
        with suppress(OSError, StorageError):
            kept = run.folder / "report"
            write_report(run.folder, kept, with_pictures=pictures)
            return kept, read_json(kept / REPORT)
    write_report(run.folder, place, with_pictures=pictures)
    return place, read_json(place / REPORT)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _json(content: object) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
