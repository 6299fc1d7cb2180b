"""Images as they are trained on and as they are tested on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from components.encoder import build_encoder
from datasets.base import ImageTable
from engine.config import load_config
from engine.images import test_features as features_to_test
from engine.run import Run
from engine.scoring import Scorer
from protocols.sysu import SysuAll


@pytest.fixture
def table(tmp_path: Path) -> ImageTable:
    pixels = np.random.default_rng(0).integers(0, 256, (97, 41, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return ImageTable("visible", tmp_path, ("a.png",), np.zeros(1, np.int64), np.ones(1, np.int64))


@pytest.mark.parametrize(("test", "resampling"), [(True, Image.Resampling.LANCZOS), (False, Image.Resampling.BICUBIC)])
def test_tests_are_resized_as_the_protocol_says_and_trainings_as_the_settings_do(
    test: bool, resampling: Image.Resampling, table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "cache"))
    config = load_config("untrained", "sysu_all", profile="sysu", settings=["data.height=64", "data.width=32"])
    scorer = Scorer(SysuAll(), cast(Any, SimpleNamespace(fingerprint="made up")), config, torch.device("cpu"))
    scorer.pixels(table, test=not test)  # the other kind of the same images is kept apart
    expected = np.asarray(Image.open(table.root / "a.png").resize((32, 64), resampling))
    np.testing.assert_array_equal(scorer.pixels(table, test=test)[0], expected)


def test_features_are_those_of_test_images_and_trainings_get_training_images(
    table: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "cache"))
    small = ["data.height=64", "data.width=32", "encoder.name=small", "encoder.width=8"]
    config = load_config("untrained", "sysu_all", profile="sysu", settings=small)
    scorer = Scorer(SysuAll(), cast(Any, SimpleNamespace(fingerprint="made up")), config, torch.device("cpu"))
    encoder = build_encoder(config.encoder, 0)
    expected = features_to_test(encoder, scorer.pixels(table, test=True), "visible", 1, torch.device("cpu"))
    np.testing.assert_array_equal(scorer.embedder(encoder)(table), expected)
    run = cast(Run, SimpleNamespace(scorer=scorer, device=torch.device("cpu")))
    given = Run._training_images(run, table)
    np.testing.assert_array_equal(given.pixels.numpy(), scorer.pixels(table, test=False))
