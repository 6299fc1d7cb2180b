"""Scores of methods against each difficulty knob of the synthetic people, one knob at a time.

``python -m analysis.synthetic_knobs --method cluster_contrast [--protocol sysu_all] [--seeds 0 1] [--output DIR]``
trains an ordinary run at each level of each knob, with the other knobs at their defaults, and draws ``knobs.png``,
``knobs.svg`` and ``knobs.pdf``. Runs with a record below ``DIR`` are not repeated. ``--plot`` trains nothing and draws
the records of runs, or of a folder that holds only records, such as ``leaderboard/records``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from usvi_bench.analysis.child_run import train_in_child
from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.record import Record, read_record
from usvi_bench.core.settings import SHARED
from usvi_bench.engine.load_config import parse_settings
from usvi_bench.leaderboard.knobs import Sweep, separate_sweeps, sweep_rows
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.reports.style import LOOKS, NEUTRAL, new_figure, save_figure, shared_legend, stamp, styled
from usvi_bench.synthetic.spec import GENERATOR_VERSIONS, SyntheticSpec, changed_knobs

LEVELS: dict[str, tuple[float, ...]] = {
    "modality_gap": (0.0, 0.5, 1.0),
    "camera_gap": (0.0, 0.5, 1.0),
    "clothing_similarity": (0.0, 0.5, 1.0),
    "recolour": (0.0, 0.5, 1.0),
    "occlusion": (0.0, 0.5, 1.0),
    "pose": (0.0, 0.5, 1.0),
    "boxes": (0.0, 0.5, 1.0),
    "mismatch": (0.0, 0.25, 0.5, 0.75, 1.0),
    "foreign": (0.0, 0.25, 0.5, 0.75, 1.0),
}
"""Levels of each knob; they include its default, so that all panels share that point."""
COLUMNS = 2


@dataclass(frozen=True)
class Point:
    """Point of a sweep: a method under a seed, on people with at most one changed knob."""

    method: str
    people: SyntheticSpec
    seed: int

    @property
    def data(self) -> str:
        """Value of ``--data``."""
        changed = [f",{name}={value}" for name, value in changed_knobs(self.people.knobs()).items()]
        return f"synthetic:size={self.people.size},seed={self.people.seed}{''.join(changed)}"


Runner = Callable[[Point], None]


def points(methods: Sequence[str], base: SyntheticSpec, knobs: Sequence[str], seeds: Sequence[int]) -> list[Point]:
    """Combine all methods, knobs, levels and seeds; populations that several knobs share occur once."""
    people = [replace(base, **{knob: level}) for knob in knobs for level in LEVELS[knob]]  # type: ignore[arg-type]
    return [Point(m, one, seed) for one in dict.fromkeys(people) for m in methods for seed in seeds]


def read_records(folder: Path, protocol: str, settings: Sequence[str] = (), bare: bool = False) -> dict[str, Record]:
    """Read the complete records of ordinary runs with the given settings and the current generator, by path.

    Args:
        folder: folder of finished runs, each with its ``record.json``.
        protocol: name of the protocol.
        settings: settings as after ``--set``; the number of threads is ignored.
        bare: whether to read all JSON files as records if no ``record.json`` exists.
    """
    paths = sorted(folder.rglob("record.json")) or (sorted(folder.rglob("*.json")) if bare else [])
    found = {str(path.relative_to(folder)): read_record(path) for path in paths}
    return {name: record for name, record in found.items() if _is_wanted(record, protocol, settings)}


def _is_wanted(record: Record, protocol: str, settings: Sequence[str]) -> bool:
    result, made = record.result, record.provenance
    synthetic = result.dataset["synthetic"] or {}
    ordinary = (
        result.setting == SHARED
        and not made.get("ablation")
        and _relevant(made.get("overrides", {}).get("settings", {})) == _relevant(parse_settings(settings))
    )
    of_today = "spec" in synthetic and synthetic["generator_version"] == _version(protocol)
    return result.protocol == protocol and ordinary and of_today and record.complete


def _relevant(settings: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items() if name != "engine.threads"}


def _version(protocol: str) -> int:
    layout = protocol.partition("_")[0]
    if layout not in GENERATOR_VERSIONS:
        raise UsageError(f"--protocol {protocol}: synthetic people come in the layouts {', '.join(GENERATOR_VERSIONS)}")
    return GENERATOR_VERSIONS[layout]


def finished_points(records: dict[str, Record]) -> set[tuple[str, str, int]]:
    """Return method, people and seed of every record."""
    results = [record.result for record in records.values()]
    return {(r.method, json.dumps((r.dataset["synthetic"] or {})["spec"], sort_keys=True), r.seed) for r in results}


def point_key(point: Point) -> tuple[str, str, int]:
    """Return method, people and seed of a point, as :func:`finished_points` does."""
    return point.method, json.dumps(point.people.note(), sort_keys=True), point.seed


def make_runner(protocol: str, output: Path, settings: Sequence[str]) -> Runner:
    """Make a runner that trains a point with ``run.py`` in a separate process."""

    def runner(point: Point) -> None:
        options = ["--method", point.method, "--protocol", protocol, "--data", point.data, "--seed", str(point.seed)]
        train_in_child(f"{point.method} on {point.data}", [*options, "--output", str(output)], settings)

    return runner


def select_sweeps(records: dict[str, Record], base: SyntheticSpec, knobs: Sequence[str]) -> list[Sweep]:
    """Select the sweeps around the people ``base``, in the order of the knobs."""
    mine: dict[str, Sweep] = {}
    for sweep in separate_sweeps(score_tables(records))[1]:
        if json.loads(sweep.base.key.synthetic)["spec"] == base.note():
            mine.setdefault(sweep.knob, sweep)
    return [mine[knob] for knob in knobs if knob in mine]


def draw_sweeps(sweeps: Sequence[Sweep], methods: Sequence[str], title: str) -> Figure:
    """Draw mAP against the level of each knob: a panel per knob, a dot per seed, a line of means, dashed chance."""
    columns = min(len(sweeps), COLUMNS)
    rows = -(-len(sweeps) // columns)
    figure, panels = new_figure(columns, height=1.15 * rows + (0.35 if columns > 1 else 1.25), rows=rows)
    for axes in panels[len(sweeps) :]:
        axes.remove()
    for axes, sweep in zip(panels, sweeps, strict=False):
        chance = _line(sweep, "")
        axes.plot(list(chance), [values.mean() for values in chance.values()], color=NEUTRAL, ls="--", linewidth=0.8)
        for look, method in zip(LOOKS, methods, strict=False):
            found = _line(sweep, method)
            if found:
                axes.plot(list(found), [v.mean() for v in found.values()], **look, markersize=3, label=method)
            for x, values in found.items():
                dots = {"linestyle": "", "marker": look["marker"], "markersize": 2, "color": look["color"]}
                axes.plot([x] * len(values), values, **dots, alpha=0.6, clip_on=False)
        axes.axvline(sweep.base_level, color="0.85", linewidth=3, zorder=0)
        axes.set(title=sweep.knob.replace("_", " "), xlim=(-0.04, 1.04), xticks=[0, 0.25, 0.5, 0.75, 1])
    highest = max(np.max(line.get_ydata()) for axes in panels[: len(sweeps)] for line in axes.get_lines()[:-1])
    for axes in panels[: len(sweeps)]:
        axes.set_ylim(0, 10 * np.ceil(highest / 10 + 0.2))
    for axes in panels[: len(sweeps) : columns]:
        axes.set_ylabel("mAP (%)")
    shared_legend(figure)
    stamp(figure, title)
    return figure


def _line(sweep: Sweep, method: str) -> dict[float, pd.Series[float]]:
    """Return a method's mAP in percent by level, of its configuration with the most levels, then the most seeds."""
    rows = [row for row in sweep_rows(sweep) if next(iter(row.rows.values())).method == method]
    rows.sort(key=lambda row: (-len(row.values), -row.seeds, row.label))
    return {level: 100 * values for level, values in rows[0].values.items()} if rows else {}


def main(arguments: Sequence[str] | None = None, runner: Runner | None = None) -> int:
    """Train the missing points and draw the figure; ``runner`` trains one point."""
    parser = argparse.ArgumentParser(prog="python -m analysis.synthetic_knobs", description=__doc__)
    parser.add_argument("--method", nargs="+", default=["cluster_contrast"])
    parser.add_argument("--protocol", default="sysu_all")
    parser.add_argument("--size", default="small")
    parser.add_argument("--people", type=int, default=0, metavar="SEED", help="data seed of the people")
    parser.add_argument("--knobs", nargs="+", default=list(LEVELS), metavar="KNOB", help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of every run")
    parser.add_argument("--output", type=Path, default=Path("runs/knobs"), metavar="DIR", help="folder of the runs")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="figure, without suffix (default: DIR/knobs)")
    parser.add_argument("--plot", action="store_true", help="draw existing records, train nothing")
    options = parser.parse_args(arguments)
    for knob in options.knobs:
        if knob not in LEVELS:
            raise SystemExit(f"unknown knob '{knob}': {did_you_mean(knob, LEVELS)}")
    if len(options.method) > len(LOOKS):
        raise SystemExit(f"{len(options.method)} methods: a figure has styles for {len(LOOKS)}; draw several figures")
    go = runner or make_runner(options.protocol, options.output, options.set)

    def read() -> dict[str, Record]:
        return read_records(options.output, options.protocol, options.set, bare=options.plot)

    try:
        _version(options.protocol)
        base = SyntheticSpec(size=options.size, seed=options.people)
        wanted = points(options.method, base, options.knobs, options.seeds)
        there = finished_points(read())
        for point in wanted if not options.plot else ():
            if point_key(point) not in there:
                go(point)
        sweeps = select_sweeps(read(), base, options.knobs)
    except UsageError as error:
        raise SystemExit(str(error)) from error
    if not sweeps:
        raise SystemExit(f"{options.output}: no knob has records at two levels; run without --plot")
    for method in options.method:
        if not any(_line(sweep, method) for sweep in sweeps):
            raise SystemExit(f"--method {method}: no record of it below {options.output} at two levels of a knob")
    with styled():
        people = f"{options.protocol}, size={base.size}, seed={base.seed}"
        title = f"{people}; dots: training seeds; grey bar: default; lowest line: chance"
        save_figure(draw_sweeps(sweeps, options.method, title), options.figure or options.output / "knobs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
