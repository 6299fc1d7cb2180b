"""Batches of an epoch: companions from other cameras, and what a batch tells about repeated images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import usvi_bench
from usvi_bench.components.augment import AugmentConfig
from usvi_bench.core.types import PseudoLabels, StageProgress
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.images import BatchSampler, TrainingImages
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.plan import plan_stages


def batches(cross_camera: bool, cameras: torch.Tensor) -> BatchSampler:
    """Two clusters in each modality, one of two and one of ten images."""
    labels = torch.tensor([0] * 2 + [1] * 10)
    pixels = torch.zeros(12, 4, 4, 3, dtype=torch.uint8)
    images = TrainingImages("visible", pixels, cameras), TrainingImages("infrared", pixels, cameras)
    train = TrainConfig(visible_clusters=2, infrared_clusters=2, instances=4, cross_camera=cross_camera)
    return BatchSampler(
        images,
        PseudoLabels(labels, labels),
        (("plain",), ("infrared",)),
        train,
        AugmentConfig(),
        StageProgress(0, 1, 0, 1, 3),
        torch.device("cpu"),
    )


def test_without_the_preference_batches_do_not_depend_on_cameras() -> None:
    cameras = torch.arange(12) % 3
    drawn = {
        (preferred, known): [batches(preferred, cameras if known else torch.zeros_like(cameras))().visible.index]
        for preferred in (True, False)
        for known in (True, False)
    }
    assert torch.equal(drawn[False, True][0], drawn[False, False][0])
    assert torch.equal(drawn[False, False][0], drawn[True, False][0])
    assert not torch.equal(drawn[True, True][0], drawn[False, True][0])
    draw = batches(True, cameras)
    for _ in range(20):
        for rows in draw().visible.index.view(2, 4).tolist():
            own = {int(cameras[row]) for row in rows[1:]}
            assert int(cameras[rows[0]]) not in own


def test_a_batch_has_the_largest_number_of_repeats_of_an_image() -> None:
    draw = batches(True, torch.arange(12) % 3)
    for _ in range(10):
        for samples in (lambda batch: (batch.visible, batch.infrared))(draw()):
            counts = [samples.index.tolist().count(row) for row in samples.index.tolist()]
            assert samples.most_repeats == max(counts) >= 3, "the cluster of two images has one companion, three times"


def test_the_preference_is_in_the_keys_of_stages_and_in_the_record(
    tiny_people: dict[str, Path], tmp_path: Path
) -> None:
    on, off = (
        load_config("pgm", "sysu_all", profile="sysu", settings={"train.cross_camera": value})
        for value in ("true", "false")
    )
    assert on.hash("random") != off.hash("random")
    keys = [{plan.key for plan in plan_stages(config, 1, "d", "random", tmp_path)} for config in (on, off)]
    assert not keys[0] & keys[1]
    record = usvi_bench.run(
        "cluster_contrast",
        "sysu_all",
        tiny_people["sysu"],
        schedule="quick",
        settings={"engine.threads": 1, "train.cross_camera": False},
        output=tmp_path,
        verbose=False,
    )
    assert record.result.config["train"]["cross_camera"] is False


@pytest.mark.parametrize(
    ("form", "settings", "expected"),
    [
        ("released", {}, True),
        ("repaired", {}, False),
        ("released", {"augment.jitter": "0"}, False),
        ("released", {"augment.jitter": "0.0"}, False),
        ("released", {"augment.jitter": 0.25}, True),
        ("released", {"augment.jitter_8bit": "false"}, False),
        ("repaired", {"augment.jitter_8bit": True}, True),
    ],
)
def test_a_released_form_jitters_in_whole_numbers(form: str, settings: dict[str, object], expected: bool) -> None:
    asked = {"method.form": form, **settings}
    config = load_config("hil", "sysu_all", profile="sysu", setting="paper", settings=asked)
    assert config.augment.jitter_8bit is expected
