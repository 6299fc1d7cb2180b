"""Names and commands in README and the documentation exist."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from usvi_bench.cli.commands import COMMANDS
from usvi_bench.cli.train import parser
from usvi_bench.core.registry import METHODS, PROTOCOLS
from usvi_bench.engine.load_config import load_config, parse_settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "leaderboard").glob("*.md"))


def commands() -> list[str]:
    text = "\n".join(page.read_text() for page in PAGES)
    return sorted({line.partition("#")[0].strip() for line in re.findall(r"python run\.py [^\n`]*", text)})


@pytest.mark.parametrize("command", commands())
def test_every_command_is_understood(command: str) -> None:
    words = command.split()[2:]
    if not words[0].startswith("-"):
        import_module(COMMANDS[words[0]]).parser().parse_args(words[1:])
        return
    options = parser().parse_args(words)
    if options.method is None:
        return
    assert options.method in [*METHODS.names(), "cross_contrast"]
    assert options.protocol in PROTOCOLS.names()
    if options.method in METHODS.names():
        load_config(options.method, options.protocol, profile="sysu", settings=parse_settings(options.settings))


def test_every_make_target_that_is_named_exists() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        for target in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE):
            assert target in targets


def test_every_file_that_is_linked_exists() -> None:
    for page in PAGES:
        text = page.read_text()
        links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", text)]
        links += [(link, "", "") for link in re.findall(r'(?:src|srcset)="([^"]+)"', text)]
        for file, _, heading in links:
            if not file.startswith("http"):
                assert (page.parent / file).exists(), f"{page.name}: {file}"
                target = page.parent / file if file else page
                assert not heading or heading in anchors(target.read_text()), f"{page.name}: {file}#{heading}"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short_and_begins_with_a_picture_and_the_scores() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) - len(METHODS.own_names()) <= 136, "README.md: 136 lines besides the rows of the methods"
    first_screen = "\n".join(lines[:40])
    assert "docs/scores.svg" in first_screen
    assert "<!-- table: scores -->" in first_screen
    assert "All results are on synthetic people" in first_screen


def test_the_findings_are_ten_on_a_short_page() -> None:
    text = (ROOT / "docs/findings.md").read_text()
    assert len(text.splitlines()) <= 200
    parts = re.split(r"^## (\d+)\. ", text, flags=re.MULTILINE)[1:]
    assert parts[::2] == [str(i) for i in range(1, 11)]
    for number, part in zip(parts[::2], parts[1::2], strict=True):
        assert "*Limits.*" in part, number
        assert re.search(r"^\| |!\[|<img|first figure", part, re.MULTILINE), f"{number}: neither a table nor a figure"


def test_the_methods_table_names_every_method() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    lacking = set(METHODS.names()) - set(rows)
    assert not lacking, f"README.md: add a row to the table below '## Methods': {sorted(lacking)}"


def test_the_ablation_rows_of_the_docs_are_settings() -> None:
    for settings in re.findall(r"^\| [^|]+ \| `(method\.[^`]*)` \|$", (ROOT / "docs/methods.md").read_text(), re.M):
        load_config("sclhm", "sysu_all", profile="sysu", settings=parse_settings(settings.split()))
