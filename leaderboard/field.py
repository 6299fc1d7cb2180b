"""The published state of the field: its tables, for ``PUBLISHED.md`` and the site alike, and that page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from usvi_bench.core.formatting import MISSING
from usvi_bench.core.markdown import page
from usvi_bench.core.table import Cell, Table, TableRow, to_markdown, value_cell
from usvi_bench.leaderboard.published import EVIDENCE, METRIC_COLUMNS, SETTINGS, Published, footnote, ordered
from usvi_bench.leaderboard.score_table import PROTOCOLS

PLOT = "published.svg"
HEAD = f"""# The published state of the field

Made by `python -m leaderboard` from `published.csv`; do not edit. These are figures that others have published, on real
data. None of them was measured with this suite; [LEADERBOARD.md](LEADERBOARD.md) has what was.

![Published mAP over the years, by protocol and by the labels used in training]({PLOT})"""
FIELD_RULES = f"""* Percent. `-`: not given by the source. Highest mAP first, within the labels that methods train with.
* labels: true identities used in training: none (unsupervised), some (semi-supervised) or all (supervised).
* cameras: whether camera labels are used in training; empty where we do not know.
* evidence: {"; ".join(f"*{name}*: {meaning}" for name, meaning in EVIDENCE.items())}.
* One figure a method and protocol: the paper's own where it is known, as read there or as its authors repeat it; else
  as quoted by later papers. Figures of a repository that differ from the paper's table are not shown in its place, but
  in a footnote, like all figures that disagree with the one shown by more than rounding."""


def build_field(published: Sequence[Published]) -> str:
    """Make the page; it depends on nothing but its input."""
    blocks = [block for table in field_tables(published) for block in _blocks(table)]
    return page(HEAD, *blocks, "## How to read the tables", FIELD_RULES)


def field_tables(published: Sequence[Published]) -> list[Table]:
    """Make a table for each protocol that has figures, named after it."""
    return [_field_table(name, entries) for name in PROTOCOLS if (entries := ordered(published, name))]


def _blocks(table: Table) -> Iterator[str]:
    yield f"## {table.title} (`{table.name}`)"
    yield to_markdown(table)
    yield "\n".join(f"{i}. {text}" for i, text in enumerate(table.footnotes, 1))


def _field_table(protocol: str, entries: Sequence[Published]) -> Table:
    disputed = [entry for entry in entries if entry.others]
    tags = {entry.shown.method: f"[{i}]" for i, entry in enumerate(disputed, 1)}
    return Table(
        title=PROTOCOLS[protocol],
        columns=["Method", "venue", "year", "labels", "cameras", "evidence", *METRIC_COLUMNS],
        rows=[_field_row(entry, tags.get(entry.shown.method, "")) for entry in entries],
        words=6,
        footnotes=[f"{entry.shown.method}: elsewhere {footnote(entry)}." for entry in disputed],
        name=protocol,
    )


def _field_row(entry: Published, tag: str) -> TableRow:
    shown = entry.shown
    cells = [
        Cell(shown.method),
        Cell(shown.venue or MISSING),
        value_cell(shown.year or None),
        Cell(SETTINGS[shown.setting]),
        Cell(shown.cameras.replace("unknown", "")),
        Cell(shown.evidence, tag=tag),
        *(Cell(shown.metrics.get(metric, MISSING), shown.value(metric)) for metric in METRIC_COLUMNS),
    ]
    return TableRow(cells, quiet=shown.setting != "unsupervised")
