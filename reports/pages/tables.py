"""The figures of the tables in README.md and docs/findings.md, filled in from what is committed.

``python -m reports.pages.tables [--write]`` fills every table between ``<!-- figures: KIND -->`` and
``<!-- end of figures -->``. Whoever writes a page chooses what a table shows: the header and the first cell of each row
stay, all other cells are made here. Without ``--write`` it tells which pages are out of date, with exit status 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import BinaryIO

import pandas as pd

from usvi_bench.core.environment import ROOT
from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.files import write_atomically
from usvi_bench.core.formatting import MISSING
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.reports.ablation_effects import effects
from usvi_bench.reports.pages.sources import PROTOCOL, Seeds, Sources, one

PAGES = (ROOT / "README.md", ROOT / "docs" / "findings.md")
BLOCK = re.compile(r"<!-- figures: (\w+)(.*?) -->\n\n(.*?)\n\n<!-- end of figures -->", re.DOTALL)
ALONE = "cluster_contrast"
"""What leads are counted from."""
QUALITY = {
    "visible ARI": "visible_ari",
    "infrared ARI": "infrared_ari",
    "precision": "match_precision",
    "recall": "match_recall",
}


def scores(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """A method under the protocols that the header names; ``n`` counts the seeds of the column after it."""
    method = _names(name)[0] if _names(name) else name
    found = [sources.scores(_names(title)[0], method) if _names(title) else Seeds() for title in header]
    counts = [MISSING if method == "chance" else str(len(after)) for after in [*found[1:], Seeds()]]
    return [n if title == "n" else told(values) for title, n, values in zip(header, counts, found, strict=True)]


def differences(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """``a - b``, paired by seed: the mean over all protocols that a column names, then ``by seed``."""
    first, second = name.replace("`", "").split(" - ")
    cells: list[str] = []
    gains = Seeds(dtype=float)
    for title in header:
        if title != "by seed":
            pairs = [sources.scores(p, first) - sources.scores(p, second) for p in _names(title)]
            gains = pd.concat(pairs, axis=1).dropna().mean(axis=1)
        cells.append(one_by_one(gains) if title == "by seed" else told(gains, sign=True))
    return cells


def presets(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """Seeds of both; a method as it is, with the defects of the released code, and the difference over these seeds."""
    both = [sources.scores(PROTOCOL, _names(name)[0], official) for official in (False, True)]
    ours, theirs = (column for _, column in pd.concat(both, axis=1).dropna().items())
    return [str(len(ours)), told(ours), told(theirs), told(ours - theirs, sign=True), one_by_one(ours - theirs)]


def levels(sources: Sources, knob: str, name: str, header: Sequence[str]) -> list[str]:
    """``n`` seeds that all levels have; over these, scores at them and ``lead at`` them over clustering alone."""
    (method,) = _names(name)
    shown = [float(title.split()[-1]) for title in header[1:]]
    both = [sources.levels(knob, each) for each in (method, ALONE)]
    if absent := [level for level in shown for by in both if level not in by]:
        raise UsageError(f"{knob}={absent[0]:g}: not run for {method} or {ALONE}")
    mine, alone = both
    shared = sorted(set.intersection(*(set(by[level].index) for by in both for level in shown)))
    cells = [str(len(shared))]
    for title, level in zip(header[1:], shown, strict=True):
        lead = title.startswith("lead")
        values = (mine[level] - alone[level] if lead else mine[level])[shared]
        cells.append(MISSING if lead and method == ALONE else told(values, sign=lead))
    return cells


def knobs(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """``knob=level``: the methods that the header names, there, over the seeds that all its levels have."""
    knob, level = _names(name)[0].split("=")
    cells = []
    for title in header:
        found = sources.levels(knob, _names(title)[0])
        shared = sorted(set.intersection(*(set(values.index) for values in found.values()))) if found else []
        cells.append(told(found[float(level)][shared]) if float(level) in found else MISSING)
    return cells


def label_quality(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """First and last epoch of a method's last stage, percent, means over ``n`` seeds."""
    own = sources.labels(_names(name)[0])
    ends = [own[own["epoch"] == epoch] for epoch in (own["epoch"].min(), own["epoch"].max())]
    cells = [str(own["seed"].nunique())]
    for title in header[1:]:
        values = [end[_column(title, QUALITY)] for end in ends]
        known = all((value != "").all() for value in values)
        cells.append(" to ".join(f"{100 * v.astype(float).mean():.0f}" for v in values) if known else MISSING)
    return cells


def joint(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """``method, row of its grid``: joint clusters, epoch after epoch of the last stage, means over ``n`` seeds."""
    own = sources.labels(_names(name)[0], name.partition(", ")[2].replace("as it is", ""))
    own = own[own["joint_precision"] != ""]
    columns = [_column(title, {"precision": "joint_precision", "recall": "joint_recall"}) for title in header[1:]]
    means = [own[column].astype(float).groupby(own["epoch"]).mean() for column in columns]
    return [str(own["seed"].nunique()), *(", ".join(f"{value:.2f}" for value in mean) for mean in means)]


def parts(sources: Sources, method: str, name: str, header: Sequence[str]) -> list[str]:
    """What a method's part knows: ``n`` seeds, then means over them for the modalities that the header names."""
    own = sources.parts(method)
    own = own[own["figure"] == name]
    if own.empty or (own["value"] == "").any():
        raise UsageError(f"'{name}' of {method}: not known for all runs in part_quality.csv")
    means = own["value"].astype(float).groupby(own["modality"]).mean()
    return [str(own["seed"].nunique()), *(f"{means[_column(title, means)]:.2f}" for title in header[1:])]


def rows(sources: Sources, method: str, name: str, _: Sequence[str]) -> list[str]:
    """A row of a grid: number of seeds, mAP, gain over the first row."""
    first, *others = sources.grid(method).rows
    line = one((line for line in (first, *others) if line.name == name), f"row '{name}' of the grid of {method}")
    gains = 100 * (line.scores["mAP"] - first.scores["mAP"]).dropna()
    gained = MISSING if line is first else told(gains, sign=True)
    return [str(len(line.scores)), told(100 * line.scores["mAP"]), gained]


def settings(sources: Sources, method: str, name: str, _: Sequence[str]) -> list[str]:
    """What a setting does over the pairs of rows that differ in it alone: pairs, seeds, difference, by seed."""
    effect = one((e for e in effects(sources.grid(method)) if e.label == name), f"{name} in the grid of {method}")
    gains = 100 * effect.gains["mAP"]
    return [str(effect.pairs), str(len(gains)), told(gains, sign=True), one_by_one(gains)]


KINDS: dict[str, Callable[[Sources, str, str, Sequence[str]], list[str]]] = {
    "scores": scores,
    "differences": differences,
    "presets": presets,
    "levels": levels,
    "knobs": knobs,
    "labels": label_quality,
    "joint": joint,
    "parts": parts,
    "rows": rows,
    "settings": settings,
}
"""From what a mark says after the kind, a row's first cell and the header without its own, to the other cells."""


def told(values: Seeds, sign: bool = False) -> str:
    """Mean with the sample standard deviation over seeds, where there are several; nothing without any."""
    if values.empty:
        return MISSING
    mean = _number(float(values.mean()), sign)
    return f"{mean} ± {values.std():.1f}" if len(values) > 1 else mean


def one_by_one(values: Seeds) -> str:
    """Seed by seed."""
    return ", ".join(_number(value) for value in values.sort_index()) or MISSING


def _number(value: float, sign: bool = False) -> str:
    text = f"{value:+.1f}" if sign else f"{value:.1f}"
    return "0.0" if float(text) == 0 else text


def filled(page: str, sources: Sources) -> str:
    """A page with all its marked tables filled in.

    Raises:
        UsageError: an unknown kind, a mark without an end, a table with other columns than its kind has, or a row of
            which nothing is known.
    """

    def fill(block: re.Match[str]) -> str:
        kind, of, old = block[1], block[2], block[3]
        if kind not in KINDS:
            raise UsageError(f"figures: {kind}: {did_you_mean(kind, KINDS)}")
        head, rule, *lines = ([cell.strip() for cell in line.split("|")[1:-1]] for line in old.splitlines())
        made = [[line[0], *KINDS[kind](sources, of.strip(), line[0], head[1:])] for line in lines]
        if uneven := [line for line in made if len(line) != len(head)]:
            raise UsageError(f"figures: {kind}{of}: {uneven[0][0]} has {len(uneven[0])} cells, the header {len(head)}")
        text = "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *made))
        return block[0].replace(old, text)

    if page.count("<!-- figures:") != len(BLOCK.findall(page)):
        raise UsageError("a mark <!-- figures: KIND --> lacks its table, or <!-- end of figures -->, or a blank line")
    return BLOCK.sub(fill, page)


def _names(cell: str) -> list[str]:
    return re.findall(r"`([\w=.]+)`", cell)


def _column(title: str, known: Mapping[str, str] | pd.Series[float]) -> str:
    if title not in known:
        raise UsageError(f"column {title}: {did_you_mean(title, [*known.keys()])}")
    return known[title] if isinstance(known, Mapping) else title


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the pages in, or tell which are out of date."""
    parser = argparse.ArgumentParser(prog="python -m reports.pages.tables", description=__doc__)
    parser.add_argument("--write", action="store_true", help="fill the tables in")
    options = parser.parse_args(arguments)
    sources = Sources(FOLDER)
    try:
        pages = {path: filled(path.read_text(encoding="utf-8"), sources) for path in PAGES}
    except UsageError as error:
        raise SystemExit(str(error)) from error
    stale = {path: text for path, text in pages.items() if text != path.read_text(encoding="utf-8")}
    for path, text in stale.items():
        if options.write:
            write_atomically(path, partial(_put, text.encode()))
        else:
            print(f"{path.relative_to(ROOT)}: out of date: run python -m reports.pages.tables --write")
    return int(bool(stale) and not options.write)


if __name__ == "__main__":
    sys.exit(main())
