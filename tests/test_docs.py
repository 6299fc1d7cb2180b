"""The documentation lists its own pages, and names files and functions that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from usvi_bench.core.registry import METHODS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "how_a_run_works.md"
NAMED = re.compile(r"`(\w+)` (?:in|of the protocol \()\s*`([\w/]+\.py)`")
DRAWN = re.compile(r"(\w+)(?:\.(\w+))? \(([\w/]+\.py)\)|([\w/]+\.py): (\w+)(?:\.(\w+))?")


def definitions(path: Path) -> set[str]:
    """Functions, classes and methods of a file."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


def test_every_file_that_the_page_names_exists() -> None:
    files = re.findall(r"\b(?:[\w*]+/)+[\w*]+\.(?:py|csv|svg)\b", PAGE.read_text())
    assert len(files) > 30
    for file in files:
        assert list(ROOT.glob(file)), file


def test_every_function_that_the_page_names_is_in_the_file_beside_it() -> None:
    text = PAGE.read_text()
    named = [(name, file) for name, file in NAMED.findall(text)]
    assert len(named) > 12
    for before, attribute, file, first, name, other in DRAWN.findall(text):
        named += [(each, file or first) for each in (before, attribute, name, other) if each]
    assert ("train_stages", "engine/stages.py") in named
    assert ("Protocol", "protocols/base.py") in named
    for name, file in named:
        assert name in definitions(ROOT / file), f"{file}: {name}"


def test_the_functions_of_the_epoch_are_called_in_the_order_of_the_drawing() -> None:
    text = PAGE.read_text()
    loop = (ROOT / "engine" / "training.py").read_text()
    epoch = loop[loop.index("def _train_epoch") :]
    calls = ["embed_all(", "self._label(", "method.begin_epoch(", "BatchSampler(", "method.step("]
    assert calls == sorted(calls, key=epoch.index)
    drawn = ["embed_all ", "Method.label", "Method.begin_epoch", "BatchSampler", "Method.loss", "Method.end_step"]
    assert drawn == sorted(drawn, key=text.index)


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    text = index.read_text()
    links = {(index.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+)\)", text)}
    pages = {*(ROOT / "docs").rglob("*.md"), *(ROOT / "leaderboard").glob("*.md")} - {index}
    assert pages <= links, sorted(str(page.relative_to(ROOT)) for page in pages - links)


def test_the_terms_that_pages_use_are_in_the_glossary() -> None:
    glossary = (ROOT / "docs" / "index.md").read_text().partition("## Glossary")[2]
    for term in ("student, teacher", "fold", "trial", "knob", "headline", "oracle", "setting", "form"):
        assert f"| {term}" in glossary, term


def test_no_text_file_has_marks_of_a_merge() -> None:
    marks = re.compile(r"^(<<<<<<< |=======$|>>>>>>> )", re.MULTILINE)
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("configs/**/*.*")]:
        if ".venv" not in path.parts:
            assert not marks.search(path.read_text()), path


def test_the_use_of_camera_labels_is_stated_for_every_method_that_trains() -> None:
    text = (ROOT / "docs" / "methods.md").read_text().partition("## Camera labels")[2].partition("\n## ")[0]
    others = text.partition("**The others**")[2]
    for name in METHODS.own_names():
        cls = METHODS.get(name)
        if cls.stages(cls.Config()):
            assert f"`{name}`" in text, f"docs/methods.md: name '{name}' below '## Camera labels'"
            assert (f"`{name}`" in others) != cls.uses_cameras, f"docs/methods.md: '{name}' is in the wrong list"
