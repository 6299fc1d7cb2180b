"""A step of the released trainers of PCLHD and HIL, computed by their public code, against our released forms.

``released_steps.npz`` has inputs and results of shijiangming1/PCLHD @c1f7b24 (second stage, epochs 0 and 1) and
haonanshi0125/HIL @09c857a (epochs 0 and 21), in float32 on a CPU. Of the gradients it has every 16th and every third
row. HIL's trainer was run on unit features with its shallow features equal to the deep ones and an instance momentum of
0.25; its 768 dimensions were rotated to the 264 that its features span, which changes no product.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn.functional import normalize

from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.dynamic import DynamicMemory
from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.components.memory.sub_centres import SubCentres
from usvi_bench.components.transfer import transfer_labels
from usvi_bench.core.types import Batch, Losses, Samples, StageProgress
from usvi_bench.methods.hil import HILConfig
from usvi_bench.methods.pclhd import PCLHDConfig
from usvi_bench.methods.released.hil import LongInstanceMemory, ReleasedHIL
from usvi_bench.methods.released.pclhd import ReleasedPCLHD

with np.load(Path(__file__).with_name("released_steps.npz")) as steps:
    FACTS = {
        name: torch.from_numpy(v.astype(np.int64) if v.dtype.kind == "i" else v) for name, v in dict(steps).items()
    }


def facts(method: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{method}_"): rows for name, rows in FACTS.items() if name.startswith(method)}


def check(found: Tensor | None, expected: Tensor, rounding: float = 0.0) -> None:
    assert found is not None
    apart = float((found - expected).abs().max())
    assert apart < 1e-5
    assert apart < 1e-4 * float(expected.abs().max()) + rounding


def add_up(losses: Losses) -> Tensor:
    return torch.stack(list(losses.values())).sum()


class Passing(nn.Module):
    """An encoder whose images are its features."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return torch.cat([visible, infrared])


class Noise(nn.Module):
    """A teacher whose features mean nothing: the released dynamic loss has no effect."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return torch.randn(len(visible) + len(infrared), visible.shape[1])


def batch_of(visible: Tensor, infrared: Tensor, labels: Tensor, infrared_labels: Tensor) -> Batch:
    index = torch.arange(len(labels))
    views = visible[: len(labels)], visible[len(labels) :]
    return Batch(Samples(views, labels, index), Samples((infrared,), infrared_labels, index))


@pytest.mark.parametrize("epoch", [0, 1])
def test_gradients_and_memories_of_pclhd(epoch: int) -> None:
    f = facts("pclhd")
    method = ReleasedPCLHD(PCLHDConfig(form="released"), Passing())  # type: ignore[arg-type]
    method.visible_memory, method.infrared_memory, method.joint_memory = (HardMemory(f[k]) for k in ("rv", "ri", "ra"))
    method.memories = {"visible": method.visible_memory, "infrared": method.infrared_memory}
    method.partners, method.unmatched = {"visible": f["r2i"], "infrared": f["i2r"]}, False
    method.teacher = Noise()  # type: ignore[assignment]
    method.dynamic_memory = {
        m: DynamicMemory(torch.randn(16 * count, 64), torch.arange(16 * count).view(16, count))
        for m, count in (("visible", 9), ("infrared", 7))
    }
    leaves = [f[name].clone().requires_grad_() for name in ("xv", "xi", "jv", "ji")]
    progress = StageProgress(epoch, 50, 0, 200, seed=3)
    add_up(method.loss(batch_of(*leaves[:2], f["Lv"], f["Li"]), progress)).backward()
    method.end_step(progress)
    add_up(method.joint_loss(batch_of(*leaves[2:], f["Jv"], f["Ji"]))).backward()
    for samples in method.joint_updates:
        method.joint_memory.update(*samples)
    for number, leaf in enumerate(leaves):
        assert leaf.grad is not None
        # without a loss across modalities, probabilities are near 1, and the CPU decides how they are rounded
        rounding = 2e-9 if number == 1 - epoch else 0.0
        check(leaf.grad[::16], f[f"e{epoch if number < 2 else 0}_grad{number}"], rounding)
    memories = {"rgb": method.visible_memory, "ir": method.infrared_memory, "all": method.joint_memory}
    for name, memory in memories.items():
        assert isinstance(memory, HardMemory)
        check(torch.cat([memory.rows, memory.hard]), f[f"e{0 if name == 'all' else epoch}_{name}"])


def hil_features() -> tuple[Tensor, ...]:
    """Features of 140 visible and 90 infrared images, and those of a batch of 12 images in two views and of 10."""
    packed = FACTS["hil_features"]
    rows = torch.zeros(264, 264)
    rows[tuple(torch.tril_indices(264, 264))] = packed
    return rows.split([140, 90, 24, 10])


def centres_by_scikit_learn(features: Tensor, labels: Tensor) -> Tensor:
    """Sub-centres as the release makes them, from features twice in a row in place of deep and shallow ones."""
    made = []
    for label in range(6):
        own = features[labels == label].numpy()
        parts = KMeans(9, random_state=0, n_init=10).fit(np.concatenate([own, own], axis=1)).labels_
        mean = own.mean(axis=0)
        made.append(np.stack([mean, *(0.9 * mean + 0.1 * own[parts == part].mean(axis=0) for part in range(9))]))
    return normalize(torch.from_numpy(np.stack(made)).float(), dim=2)


@pytest.mark.parametrize("epoch", [0, 21])
def test_gradients_and_memories_of_hil(epoch: int) -> None:
    f: dict[str, Any] = facts("hil")
    visible, infrared, *images = hil_features()
    prototypes = torch.stack([infrared[f["li"] == label].mean(dim=0) for label in range(6)])
    transferred = transfer_labels(visible, f["lv"], prototypes, 0.5)
    assert torch.equal(transferred, f["transfer05"])
    both, labels = torch.cat([visible, infrared]), torch.cat([transferred, f["li"]])
    config = HILConfig(form="released", gate="none", instance_momentum=0.25)
    method = ReleasedHIL(config, Passing())  # type: ignore[arg-type]
    rows = torch.stack([both[labels == label].mean(dim=0) for label in range(6)])
    method.visible_memory = method.infrared_memory = ClusterMemory(rows)
    method.instances = {"visible": LongInstanceMemory(visible, 0.25), "infrared": LongInstanceMemory(infrared, 0.25)}
    method.centres = (SubCentres(centres_by_scikit_learn(both, labels), torch.arange(6)),)
    method.owners, method.agreement, method.shared = [torch.arange(6)], [], True
    leaves = [part.clone().requires_grad_() for part in images]
    views = leaves[0][:12], leaves[0][12:]
    batch = Batch(Samples(views, transferred[f["iv"]], f["iv"]), Samples((leaves[1],), f["li"][f["ii"]], f["ii"]))
    progress = StageProgress(epoch, 30, 0, 100, seed=3)
    add_up(method.loss(batch, progress)).backward()
    method.end_step(progress)
    for name, leaf in zip("vi", leaves, strict=True):
        assert leaf.grad is not None
        check(leaf.grad[::3], f[f"e{epoch}_grad_{name}"])
    check(method.visible_memory.rows, f["shared"])
