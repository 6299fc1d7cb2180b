"""Pages made from records, reports and file names of strangers: no script, no markup, no address outside the site."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.leaderboard.records import make_record
from tests.reports.site.conftest import Made
from tests.reports.site.fake_site import make_ablation, make_leaderboard, make_run, write_report_folder
from tests.reports.site.hostile import PAYLOADS, Strict, hostile_record, spoil_report
from usvi_bench.cli.site import write_site
from usvi_bench.core.errors import UsageError
from usvi_bench.core.sealed import read_sealed_json, write_sealed_json
from usvi_bench.leaderboard.board import board_sections
from usvi_bench.leaderboard.build import build
from usvi_bench.leaderboard.record_pages import build_knobs, build_records
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.reports.site.ablations import find_ablations
from usvi_bench.reports.site.find_runs import RunPage
from usvi_bench.reports.site.plain_files import LARGEST, read_image
from usvi_bench.reports.site.render import POLICY, markdown, sentence
from usvi_bench.reports.site.run_report import prepare_report

SAFE_LINK = re.compile(r"(https?://[^\s\"'<>]+|(\.\./)*[\w#][\w./#=+,@%-]*)", re.ASCII)


def site_of(leaderboard: Path, runs: Path, output: Path) -> list[Path]:
    write_site(leaderboard, runs, output)
    return sorted(output.rglob("*.html"))


def check_page(path: Path, site: Path) -> Strict:
    """Check that a page has nothing that its policy would block, and no address outside the site."""
    page = Strict(path.read_text())
    assert page.faults == [], path
    assert page.policies == [f"Content-Security-Policy: {POLICY}"], path
    for script in page.scripts:
        assert set(script) == {"src", "defer"} or script == {"type": "application/json", "id": "report"}, path
    for address in [*page.links, *page.sources]:
        assert SAFE_LINK.fullmatch(address), f"{path}: {address!r}"
        if not address.startswith("http"):
            target = (path.parent / address.partition("#")[0]).resolve() if address[0] != "#" else path
            assert target.is_relative_to(site.resolve()), f"{path}: {address!r}"
    for address in page.sources:
        assert not address.startswith("http"), path
    assert "HACKED" not in "".join(map(str, page.scripts))
    return page


def test_the_policy_of_all_pages_forbids_what_the_site_does_not_need(made: Made) -> None:
    rules = {words.split()[0]: words.split()[1:] for words in POLICY.split("; ")}
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert rules["script-src"] == ["'self'", "file:"]
    assert set(rules["img-src"]) == {"'self'", "file:", "data:"}
    assert not [word for words in rules.values() for word in words if "unsafe" in word or "*" in word]
    empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    assert f"'sha256-{empty}'" in rules["style-src"]
    text = files("plotly").joinpath("package_data", "plotly.min.js").read_text()
    (style,) = re.findall(r"""createElement\("style"\);\w+\.id="\w+",\w+\.textContent='(.*?)',document""", text)
    plain = style.encode().decode("unicode_escape") if "\\" in style else style
    assert f"'sha256-{base64.b64encode(hashlib.sha256(plain.encode()).digest()).decode()}'" in rules["style-src"]
    for path in made.site.rglob("*.html"):
        check_page(path, made.site)


@pytest.mark.parametrize("name", PAYLOADS)
def test_texts_of_records_and_reports_stay_texts(tmp_path: Path, name: str) -> None:
    text = PAYLOADS[name]
    records = {f"{i}.json": hostile_record(text, seed=i) for i in range(2)}
    leaderboard = make_leaderboard(tmp_path / "leaderboard", records)
    run = make_run(tmp_path / "runs/one", hostile_record(text, seed=2))
    spoil_report(run / "report", text)
    site = tmp_path / "site"
    pages = {
        path.relative_to(site).as_posix(): check_page(path, site) for path in site_of(leaderboard, run.parent, site)
    }
    words = {address: "".join(page.words) for address, page in pages.items()}
    (own,) = [address for address in pages if address.startswith("runs/local")]
    assert "Features, image by image" in words[own], "the report is shown"
    assert "Losses" not in words[own], "the report is spoiled"
    for part in re.findall(r"HACKED|alert|passwd|frac", text):
        assert part in words[own], "the text is shown as it is"
        assert part in words["index.html"]
    for address in pages:
        shown = (site / address).read_text()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b]", shown)
    json.loads((site / "leaderboard.json").read_text())


@pytest.mark.parametrize("name", PAYLOADS)
def test_texts_of_records_stay_texts_in_markdown(name: str) -> None:
    records = {f"{PAYLOADS[name][:60]}{i}.json": hostile_record(PAYLOADS[name], seed=i) for i in range(2)}
    sections = board_sections(score_tables(records), [])
    for text in (build(records), build_knobs(sections), build_records(records)):
        page = Strict(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
        assert [fault for fault in page.faults if not re.search("^t[hd] style=text-align:", fault)] == []
        assert page.scripts == page.sources == []
        assert all(re.fullmatch(r"[\w./%=,+@~-]+(#[\w-]+)?", link) for link in page.links), page.links
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            counts = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table.splitlines()}
            assert len(counts) == 1, table


@pytest.mark.parametrize("name", PAYLOADS)
def test_markdown_of_strangers_has_no_foreign_elements(name: str) -> None:
    for html in (markdown(PAYLOADS[name]), sentence(PAYLOADS[name])):
        page = Strict(html)
        assert page.faults == page.scripts == page.sources == [], html
        assert all(SAFE_LINK.fullmatch(link) for link in page.links), page.links
        assert not any(".." in link for link in page.links)


def test_only_addresses_of_the_web_and_of_the_site_are_links() -> None:
    good = ["https://a.org/b?c=d", "http://a.org", "published.html", "methods/adca.html#a", "#top"]
    bad = [
        "javascript:x",
        "JaVaScript:x",
        "java&#115;cript:x",
        "vbscript:x",
        "data:text/html,x",
        "file:///etc",
        "//a.org",
    ]
    bad += ["/etc/passwd", "../x", "a/../../b", "ftp://a.org", "https:a", "x:y", "\\\\a\\b", "%6aavascript:x"]
    for address in good:
        assert Strict(sentence(f"[a]({address})")).links == [address]
    for address in bad:
        assert Strict(sentence(f"[a]({address})")).links == [], address
        assert Strict(sentence(f"![a]({address})")).sources == [], address
    assert Strict(sentence("https://a.org/'onclick='x https://b.org/\"x")).links == ["https://a.org/", "https://b.org/"]
    assert sentence("`https://a.org`") == "<code>https://a.org</code>"


def test_pathological_markdown_is_rendered_at_once() -> None:
    for text in (
        "[" * 10**6,
        "*a_ " * 10**5,
        "`" * 10**6,
        "<" * 10**6,
        "![](" * 10**5,
        "https://" * 10**5,
        "| " * 10**5,
    ):
        assert len(sentence(text)) < 10**6
        assert len(markdown(text)) < 10**6


NAMES = [
    "a b",
    "a'\"><img src=x onerror=HACKED>",
    "a#b?c=d%41",
    "a\nb",
    "\u202eb",
    "x" * 120,
    "index.html",
    "-",
    "日本",
]


def test_names_of_folders_and_records_make_addresses_inside_the_site(tmp_path: Path) -> None:
    records = {}
    for i, name in enumerate(NAMES):
        records |= {f"{name}/{name}.json": make_record("adca", i), f"{name}.json": make_record("pgm", i)}
        make_run(tmp_path / "runs" / name / name, make_record("hil", i), shown=False)
        make_run(tmp_path / "runs" / f"{name}-{name}", make_record("hil", 100 + i), shown=False)
    leaderboard = make_leaderboard(tmp_path / "leaderboard", records)
    site = tmp_path / "site"
    paths = site_of(leaderboard, tmp_path / "runs", site)
    assert len([path for path in paths if "runs" in path.parts and path.parent.name != "runs"]) == 4 * len(NAMES)
    for path in paths:
        for address in check_page(path, site).links:
            if not address.startswith(("http", "#")):
                assert (path.parent / address.partition("#")[0]).is_file(), address


@pytest.mark.parametrize(
    "name",
    [
        "../secret.svg",
        "/etc/passwd",
        "pictures/../secret.svg",
        "..",
        "a\\b.svg",
        "secret.txt",
        ".svg",
        "a\u202e.svg",
        "",
    ],
)
def test_figures_are_taken_from_the_folder_of_the_report_only(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run", make_record(), shown=True)
    (run / "secret.svg").write_text((run / "report/losses.svg").read_text())
    report = read_sealed_json(run / "report/report.json", "")
    report["figures"][0]["svg"] = name
    write_sealed_json(run / "report/report.json", report)
    assert prepare(run / "report", tmp_path / "site") == [
        f"{run}/report/report.json: {name!r} is not the name of a figure in the same folder; not shown; write it again "
        "with run.py report"
    ]


def prepare(report: Path, place: Path) -> list[str]:
    """Prepare a report that cannot be drawn again, check that nothing of it was written, and return the notices."""
    said: list[str] = []
    page = RunPage("a", make_record(), "a.json", None, report)
    assert prepare_report(page, place, True, said.append) is None
    assert not place.exists()
    return said


def _link(path: Path) -> None:
    target = path.parent.parent / "outside.svg"
    target.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(target)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(LARGEST + 1)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [_link, _fifo, _huge, _folder, Path.unlink, lambda path: path.write_bytes(b"<html>")])
@pytest.mark.parametrize("name", ["losses.svg", "losses.png", "pictures/0003.jpg", "report.json"])
def test_a_file_that_is_not_a_plain_image_is_not_copied(
    tmp_path: Path, spoil: Callable[[Path], object], name: str
) -> None:
    write_report_folder(tmp_path / "report", make_record(), shown=True)
    spoil(tmp_path / "report" / name)
    (said,) = prepare(tmp_path / "report", tmp_path / "site")
    assert re.fullmatch(f"{tmp_path}/report/report.json: .+; not shown; write it again with run.py report", said)


def test_a_linked_folder_of_pictures_is_not_read(tmp_path: Path) -> None:
    write_report_folder(tmp_path / "report", make_record(), shown=True)
    (tmp_path / "report/pictures").rename(tmp_path / "private")
    (tmp_path / "report/pictures").symlink_to(tmp_path / "private")
    assert "pictures is a link" in prepare(tmp_path / "report", tmp_path / "site")[0]


HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


@pytest.mark.parametrize(
    "drawing",
    [
        "<script>HACKED</script>",
        '<path onload="HACKED"/>',
        '<image href="https://x.org/a.png"/>',
        '<image xlink:href="file:///etc/passwd"/>',
        '<use href="other.svg#a"/>',
        '<a href="javascript:HACKED"><path/></a>',
        "<foreignObject><p/></foreignObject>",
        '<p xmlns="http://www.w3.org/1999/xhtml"/>',
        '<x:script xmlns:x="http://www.w3.org/2000/svg">HACKED</x:script>',
        "<style>@import 'https://x.org/a.css';</style>",
        "<style>path { fill: u&#114;l(https://x.org/a) }</style>",
        '<path style="fill: url(https://x.org/a)"/>',
        '<animate attributeName="href" to="javascript:HACKED"/>',
        "<style>@\\69mport 'https://x.org/a.css';</style>",
        "<style>@imp<title/>ort 'https://x.org/a.css';</style>",
        "<style>rect { background: image-set('https://x.org/a' 1x) }</style>",
        '<path fill="\\75rl(https://x.org/a)"/>',
        "<path>",
        "\x00",
    ],
)
def test_drawings_with_scripts_or_links_are_refused(tmp_path: Path, drawing: str) -> None:
    (tmp_path / "a.svg").write_text(f"{HEAD}{drawing}</svg>")
    with pytest.raises(ValueError, match=r"a\.svg (has|is not)"):
        read_image(tmp_path, "a.svg")


def test_drawings_with_entities_and_instructions_are_refused(tmp_path: Path) -> None:
    for start in (
        '<!DOCTYPE svg [<!ENTITY a "b">]>',
        '<!DOCTYPE svg SYSTEM "http://x.org/a.dtd" []>',
        '<?xml-stylesheet href="a.xsl"?>',
    ):
        (tmp_path / "a.svg").write_text(f"{start}{HEAD}</svg>")
        with pytest.raises(ValueError, match=r"a\.svg has"):
            read_image(tmp_path, "a.svg")


def test_drawings_with_embedded_pixels_and_patterns_are_accepted(tmp_path: Path) -> None:
    parts = '<defs><clipPath id="a"><path/></clipPath><style type="text/css">*{stroke-linejoin: round}</style></defs>'
    parts += '<g clip-path="url(#a)"><use xlink:href="#a"/><image xlink:href="data:image/png;base64,\niVBOR/+=\n"/></g>'
    (tmp_path / "a.svg").write_text(f"{HEAD}{parts}</svg>")
    assert read_image(tmp_path, "a.svg")


@pytest.mark.parametrize("name", ["rows.svg", "rows.png", "table.md", "grid.json"])
@pytest.mark.parametrize("spoil", [_link, _fifo, _folder, _huge])
def test_a_damaged_ablation_is_skipped_with_a_notice(
    tmp_path: Path, name: str, spoil: Callable[[Path], object]
) -> None:
    make_ablation(tmp_path / "runs/a")
    spoil(tmp_path / "runs/a" / name)
    said: list[str] = []
    found = find_ablations(tmp_path / "none", tmp_path / "runs", said.append)
    if name == "grid.json" and spoil in (_link, _huge):
        assert (len(found), len(said)) in [(1, 0), (0, 1)]  # a grid is read, but not copied
    else:
        assert found == []
        (notice,) = said
        assert re.match("skipped: .*runs/a.*make it again with run.py ablation", notice)
    if name != "grid.json":
        with pytest.raises(UsageError, match="runs/a: not a finished ablation"):
            find_ablations(tmp_path / "runs", None)
