"""Files of the site: reproducible bytes, no external resources, pictures of real people only on request."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.leaderboard.records import SYNTHETIC, consistent, make_figure, make_record
from tests.reports.site.conftest import Made
from tests.reports.site.fake_site import make_leaderboard, make_run, three_seeds, write_report_folder
from usvi_bench.cli.site import _exchange, main, write_site
from usvi_bench.core.errors import StorageError, UsageError
from usvi_bench.core.record import read_record, write_record
from usvi_bench.core.registry import METHODS
from usvi_bench.core.table import to_markdown
from usvi_bench.leaderboard.board import board_sections
from usvi_bench.leaderboard.build import FOLDER, load_records
from usvi_bench.leaderboard.build import build as build_page
from usvi_bench.leaderboard.published import choose, read_figures
from usvi_bench.leaderboard.published_page import ORDER_TITLE, build_published, published_tables
from usvi_bench.leaderboard.published_plot import draw_published
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.reports.run_scores import run_scores
from usvi_bench.reports.site.methods import read_methods
from usvi_bench.reports.site.published import describe_published
from usvi_bench.reports.site.render import markdown, sentence
from usvi_bench.reports.site.runs import command_of

ROOT = Path(__file__).resolve().parents[3]
VOID = {"meta", "link", "img", "input", "br", "hr", "wbr", "source"}


class Page(HTMLParser):
    """Page parser that collects what tests check: balanced tags, addresses, ids, images, headings."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.alts: list[str | None] = []
        self.headings: list[int] = []
        self.feed(path.read_text())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value for name in ("href", "src") if (value := given.get(name))]
        self.ids += [given["id"]] if given.get("id") else []  # type: ignore[list-item]  # not None where it is true
        self.alts += [given.get("alt")] if tag == "img" else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def tree(site: Path) -> dict[str, bytes]:
    return {
        p.relative_to(site).as_posix(): p.read_bytes()
        for p in sorted(site.rglob("*"))
        if p.suffix in (".html", ".json")
    }


def build(made: Made, output: Path, with_pictures: bool = False) -> Path:
    write_site(made.leaderboard, made.runs, output, with_pictures)
    return output


def test_pages_are_well_formed_and_every_link_has_a_target(made: Made) -> None:
    found = {path: Page(path) for path in pages(made.site)}
    assert len(found) > 20
    for path, page in found.items():
        assert page.open == [], path
        assert len(page.ids) == len(set(page.ids)), path
        assert page.headings[0] == 1, path
        assert page.headings.count(1) == 1, path
        assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False)), path
        assert None not in page.alts, path
        for address in page.addresses:
            if address.startswith("http"):
                continue
            name, _, anchor = address.partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.is_file(), f"{path}: {address}"
            assert not anchor or anchor in found[target].ids, f"{path}: {address}"


def test_no_external_resource_is_loaded(made: Made) -> None:
    for path in [*pages(made.site), *made.site.glob("assets/*.css")]:
        text = path.read_text()
        assert not re.search(r"""(?:src=|url\(|@import |<link[^>]+href=)["']?(?:https?:)?//""", text), path


def test_the_same_sources_give_the_same_bytes_in_another_process(made: Made, tmp_path: Path) -> None:
    words = "import sys, pathlib, usvi_bench.cli.site as cli; cli.write_site(*map(pathlib.Path, sys.argv[1:]))"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    places = map(str, [made.leaderboard, made.runs, tmp_path / "again"])
    subprocess.run([sys.executable, "-c", words, *places], env=environment, check=True, cwd=ROOT)
    again = tree(tmp_path / "again")
    assert {"index.html", "leaderboard.json", "published.json"} < again.keys()
    assert again == tree(made.site)


def test_the_board_names_leads_references_and_incomplete_runs(made: Made) -> None:
    text = (made.site / "leaderboard.html").read_text()
    assert "<strong>41.1</strong>" in text
    assert re.search(r'<tr class="quiet">\s*<th scope="row"><a href="methods/supervised.html">', text)
    assert "fold 1 lacks 1 of 2 trials" in text
    assert "No result has been measured on a real data set yet" in text
    content = json.loads((made.site / "leaderboard.json").read_text())
    (board,) = content["tables"]
    assert board["significant_leads"]["mAP"] == "sclhm"
    assert [row["seeds"] for row in board["rows"] if row["method"] == "adca"] == [[0, 1, 2]]
    assert list(content["incomplete"]) == ["sysu_all/pgm-seed0.json"]


def rows_of(page: Path) -> list[list[str]]:
    """Return the words of every body row of a page, cell by cell."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page.read_text(), re.DOTALL)
    cells = [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows
    ]
    return [[html.unescape(" ".join(cell.split())) for cell in row] for row in cells if row]


def test_the_site_and_the_pages_of_the_leaderboard_show_the_same_tables(made: Made) -> None:
    """Compare tables; those of the site have one more column and mark reference rows."""
    published = choose(read_figures(made.leaderboard / "published.csv"))
    fields = published_tables(published)
    shown = rows_of(made.site / "published.html")
    for table in fields:
        assert to_markdown(table) in build_published(published)
        assert list(table.columns) in shown
        for row in table.rows:
            assert [cell.text for cell in row.cells] in shown
    assert any("[1]" in cell for row in shown for cell in row)
    records = load_records(made.leaderboard / "records")
    (section,) = board_sections(score_tables(records), published)
    shown = rows_of(made.site / "leaderboard.html")
    page = build_page(records, published)
    for row in section.table.rows:
        cells = [cell.text.replace("(", "").replace(")", "") for cell in row.cells]
        cells[0] = f"{cells[0]} {row.remark}".strip()
        assert [*cells[:8], "", *cells[8:]] in shown
        assert f"| {row.cells[0].text} | " in page


def test_the_page_and_the_report_of_a_run_have_equal_scores(made: Made) -> None:
    record = load_records(made.leaderboard / "records")["sysu_all/adca-seed0.json"]
    shown = rows_of(made.site / "runs/sysu_all/adca-seed0/index.html")
    for row in run_scores(record).rows:
        assert [cell.text.replace("(", "").replace(")", "") for cell in row.cells] in shown


@pytest.mark.parametrize(
    ("page", "titles"),
    [
        ("leaderboard.html", ("Real data", "Synthetic people")),
        ("index.html", ("Results on real data", "Results on synthetic people")),
    ],
)
def test_real_and_synthetic_results_have_separate_tables(tmp_path: Path, page: str, titles: tuple[str, str]) -> None:
    records = {"a.json": make_record("adca", real=True), "b.json": make_record("adca")}
    leaderboard = make_leaderboard(tmp_path / "leaderboard", records)
    (tmp_path / "runs").mkdir()
    build(Made(leaderboard, tmp_path / "runs", tmp_path), tmp_path / "site")
    text = (tmp_path / "site" / page).read_text()
    real, synthetic = (text.index(f"<h2>{title}</h2>") for title in titles)
    tables = [match.start() for match in re.finditer("<table", text)]
    assert len(tables) == 2
    assert real < tables[0] < synthetic < tables[1]
    if page == "leaderboard.html":
        assert text.index("published mAP") < synthetic
    assert "published mAP" not in text[synthetic:]


def test_a_knob_has_one_table_on_a_separate_page(tmp_path: Path) -> None:
    def people(pose: float) -> dict[str, object]:
        spec = {**SYNTHETIC["spec"], "pose": pose}  # type: ignore[dict-item]
        made_from = {"synthetic": {"spec": spec}, "knobs": {} if pose == 1 else {"pose": pose}}
        return {"dataset": {**make_record().result.dataset, "fingerprint": str(pose), **made_from}}

    records = {
        f"{p}-{s}.json": make_record("adca", s, [0.2 + p / 10], **people(p)) for p, s in ((1, 0), (1, 1), (0, 1))
    }
    leaderboard = make_leaderboard(tmp_path / "leaderboard", records)
    (tmp_path / "runs").mkdir()
    build(Made(leaderboard, tmp_path / "runs", tmp_path), tmp_path / "site")
    board = (tmp_path / "site/leaderboard.html").read_text()
    assert board.count("<table") == 1
    assert board.count('<section id="sysu_all') == 1
    assert 'href="knobs.html"' in board
    text = (tmp_path / "site/knobs.html").read_text()
    assert text.count("<table") == 1
    assert text.count('<h2 id="sysu_all-shared-pose-') == 1
    below = text[text.index("pose=0") :]
    assert re.findall(r'data-value="(0\.\d+)"', below)[:2] == ["0.204", "0.304"]
    assert 'href="runs/0-1/index.html" aria-label="adca, pose=0, seed 1"' in below
    assert len(json.loads((tmp_path / "site/leaderboard.json").read_text())["tables"]) == 2


def test_the_comparison_of_rankings_is_on_the_page_of_published_figures(tmp_path: Path) -> None:
    records = {f"{m}.json": make_record(m, 0, [0.1 * i]) for i, m in enumerate(("adca", "pgm", "pclhd"), 1)}
    leaderboard = make_leaderboard(tmp_path / "leaderboard", records)
    (leaderboard / "published.csv").write_bytes((FOLDER / "published.csv").read_bytes())
    (tmp_path / "runs").mkdir()
    build(Made(leaderboard, tmp_path / "runs", tmp_path), tmp_path / "site")
    text = (tmp_path / "site/published.html").read_text()
    order = text[text.index(f"<h2>{ORDER_TITLE}</h2>") :]
    assert "(3 of 3 pairs agree)" in order
    assert re.findall(r'<th scope="row">(\w+)', order) == ["pclhd", "pgm", "adca"]
    assert "pairs agree" not in (tmp_path / "site/leaderboard.html").read_text()


def test_the_published_plot_has_a_text_alternative(made: Made) -> None:
    chosen = choose(read_figures(made.leaderboard / "published.csv"))
    assert (made.site / "published.svg").read_bytes() == draw_published(chosen)
    assert describe_published(chosen) in Page(made.site / "published.html").alts


def test_the_text_alternative_has_the_best_figure_for_each_protocol() -> None:
    figures = [
        make_figure(method="A", metrics={"mAP": "40.0"}),
        make_figure(method="B", metrics={"mAP": "60.5"}, year=2024),
        make_figure(method="C", metrics={"mAP": "90.0"}, year=None),
        make_figure(method="D", metrics={"mAP": "70.0"}, setting="semi"),
        make_figure(method="E", metrics={"mAP": "50.0"}, protocol="regdb_v2i"),
    ]
    assert describe_published(choose(figures)) == (
        "Published mAP in percent over the years. "
        "SYSU-MM01, all search: unsupervised (no labels) up to 60.5 (B, 2024), "
        "semi-supervised (some labels) up to 70.0 (D, 2022). "
        "RegDB, visible to infrared: unsupervised (no labels) up to 50.0 (E, 2022)."
    )


def test_every_method_has_a_page_with_the_text_of_its_file(made: Made) -> None:
    found = {method.name: method for method in read_methods()}
    assert sorted(found) == METHODS.names()
    for name, method in found.items():
        cls = METHODS.get(name)
        assert method.summary == cls.summary
        assert method.uses_identities == cls.uses_identities
        assert method.idea
        assert (made.site / f"methods/{name}.html").exists()
    assert "Our reconstruction" in found["sclhm"].remarks
    assert "From" not in found["adca"].remarks
    assert "yangbincv/ADCA" in found["adca"].remarks["Differs from"]
    assert found["soft_prototype"].paper_name == "SPCL-ID"
    assert "Soft weights" in found["soft_prototype"].details
    grid = found["sclhm"].grid
    assert grid is not None
    rows = {row.cells[0].text: row.cells[1].text for row in grid.rows}
    assert rows["+ soft targets"] == "`method.sscl=true method.hml=false method.amu=false`"
    assert found["untrained"].grid is None


def test_a_finished_ablation_is_on_the_page_of_its_method(made: Made) -> None:
    text = (made.site / "methods/sclhm.html").read_text()
    assert 'data-value="0.271">27.1 <span class="spread">± 1.4</span>' in text
    assert 'data-value="0.033">+3.3 <span class="spread">± 0.3</span>' in text
    assert "Ablation: sclhm on sysu_all: one setting at a time" in text
    assert "<code>method.hml</code> True, not False" in text
    assert "+3.1, +3.5" in text
    assert "this is the main effect" in text
    assert (made.site / "methods/ablation-0/rows.svg").exists()
    assert "Not run yet" not in text
    assert "Not run yet" in (made.site / "methods/adca.html").read_text()


def test_a_run_folder_belongs_to_the_record_with_the_same_result(made: Made) -> None:
    assert (made.site / "runs/sysu_all/sclhm-seed0/losses.svg").exists()
    assert not (made.site / "runs/sysu_all/sclhm-seed1/losses.svg").exists()
    assert "No report of this run" in (made.site / "runs/sysu_all/sclhm-seed1/index.html").read_text()
    local = (made.site / "runs/local/sysu_all-hil-seed7-def/index.html").read_text()
    assert "Not in the leaderboard" in local
    assert not (made.site / "runs/local/row-of-an-ablation").exists()
    assert "hil" not in json.dumps(json.loads((made.site / "leaderboard.json").read_text()))


def test_committed_reports_are_shown_without_run_folders(made: Made, tmp_path: Path) -> None:
    leaderboard = make_leaderboard(tmp_path / "leaderboard", three_seeds())
    write_report_folder(
        leaderboard / "reports/sysu_all/adca-seed0", three_seeds()["sysu_all/adca-seed0.json"], shown=True
    )
    (tmp_path / "runs").mkdir()
    build(Made(leaderboard, tmp_path / "runs", tmp_path), tmp_path / "site")
    assert (tmp_path / "site/runs/sysu_all/adca-seed0/pictures/0000.jpg").exists()


def test_real_people_are_not_shown_and_the_page_states_the_reason(made: Made) -> None:
    folder = made.site / "runs/local/real-adca-seed0"
    text = (folder / "index.html").read_text()
    assert "did not consent to publication" in text
    assert "--with-pictures" in text
    assert not (folder / "pictures").exists()
    shown = made.site / "runs/sysu_all/sclhm-seed0"
    assert "did not consent" not in (shown / "index.html").read_text()
    assert list((shown / "pictures").glob("*.jpg"))


@pytest.mark.parametrize("asked", [False, True])
def test_a_report_of_real_people_is_drawn_again_as_was_asked(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    """Check that a report with pictures is not used for a site without pictures, and vice versa."""
    drawn = []

    def draw(run: Path, output: Path, with_pictures: bool) -> Path:
        drawn.append((run, with_pictures))
        write_report_folder(output, read_record(run / "record.json"), shown=with_pictures)
        return output / "report.md"

    monkeypatch.setattr("usvi_bench.reports.site.run_report.write_report", draw)
    run = make_run(tmp_path / "runs/real", make_record("adca", 0, [0.5], real=True), shown=not asked)
    build(Made(made.leaderboard, tmp_path / "runs", tmp_path), tmp_path / "site", asked)
    assert drawn == [(run, asked)]
    page = tmp_path / "site/runs/local/real/index.html"
    assert ("did not consent" in page.read_text()) is not asked
    assert bool(list(page.parent.glob("pictures/*.jpg"))) is asked


def test_a_report_is_drawn_once_with_a_message(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Check that a second site of the same runs uses the report in the folder of the run."""
    drawn = []

    def draw(run: Path, output: Path, with_pictures: bool) -> Path:
        drawn.append(output)
        write_report_folder(output, read_record(run / "record.json"), shown=with_pictures)
        return output / "report.md"

    monkeypatch.setattr("usvi_bench.reports.site.run_report.write_report", draw)
    run = make_run(tmp_path / "runs/one", make_record("adca", 0, [0.5]), shown=True)
    shutil.rmtree(run / "report")
    sites = [tmp_path / "first", tmp_path / "second"]
    for site in sites:
        build(Made(made.leaderboard, tmp_path / "runs", tmp_path), site)
    assert drawn == [run / "report"]
    assert capsys.readouterr().err.splitlines() == ["drawing the report of local/one"]
    assert tree(sites[0]) == tree(sites[1])


def test_pictures_of_real_people_are_drawn_into_the_site_only(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(run: Path, output: Path, with_pictures: bool) -> Path:
        write_report_folder(output, read_record(run / "record.json"), shown=with_pictures)
        return output / "report.md"

    monkeypatch.setattr("usvi_bench.reports.site.run_report.write_report", draw)
    run = make_run(tmp_path / "runs/one", make_record("adca", 0, [0.5], real=True), shown=True)
    shutil.rmtree(run / "report")
    build(Made(made.leaderboard, tmp_path / "runs", tmp_path), tmp_path / "site", with_pictures=True)
    assert list((tmp_path / "site/runs/local/one").glob("pictures/*.jpg"))
    assert not (run / "report").exists()


def test_a_run_folder_that_cannot_be_written_still_gets_a_page(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(run: Path, output: Path, with_pictures: bool) -> Path:
        if output == run / "report":
            raise StorageError("disk full")
        write_report_folder(output, read_record(run / "record.json"), shown=with_pictures)
        return output / "report.md"

    monkeypatch.setattr("usvi_bench.reports.site.run_report.write_report", draw)
    run = make_run(tmp_path / "runs/one", make_record("adca", 0, [0.5]), shown=True)
    shutil.rmtree(run / "report")
    build(Made(made.leaderboard, tmp_path / "runs", tmp_path), tmp_path / "site")
    assert "losses.svg" in (tmp_path / "site/runs/local/one/index.html").read_text()


def test_a_committed_report_with_real_people_is_omitted(tmp_path: Path) -> None:
    leaderboard = make_leaderboard(tmp_path / "leaderboard", {"a.json": make_record("adca", real=True)})
    write_report_folder(leaderboard / "reports/a", make_record("adca", real=True), shown=True)
    (tmp_path / "runs").mkdir()
    build(Made(leaderboard, tmp_path / "runs", tmp_path), tmp_path / "site")
    assert sorted(p.name for p in (tmp_path / "site/runs/a").iterdir()) == ["index.html"]


def test_an_empty_leaderboard_explains_the_first_step(tmp_path: Path) -> None:
    leaderboard = make_leaderboard(tmp_path / "leaderboard", {})
    (tmp_path / "runs").mkdir()
    build(Made(leaderboard, tmp_path / "runs", tmp_path), tmp_path / "site")
    assert "There is no record yet" in (tmp_path / "site/index.html").read_text()
    assert "There is no run yet" in (tmp_path / "site/runs/index.html").read_text()


def test_only_a_site_is_replaced(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="was not written by this command"):
        build(made, folder)
    assert (folder / "thesis.tex").read_text() == "years of work"
    site = build(made, tmp_path / "site")
    (site / "stale.html").write_text("old")
    build(made, site)
    assert not (site / "stale.html").exists()
    assert not list(tmp_path.glob(".site-*"))


def test_a_leaderboard_with_inconsistent_records_has_no_site(tmp_path: Path) -> None:
    record = consistent(make_record("adca", 0, [0.5]))
    leaderboard = make_leaderboard(tmp_path / "leaderboard", {"adca.json": record})
    words = ["--output", str(tmp_path / "site"), "--leaderboard", str(leaderboard)]
    main(words)
    write_record(leaderboard / "records/adca.json", replace(record, result=replace(record.result, config_hash="0" * 8)))
    shutil.rmtree(tmp_path / "site")
    with pytest.raises(UsageError, match=r"adca.json: result.config_hash"):
        main(words)
    assert not (tmp_path / "site").exists()


def test_mistakes_are_named(made: Made, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    for option in ("--runs", "--leaderboard"):
        with pytest.raises(UsageError, match=rf"{option} .*rnus: no such file or folder; did you mean .*/runs\?"):
            main(["--output", str(tmp_path / "site"), option, str(tmp_path / "rnus")])
    with pytest.raises(UsageError, match=r"did you mean .*--with-pictures"):
        main(["--with-picturs"])


def test_markdown_escapes_html_and_links_addresses() -> None:
    assert "<script>" not in markdown("a <script>alert(1)</script> b")
    assert "<script>" not in sentence("a <script>alert(1)</script> b")
    assert 'href="https://a.org/b"' in sentence("see https://a.org/b.")
    assert sentence("[a](https://a.org)").count("<a ") == 1
    assert "<h3>" in markdown("## two", 1)
    table = markdown("| a | b |\n|:--|--:|\n| c | d |")
    assert "style" not in table
    assert table.count('class="figure"') == 2


def test_the_command_has_data_weights_and_chosen_settings() -> None:
    spec = {"camera_gap": 1.0, "seed": 3, "size": "tiny"}
    data = {**make_record().result.dataset, "synthetic": {"spec": spec}}
    overrides = {"settings": {"data.folds": "1, 2"}, "schedule": "full_short"}
    shipped = {"source": "small16.safetensors", "sha256": "0"}
    record = make_record(dataset=data, start_weights=shipped, provenance={"overrides": overrides})
    assert command_of(record) == (
        "python run.py --method sclhm --protocol sysu_all --data synthetic:camera_gap=1.0,seed=3,size=tiny "
        "--schedule full_short --weights components/encoder/pretrained/small16.safetensors --device cpu "
        "--set engine.threads=2 'data.folds=1, 2'"
    )
    old = make_record(dataset=data, start_weights={**shipped, "source": "small16.pth"})
    assert "--weights components/encoder/pretrained/small16.safetensors" in command_of(old)
    foreign = make_record(real=True, start_weights={"source": "resnet50-19c8e357.pth", "sha256": "0"})
    assert "--data DIR --weights resnet50-19c8e357.pth" in command_of(foreign)


def test_a_page_lists_settings_missing_in_its_command(made: Made) -> None:
    text = (made.site / "runs/sysu_all/sclhm-seed0/index.html").read_text()
    assert "--data synthetic:pose=1.0,seed=0,size=small --weights random" in text
    assert "this older record does not list them" in text


def test_a_failed_move_leaves_the_former_site(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").touch()
    with pytest.raises(FileNotFoundError):
        _exchange(site, tmp_path / "none", tmp_path / "former")
    assert [*site.iterdir()] == [site / "index.html"]


def test_the_working_folder_may_become_a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leaderboard = make_leaderboard(tmp_path / "leaderboard", {})
    (tmp_path / "site").mkdir()
    monkeypatch.chdir(tmp_path / "site")
    main(["--output", ".", "--leaderboard", str(leaderboard)])
    assert (tmp_path / "site" / "index.html").is_file()
