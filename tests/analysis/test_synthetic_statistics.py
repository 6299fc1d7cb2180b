"""Statistics of a crop, and comparison of synthetic people with measured ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from usvi_bench.analysis import synthetic_statistics as statistics
from usvi_bench.analysis.crop_statistics import (
    correlation_inside,
    gradient,
    grey_of,
    measure,
    outline,
    reference,
    regions,
)
from usvi_bench.core.errors import UsageError


def _crop(seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, 255, (128, 64)).astype(np.float32)


def test_regions_are_the_boxes() -> None:
    masks = regions(128, 64)
    for row in range(0, 128, 3):
        for column in range(64):
            y, x = (row + 0.5) / 128, abs((column + 0.5) / 64 - 0.5)
            assert masks["head"][row, column] == (0.03 < y < 0.125 and x < 0.10)
            assert masks["torso"][row, column] == (0.20 < y < 0.45 and x < 0.18)
            assert masks["legs"][row, column] == (0.56 < y < 0.86 and x < 0.17)
            assert masks["background"][row, column] == ((y < 0.14 and x > 0.32) or (y < 0.55 and x > 0.44))


def test_levels_against_loops() -> None:
    crop, masks = _crop(), regions(128, 64)
    figures = measure(crop)
    torso = [float(crop[r, c]) for r in range(128) for c in range(64) if masks["torso"][r, c]]
    behind = [float(crop[r, c]) for r in range(128) for c in range(64) if masks["background"][r, c]]
    assert figures["torso"] == pytest.approx(sum(torso) / len(torso), rel=1e-5)
    assert figures["torso std"] == pytest.approx(float(np.std(torso)), rel=1e-5)
    assert figures["torso - background"] == pytest.approx(np.mean(torso) - np.mean(behind), rel=1e-4)
    assert figures["saturated"] == pytest.approx(np.mean([v >= 250 for v in crop.ravel()]))


def test_gradient_and_fine_texture_against_opencv() -> None:
    cv2 = pytest.importorskip("cv2")
    crop, masks = _crop(), regions(128, 64)
    soft = cv2.GaussianBlur(crop, (0, 0), 1.0)
    steep = np.hypot(cv2.Sobel(soft, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(soft, cv2.CV_32F, 0, 1) / 8)
    np.testing.assert_allclose(gradient(crop), steep, atol=1e-3)
    cloth = masks["torso"] | masks["legs"]
    assert measure(crop)["edges in clothing"] == pytest.approx((steep[cloth] > 6).mean())
    fine = crop - cv2.GaussianBlur(crop, (0, 0), 2.0)
    assert measure(crop)["torso high-pass"] == pytest.approx(fine[masks["torso"]].std(), rel=1e-4)


def test_another_height_is_refused() -> None:
    with pytest.raises(ValueError, match="resize it to 128"):
        measure(_crop()[:64])


@pytest.mark.parametrize("sigma", [1.0, 1.6])
def test_outline_width_is_that_of_the_blur(sigma: float) -> None:
    from scipy import ndimage

    coverage = np.zeros((128, 64), np.float32)
    coverage[20:110, 18:46] = 1.0
    crop = ndimage.gaussian_filter(200 * coverage + 30, sigma)
    figures = outline(crop, coverage)
    # A pixel's own width adds 1/12 to the variance; profiles are read linearly between pixels.
    assert figures["outline width"] == pytest.approx(2.56 * sigma, abs=0.35)
    assert figures["outline edge share"] > 0.95


def test_a_faint_outline_has_neither_edges_nor_width() -> None:
    coverage = np.zeros((128, 64), np.float32)
    coverage[20:110, 18:46] = 1.0
    figures = outline(100 + 2 * coverage, coverage)
    assert figures["outline edge share"] == 0
    assert np.isnan(figures["outline width"])


def test_correlation_inside_the_outline() -> None:
    coverage = np.ones((128, 64), np.float32)
    assert correlation_inside(_crop(), 255 - _crop(), coverage) == pytest.approx(-1)
    assert np.isnan(correlation_inside(_crop(), _crop(), np.zeros((128, 64), np.float32)))


@pytest.mark.parametrize(
    ("ours", "spread", "verdict"),
    [(100, 10, "ok"), (104.9, 14.9, "ok"), (106, 10, "mean +0.60 sd"), (100, 5, "spread x0.50")],
)
def test_verdict(ours: float, spread: float, verdict: str) -> None:
    assert statistics.CropFigure("c", "torso", 100, 10, ours, spread).verdict == verdict
    assert statistics.CropFigure("c", "crop mean", 100, 10, ours, spread).verdict == ""


def test_correlation_across_people_is_of_their_means() -> None:
    rng = np.random.default_rng(0)
    visible, infrared = rng.normal(size=12), rng.normal(size=12)
    crops = [
        {"person": float(n), "visible torso": v + s, "own torso": i - s, "visible legs": v, "own legs": v}
        for n, (v, i) in enumerate(zip(visible, infrared, strict=True))
        for s in (-0.3, 0.3)
    ]
    rows = {row.figure: row.ours for row in statistics.correlations({"LLVIP 01": crops})}
    assert rows["r of torso across people"] == pytest.approx(np.corrcoef(visible, infrared)[0, 1])
    assert rows["r of legs across people"] == pytest.approx(1)


def test_reference_is_complete_and_names_its_sources() -> None:
    for column in reference()["columns"].values():
        assert set(statistics.JUDGED) <= set(column["figures"])
    assert all(len(source) > 40 for source in reference()["sources"].values())


def test_command_prints_every_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    assert statistics.main(["--data", "synthetic:size=tiny", "--people", "10", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())
    assert {"SYSU NIR cam 3", "SYSU NIR cam 6"} <= {row["column"] for row in rows}
    text = capsys.readouterr().out
    assert all(f"| {row['column']} | {row['figure']} |" in text for row in rows)
    assert statistics.main(["--data", "synthetic:sise=tiny"]) == 2


def test_table_goes_between_the_marks(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    with pytest.raises(UsageError, match="--write"):
        statistics.write_card(card, "table")
    card.write_text("before\n" + "\nold\n".join(statistics.MARKS) + "\nafter\n")
    statistics.write_card(card, "table")
    assert card.read_text() == "before\n" + "\n\ntable\n\n".join(statistics.MARKS) + "\nafter\n"


def test_grey_is_luma() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = (10, 20, 30)
    assert grey_of(pixels)[0, 0] == pytest.approx(0.299 * 10 + 0.587 * 20 + 0.114 * 30, abs=1e-4)
