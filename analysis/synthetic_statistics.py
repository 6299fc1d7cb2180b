"""Comparison of synthetic infrared images with real ones.

``python -m analysis.synthetic_statistics`` renders people of both layouts, measures their crops in the same way as the
real crops of ``infrared_reference.json``, and prints both. ``--write`` writes the table into the data card, between its
marks.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.analysis.crop_statistics import correlation_inside, grey_of, measure, outline, reference, regions
from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.files import write_text
from usvi_bench.core.revision import ROOT
from usvi_bench.core.table import markdown_table
from usvi_bench.synthetic.cameras import Camera, Layout
from usvi_bench.synthetic.climate import CLIMATES
from usvi_bench.synthetic.layout import Shot, plan
from usvi_bench.synthetic.render import camera_of, dressed_person, picture
from usvi_bench.synthetic.spec import SyntheticSpec, parse
from usvi_bench.synthetic.view import View, draw_view

JUDGED = (
    "torso",
    "legs",
    "head",
    "background",
    "torso std",
    "torso - background",
    "head - torso",
    "edges in clothing",
)
"""Judged figures: the mean must lie within ``NEAR`` measured standard deviations, the ratio of spreads in ``WIDE``."""
NEAR, WIDE = 0.5, (0.67, 1.5)
REPORTED = ("torso high-pass", "crop mean", "crop std", "saturated")
INFRARED = ("SYSU NIR cam 3", "SYSU NIR cam 6", "LLVIP 01", "LLVIP 19/20", "RoadScene")
BATCH = 16
MIN_PIXELS = 20
"""Minimum number of pixels of a region within the outline."""
CARD = ROOT / "synthetic" / "README.md"
MARKS = ("<!-- statistics: python -m analysis.synthetic_statistics --write -->", "<!-- end of statistics -->")

Crops = dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class CropFigure:
    """Crop figure of one column: measured and rendered mean and spread; an unknown measured spread is None."""

    column: str
    figure: str
    measured: float
    measured_spread: float | None
    ours: float
    ours_spread: float

    @property
    def verdict(self) -> str:
        """``ok``, or a description of the deviation; empty for figures that are not judged."""
        if self.figure not in JUDGED or not self.measured_spread:
            return ""
        off = []
        if abs(self.ours - self.measured) > NEAR * self.measured_spread:
            off.append(f"mean {(self.ours - self.measured) / self.measured_spread:+.2f} sd")
        if not WIDE[0] <= self.ours_spread / self.measured_spread <= WIDE[1]:
            off.append(f"spread x{self.ours_spread / self.measured_spread:.2f}")
        return ", ".join(off) or "ok"


def sample(layout: Layout, spec: SyntheticSpec, people: int) -> dict[int, list[Shot]]:
    """Select the first frame of every walk of the first people, by camera."""
    shots: dict[int, list[Shot]] = defaultdict(list)
    for shot in plan(layout, spec).shots:
        if shot.step == 0 and shot.person <= people:
            shots[shot.camera].append(shot)
    return shots


def column_of(layout: Layout, camera: Camera, view: View) -> str:
    """Return the column of real crops that an image is compared with."""
    if camera.band == "thermal":
        return CLIMATES[view.climate].like
    if layout == "regdb":
        return "RoadScene visible"
    return f"SYSU NIR cam {camera.number}" if camera.band == "near" else "SYSU RGB"


def collect(layout: Layout, spec: SyntheticSpec, people: int) -> Crops:
    """Measure every sampled crop, by column; infrared crops together with the same view in visible light."""
    crops: Crops = defaultdict(list)
    for number, shots in sorted(sample(layout, spec, people).items()):
        camera = camera_of(spec, layout, number)
        for start in range(0, len(shots), BATCH):
            part = shots[start : start + BATCH]
            views = [draw_view(spec, layout, camera, shot) for shot in part]
            for view, figures in zip(views, _measured(spec, layout, camera, part, views), strict=True):
                crops[column_of(layout, camera, view)].append(figures)
    return crops


def _measured(
    spec: SyntheticSpec, layout: Layout, camera: Camera, shots: Sequence[Shot], views: Sequence[View]
) -> list[dict[str, float]]:
    worn = [dressed_person(spec, layout, shot.person, camera.number) for shot in shots]
    height = reference()["height"]
    seen = picture(spec, camera, worn, views, height)
    rows = [measure(grey_of(image)) | {"person": shot.person} for image, shot in zip(seen.pixels, shots, strict=True)]
    if camera.band == "visible":
        return rows
    lit = picture(spec, camera_of(spec, layout, 1), worn, views, height).pixels
    for row, image, partner, mask in zip(rows, seen.pixels, lit, seen.coverage, strict=True):
        grey, visible = grey_of(image), grey_of(partner)
        row |= outline(grey, mask)
        row["outline edge share, visible"] = outline(visible, mask)["outline edge share"]
        row["correlation in clothing"] = correlation_inside(visible, grey, mask)
        for region, box in regions(*grey.shape).items():
            inside = box & (mask > 0.99)
            if inside.sum() >= MIN_PIXELS:
                row |= {f"visible {region}": float(visible[inside].mean()), f"own {region}": float(grey[inside].mean())}
    return rows


def _values(crops: list[dict[str, float]], figure: str) -> NDArray[np.float64]:
    return np.array([crop.get(figure, np.nan) for crop in crops], np.float64)


def crop_figures(crops: Crops) -> list[CropFigure]:
    """Compare every figure of the reference with the rendered crops."""
    rows = []
    for column, known in reference()["columns"].items():
        figures = {name: known["figures"][name] for name in (*JUDGED, *REPORTED)}
        figures |= {name: value for name, value in known.get("outline", {}).items() if name != "crops"}
        for figure, (mean, spread) in figures.items():
            if own := crops.get(column):
                ours = _values(own, figure)
                rows.append(CropFigure(column, figure, mean, spread, float(np.nanmean(ours)), float(np.nanstd(ours))))
    return rows


def correlations(crops: Crops) -> list[CropFigure]:
    """Correlate, across people, the visible and infrared levels of a region within the outline."""
    rows = []
    for column, known in reference()["correlations"].items():
        if not (own := crops.get(column)):
            continue
        numbers = _values(own, "person")
        for region, measured in known.items():
            levels = np.stack([_values(own, f"visible {region}"), _values(own, f"own {region}")])
            means = [np.nanmean(levels[:, numbers == n], axis=1) for n in np.unique(numbers[~np.isnan(levels[0])])]
            r = float(np.corrcoef(np.array(means).T)[0, 1])
            error = (1 - r**2) / max(1, len(means) - 1) ** 0.5
            rows.append(CropFigure(column, f"r of {region} across people", measured, None, r, error))
    return rows


def figures_table(rows: Sequence[CropFigure]) -> str:
    """Format figures as a Markdown table, a line per figure."""
    lines = []
    for row in rows:
        digits = 0 if abs(row.measured) >= 12 else 2
        theirs = f"{row.measured:.{digits}f}"
        if row.measured_spread is not None:
            theirs += f" ± {row.measured_spread:.{digits}f}"
        ours = f"{row.ours:.{digits}f} ± {row.ours_spread:.{digits}f}"
        lines.append([row.column, row.figure, theirs, ours, row.verdict])
    return markdown_table(["column", "figure", "measured", "ours", ""], lines, words=2)


def write_card(card: Path, text: str) -> None:
    """Replace the text between the marks of the data card, atomically.

    Raises:
        UsageError: a mark is missing or repeated.
    """
    whole = card.read_text() if card.is_file() else ""
    if any(whole.count(mark) != 1 for mark in MARKS):
        raise UsageError(f"{card} needs the lines {MARKS[0]} and {MARKS[1]}, once each, for --write")
    before, rest = whole.split(MARKS[0])
    write_text(card, f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m analysis.synthetic_statistics", description=__doc__)
    parser.add_argument("--data", default="synthetic", help="synthetic[:key=value,...]")
    parser.add_argument("--people", type=int, default=60, help="number of identities per layout")
    parser.add_argument("--columns", default=",".join(INFRARED), help="columns to show")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--write", action="store_true", help="write the table into the data card")
    given = parser.parse_args(arguments)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        spec, columns = parse(given.data), given.columns.split(",")
        known = reference()["columns"]
        if unknown := [column for column in columns if column not in known]:
            raise UsageError(f"--columns: unknown column '{show(unknown[0])}': {did_you_mean(unknown[0], known)}")
        crops = collect("sysu", spec, given.people) | collect("regdb", spec, given.people)
        rows = [row for row in crop_figures(crops) + correlations(crops) if row.column in columns]
        print(figures_table(rows))
        if given.json:
            given.json.write_text(json.dumps([asdict(row) | {"verdict": row.verdict} for row in rows], indent=2) + "\n")
        if given.write:
            write_card(CARD, figures_table(rows))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        torch.set_num_threads(threads)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
