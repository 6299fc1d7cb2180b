"""Encoders of other architectures train and start like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import usvi_bench
from usvi_bench.components.encoder.vit import VisionTransformer
from usvi_bench.core.registry import ENCODERS
from usvi_bench.engine.checkpoint import latest, load

QUICK = {
    "train.epochs": 1, "train.iterations": 2, "train.visible_clusters": 2, "train.infrared_clusters": 2,
    "train.instances": 2, "method.k1": 6, "method.eps": 0.6, "engine.threads": 1,
}  # fmt: skip


class TinyViT(VisionTransformer):
    dim, depth, heads = 24, 2, 3


@pytest.fixture
def tiny_vit() -> Iterator[str]:
    ENCODERS.register("tiny_vit")(TinyViT)
    yield "tiny_vit"
    ENCODERS.forget("tiny_vit")


def run(method: str, people: Path, output: Path, weights: str | None = None, **settings: object) -> usvi_bench.Record:
    chosen = {**QUICK, **{name.replace("__", "."): value for name, value in settings.items()}}
    return usvi_bench.run(method, "sysu_all", people, settings=chosen, output=output, weights=weights, verbose=False)


def test_vit_s16_trains(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    size = {"data__height": 32, "data__width": 16}
    record = run("cluster_contrast", tiny_people["sysu"], tmp_path, encoder__name="vit_s16", **size)
    assert record.complete
    assert record.result.config["encoder"] == {"name": "vit_s16", "bn_groups": 1}
    assert record.result.start_weights["source"] == "random"
    assert record.expected_hash() == record.result.config_hash


def test_a_vit_with_a_teacher_trains_from_a_file(tiny_vit: str, tiny_people: dict[str, Path], tmp_path: Path) -> None:
    """The starting weights of images of 128x64 serve a training with parts for batch norm in two precisions."""
    source = TinyViT(TinyViT.Config(tiny_vit), 224, 224).state_dict()
    state = {name.replace("visible.", "patch_embed."): v for name, v in source.items() if "infrared" not in name}
    torch.save(state, tmp_path / "vit.pth")
    settings = {"encoder__name": tiny_vit, "encoder__bn": "groups=2", "train__precision": "bf16"}
    record = run("sclhm", tiny_people["sysu"], tmp_path, str(tmp_path / "vit.pth"), **settings)
    assert record.models == ["teacher", "student"]
    assert record.complete
    checkpoint = latest(next((tmp_path / "stages").glob("sclhm-*")))
    assert checkpoint is not None
    names = load(checkpoint).models["student"].keys()
    assert {"cls_token", "pos_embed", "visible.proj.weight", "blocks.1.mlp.fc2.bias", "neck.weight"} <= names


def test_images_that_an_encoder_cannot_take_are_refused_before_data_is_read(tmp_path: Path) -> None:
    with pytest.raises(usvi_bench.UsageError, match=r"data\.height=100 x data\.width=64.*data\.height=96"):
        run("pgm", Path("synthetic:size=tiny,seed=99"), tmp_path, encoder__name="vit_s16", data__height=100)
