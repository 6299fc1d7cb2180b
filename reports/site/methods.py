"""Description of each method from its file, its section of ``docs/methods.md`` and its ablation grid.

Files are parsed, not imported, so the dependencies of a method are not needed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usvi_bench.core.revision import ROOT
from usvi_bench.core.settings import flatten
from usvi_bench.core.table import Table, value_rows
from usvi_bench.engine.read_settings import read_file

_LABELLED = re.compile(r"(?:^|(?<=\s))\*\*([A-Z][^*]+)\*\*")


@dataclass(frozen=True, slots=True)
class MethodPage:
    """Page of a method.

    Attributes:
        name: registered name.
        title: short name in the paper, and a description.
        citation: title, authors, venue, link; empty for baselines.
        summary: one line.
        idea: description of the method, in Markdown.
        remarks: texts by heading: differences from paper and code, public sources, our reconstruction.
        details: section of the documentation, in Markdown; may be empty.
        grid: rows of the ablation with their settings; None without an ablation.
    """

    name: str
    title: str
    citation: str
    summary: str
    idea: str
    remarks: Mapping[str, str]
    details: str
    grid: Table | None
    uses_identities: bool

    @property
    def paper_name(self) -> str:
        """Name before the colon of the title if it is one word, else the registered name."""
        first = self.title.partition(":")[0]
        return first if first != self.title and " " not in first else self.name


def read_methods() -> list[MethodPage]:
    """Read the pages of all registered methods, sorted by name."""
    document = ROOT / "docs/methods.md"  # not part of an installed package
    sections = _sections(document.read_text(encoding="utf-8") if document.exists() else "")
    found = (_read(path, sections) for path in sorted((ROOT / "methods").glob("*.py")))
    return [page for page in found if page is not None]


def _read(path: Path, sections: Mapping[str, str]) -> MethodPage | None:
    module = ast.parse(path.read_text(encoding="utf-8"))
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    for node in classes:
        name = next(_registered_names(node), None)
        if name is None:
            continue
        title, _, citation = (ast.get_docstring(module) or name).partition("\n\n")
        idea, remarks = _remarks(ast.get_docstring(node) or "")
        given = _constants(node)
        title = " ".join(title.split()).rstrip(".")
        words = {name.casefold(), title.partition(":")[0].casefold()}
        return MethodPage(
            name=name,
            title=title,
            citation=citation.strip(),
            summary=given.get("summary", ""),
            idea=idea,
            remarks=remarks,
            details=next(
                (
                    text
                    for head, text in sections.items()
                    if words & _words(head) or head.casefold() == name.replace("_", " ")
                ),
                "",
            ),
            grid=_grid(path.parents[1] / f"configs/ablations/{path.stem}.toml"),
            uses_identities=given.get("uses_identities", False),
        )
    return None


def _registered_names(node: ast.ClassDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(ast.Attribute(ast.Name("METHODS"), "register"), [ast.Constant(str(name))]):
                yield name


def _constants(node: ast.ClassDef) -> dict[str, Any]:
    """Return the class attributes with literal values."""
    found = {}
    for line in node.body:
        match line:
            case ast.Assign([ast.Name(name)], ast.Constant(value)) | ast.AnnAssign(
                ast.Name(name), _, ast.Constant(value)
            ):
                found[name] = value
    return found


def _remarks(docstring: str) -> tuple[str, dict[str, str]]:
    """Split a docstring at bold words that begin a sentence, into the text before and a text for each of them."""
    first = _LABELLED.search(docstring)
    if first is None:
        return docstring, {}
    found: dict[str, str] = {}
    starts = [match for match in _LABELLED.finditer(docstring) if _opens(docstring, match.start())]
    ends = [match.start() for match in starts[1:]] + [len(docstring)]
    for match, end in zip(starts, ends, strict=True):
        text = docstring[match.end() : end].strip().removeprefix(":").strip()
        found[match[1].rstrip(":")] = text[:1].upper() + text[1:]
    return docstring[: first.start()].strip(), found


def _opens(text: str, at: int) -> bool:
    """Check whether bold words begin a paragraph or a sentence, instead of being emphasis within one."""
    before = text[:at].rstrip()
    fresh = not before or before.endswith(".") or "\n\n" in text[len(before) : at]
    return fresh and not text.startswith("**From**", at)


def _sections(text: str) -> dict[str, str]:
    """Split a Markdown page into its second-level sections, by heading."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def _words(heading: str) -> set[str]:
    return set(re.findall(r"[\w-]+", heading.casefold()))


def _grid(path: Path) -> Table | None:
    if not path.exists():
        return None
    words = {n: " ".join(_word(*item) for item in flatten(row).items()) for n, row in read_file(path)["rows"].items()}
    rows = value_rows([[name, f"`{settings}`" if settings else "(as configured)"] for name, settings in words.items()])
    return Table("Rows of the ablation grid and their settings", ["Row", "Settings"], rows, words=2)


def _word(name: str, value: Any) -> str:
    return f"{name}={str(value).lower() if isinstance(value, bool) else value}"
