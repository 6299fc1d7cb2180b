"""Does each cause of difficulty do what it should? Scores of one method against each knob, the others left alone.

``python -m benchmarks.synthetic_knobs --method cluster_contrast [--protocol sysu_all] [--seeds 0 1] [--output DIR]``
trains on data that differ in one knob at a time, keeps every score in ``DIR/knobs.json`` as soon as it is there, and
draws ``knobs.svg`` and ``knobs.png``. A call that was stopped goes on where it was; ``--plot`` only draws.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.measure import machine
from benchmarks.methods import ROOT
from datasets.synthetic.spec import GENERATOR_VERSIONS, SyntheticSpec
from engine.files import write_json
from engine.registry import UsageError, did_you_mean
from leaderboard.record import headline_scores, read_record
from reports.style import NEUTRAL, PALETTE, new_figure, save_figure, stamp, styled

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

Scores = dict[str, float]
Scorer = Callable[[str, int], Scores]
"""From ``--data`` and a seed to the scores of a finished training."""


@dataclass(frozen=True)
class Point:
    """One training: a knob at a level."""

    knob: str
    level: float
    data: str
    seed: int

    @property
    def key(self) -> str:
        """Equal for equal trainings: at its default, a knob names the same data as any other at its own."""
        return f"{self.data} seed={self.seed}"


def points(size: str, knobs: Sequence[str], seeds: Sequence[int]) -> Iterator[Point]:
    """Every knob at every level, under every seed."""
    usual = SyntheticSpec(size=size)
    for knob in knobs:
        for level in LEVELS[knob]:
            changed = "" if level == usual.knobs()[knob] else f",{knob}={level}"
            for seed in seeds:
                yield Point(knob, level, f"synthetic:size={size}{changed}", seed)


def sweep(file: Path, about: dict[str, Any], wanted: Sequence[Point], score: Scorer) -> dict[str, Scores]:
    """Scores by :attr:`Point.key`; what the file has is kept, the rest is computed and kept at once.

    Raises:
        UsageError: the file holds scores of something else.
    """
    content: dict[str, Any] = {**about, "scores": {}}
    if file.exists():
        content = json.loads(file.read_text(encoding="utf-8"))
        for name, value in about.items():
            if content.get(name) != value:
                raise UsageError(f"{file} has {name}={content.get(name)}, not {value}; choose another --output")
    for point in wanted:
        if point.key not in content["scores"]:
            content["scores"][point.key] = score(point.data, point.seed)
            write_json(file, {**content, "machine": machine()})
    scores: dict[str, Scores] = content["scores"]
    return scores


def trained(method: str, protocol: str, output: Path, settings: Sequence[str]) -> Scorer:
    """Runs ``run.py`` in a process of its own, a folder for each data set, and reads its record."""

    def score(data: str, seed: int) -> Scores:
        folder = output / data.replace("synthetic:", "").replace(",", "-").replace("=", "_")
        command = [sys.executable, str(ROOT / "run.py"), "--method", method, "--protocol", protocol, "--data", data]
        extra = ["--set", *settings] if settings else []
        done = subprocess.run(
            [*command, "--seed", str(seed), "--output", str(folder), "--resume", *extra],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{method} on {data} failed:\n{done.stderr}")
        (path,) = (folder / protocol).glob(f"{method}-seed{seed}-*/record.json")
        record = read_record(path)
        mean = {name: float(np.mean([getattr(s, name) for s in headline_scores(record)])) for name in ("mAP", "R1")}
        return {**mean, "chance_mAP": record.result.chance["mAP"]}

    return score


def drawn(scores: dict[str, Scores], wanted: Sequence[Point], title: str) -> Figure:
    """A panel a knob: mAP against its level, a dot a seed, the line through their means; dashed, chance."""
    knobs = list(dict.fromkeys(point.knob for point in wanted))
    columns = min(len(knobs), 2)
    rows = -(-len(knobs) // columns)
    figure, panels = new_figure(columns, height=1.15 * rows + 0.35, rows=rows)
    for axes in panels[len(knobs) :]:
        axes.remove()
    for axes, knob in zip(panels, knobs, strict=False):
        own = [point for point in wanted if point.knob == knob and point.key in scores]
        levels = sorted({point.level for point in own})
        found = {x: [100 * scores[p.key]["mAP"] for p in own if p.level == x] for x in levels}
        chance = [100 * np.mean([scores[p.key]["chance_mAP"] for p in own if p.level == x]) for x in levels]
        axes.plot(levels, chance, color=NEUTRAL, linestyle="--", linewidth=0.8)
        axes.plot(levels, [np.mean(found[x]) for x in levels], color=PALETTE[0])
        for x in levels:
            axes.plot([x] * len(found[x]), found[x], "o", color=PALETTE[0], alpha=0.7, clip_on=False)
        usual = SyntheticSpec().knobs()[knob]
        axes.axvline(usual, color="0.85", linewidth=3, zorder=0)
        axes.set(title=knob.replace("_", " "), xlim=(-0.04, 1.04), ylim=(0, 100), xticks=[0, 0.5, 1])
    for axes in panels[: len(knobs) : columns]:
        axes.set_ylabel("mAP (%)")
    stamp(figure, title)
    return figure


def main(arguments: Sequence[str] | None = None, scorer: Scorer | None = None) -> int:
    """Train what is missing and draw; ``scorer`` takes the place of training."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_knobs", description=__doc__)
    parser.add_argument("--method", default="cluster_contrast")
    parser.add_argument("--protocol", default="sysu_all")
    parser.add_argument("--size", default="small")
    parser.add_argument("--knobs", nargs="+", default=list(LEVELS), metavar="KNOB", help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of every run")
    parser.add_argument("--output", type=Path, default=Path("runs/knobs"), metavar="DIR")
    parser.add_argument("--plot", action="store_true", help="draw what is there and train nothing")
    options = parser.parse_args(arguments)
    for knob in options.knobs:
        if knob not in LEVELS:
            raise SystemExit(f"unknown knob '{knob}': {did_you_mean(knob, LEVELS)}")
    wanted = list(points(options.size, options.knobs, options.seeds))
    about = {name: getattr(options, name) for name in ("method", "protocol", "size", "set")}
    about["generator_version"] = GENERATOR_VERSIONS[options.protocol.partition("_")[0]]
    score = scorer or trained(options.method, options.protocol, options.output / "runs", options.set)
    try:
        scores = sweep(options.output / "knobs.json", about, [] if options.plot else wanted, score)
    except UsageError as error:
        raise SystemExit(str(error)) from error
    made = f"{options.method}, {options.protocol}, size={options.size}, seeds {', '.join(map(str, options.seeds))}"
    with styled():
        title = f"{made}; grey bar: default; dashed: chance"
        save_figure(drawn(scores, wanted, title), options.output / "knobs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
