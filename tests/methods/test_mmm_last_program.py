"""MMM: values of the released last program (shijiangming1/MMM @7e57d50) that the suite has only in part.

The program trains a classifier with SGD on labels that are made once. The suite leaves out its classifier, its triplet
loss and its samplers, so these are restated here, from their definitions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.lr_scheduler import MultiStepLR

from tests.methods.test_mmm import costs, labelled, listed, people, tensor, triplet
from usvi_bench.components.alignment import class_prototypes, discrepancy
from usvi_bench.components.association import match_costs
from usvi_bench.components.augment import AugmentConfig
from usvi_bench.components.memory.sub_centres import sub_centres
from usvi_bench.core.registry import LR_SCHEDULES
from usvi_bench.core.seeding import torch_generator
from usvi_bench.core.types import PseudoLabels, StageProgress
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.images import BatchSampler, TrainingImages
from usvi_bench.engine.lr_schedules import make_schedule

# ---- matching --------------------------------------------------------------------------------------------------------


def test_scalars_of_a_small_cluster_give_the_released_partners() -> None:
    """There, the first coordinates of the mean are the memories of a cluster of fewer than four images."""
    features, clusters, _ = people(41, 5, 4)
    clusters[11:16] = -1
    others = torch.arange(32) // 8
    cost = costs(features, PseudoLabels(clusters, others))
    mean = features.visible[8:11].mean(0)
    for b, memories in enumerate(sub_centres(features.infrared, others, 4, 0.0, torch_generator(0))[:, 1:]):
        cost[1, b] = sum(min(float((row - scalar).norm()) for scalar in mean[:4]) for row in memories)
    assert cost[1, :3].tolist() == pytest.approx([4.024426, 4.136083, 4.503291], rel=2e-6)
    partners = match_costs(cost[:-1, :-1], "nearest").tolist()
    assert [*partners, 4] == [0, 0, 2, 2, 4], "the last cluster keeps its number there"


@pytest.mark.parametrize("world_of", [(41, 5, 4), (42, 7, 4), (43, 4, 6)])
def test_the_parts_of_a_cluster_do_not_depend_on_the_starting_points(world_of: tuple[int, int, int]) -> None:
    features, labels = labelled(*world_of)
    parts = [sub_centres(features.visible, labels.visible, 4, 0.0, torch_generator(seed))[:, 1:] for seed in range(3)]
    for own in parts[1:]:
        near = torch.cdist(own.double(), parts[0].double()).amin(2)
        assert float(near.max()) < 1e-6


# ---- losses ----------------------------------------------------------------------------------------------------------


def of_one_class(count: int, others: int, width: int = 16, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    g = np.random.default_rng(51)
    a = scale * g.standard_normal((count, width))
    return tensor(a), tensor(scale * (g.standard_normal((max(count, others), width)) + 0.5))[:others]


def zeros(*counts: int) -> tuple[Tensor, ...]:
    return tuple(torch.zeros(count, dtype=torch.int64) for count in counts)


@pytest.mark.parametrize(
    ("count", "width", "scale", "bandwidth"),
    [(4, 16, 1.0, 42.132751), (8, 16, 1.0, 38.854454), (4, 2048, 0.05, 10.867098)],
)
def test_bandwidths_are_the_released_codes(count: int, width: int, scale: float, bandwidth: float) -> None:
    """The bandwidth of the definition is that number, and the suite's discrepancy is that of the number."""
    a, b = of_one_class(count, count, width, scale)
    rows = torch.cat([a, b]).double()
    squares = [float((x - y).square().sum()) for x in rows for y in rows]
    assert sum(squares) / (len(rows) ** 2 - len(rows)) == pytest.approx(bandwidth, rel=2e-6)
    kernels = [sum(math.exp(-d / (bandwidth * 2.0 ** (j - 2))) for j in range(5)) for d in squares]
    side = [1] * count + [-1] * count
    signs = [p * q for p in side for q in side]
    expected = sum(s * k for s, k in zip(signs, kernels, strict=True)) / count**2
    assert float(discrepancy(a, b, zeros(count, count))) == pytest.approx(expected, rel=2e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "others"), [(4, 8), (4, 0), (1, 0), (4, 1)])
def test_groups_of_sizes_that_the_released_code_does_not_take_have_a_finite_discrepancy(
    count: int, others: int
) -> None:
    """There, two of them stop the training, one is NaN, and one is computed from repeated rows."""
    a, b = of_one_class(count, others)
    found = float(discrepancy(a, b, zeros(count, others)))  # type: ignore[arg-type]
    assert found > 0.1 if others else found == 0


def hardest_triplets(features: Tensor, labels: Tensor, margin: float = 0.2) -> tuple[Tensor, int]:
    """Return the mean triplet loss with the hardest positive and negative of each row, and how many rows are right."""
    terms, right = [], 0
    for i, row in enumerate(features):
        apart = [(row - other).square().sum().clamp(min=1e-12).sqrt() for other in features]
        positive = max((d for j, d in enumerate(apart) if labels[j] == labels[i]), key=Tensor.item)
        negative = min((d for j, d in enumerate(apart) if labels[j] != labels[i]), key=Tensor.item)
        terms.append((positive - negative + margin).clamp(min=0))
        right += bool(negative >= positive)
    return torch.stack(terms).mean(), right


def test_the_triplet_loss_is_the_released_codes() -> None:
    g = np.random.default_rng(52)
    groups = np.arange(18) % 3
    plain = g.standard_normal((18, 16)).astype(np.float32)
    rows, labels = (
        tensor(plain + 0.8 * np.random.default_rng(53).standard_normal((3, 16))[groups]),
        torch.tensor(groups),
    )
    rows.requires_grad_()
    loss, right = hardest_triplets(rows, labels)
    (gradient,) = torch.autograd.grad(loss, rows)
    assert (float(loss.detach()), right) == (pytest.approx(1.034004, rel=2e-6), 3)
    assert float(gradient.norm()) == pytest.approx(0.583697, rel=1e-5)
    assert gradient[0, :4].tolist() == pytest.approx([0.001607, -0.003900, -0.000239, 0.000632], abs=1e-6)
    fast = triplet(rows, labels)
    torch.testing.assert_close(fast, loss)
    torch.testing.assert_close(torch.autograd.grad(fast, rows)[0], gradient)


# ---- an iteration; test_mmm.py has the other values of it ------------------------------------------------------------

KEPT = [[23.111231, 22.486389], [22.254629, 22.505625], [22.408281, 22.474651]]
"""Lengths of the prototypes of classes 1 and 4, which no image of the iteration has, in both views and infrared."""


def test_inter_of_each_direction_and_prototypes_of_absent_classes_are_the_released_codes() -> None:
    """A class that is not drawn keeps its prototypes there. In the suite they are of all images of a class."""
    g = np.random.default_rng(61)
    weight, _ = (s * g.standard_normal((n, 2048)) for s, n in ((0.2, 16), (0.01, 5)))
    plain = g.standard_normal((12, 16))
    inputs = plain, plain + 0.3 * g.standard_normal((12, 16)), g.standard_normal((12, 16))
    trust = [tensor(g.uniform(0.2, 1, 12)) for _ in range(3)]
    before = [tensor(0.5 * g.standard_normal((5, 2048))) for _ in range(3)]
    labels = torch.tensor([0, 2, 3]).repeat_interleave(4)
    a, b, r = (tensor(x) @ tensor(weight) for x in inputs)
    one_direction = 0.05 * sum(float(discrepancy(x, r, (labels, labels))) for x in (a, b))
    assert one_direction == pytest.approx(0.167185, rel=4e-6)
    drawn = labels.bincount(minlength=5) > 0
    for x, w, old, kept in zip((a, b, r), trust, before, KEPT, strict=True):
        rows = torch.where(drawn[:, None], class_prototypes(x, labels, w, 5, by_count=True), old)
        assert rows[[1, 4]].norm(dim=1).tolist() == pytest.approx(kept, rel=2e-6)


# ---- samplers --------------------------------------------------------------------------------------------------------


def released_batches(
    visible: NDArray[np.int64], infrared: NDArray[np.int64], seed: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Draw three batches of 2 labels x 4 images as the release does: lists by rank, looked up by label."""
    random = np.random.RandomState(seed)
    lists = [[np.flatnonzero(part == label) for label in np.unique(part)] for part in (visible, infrared)]
    for _ in range(3):
        batch: tuple[list[int], list[int]] = [], []
        for label in random.choice(np.unique(visible), 2, replace=False):
            for rows, of_label in zip(batch, lists, strict=True):
                rows.extend(random.choice(of_label[label], 4).tolist())
        yield batch


def test_draws_of_the_released_sampler() -> None:
    """The sampler is the release's own; the suite has another one, see below."""
    visible, infrared = np.arange(18) // 6, np.arange(15) // 5
    batches = list(released_batches(visible, infrared, seed=0))
    rows = [[row for batch in batches for row in batch[side]] for side in (0, 1)]
    assert rows[0] == listed("17 12 15 15 10 6 6 10 5 0 1 4 14 15 12 13 1 0 2 4 14 12 12 16")
    assert rows[1] == listed("13 11 13 12 7 6 5 6 3 0 3 0 13 13 13 10 3 3 2 4 10 14 11 14")
    assert visible[rows[0]].tolist() == infrared[rows[1]].tolist()


def paired_batches(visible: Tensor, infrared: Tensor, clusters: int = 2) -> BatchSampler:
    parts = visible, infrared
    cameras = [torch.zeros(len(part), dtype=torch.int64) for part in parts]
    pixels = [torch.zeros(len(part), 4, 4, 3, dtype=torch.uint8) for part in parts]
    images = TrainingImages("visible", pixels[0], cameras[0]), TrainingImages("infrared", pixels[1], cameras[1])
    train = TrainConfig(visible_clusters=clusters, infrared_clusters=clusters, instances=4)
    labels = PseudoLabels(visible, infrared, {"matched": (visible, infrared)})
    views = ("plain",), ("infrared",)
    return BatchSampler(
        images, labels, views, train, AugmentConfig(), StageProgress(0, 1, 0, 1, 3), torch.device("cpu")
    )


def test_paired_batches_need_no_visible_cluster_of_every_label() -> None:
    """No visible image has label 1, which stops the released sampler."""
    visible, infrared = torch.tensor([0, 2, 3]).repeat_interleave(6), torch.arange(4).repeat_interleave(5)
    for seed in range(4):
        with pytest.raises(IndexError):
            list(released_batches(visible.numpy(), infrared.numpy(), seed))
    draw, found = paired_batches(visible, infrared), set()
    for _ in range(6):
        batch = draw("matched", paired=True)
        drawn = batch.visible.labels.tolist()
        assert drawn == batch.infrared.labels.tolist() == visible[batch.visible.index].tolist()
        assert infrared[batch.infrared.index].tolist() == drawn
        assert [len(set(drawn[:4])), len(set(drawn[4:])), len(set(drawn))] == [1, 1, 2]
        found |= set(drawn)
    assert found == {0, 2, 3}


@pytest.mark.parametrize(("visible", "infrared"), [(100, 60), (100, 40), (100, 90)])
def test_batches_are_drawn_for_any_numbers_of_images(visible: int, infrared: int) -> None:
    """The released sampler of all images takes the first of these only, because it has constants of the data sets.

    It draws the random pairs of its first five epochs, which the suite does not have.
    """
    draw = paired_batches(torch.arange(visible) % 5, torch.arange(infrared) % 5)
    for _ in range(5):
        batch = draw("matched", paired=True)
        assert len(batch.visible.index) == len(batch.infrared.index) == 8


# ---- learning rates --------------------------------------------------------------------------------------------------


def test_learning_rates_are_the_released_codes() -> None:
    """The suite's warm-up, and a schedule with the released milestones as a plug-in would register it.

    The suite's own schedules do not have them: ``step`` drops the rate at equal distances.
    """
    train = {"lr": 0.1, "lr_warmup": 9, "lr_warmup_factor": 0.1}
    LR_SCHEDULES.register("released_mmm")(
        lambda optimizer, train, epochs: MultiStepLR(optimizer, [20 - train.lr_warmup, 40 - train.lr_warmup])
    )
    try:
        neck, rest = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
        optimizer = torch.optim.SGD([{"params": [neck]}, {"params": [rest], "lr": 0.01}], lr=0.1)
        schedule = make_schedule(optimizer, TrainConfig(lr_schedule="released_mmm", **train), 100)  # type: ignore[arg-type]
        found = []
        for _ in range(100):
            found.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            schedule.step()
    finally:
        LR_SCHEDULES.forget("released_mmm")
    rates = {0: 0.01, 5: 0.06, 9: 0.1, 10: 0.1, 19: 0.1, 20: 0.01, 39: 0.01, 40: 0.001, 99: 0.001}
    for epoch, rate in rates.items():
        assert found[epoch] == pytest.approx([rate, rate / 10])
