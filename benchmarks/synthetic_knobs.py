"""Does each cause of difficulty do what it should? Scores of methods against each knob, the others left alone.

``python -m benchmarks.synthetic_knobs --method cluster_contrast [--protocol sysu_all] [--seeds 0 1] [--output DIR]``
trains on data that differ in one knob at a time, an ordinary run each, and draws ``knobs.svg`` and ``knobs.png``. Runs
whose record is below ``DIR`` already are not made again. ``--plot`` only draws, from any folder of records: the figures
in ``docs`` come from ``--plot --output leaderboard/records --figure docs/...``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.methods import ROOT
from datasets.synthetic.spec import GENERATOR_VERSIONS, SyntheticSpec
from engine.registry import UsageError, did_you_mean
from leaderboard.knobs import Sweep, split
from leaderboard.record import Record, read_record
from leaderboard.table import Row, tables
from reports.style import LOOKS, NEUTRAL, new_figure, save_figure, shared_legend, stamp, styled

LEVELS: dict[str, tuple[float, ...]] = {
    "modality_gap": (0.0, 0.5, 1.0),
    "camera_gap": (0.0, 0.5, 1.0),
    "clothing_similarity": (0.0, 0.5, 1.0),
    "recolour": (0.0, 0.5, 1.0),
    "occlusion": (0.0, 0.5, 1.0),
    "pose": (0.0, 0.5, 1.0),
    "boxes": (0.0, 0.5, 1.0),
    "mismatch": (0.0, 0.25, 0.5, 0.75, 1.0),
}
"""Levels of each knob; the default of a knob is among them, so that every panel shares that point."""
COLUMNS = 2


@dataclass(frozen=True)
class Point:
    """One run: a method under a seed, on people with at most one knob off its default."""

    method: str
    people: SyntheticSpec
    seed: int

    @property
    def data(self) -> str:
        """As ``--data`` takes it."""
        usual = SyntheticSpec(size=self.people.size).knobs()
        changed = [f",{name}={value}" for name, value in self.people.knobs().items() if value != usual[name]]
        return f"synthetic:size={self.people.size}{''.join(changed)}"


Runner = Callable[[Point], None]


def points(methods: Sequence[str], size: str, knobs: Sequence[str], seeds: Sequence[int]) -> list[Point]:
    """Every method on every knob at every level, under every seed; people that two knobs share are named once."""
    people = [SyntheticSpec(size=size, **{knob: level}) for knob in knobs for level in LEVELS[knob]]  # type: ignore[arg-type]
    return [Point(m, one, seed) for one in dict.fromkeys(people) for m in methods for seed in seeds]


def read_records(folder: Path, protocol: str) -> dict[str, Record]:
    """Records of runs on people of today's generator, by path: of finished runs, or a folder of nothing but records."""
    paths = sorted(folder.rglob("record.json")) or sorted(folder.rglob("*.json"))
    found = {str(path.relative_to(folder)): read_record(path) for path in paths}
    version = GENERATOR_VERSIONS[protocol.partition("_")[0]]
    return {name: r for name, r in found.items() if r.result.protocol == protocol and _made_by(r) == version}


def done(records: dict[str, Record]) -> set[tuple[str, str, int]]:
    """Method, people and seed of every record."""
    results = [record.result for record in records.values()]
    return {(r.method, json.dumps((r.dataset["synthetic"] or {})["spec"], sort_keys=True), r.seed) for r in results}


def key(point: Point) -> tuple[str, str, int]:
    """How :func:`done` names a point."""
    return point.method, json.dumps(asdict(point.people), sort_keys=True), point.seed


def run(protocol: str, output: Path, settings: Sequence[str]) -> Runner:
    """Runs ``run.py`` in a process of its own."""

    def runner(point: Point) -> None:
        command = [sys.executable, str(ROOT / "run.py"), "--method", point.method, "--protocol", protocol]
        command += ["--data", point.data, "--seed", str(point.seed), "--output", str(output), "--resume", "--no-report"]
        extra = ["--set", *settings] if settings else []
        finished = subprocess.run([*command, *extra], cwd=ROOT, capture_output=True, text=True)
        if finished.returncode:
            raise RuntimeError(f"{point.method} on {point.data} failed:\n{finished.stderr}")

    return runner


def sweeps_of(records: dict[str, Record], size: str, knobs: Sequence[str]) -> list[Sweep]:
    """Those of the usual people, in the order of the knobs."""
    usual = asdict(SyntheticSpec(size=size))
    _, found = split(tables(records))
    mine = {
        sweep.knob: sweep
        for sweep in found
        if any(json.loads(level.key.synthetic)["spec"] == usual for level in sweep.levels.values())
    }
    return [mine[knob] for knob in knobs if knob in mine]


def drawn(sweeps: Sequence[Sweep], methods: Sequence[str], title: str) -> Figure:
    """A panel a knob: mAP against its level, a dot a seed, a line through the means; dashed, chance."""
    columns = min(len(sweeps), COLUMNS)
    rows = -(-len(sweeps) // columns)
    figure, panels = new_figure(columns, height=1.15 * rows + 0.35, rows=rows)
    for axes in panels[len(sweeps) :]:
        axes.remove()
    for axes, sweep in zip(panels, sweeps, strict=False):
        levels = list(sweep.levels)
        chance = [100 * next(r for r in sweep.levels[x].rows if not r.method).values["mAP"].mean() for x in levels]
        axes.plot(levels, chance, color=NEUTRAL, linestyle="--", linewidth=0.8)
        for look, method in zip(LOOKS, methods, strict=False):
            found = {x: 100 * row.values["mAP"] for x in levels for row in _rows(sweep, x, method)}
            if len(found) > 1:
                means = [values.mean() for values in found.values()]
                axes.plot(list(found), means, **look, markersize=3, label=method)
                for x, values in found.items():
                    dots = {"linestyle": "", "marker": look["marker"], "markersize": 2, "color": look["color"]}
                    axes.plot([x] * len(values), values, **dots, alpha=0.6, clip_on=False)
        axes.axvline(SyntheticSpec().knobs()[sweep.knob], color="0.85", linewidth=3, zorder=0)
        axes.set(title=sweep.knob.replace("_", " "), xlim=(-0.04, 1.04), ylim=(0, 100), xticks=[0, 0.5, 1])
    for axes in panels[: len(sweeps) : columns]:
        axes.set_ylabel("mAP (%)")
    if len(methods) > 1:
        shared_legend(figure)
    stamp(figure, title)
    return figure


def _rows(sweep: Sweep, level: float, method: str) -> Iterator[Row]:
    """The method's row at a level: the one whose configuration most levels have, where there are several."""
    rows = [row for row in sweep.levels[level].rows if row.method == method and not row.official]
    yield from sorted(rows, key=lambda row: -row.seeds)[:1]


def _made_by(record: Record) -> int | None:
    synthetic = record.result.dataset["synthetic"]
    return None if synthetic is None else synthetic["generator_version"]


def main(arguments: Sequence[str] | None = None, runner: Runner | None = None) -> int:
    """Train what is missing and draw; ``runner`` takes the place of training."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_knobs", description=__doc__)
    parser.add_argument("--method", nargs="+", default=["cluster_contrast"])
    parser.add_argument("--protocol", default="sysu_all")
    parser.add_argument("--size", default="small")
    parser.add_argument("--knobs", nargs="+", default=list(LEVELS), metavar="KNOB", help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of every run")
    parser.add_argument("--output", type=Path, default=Path("runs/knobs"), metavar="DIR", help="folder of the runs")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="figure, without ending (default: DIR/knobs)")
    parser.add_argument("--plot", action="store_true", help="draw what is there and train nothing")
    options = parser.parse_args(arguments)
    for knob in options.knobs:
        if knob not in LEVELS:
            raise SystemExit(f"unknown knob '{knob}': {did_you_mean(knob, LEVELS)}")
    go = runner or run(options.protocol, options.output, options.set)
    wanted = [] if options.plot else points(options.method, options.size, options.knobs, options.seeds)
    try:
        there = done(read_records(options.output, options.protocol))
        for point in wanted:
            if key(point) not in there:
                go(point)
        sweeps = sweeps_of(read_records(options.output, options.protocol), options.size, options.knobs)
    except UsageError as error:
        raise SystemExit(str(error)) from error
    if not sweeps:
        raise SystemExit(f"{options.output}: no knob has records at two levels; run without --plot")
    with styled():
        title = f"{options.protocol}, size={options.size}, a dot a seed; grey bar: default; dashed: chance"
        save_figure(drawn(sweeps, options.method, title), options.figure or options.output / "knobs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
