"""Sources of documentation tables: committed records, ablation grids and diagnoses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd

from usvi_bench.core.errors import UsageError
from usvi_bench.core.result import REPAIRED
from usvi_bench.core.settings import SHARED
from usvi_bench.core.table import csv_text
from usvi_bench.leaderboard.build import load_records
from usvi_bench.leaderboard.knobs import Sweep, separate_sweeps, sweep_rows
from usvi_bench.leaderboard.score_table import ScoreTable, score_tables
from usvi_bench.reports.ablation_table import Ablation, read_ablation
from usvi_bench.synthetic.spec import BOARD_SEED, SyntheticSpec

PROTOCOL = "sysu_all"
"""Protocol of grids, knobs and diagnoses."""
CONTROL = "continued"
"""Name of a control: the first stage with doubled training and no ties, a row of SCLHM's grid."""
PEOPLE = BOARD_SEED
"""Data seed of the people of the leaderboard."""

Seeds = pd.Series  # mAP in percent by seed
Found = TypeVar("Found")


@dataclass(frozen=True)
class Sources:
    """Sources in a folder like ``leaderboard/``; results are on people of size ``small`` with default knobs."""

    folder: Path
    _grids: dict[str, Ablation] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def tables(self) -> tuple[list[ScoreTable], list[Sweep]]:
        """Base tables and sweeps of the leaderboard."""
        return separate_sweeps(score_tables(load_records(self.folder / "records")))

    def grid(self, method: str, protocol: str = PROTOCOL) -> Ablation:
        """Read the committed ablation of a method.

        Raises:
            UsageError: it does not exist.
        """
        name = f"{method}-{protocol}"
        folder = self.folder / "ablations" / name
        if not folder.is_dir():
            raise UsageError(f"grid of {method}: no folder {folder}; publish one with run.py ablation --publish")
        if name not in self._grids:
            self._grids[name] = read_ablation(folder)
        return self._grids[name]

    def ranked(self, protocol: str = PROTOCOL) -> list[str]:
        """List the ranked methods of the leaderboard, highest mean mAP first."""
        return [row.label for row in self._usual(protocol).rows if row.competes and row.records]

    def scores(self, protocol: str, method: str, released: bool = False, people: int = PEOPLE) -> Seeds:
        """Return mAP by seed of a method on people, without or with the defects of the released code.

        Raises:
            UsageError: the row does not exist or is not unique.
        """
        if method == CONTROL:
            lines = (line for line in self.grid("sclhm", protocol).rows if line.name == f"cluster contrast, {CONTROL}")
            return 100 * single(lines, f"{CONTROL}, {protocol}").scores["mAP"]
        rows = (row for row in self._usual(protocol, released, people).rows if method in (row.method, row.label))
        return 100 * single(rows, f"{method}, {protocol}").values["mAP"]

    def levels(self, knob: str, method: str) -> dict[float, Seeds]:
        """Return mAP by level of a knob, then by seed; empty if the method has no runs with this knob."""
        base = self._usual(PROTOCOL)
        lines = [line for s in self.tables[1] if s.knob == knob and s.base is base for line in sweep_rows(s)]
        firsts = ((line.rows, next(iter(line.rows.values()))) for line in lines)
        mine = [rows for rows, first in firsts if method in (first.method, first.label)]
        rows = single(mine, f"{method} with varied {knob}") if mine else {}
        return {level: 100 * row.values["mAP"] for level, row in rows.items()}

    def labels(self, method: str, row: str = "") -> pd.DataFrame:
        """Return label quality in the last stage of a method or of a row of its grid; missing values are empty strings.

        Raises:
            UsageError: there are no values, or they are from runs with different settings.
        """
        own = self._diagnosis("label_quality.csv", method, row)
        last: pd.DataFrame = own[own["stage"] == own["stage"].max()]
        return last

    def parts(self, method: str) -> pd.DataFrame:
        """Return the quality of a method's parts; errors as in :meth:`labels`."""
        return self._diagnosis("part_quality.csv", method, "")

    def open_set(self, method: str) -> pd.DataFrame:
        """Return the open-set rates of a method; errors as in :meth:`labels`."""
        return self._diagnosis("open_set.csv", method, "")

    def _diagnosis(self, file: str, method: str, row: str) -> pd.DataFrame:
        found: pd.DataFrame = pd.read_csv(self.folder / file, keep_default_na=False)
        people = f"seed={PEOPLE}" if PEOPLE else ""
        usual = (found["people"] == people) & (found["form"] != "released") & (found["protocol"] == PROTOCOL)
        own: pd.DataFrame = found[usual & (found["method"] == method) & (found["row"] == csv_text(row))]
        single(own["config"].unique(), f"settings of {method}{f', {row}' if row else ''} in {file}")
        return own

    def _usual(self, protocol: str, released: bool = False, people: int = PEOPLE) -> ScoreTable:
        key = (protocol, SHARED, "released" if released else REPAIRED, True)
        keys = ((t, t.key) for t in self.tables[0])
        alike = (t for t, own in keys if (own.protocol, own.setting, own.form, bool(own.synthetic)) == key)
        drawn = (t for t in alike if t.key.usual_training and t.key.shots in (0, 1) and t.key.gallery != "official")
        spec = SyntheticSpec(size="small", seed=people).note()
        fits = (t for t in drawn if json.loads(t.key.synthetic).get("spec") == spec)
        return single(fits, f"table of {protocol} on people {people}")


def single(found: Iterable[Found], what: str) -> Found:
    """Return the only item.

    Raises:
        UsageError: there are no or several items; the message begins with ``what``.
    """
    every = list(found)
    if len(every) != 1:
        raise UsageError(f"{what}: {len(every)} found; expected exactly one")
    return every[0]
