"""With its own parts off a method is its parent to the bit, from the first batch of a real run to the last weight."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from usvi_bench.cli.main import main
from usvi_bench.engine import checkpoint

QUICK = [
    *("train.epochs=2", "train.iterations=2", "train.visible_clusters=2", "train.infrared_clusters=2"),
    *("method.k1=6", "method.k2=4", "method.eps=0.5", "encoder.width=8", "engine.threads=1"),
]
CONTINUED = {
    "adca": "aggregate=false",
    "bmil": "subset=1 hard=false joint=false",
    "pgm": "cross_weight=0 update=sequential",
    "pclhd": "hard=false dynamic=false joint=false cross_weight=0 update=sequential",
    "nulc": "homogeneous=false heterogeneous=false weighting=false cross_weight=0",
    "rpnr": "calibrate=false cross_weight=0 hybrid_weight=0 neighbour_weight=0 hard=false update=sequential",
    "hil": "transfer=none mccl=false neighbours=false",
    "soft_prototype": "prototypes=none instances=false cross_weight=0 update=sequential first_update=sequential",
}
"""Switches under which a method's second stage is a second stage of dual cluster contrast.

SCLHM has one softmax over all its memories, which rounds differently; ``test_sclhm.py`` compares its losses.
"""
MATCHED = {
    "pgm": "",
    "nulc": "homogeneous=false heterogeneous=false weighting=false cross_weight=0.25 update=hard",
    "pclhd": "hard=false dynamic=false joint=false",
    "rpnr": "calibrate=false hybrid_weight=0 neighbour_weight=0 association=hungarian hard=false",
    "soft_prototype": "prototypes=none instances=false update=hard first_update=sequential",
}
"""Switches under which a method is PGM."""
HYBRID = {
    "pclhd": "dynamic=false joint=false cross_weight=0",
    "bmil": "subset=1 joint=false",
}
"""Switches under which a method's second stage has hard prototypes and no link between the modalities."""
JOINT = {
    "pclhd": "hard=false dynamic=false cross_weight=0 update=sequential joint_k1=12 joint_k2=8",
    "mmm": "phase=cmc joint_k1=12 joint_k2=8",
}
"""Switches under which a method is the joint phase of MMM."""
FIRST = {
    "cluster_contrast": "",
    "dmic": "phase=intra intra_instance=false mie=false dnc=false real_time=false",
}
"""Switches under which a method is dual cluster contrast."""


@pytest.mark.parametrize(
    "family", [FIRST, CONTINUED, MATCHED, HYBRID, JOINT], ids=["first", "continued", "pgm", "hybrid", "joint"]
)
def test_methods_without_their_own_parts_end_with_the_same_weights(
    family: dict[str, str], tmp_path: Path, tiny_people: dict[str, Path]
) -> None:
    students = {name: student(name, off.split(), tmp_path, tiny_people["sysu"]) for name, off in family.items()}
    (parent, expected), *others = students.items()
    for name, weights in others:
        different = [key for key, value in expected.items() if not torch.equal(value, weights[key])]
        assert not different, f"{name} is not {parent}: {different[:3]}"
    # a first stage is one training for all
    assert len(list((tmp_path / "stages").glob("cluster_contrast-*"))) == 1


def student(method: str, off: list[str], output: Path, data: Path) -> dict[str, Tensor]:
    """The student's weights after a run with some of the method's settings."""
    arguments = ["--method", method, "--protocol", "sysu_all", "--data", str(data), "--output", str(output)]
    arguments.append("--no-report")
    assert main([*arguments, "--set", *QUICK, *(f"method.{setting}" for setting in off)]) == 0
    (folder,) = (output / "sysu_all").glob(f"{method}-seed0-*")
    last = max((folder / "checkpoints").iterdir())  # named by fold, stage and epoch
    return checkpoint.load(last).models["student"]
