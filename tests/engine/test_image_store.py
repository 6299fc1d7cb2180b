"""Training and test images of the image store."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.datasets.base import ImageTable
from usvi_bench.engine.evaluation import TableEmbedder
from usvi_bench.engine.image_store import ImageStore
from usvi_bench.engine.images import retrieval_features
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.run import Run
from usvi_bench.protocols.sysu import SysuAll


@pytest.fixture
def table(tmp_path: Path) -> ImageTable:
    pixels = np.random.default_rng(0).integers(0, 256, (97, 41, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return ImageTable("visible", tmp_path, ("a.png",), np.zeros(1, np.int64), np.ones(1, np.int64))


CPU = torch.device("cpu")
DATASET = cast(Any, SimpleNamespace(fingerprint="made up"))
SMALL = {"data.height": 64, "data.width": 32, "encoder.name": "small", "encoder.width": 8}


@pytest.mark.parametrize(("test", "resampling"), [(True, Image.Resampling.LANCZOS), (False, Image.Resampling.BICUBIC)])
def test_tests_are_resized_as_the_protocol_says_and_trainings_as_the_settings_do(
    test: bool, resampling: Image.Resampling, table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "cache"))
    config = load_config("untrained", "sysu_all", profile="sysu", settings=SMALL)
    images = ImageStore(DATASET, config.data, SysuAll().resize, CPU)
    images.pixels(table, test=not test)  # the other kind of the same images is kept apart
    expected = np.asarray(Image.open(table.root / "a.png").resize((32, 64), resampling))
    np.testing.assert_array_equal(images.pixels(table, test=test)[0], expected)


def test_features_are_those_of_test_images_and_trainings_get_training_images(
    table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "cache"))
    config = load_config("untrained", "sysu_all", profile="sysu", settings=SMALL)
    images = ImageStore(DATASET, config.data, SysuAll().resize, CPU)
    encoder = build_encoder(config.encoder, 0)
    expected = retrieval_features(encoder, images.pixels(table, test=True), "visible", 1, CPU, mirror=True, order=None)
    run = cast(Run, SimpleNamespace(images=images, config=config, device=CPU, dataset=DATASET))
    np.testing.assert_array_equal(TableEmbedder(run, encoder)(table), expected)
    order = np.arange(len(table))[::-1]
    given = images.training_images(table, order)
    np.testing.assert_array_equal(given.pixels.numpy(), images.pixels(table, test=False)[order])
    np.testing.assert_array_equal(given.cameras.numpy(), table.cameras[order])
