"""Hooks of mkdocs: pages outside ``docs``, the navigation, and the reference of the Python interface.

Every file keeps its path in the project, so that relative links are valid on GitHub and in the site.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import usvi_bench
from usvi_bench.reports.site.equations import mathml

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("*.md", "docs/**/*.md", "analysis/*.md", "benchmarks/*.md", "leaderboard/**/*.md", "synthetic/*.md")
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)|(?:src|srcset)=\"([^\"]+)\"")
ENTRY = re.compile(r"^\d+\. (.*(?:\n +.*)*)", re.MULTILINE)
TITLE = re.compile(r"\[([^]]+)\]\(([^)]+)\)")
CODE = re.compile(r"`[^`\n]+`")
EQUATION = re.compile(r"\$<code>([^<]+)</code>\$")
MATH = re.compile(r":math:(`[^`]+`)")
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([\w.]+)`")
EXAMPLE = re.compile(r"^( *)>>> .*?(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


def modules(package: str) -> list[str]:
    """List the public modules of a folder, by their full names."""
    found = pkgutil.iter_modules([str(ROOT / package)])
    return [
        f"usvi_bench.{package.replace('/', '.')}.{module.name}"
        for module in found
        if not module.ispkg and not module.name.startswith("_")
    ]


BASES = ("methods.base", "core.types", "core.bounds", "core.seeding", "core.registry")
BASES += ("datasets.base", "datasets.tree", "protocols.base", "protocols.masks")
PARTS = {
    "Parts of a plug-in": [f"usvi_bench.{name}" for name in BASES],
    "Methods": modules("methods"),
    "Components": modules("components"),
    "Clustering": modules("components/clustering"),
    "Memories": modules("components/memory"),
    "Encoders": modules("components/encoder"),
    "Protocols": modules("protocols"),
}
"""Pages of the reference, with the modules whose docstrings they show."""


def api_pages() -> Iterator[tuple[str, str]]:
    """Yield title and Markdown of each page of the reference; each object is on one page."""
    shown = {name for names in PARTS.values() for name in names}
    public = [(home, f"{home}.{name}") for home, names in usvi_bench._HOMES.items() for name in names]
    elsewhere = ", ".join(link(name) for home, name in public if home in shown)
    text = f"The names of `import usvi_bench`. Other pages of this reference describe {elsewhere}."
    yield "Functions and classes", "\n\n".join([text, *(f"::: {name}" for home, name in public if home not in shown)])
    for title, names in PARTS.items():
        others = names if title == "Parts of a plug-in" else [n for n in names if n not in PARTS["Parts of a plug-in"]]
        yield title, "\n\n".join(f"::: {name}" for name in others)


def on_config(config: MkDocsConfig) -> None:
    """Make the navigation from the list of pages in ``docs/index.md``."""
    entries = ENTRY.findall((ROOT / "docs/index.md").read_text())
    nav: list[dict[str, Any]] = [{"Contents and terms": "docs/index.md"}]
    for entry in entries:
        pages = [{title[0].upper() + title[1:]: resolved(link)} for title, link in TITLE.findall(entry)]
        group = re.match(r"[^[,]+", entry)  # an entry may begin with the name of its group
        nav.append(pages[0] if len(pages) == 1 else {group[0] if group else next(iter(pages[0])): pages})
    nav.append({"Python reference": [{title: api_path(title)} for title, _ in api_pages()]})
    config.nav = nav


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of ``docs`` by all pages of the project, the files that they link, and the reference."""
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    pages = sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})
    own = [ROOT / "docs/site.css", ROOT / "docs/iframe-worker.js"]
    for path in dict.fromkeys([*pages, *own, *(link for page in pages for link in linked(page))]):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    for title, content in api_pages():
        files.append(File.generated(config, api_path(title), content=f"# {title}\n\n{content}\n"))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    r"""Replace the escaped bars in code (``a\|b``), which tables on GitHub need and mkdocs would show as they are."""
    return CODE.sub(lambda match: match[0].replace("\\|", "|"), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Make MathML of equations, which are code between dollar signs as on GitHub."""
    return EQUATION.sub(lambda match: mathml(" ".join(unescape(match[1]).split())), html)


def linked(page: Path) -> Iterator[Path]:
    """Yield the files other than pages that a page links or shows."""
    for groups in LINK.findall(page.read_text()):
        path = (page.parent / "".join(groups)).resolve()
        if path.is_file() and path.suffix != ".md":
            yield path


def resolved(link: str) -> str:
    """Return the path of a link of ``docs/index.md`` in the project."""
    return (ROOT / "docs" / link).resolve().relative_to(ROOT).as_posix()


def api_path(title: str) -> str:
    """Return the path of a page of the reference."""
    return f"api/{title.lower().replace(' ', '_')}.md"


class PlainRoles(griffe.Extension):
    """Extension of griffe that makes Markdown of Sphinx roles and of examples (``>>>``) in docstrings."""

    def on_instance(self, *, obj: griffe.Object | griffe.Alias, **_: Any) -> None:
        if obj.docstring and not obj.is_alias:
            text = ROLE.sub(lambda match: link(match[1]), MATH.sub(r"$\1$", obj.docstring.value))
            text, section, examples = text.partition("\nExample:\n")
            text = EXAMPLE.sub(r"\n\1```pycon\n\g<0>\n\1```", text)
            obj.docstring.value = f"{text}\nExamples:\n{examples}" if section else text  # a section that griffe reads


def link(name: str) -> str:
    """Return a link to an object of the package, or its name as code."""
    text = f"`{name.rpartition('.')[2]}`"
    return f'<autoref identifier="{name}" optional>{text}</autoref>' if name.startswith("usvi_bench.") else text
