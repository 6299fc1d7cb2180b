"""``PUBLISHED.md``: the published state of the field, as tables and a plot over years."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from usvi_bench.leaderboard.markdown import MISSING, page, table
from usvi_bench.leaderboard.published import EVIDENCE, METRIC_COLUMNS, SETTINGS, Published, footnote, ordered
from usvi_bench.leaderboard.table import PROTOCOLS

PLOT = "published.svg"
HEAD = f"""# The published state of the field

Made by `python -m leaderboard` from `published.csv`; do not edit. These are figures that others have published, on real
data. None of them was measured with this suite; [LEADERBOARD.md](LEADERBOARD.md) has what was.

![Published mAP over the years, by protocol and by the labels used in training]({PLOT})"""
HOW = f"""## How to read the tables

* Percent. `-`: not given by the source. Highest mAP first, within the labels that methods train with.
* labels: true identities used in training: none (unsupervised), some (semi-supervised) or all (supervised).
* cameras: whether camera labels are used in training; empty where we do not know.
* evidence: {"; ".join(f"*{name}*: {meaning}" for name, meaning in EVIDENCE.items())}.
* One figure a method and protocol: the paper's own where it is known, as read there or as its authors repeat it; else
  as quoted by later papers. Figures of a repository that differ from the paper's table are not shown in its place, but
  in a footnote, like all figures that disagree with the one shown by more than rounding."""


def build_field(published: Sequence[Published]) -> str:
    """The page; it depends on nothing but its input."""
    protocols = [name for name in PROTOCOLS if ordered(published, name)]
    return page(HEAD, *(block for name in protocols for block in _section(published, name)), HOW)


def _section(published: Sequence[Published], protocol: str) -> Iterator[str]:
    entries = ordered(published, protocol)
    yield f"## {PROTOCOLS[protocol]} (`{protocol}`)"
    notes = [(entry.shown.method, text) for entry in entries if (text := footnote(entry))]
    numbers = {method: i for i, (method, _) in enumerate(notes, 1)}
    header = ["Method", "venue", "year", "labels", "cameras", "evidence", *METRIC_COLUMNS]
    yield table(header, [_cells(entry, numbers.get(entry.shown.method)) for entry in entries], words=6)
    if notes:
        yield "\n".join(f"{numbers[method]}. {method}: elsewhere {text}." for method, text in notes)


def _cells(entry: Published, note: int | None) -> list[str]:
    shown = entry.shown
    return [
        shown.method,
        shown.venue or MISSING,
        str(shown.year or MISSING),
        SETTINGS[shown.setting],
        shown.cameras.replace("unknown", ""),
        shown.evidence + (f" [{note}]" if note else ""),
        *(shown.metrics.get(metric, MISSING) for metric in METRIC_COLUMNS),
    ]
