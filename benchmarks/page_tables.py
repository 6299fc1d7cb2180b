"""The figures of the tables in README.md and docs/findings.md, from records, published grids and label quality.

``python -m benchmarks.page_tables [--write]`` fills every table between ``<!-- figures: KIND -->`` and
``<!-- end of figures -->``. Whoever writes a page chooses what a table shows: the header and the first cell of each row
stay, all other cells are made here. Without ``--write`` it tells which pages are out of date, with exit status 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd

from benchmarks.methods import ROOT
from engine.files import void, write_atomically
from engine.registry import UsageError, did_you_mean
from leaderboard.build import FOLDER, load_records
from leaderboard.knobs import Sweep, split, sweep_rows
from leaderboard.markdown import MISSING
from leaderboard.table import Row, Table, tables
from reports.ablation_effects import effects
from reports.ablation_table import Ablation, read_ablation

PAGES = (ROOT / "README.md", ROOT / "docs" / "findings.md")
BLOCK = re.compile(r"<!-- figures: (\w+)(.*?) -->\n\n(.*?)\n\n<!-- end of figures -->", re.DOTALL)
PROTOCOL = "sysu_all"
"""Of grids, knobs and label quality."""
ALONE = "cluster_contrast"
"""What leads are counted from."""
CONTROL = "continued"
"""Stands for the first row of SCLHM's grid: the first stage trained as long again, without a tie."""
QUALITY = {"visible ARI": "visible_ari", "infrared ARI": "infrared_ari"} | {
    name: f"match_{name}" for name in ("precision", "recall")
}

Seeds = pd.Series  # mAP in percent by seed
Found = TypeVar("Found")


@dataclass(frozen=True)
class Sources:
    """What is committed in a folder like ``leaderboard/``; the usual people are those of the most records."""

    folder: Path

    @cached_property
    def tables(self) -> tuple[list[Table], list[Sweep]]:
        """Those of the leaderboard."""
        return split(tables(load_records(self.folder / "records")))

    def grid(self, method: str) -> Ablation:
        """The published grid of a method."""
        return read_ablation(self.folder / "ablations" / f"{method}-{PROTOCOL}")

    def scores(self, protocol: str, method: str, official: bool = False) -> Seeds:
        """Of a method as it is, or with the defects of the released code, on the usual people."""
        if method == CONTROL:
            return 100 * self.grid("sclhm").lines[0].scores["mAP"]
        rows = self._usual(protocol).rows
        return 100 * _one((row for row in rows if _is(row, method, official)), f"{method}, {protocol}").values["mAP"]

    def levels(self, knob: str, method: str) -> dict[float, Seeds]:
        """By the level of a knob of the people, over the seeds that all levels have; empty where it was not turned."""
        sweeps = [s for s in self.tables[1] if s.knob == knob and s.base is self._usual(PROTOCOL)]
        for sweep in sweeps:
            for line in sweep_rows(sweep):
                if _is(next(iter(line.rows.values())), method):
                    return {level: 100 * line.at(level) for level in sweep.levels}
        return {}

    @cached_property
    def labels(self) -> pd.DataFrame:
        """Label quality of the usual people, without settings of released code; empty cells are empty strings."""
        found = pd.read_csv(self.folder / "label_quality.csv", keep_default_na=False)
        usual = (found["people"] == "") & (found["preset"] != "official") & (found["protocol"] == PROTOCOL)
        return found[usual & (found["stage"] == found.groupby(["method", "row"])["stage"].transform("max"))]

    def _usual(self, protocol: str) -> Table:
        keys = ((found, found.key) for found in self.tables[0])
        fits = (found for found, key in keys if key.synthetic and (key.protocol, key.setting) == (protocol, "shared"))
        return _one(fits, protocol)


def scores(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """A method under the protocols that the header names; ``n`` counts the seeds of the column after it."""
    method = _names(name)[0] if _names(name) else name
    found = {title: sources.scores(_names(title)[0], method) for title in header if _names(title)}
    cells = [told(found[title]) if title in found else "" for title in header]
    for i, title in enumerate(header):
        if title == "n":
            cells[i] = MISSING if method == "chance" else str(len(found[header[i + 1]]))
    return cells


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
    """A method as it is, with the defects of the released code, and the difference over shared seeds."""
    both = [sources.scores(PROTOCOL, _names(name)[0], official) for official in (False, True)]
    ours, theirs = (column for _, column in pd.concat(both, axis=1).dropna().items())
    return [told(ours), told(theirs), told(ours - theirs, sign=True), one_by_one(ours - theirs)]


def levels(sources: Sources, knob: str, name: str, header: Sequence[str]) -> list[str]:
    """Scores at levels of a knob, ``lead at`` them over clustering alone; over the seeds that all of these have."""
    (method,) = _names(name)
    mine, alone = sources.levels(knob, method), sources.levels(knob, ALONE)
    shared = sorted(set.intersection(*(set(seeds.index) for seeds in (*mine.values(), *alone.values()))))
    cells = []
    for title in header:
        lead, level = title.startswith("lead"), float(title.split()[-1])
        values = (mine[level] - alone[level] if lead else mine[level])[shared]
        cells.append(MISSING if lead and method == ALONE else told(values, sign=lead))
    return cells


def knobs(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """``knob=level``: the methods that the header names, there."""
    knob, level = _names(name)[0].split("=")
    found = [sources.levels(knob, _names(title)[0]).get(float(level), Seeds(dtype=float)) for title in header]
    return [told(values) if len(values) else MISSING for values in found]


def labels(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """First and last epoch of a method's last stage, percent, means over seeds; ``n`` counts these."""
    own = sources.labels
    own = own[(own["row"] == "") & (own["method"] == _names(name)[0])]
    ends = [own[own["epoch"] == epoch] for epoch in (own["epoch"].min(), own["epoch"].max())]
    cells = [str(own["seed"].nunique())]
    for title in header[1:]:
        values = [end[QUALITY[title]] for end in ends]
        known = all((value != "").all() for value in values)
        cells.append(" to ".join(f"{100 * v.astype(float).mean():.0f}" for v in values) if known else MISSING)
    return cells


def joint(sources: Sources, _: str, name: str, header: Sequence[str]) -> list[str]:
    """``method, row of its grid``: joint clusters, epoch after epoch of the last stage, means over ``n`` seeds."""
    own, row = sources.labels, name.partition(", ")[2].replace("as it is", "")
    own = own[(own["method"] == _names(name)[0]) & (own["row"] == row) & (own["joint_precision"] != "")]
    means = [own[f"joint_{title}"].astype(float).groupby(own["epoch"]).mean() for title in header[1:]]
    return [str(own["seed"].nunique()), *(", ".join(f"{value:.2f}" for value in mean) for mean in means)]


def rows(sources: Sources, method: str, name: str, _: Sequence[str]) -> list[str]:
    """A row of a grid: number of seeds, mAP, gain over the first row."""
    first, *others = sources.grid(method).lines
    line = _one((one for one in (first, *others) if one.name == name), f"row '{name}' of the grid of {method}")
    gains = 100 * (line.scores["mAP"] - first.scores["mAP"]).dropna()
    told_gain = MISSING if line is first or gains.empty else told(gains, sign=True)
    return [str(len(line.scores)), told(100 * line.scores["mAP"]), told_gain]


def one_setting(sources: Sources, method: str, name: str, _: Sequence[str]) -> list[str]:
    """What a setting does over the pairs of rows that differ in it alone: pairs, seeds, difference, by seed."""
    effect = _one((e for e in effects(sources.grid(method)) if e.label == name), f"{name} in the grid of {method}")
    gains = 100 * effect.gains["mAP"]
    return [str(effect.pairs), str(len(gains)), told(gains, sign=True), one_by_one(gains)]


KINDS: dict[str, Callable[[Sources, str, str, Sequence[str]], list[str]]] = {
    "scores": scores,
    "differences": differences,
    "presets": presets,
    "levels": levels,
    "knobs": knobs,
    "labels": labels,
    "joint": joint,
    "rows": rows,
    "settings": one_setting,
}
"""From what a mark says after the kind, a row's first cell and the header without its own, to the other cells."""


def told(values: Seeds, sign: bool = False) -> str:
    """Mean with the sample standard deviation over seeds, where there are several."""
    mean = _number(float(values.mean()), sign)
    return f"{mean} ± {values.std():.1f}" if len(values) > 1 else mean


def one_by_one(values: Seeds) -> str:
    """Seed by seed."""
    return ", ".join(_number(value) for value in values.sort_index())


def _number(value: float, sign: bool = False) -> str:
    text = f"{value:+.1f}" if sign else f"{value:.1f}"
    return "0.0" if float(text) == 0 else text


def filled(page: str, sources: Sources) -> str:
    """A page with all its marked tables filled in.

    Raises:
        UsageError: an unknown kind, a row of which nothing is known, or a table with other columns than its kind has.
    """

    def fill(block: re.Match[str]) -> str:
        kind, of, old = block[1], block[2], block[3]
        if kind not in KINDS:
            raise UsageError(f"figures: {kind}: {did_you_mean(kind, KINDS)}")
        head, rule, *lines = ([cell.strip() for cell in line.split("|")[1:-1]] for line in old.splitlines())
        made = [[line[0], *KINDS[kind](sources, of.strip(), line[0], head[1:])] for line in lines]
        if uneven := [line[0] for line in made if len(line) != len(head)]:
            raise UsageError(f"figures: {kind}{of}: {uneven[0]} has {len(made[0])} cells, the header {len(head)}")
        text = "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *made))
        return block[0].replace(old, text)

    return BLOCK.sub(fill, page)


def _names(cell: str) -> list[str]:
    return re.findall(r"`([\w=.]+)`", cell)


def _is(row: Row, method: str, official: bool = False) -> bool:
    return method in (row.method, row.label) and row.official == official


def _one(found: Iterable[Found], what: str) -> Found:
    every = list(found)
    if len(every) != 1:
        raise UsageError(f"{what}: {len(every)} found, not one")
    return every[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the pages in, or tell which are out of date."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page_tables", description=__doc__)
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
            write_atomically(path, lambda file, text=text: void(file.write(text.encode())))
        else:
            print(f"{path.relative_to(ROOT)}: out of date: run python -m benchmarks.page_tables --write")
    return int(bool(stale) and not options.write)


if __name__ == "__main__":
    sys.exit(main())
