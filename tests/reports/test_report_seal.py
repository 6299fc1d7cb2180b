"""Damage of a report or of a journal is noticed before a page shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.leaderboard.records import make_record
from tests.reports.fake_run import make_run
from usvi_bench.core.errors import DamagedFileError
from usvi_bench.core.journal import Journal
from usvi_bench.core.record import read_record, write_record
from usvi_bench.reports.report import write_report
from usvi_bench.reports.runs import find_recorded_runs
from usvi_bench.reports.site.build import build_site, read_content
from usvi_bench.reports.site.report_file import read_report

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_run(tmp_path_factory.mktemp("sealed"), lean=True)).parent


def test_each_file_that_the_report_names_is_checked(report: Path) -> None:
    stored = read_report(report, read_record(report.parent / "record.json"))
    drawn = {path.name for path in report.iterdir() if path.suffix in (".png", ".svg", ".pdf")}
    copied = {figure[kind] for figure in stored.content["figures"] for kind in ("svg", "png")}  # by the site
    shown = {image["picture"] for image in stored.content["images"]} - {None}
    assert drawn
    assert shown
    assert stored.content["files"].keys() == drawn | shown
    for name in (*sorted(copied), *sorted(shown)):
        whole = (report / name).read_bytes()
        (report / name).write_bytes(whole + b"\n")
        with pytest.raises(ValueError, match=f"{name} is (damaged|not)"):
            list(stored.images(pictures=True))
        (report / name).write_bytes(whole)
    assert {name for name, _ in stored.images(pictures=True)} == copied | shown


def test_a_changed_report_is_refused(report: Path) -> None:
    path, record = report / "report.json", read_record(report.parent / "record.json")
    whole = path.read_text()
    content = json.loads(whole)
    for lost in ("files", "digest", "summary"):
        path.write_text(json.dumps({name: value for name, value in content.items() if name != lost}))
        with pytest.raises(DamagedFileError, match=r"report\.json is damaged"):
            read_report(report, record)
    path.write_text(whole)
    assert read_report(report, record).content["summary"] == content["summary"]


def test_the_site_draws_a_damaged_report_again(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", lean=True)
    figure = write_report(run).parent / "distances.png"
    whole = figure.read_bytes()
    figure.write_bytes(whole[:-1])
    leaderboard = tmp_path / "leaderboard"
    (leaderboard / "records").mkdir(parents=True)
    (leaderboard / "published.csv").write_text((ROOT / "leaderboard" / "published.csv").read_text())
    said: list[str] = []
    build_site(read_content(leaderboard, tmp_path / "runs"), tmp_path / "site", say=said.append)
    assert "distances.png is damaged" in said[0]
    assert said[0].endswith("drawn again")
    assert figure.read_bytes() == whole
    assert [path.read_bytes() for path in tmp_path.glob("site/runs/local/*/distances.png")] == [whole]


def test_a_journal_that_lost_its_last_lines_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    path = run / "journal.jsonl"
    journal = Journal(path)
    end = {"length": journal.mark.length, "chain": journal.mark.chain}
    write_record(run / "record.json", make_record(provenance={"journal": end}))
    (recorded,) = find_recorded_runs([run])
    assert len(recorded.journal) == len(journal.read())
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (b"", b"".join(lines[:-1]), b"".join(lines)[:-1]):
        path.write_bytes(damaged)
        (recorded,) = find_recorded_runs([run])
        with pytest.raises(DamagedFileError, match=r"journal\.jsonl (lacks|is damaged)"):
            _ = recorded.journal


def test_a_report_of_other_scores_is_not_that_of_the_run(report: Path) -> None:
    """A run may be repeated by other code, with equal settings, and leave the former report beside its record."""
    record = read_record(report.parent / "record.json")
    assert read_report(report, record).content["facts"]["result"]
    other = replace(record, result=replace(record.result, scores=record.result.scores[:1]))
    with pytest.raises(ValueError, match="report of another run: result"):
        read_report(report, other)
