"""Test features depend on their own image only, and rows of test images come in random order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import usvi_bench
from usvi_bench.components.encoder.network import EmbeddingNetwork, EncoderConfig
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS
from usvi_bench.engine.check_features import check_features

FEATURES = np.eye(4, dtype=np.float32)
ROWS = np.array([2, 0])


def test_features_that_change_with_their_batch_are_refused() -> None:
    check_features(FEATURES, ROWS, FEATURES[ROWS] + np.float32(1e-3), "mine")
    with pytest.raises(UsageError, match=r"encoder 'mine': the feature of an image changes by 1.* running statistics"):
        check_features(FEATURES, ROWS, FEATURES[[2, 1]], "mine")
    with pytest.raises(UsageError, match="changes by nan"):
        check_features(FEATURES, ROWS, FEATURES[ROWS] * np.float32(np.nan), "mine")


def test_features_that_are_not_finite_are_refused() -> None:
    spoilt = FEATURES.copy()
    spoilt[1, 1] = np.nan
    with pytest.raises(UsageError, match=r"of 1 of 4 test images are not finite; lower --set train.lr"):
        check_features(spoilt, ROWS, spoilt[ROWS], "mine")


class Numbered(nn.Module):
    """Part that ignores its images; the feature is the position in the batch."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.eye(16)[torch.arange(len(images)) // 4 % 16]


class Averaged(nn.Module):
    """Part that averages each image with the one before it in the batch."""

    def forward(self, images: Tensor) -> Tensor:
        features = images.mean((2, 3)).repeat(1, 6)[:, :16]
        return (features + features.roll(1, 0)) / 2


@pytest.mark.parametrize("part", [Numbered, Averaged])
def test_an_encoder_that_reads_the_order_of_test_rows_is_refused(
    part: type[nn.Module], tiny_people: dict[str, Path], tmp_path: Path
) -> None:
    class Ordered(EmbeddingNetwork):
        Config = EncoderConfig

        def __init__(self, config: EncoderConfig, height: int, width: int) -> None:
            super().__init__(config, height, width)
            self.visible, self.infrared, self.feature_dim = part(), part(), 16

        def pool(self, maps: Tensor) -> Tensor:
            return maps

    ENCODERS.register("ordered")(Ordered)
    settings = {"encoder.name": "ordered", "data.height": 32, "data.width": 16, "train.embed_batch": 64}
    try:
        with pytest.raises(UsageError, match="encoder 'ordered': the feature of an image changes by"):
            usvi_bench.run(
                "untrained",
                "sysu_indoor",
                tiny_people["sysu"],
                settings=settings,
                weights="random",
                output=tmp_path,
                device="cpu",
                verbose=False,
            )
    finally:
        ENCODERS.forget("ordered")
