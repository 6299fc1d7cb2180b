"""Validation of ``report.json`` and of the figures and pictures that it names; see ``docs/reports.md``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

from usvi_bench.core.files import parse_json
from usvi_bench.core.record import Record
from usvi_bench.core.sealed import check_digest
from usvi_bench.core.settings import digest
from usvi_bench.core.typed import convert
from usvi_bench.reports.checksums import check_content
from usvi_bench.reports.site.plain_files import read_image, read_plain_file

REPORT = "report.json"
SCHEMA = 1
OWN = ("method", "protocol", "seed", "config_hash", "fingerprint")
"""Facts that are compared with the record."""
_IDENTIFIER = re.compile(r"[\w.+=-]{1,100}")


class _Pictures(TypedDict):
    shown: bool
    why: str


class _Section(TypedDict):
    id: str
    title: str
    text: str
    figures: list[str]
    tables: list[str]


class _Figure(TypedDict):
    id: str
    title: str
    caption: str
    alt: str
    svg: str
    png: str


class _Words(TypedDict, total=False):
    words: int  # missing in reports of older versions


class _Table(_Words):
    id: str
    title: str
    columns: list[str]
    rows: list[list[Any]]
    note: str


class _Image(TypedDict):
    path: str | None
    identity: int
    camera: int | None
    modality: str
    picture: str | None


class _Panel(TypedDict):
    title: str
    x: list[float]
    y: list[float]


class _Map(TypedDict):
    perplexity: float
    seed: int
    rule: str
    images: list[int]
    panels: list[_Panel]


class _Ranked(TypedDict):
    image: int
    score: float | None
    right: bool


class _Query(TypedDict):
    image: int
    ap: float
    ranked: list[_Ranked]


class _Rankings(TypedDict):
    rule: str
    depth: int
    queries: list[_Query]


class _Data(TypedDict, total=False):
    tsne: _Map
    rankings: _Rankings


class _Files(TypedDict, total=False):
    files: dict[str, str]  # missing in reports of older versions


class _Content(_Files):
    schema: int
    facts: dict[str, Any]
    summary: list[str]
    notes: list[str]
    pictures: _Pictures
    sections: list[_Section]
    figures: list[_Figure]
    tables: list[_Table]
    images: list[_Image]
    data: _Data


@dataclass(frozen=True, slots=True)
class StoredReport:
    """Stored report of a run.

    Attributes:
        content: validated content of ``report.json``.
        folder: folder of the report.
    """

    content: Mapping[str, Any]
    folder: Path

    def images(self, pictures: bool) -> Iterator[tuple[str, bytes]]:
        """Read the figures, and the pictures of people if wanted, as (name, content).

        Raises:
            ValueError: a file is not an image of its kind, is a link, or has changed since the report was written.
            OSError: a file cannot be read.
        """
        names = [figure[kind] for figure in self.content["figures"] for kind in ("svg", "png")]
        shown = [image["picture"] for image in self.content["images"] if pictures and image["picture"]]
        for name in dict.fromkeys([*names, *shown]):
            content = read_image(self.folder, name)
            check_content(name, content, self.content)
            yield name, content


def read_report(folder: Path, record: Record) -> StoredReport:
    """Read the report of a run.

    Raises:
        ValueError: a value is missing, of the wrong type or contradicts another, or the report is of another run.
        OSError: the file cannot be read.
    """
    parsed = check_digest(parse_json(read_plain_file(folder, REPORT).decode()), folder / REPORT, "draw it again")
    schema = parsed.get("schema")
    if schema != SCHEMA:
        raise ValueError(f"schema version {schema!r:.40} is not {SCHEMA}")
    content: dict[str, Any] = convert(_Content, parsed, "")
    _check_run(content["facts"], record)
    _check_references(content)
    return StoredReport(content, folder)


def _check_run(facts: Mapping[str, Any], record: Record) -> None:
    result = record.result
    own = {**{name: getattr(result, name, None) for name in OWN}, "fingerprint": result.dataset["fingerprint"]}
    own["result"] = digest(asdict(result)) if "result" in facts else None  # older reports lack it
    for name in own:
        if facts.get(name) != own[name]:
            raise ValueError(f"report of another run: {name} {facts.get(name)!r:.40}, in the record {own[name]!r:.40}")


def _check_references(content: Mapping[str, Any]) -> None:
    known = {kind: [entry["id"] for entry in content[kind]] for kind in ("sections", "figures", "tables")}
    for kind, names in known.items():
        if len(set(names)) < len(names) or not all(map(_IDENTIFIER.fullmatch, names)):
            raise ValueError(f"{kind}: an id occurs twice or has other signs than letters and digits")
    for section in content["sections"]:
        for kind in ("figures", "tables"):
            if lost := [name for name in section[kind] if name not in known[kind]]:
                raise ValueError(f"sections.{section['id']}: {kind} {lost[0]!r:.40} is missing")
    for table in content["tables"]:
        if any(len(row) != len(table["columns"]) for row in table["rows"]):
            raise ValueError(f"tables.{table['id']}: a row has another length than the columns")
        if any(not isinstance(value, str | int | float | None) for row in table["rows"] for value in row):
            raise ValueError(f"tables.{table['id']}: a cell is neither text nor a number")
    numbers = [*_image_numbers(content["data"])]
    if not all(0 <= number < len(content["images"]) for number in numbers):
        raise ValueError("data: an image number is not in images")
    for panel in content["data"].get("tsne", {"panels": []})["panels"]:
        if {len(panel["x"]), len(panel["y"])} != {len(content["data"]["tsne"]["images"])}:
            raise ValueError("data.tsne.panels: not one point for each image")


def _image_numbers(data: Mapping[str, Any]) -> Iterator[int]:
    yield from data.get("tsne", {"images": []})["images"]
    for query in data.get("rankings", {"queries": []})["queries"]:
        yield query["image"]
        yield from (entry["image"] for entry in query["ranked"])
