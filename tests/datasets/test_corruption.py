"""Corruptions: the draws of each image, the strength of each kind, and the state of global generators."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from usvi_bench.core.errors import UsageError
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.datasets import corruption
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.cache import decoded
from usvi_bench.datasets.corruption import INFRARED_KINDS, KINDS, Corruption, Draw, check_package, corrupt
from usvi_bench.datasets.rain import rain

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("imagecorruptions") is None,
    reason="no imagecorruptions-imaug: pip install 'usvi-bench[corruptions]'",
)
CHANGES = {
    "gaussian_noise": (12.97, 19.06, 27.69, 38.25, 52.04),
    "shot_noise": (13.21, 19.95, 27.83, 41.05, 51.17),
    "impulse_noise": (3.73, 7.40, 11.25, 21.54, 34.19),
    "speckle_noise": (11.98, 15.69, 26.27, 32.76, 41.19),
    "gaussian_blur": (9.42, 18.52, 25.99, 32.02, 39.47),
    "defocus_blur": (15.62, 20.12, 28.31, 35.21, 40.59),
    "glass_blur": (16.39, 18.54, 30.66, 31.03, 36.38),
    "motion_blur": (17.57, 25.45, 31.54, 35.82, 38.52),
    "zoom_blur": (27.82, 33.04, 34.70, 37.02, 38.01),
    "snow": (38.72, 61.58, 63.46, 75.96, 89.02),
    "frost": (39.87, 47.28, 52.82, 52.35, 56.09),
    "fog": (60.74, 67.49, 74.40, 74.14, 77.58),
    "brightness": (5.69, 10.35, 13.91, 16.65, 18.57),
    "contrast": (51.14, 59.75, 68.19, 76.62, 81.08),
    "saturate": (59.25, 76.27, 15.92, 20.56, 21.13),
    "elastic_transform": (15.13, 19.17, 24.24, 27.86, 32.24),
    "pixelate": (7.15, 0.45, 11.61, 15.01, 0.89),
    "jpeg_compression": (16.13, 17.64, 19.50, 20.94, 22.68),
    "spatter": (0.63, 3.42, 6.10, 10.62, 17.34),
    "rain": (27.64, 39.18, 47.82, 57.30, 66.14),
}
"""Mean absolute change of the picture of :func:`picture` at severities 1 to 5, with seed 7."""


def picture() -> NDArray[np.uint8]:
    y, x = np.mgrid[:288, :144]
    found = np.stack([255 * x // 143, 255 * y // 287, 255 * ((x // 12 + y // 12) % 2)], -1).astype(np.uint8)
    assert hashlib.sha256(found.tobytes()).hexdigest()[:16] == "64e9789d43e9704b"
    return found


def test_draws_are_those_of_the_protocol() -> None:
    assert Corruption(0).draw("cam1/0006/0001.jpg") == Draw("shot_noise", 5, 82775947)
    assert Corruption(1).draw("cam1/0006/0001.jpg") == Draw("saturate", 3, 1340089921)
    assert Corruption(0).draw("cam2/0006/0001.jpg") == Draw("jpeg_compression", 3, 228856323)
    paths = [f"cam{c}/{i:04d}/{f:04d}.jpg" for c in (1, 2) for i in range(1, 51) for f in range(1, 11)]
    lines = [f"{p}:{d.kind}:{d.severity}:{d.seed}" for p in paths for d in [Corruption(0).draw(p)]]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == "ab674176c543b5c5"


def test_infrared_images_have_no_saturation_but_may_stay() -> None:
    assert set(KINDS) - set(INFRARED_KINDS) == {"saturate"}
    assert set(INFRARED_KINDS) - set(KINDS) == {"none"}
    assert len(KINDS) == len(set(KINDS)) == len(INFRARED_KINDS) == 20
    generator = numpy_generator(0, "corruption", 3, "cam3/0001/0001.jpg")
    expected = INFRARED_KINDS[int(generator.integers(20))]
    assert Corruption(3, infrared=True).draw("cam3/0001/0001.jpg").kind == expected
    assert (corrupt(picture(), "none", 5, 1) == picture()).all()


@needs_package
@pytest.mark.parametrize("kind", KINDS)
def test_strengths_are_those_of_the_package(kind: str) -> None:
    assert set(CHANGES) == set(KINDS)
    for severity, expected in enumerate(CHANGES[kind], start=1):
        changed = corrupt(picture(), kind, severity, 7)
        assert (changed.shape, changed.dtype) == ((288, 144, 3), np.uint8)
        assert np.abs(changed.astype(float) - picture()).mean() == pytest.approx(expected, rel=0.02, abs=0.006)


@needs_package
@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_equal_bytes_and_global_generators_stay(kind: str) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    first, second, small = corrupt(picture(), kind, 4, 11), corrupt(picture(), kind, 4, 11), picture()[:128, :64]
    assert (first == second).all()
    assert corrupt(np.ascontiguousarray(small), kind, 5, 3).shape == small.shape
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    assert after == before


@needs_package
def test_a_failing_corruption_restores_the_generator() -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    with pytest.raises(IndexError):
        corrupt(picture(), "fog", 9, 1)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]


def test_rain_is_blurred_streaks_on_a_darker_image() -> None:
    """A naive loop over the drawn streaks finds the same bright columns."""
    grey = np.full((100, 80, 3), 100, np.uint8)
    wet = rain(grey, 1, 5)
    draws = random.Random(5)
    slant = int(draws.uniform(-10, 10))
    streaks = []
    for _ in range(100 * 80 // 770):
        x = draws.randint(slant, 80) if slant < 0 else draws.randint(0, 80 - slant)
        streaks.append((x, draws.randint(0, 90)))
    near = np.zeros((100, 80), bool)
    for x, y in streaks:
        for step in range(11):
            rows, columns = slice(max(0, y + step - 2), y + step + 3), slice(max(0, x + step - 2), max(0, x + step + 3))
            near[rows, columns] = True
    dark = 100 - 255 * 0.1
    assert (np.abs(wet[~near].astype(float) - dark) <= 1).all(), "only darker"
    assert wet[near].max() > dark + 20


def test_rain_fits_small_images() -> None:
    assert rain(np.zeros((20, 8, 3), np.uint8), 5, 1).shape == (20, 8, 3)


@pytest.fixture
def table(tmp_path: Path) -> ImageTable:
    names = tuple(f"{i}.png" for i in range(6))
    for i, name in enumerate(names):
        Image.fromarray(np.roll(picture(), 9 * i, axis=0)).save(tmp_path / name)
    return ImageTable("visible", tmp_path, names, np.arange(6), np.ones(6, np.int64))


@needs_package
def test_decoded_images_are_corrupted_after_or_before_they_are_resized(table: ImageTable, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    clean = decoded(table, 64, 32, "lanczos", "f", cache)
    for made in (Corruption(2), Corruption(2, native=True), Corruption(2, infrared=True)):
        found = decoded(replace(table, corruption=made), 64, 32, "lanczos", "f", cache)
        for row, name in enumerate(table.paths):
            drawn = made.draw(name)
            with Image.open(table.root / name) as image:
                if made.native:
                    large = corrupt(np.asarray(image), drawn.kind, drawn.severity, drawn.seed)
                    expected = np.asarray(Image.fromarray(large).resize((32, 64), Image.Resampling.LANCZOS))
                else:
                    expected = corrupt(clean[row], drawn.kind, drawn.severity, drawn.seed)
            if made.infrared:
                expected = np.repeat(expected[:, :, :1], 3, axis=2)
            assert (found[row] == expected).all()
    assert len(list(cache.glob("images/*.npy"))) == 4, "each has its own file"


@needs_package
def test_an_image_has_the_same_corruption_among_other_images(table: ImageTable, tmp_path: Path) -> None:
    corrupted = replace(table, corruption=Corruption(1))
    whole = decoded(corrupted, 64, 32, "lanczos", "f", tmp_path / "a")
    some = decoded(corrupted.take(np.array([4, 1])), 64, 32, "lanczos", "f", tmp_path / "a")
    again = decoded(corrupted, 64, 32, "lanczos", "f", tmp_path / "b")
    assert (some == whole[[4, 1]]).all()
    assert (again == whole).all()


def test_the_package_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corruption, "_VERSIONS", ("numpy", "no-such-package"))
    with pytest.raises(UsageError, match=r"no-such-package.* pip install 'usvi-bench\[corruptions\]'"):
        check_package("sysu_all_c")


@needs_package
def test_a_package_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV needs libraries of the system, which may be missing in a container."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UsageError, match=r"sysu_all_c needs a package that cannot be imported: .*cv2"):
        check_package("sysu_all_c")


@needs_package
@pytest.mark.parametrize("package", ["imagecorruptions-imaug", "scikit-image", "opencv-python", "numpy"])
def test_the_key_of_decoded_images_has_evaluation_options_and_versions(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = [Corruption(0), Corruption(1), Corruption(0, infrared=True), Corruption(0, native=True)]
    keys = {each.key for each in kinds}
    assert len(keys) == 4
    versions = corruption.metadata.version
    monkeypatch.setattr(corruption.metadata, "version", lambda name: "0" if name == package else versions(name))
    assert not keys & {each.key for each in kinds}
