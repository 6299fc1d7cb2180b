"""Generation of the site from records, published figures, method files and reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from usvi_bench.core.files import write_bytes
from usvi_bench.core.record import Record
from usvi_bench.core.table import Cell
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
from usvi_bench.leaderboard.external_table import trained
from usvi_bench.leaderboard.published import Published, choose, find_published, footnote, read_figures
from usvi_bench.leaderboard.published_page import ORDER_NOTE, ORDER_TITLE, PLOT, READING_RULES, published_tables
from usvi_bench.leaderboard.record_pages import KNOBS_NOTE
from usvi_bench.leaderboard.score_table import PROTOCOLS, ScoreTable, score_tables
from usvi_bench.reports.run_scores import run_scores
from usvi_bench.reports.site.ablations import AblationPage, find_ablations
from usvi_bench.reports.site.board import SITE_RULES, axis_of, board_json, drawn_table
from usvi_bench.reports.site.find_runs import RunPage, find_runs
from usvi_bench.reports.site.methods import MethodPage, read_methods
from usvi_bench.reports.site.overview import method_table, panels
from usvi_bench.reports.site.published import PLOTS, describe_published, draw_plots, published_json
from usvi_bench.reports.site.query_results import QueryPages
from usvi_bench.reports.site.render import HERE, render
from usvi_bench.reports.site.report_file import StoredReport
from usvi_bench.reports.site.run_report import prepare_report
from usvi_bench.reports.site.runs import command_of, method_link, report_context, run_facts, runs_table, settings_table

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

    @property
    def real_sections(self) -> list[BoardSection]:
        """Sections whose people are real."""
        return [section for section in self.sections if not section.scores.key.synthetic]

    @property
    def synthetic_sections(self) -> list[BoardSection]:
        """Sections whose people are synthetic."""
        return [section for section in self.sections if section.scores.key.synthetic]


def read_content(leaderboard: Path, runs: Path | None, say: Callable[[str], None] = lambda _: None) -> Content:
    """Read the folder of the leaderboard and optionally a folder of finished runs.

    Args:
        leaderboard: folder of the records and ``published.csv``.
        runs: folder of finished runs, or None.
        say: function that receives a notice about each damaged run or ablation in ``runs``, which is skipped.

    Raises:
        UsageError: a record, an ablation or a line of the published figures in ``leaderboard`` is damaged.
    """
    records = trained(load_records(leaderboard / "records"))
    published = choose(read_figures(leaderboard / "published.csv"))
    scores = score_tables(records)
    return Content(
        records=records,
        scores=scores,
        sections=[replace(section, table=drawn_table(section)) for section in board_sections(scores, published)],
        published=published,
        methods=read_methods(),
        runs=find_runs(records, runs, leaderboard / REPORTS, say),
        ablations=find_ablations(leaderboard / "ablations", runs, say),
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
        say: function that receives a progress message before each report is drawn, and notices about damaged reports.
    """
    reported, queries = set(), QueryPages(content.runs, content.scores, say)
    for run in content.runs:
        pictures = run.synthetic or with_pictures
        report = prepare_report(run, (output / run.address).parent, pictures, say)
        reported |= set() if report is None else {run.name}
        _write(output / run.address, _run_page(run, report, pictures, queries.context(run)).encode())
    shown = {
        run.name: [word for word, there in (("report", run.name in reported), ("queries", queries.has(run))) if there]
        for run in content.runs
    }
    for name, text in _pages(content, shown):
        _write(output / name, text.encode())
    for name, plot in draw_plots(content.published):
        write_bytes(output / name, plot)
    for ablation in content.ablations:
        for file, image in ablation.images():
            _write(output / "methods" / ablation.name / file, image)
    for asset in sorted((HERE / "static").iterdir()):
        _write(output / "assets" / asset.name, asset.read_bytes())
    _write(output / "assets" / PLOTLY, files("plotly").joinpath("package_data", PLOTLY).read_bytes())


def _pages(content: Content, shown: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    real, synthetic = content.real_sections, content.synthetic_sections
    models_rules = [MODELS_RULE] if any(section.asides for section in content.sections) else []
    published_rules = [PUBLISHED_RULE.format("published.html")] if real else []
    yield (
        "index.html",
        render(
            "start.html",
            "index.html",
            real=panels(real),
            synthetic=panels(synthetic),
            count=len({row.method for s in content.sections for row in s.scores.rows if row.competes}),
            methods=content.methods,
        ),
    )
    yield (
        "leaderboard.html",
        render(
            "board.html",
            "leaderboard.html",
            real=real,
            synthetic=synthetic,
            axis=axis_of,
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
        yield page, render("method.html", page, method=method, **_method_context(method, content, shown))
    yield (
        "runs/index.html",
        render(
            "runs.html",
            "runs/index.html",
            committed=runs_table("Runs of the leaderboard", [run for run in content.runs if run.committed], shown),
            local=runs_table(
                "Further runs on the machine that built this site",
                [run for run in content.runs if not run.committed],
                shown,
            ),
        ),
    )
    yield (
        "published.html",
        render(
            "published.html",
            "published.html",
            plot=PLOT,
            sources=[(name, media) for name, (media, *_) in PLOTS.items() if media],
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


def _method_context(method: MethodPage, content: Content, shown: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Collect rows of tables, runs, ablations and published figures of a method."""
    places = []
    for section in content.sections:
        pairs = zip(section.table.rows, section.scores.rows, strict=True)
        rows = [row for row, scores in pairs if scores.method == method.name]
        if rows:
            places.append((replace(section.table, rows=rows, footnotes=()), axis_of(section)))
    found = [find_published(content.published, method.name, protocol, 1) for protocol in PROTOCOLS]
    groups = ((content.real_sections, "real data"), (content.synthetic_sections, "synthetic people"))
    short = [method_table(method.name, sections, people) for sections, people in groups]
    return {
        "places": places,
        "short": [table for table in short if table is not None],
        "runs": runs_table("Runs", [run for run in content.runs if run.record.result.method == method.name], shown),
        "ablations": [ablation for ablation in content.ablations if ablation.method == method.name],
        "published": [
            (e.shown, protocol_name(e.shown.protocol, synthetic=False), footnote(e)) for e in found if e is not None
        ],
    }


def _run_page(run: RunPage, report: StoredReport | None, pictures: bool, queries: Mapping[str, Any]) -> str:
    return render(
        "run.html",
        run.address,
        run=run,
        record=run.record,
        synthetic=run.synthetic,
        refusal="" if pictures else REFUSAL,
        facts=run_facts(run.record),
        scores=run_scores(run.record),
        method=Cell([method_link(run.record)]),
        settings=settings_table(run.record),
        command=command_of(run.record),
        report=None if report is None else report_context(report.content, pictures),
        queries=queries,
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _json(content: object) -> str:
    return json.dumps(content, indent=1, sort_keys=True) + "\n"
