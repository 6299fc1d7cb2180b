"""Names and commands in README and docs exist."""

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
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


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
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_methods_table_names_every_method() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(METHODS.names()) <= set(rows)


def test_the_ablation_rows_of_the_docs_are_settings() -> None:
    for settings in re.findall(r"^\| [^|]+ \| `(method\.[^`]*)` \|$", (ROOT / "docs/methods.md").read_text(), re.M):
        load_config("sclhm", "sysu_all", profile="sysu", settings=parse_settings(settings.split()))
