"""Damage of a report or of a journal is noticed before a page shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_run import make_run

from tests.leaderboard.records import make_record
from usvi_bench.core.errors import DamagedFileError, UsageError
from usvi_bench.core.journal import Journal
from usvi_bench.core.record import write_record
from usvi_bench.reports.report import write_report
from usvi_bench.reports.runs import find_recorded_runs
from usvi_bench.reports.site.build import build_site, read_content
from usvi_bench.reports.site.find_runs import read_report

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_run(tmp_path_factory.mktemp("sealed"), lean=True)).parent


def test_each_file_that_the_report_names_is_checked(report: Path) -> None:
    content = read_report(report)
    drawn = {path.name for path in report.iterdir() if path.suffix in (".png", ".svg")}
    shown = {image["picture"] for image in content["images"]} - {None}
    assert drawn
    assert shown
    assert content["files"].keys() == drawn | shown
    for name in (*sorted(drawn), *sorted(shown)):
        whole = (report / name).read_bytes()
        for damaged in (whole[:-1], bytes([whole[0] ^ 1]) + whole[1:]):
            (report / name).write_bytes(damaged)
            with pytest.raises(UsageError, match=f"{name} is damaged"):
                read_report(report)
        (report / name).write_bytes(whole)
    read_report(report)


def test_changed_content_is_noticed_and_older_reports_are_read(report: Path) -> None:
    path = report / "report.json"
    whole = path.read_text()
    content = json.loads(whole)
    for lost in ("files", "digest", "summary"):
        path.write_text(json.dumps({name: value for name, value in content.items() if name != lost}))
        with pytest.raises(UsageError, match=r"report\.json is damaged"):
            read_report(report)
    path.write_text(json.dumps({name: value for name, value in content.items() if name not in ("files", "digest")}))
    assert read_report(report)["title"] == content["title"]
    path.write_text(whole)
    assert read_report(report)["title"] == content["title"]


def test_the_site_draws_a_damaged_report_again(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", lean=True)
    figure = write_report(run).parent / "distances.png"
    whole = figure.read_bytes()
    figure.write_bytes(whole[:100])
    leaderboard = tmp_path / "leaderboard"
    (leaderboard / "records").mkdir(parents=True)
    (leaderboard / "published.csv").write_text((ROOT / "leaderboard" / "published.csv").read_text())
    said: list[str] = []
    build_site(read_content(leaderboard, tmp_path / "runs"), tmp_path / "site", say=said.append)
    assert "distances.png is damaged" in said[0]
    assert said[0].endswith("drawing it again")
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
