from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from usvi_bench.components.neighbour_labels import Calibration, SoftLabel, reliability, soft_labels

GENERATOR = torch.Generator().manual_seed(0)
CLUSTERS, IMAGES, K = 4, 30, 5
LABELS = torch.randint(-1, CLUSTERS, (IMAGES,), generator=GENERATOR)
LABELS[:CLUSTERS] = torch.arange(CLUSTERS)
OUTLIERS = (LABELS == -1).nonzero().squeeze(1)
LISTS = torch.stack([torch.randperm(IMAGES, generator=GENERATOR)[:K] for _ in range(12)])
LISTS[3] = OUTLIERS[:K]  # no neighbour of image 3 is in a cluster
OWN = torch.tensor([0, 1, 2, 3, -1, 1, 2, 3, 0, -1, 2, 3])


def naive(lists: Tensor, labels: Tensor, kind: str) -> list[list[float]]:
    rows = []
    for neighbours in lists.tolist():
        shares = []
        for cluster in range(CLUSTERS):
            members = {i for i, label in enumerate(labels.tolist()) if label == cluster}
            common = len(members & set(neighbours))
            shares.append(common / len(members | set(neighbours)) if kind == "overlap" else common)
        rows.append([share / sum(shares) if sum(shares) else 0.0 for share in shares])
    return rows


@pytest.mark.parametrize("kind", ["overlap", "vote"])
def test_soft_labels_are_the_definition(kind: SoftLabel) -> None:
    soft, known = soft_labels(LISTS, LABELS, CLUSTERS, kind)
    torch.testing.assert_close(soft, torch.tensor(naive(LISTS, LABELS, kind)))
    assert known.tolist() == [row != 3 for row in range(len(LISTS))]
    torch.testing.assert_close(soft.sum(dim=1), known.float())


def test_renumbering_clusters_permutes_the_columns() -> None:
    order = torch.tensor([2, 0, 3, 1])
    renumbered = torch.where(LABELS < 0, -1, order[LABELS])
    found = soft_labels(LISTS, renumbered, CLUSTERS)[0]
    torch.testing.assert_close(found[:, order], soft_labels(LISTS, LABELS, CLUSTERS)[0])


@pytest.mark.parametrize(
    ("sharpness", "expected"),
    [(10, [0.0074, 0.0821, 0.4066, 0.9048, 1]), (5, [0.0863, 0.2865, 0.6376, 0.9512, 1]), (0, [1, 1, 1, 1, 1])],
)
def test_reliability_falls_with_the_missing_share(sharpness: float, expected: list[float]) -> None:
    share = torch.tensor([0.3, 0.5, 0.7, 0.9, 1.0])
    soft = torch.stack([1 - share, share], dim=1)
    found = reliability(soft, torch.ones(5, dtype=torch.int64), sharpness)
    torch.testing.assert_close(found, torch.tensor(expected).float(), atol=5e-5, rtol=0)


def calibration(smoothing: float, sharpness: float | None) -> Calibration:
    return Calibration.of(*soft_labels(LISTS, LABELS, CLUSTERS), OWN, smoothing, sharpness)


@pytest.mark.parametrize(("smoothing", "sharpness"), [(0.3, 10.0), (0.3, None), (0.0, 10.0), (1.0, 2.0)])
def test_the_loss_and_its_gradient_are_the_definition(smoothing: float, sharpness: float | None) -> None:
    soft = naive(LISTS, LABELS, "overlap")
    index = torch.tensor([0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 0, 1])
    logits = torch.randn(len(index), CLUSTERS, generator=torch.Generator().manual_seed(3)).requires_grad_()
    again = logits.detach().clone().requires_grad_()
    total, weights = torch.zeros(()), 0.0
    for row, image in zip(again, index.tolist(), strict=True):
        own = OWN[image]
        target = [smoothing * share + (1 - smoothing) * (k == own) for k, share in enumerate(soft[image])]
        weight = 1.0 if sharpness is None else math.exp(-sharpness * (1 - soft[image][own]) ** 2)
        weight *= image != 3  # which has no soft label
        total = total - weight * (torch.tensor(target) * row.log_softmax(0)).sum()
        weights += weight
    found = calibration(smoothing, sharpness)
    loss = found.loss(logits, index, len(index))
    torch.testing.assert_close(loss, total / len(index))
    torch.testing.assert_close(found.loss(logits, index, None), total / weights)
    loss.backward()
    (total / len(index)).backward()
    torch.testing.assert_close(logits.grad, again.grad)
    assert logits.grad is not None
    assert logits.grad[3].eq(0).all()


def test_hard_targets_and_equal_weights_are_cross_entropy() -> None:
    index = torch.tensor([0, 1, 2, 5, 6, 7])
    logits = torch.randn(6, CLUSTERS, generator=torch.Generator().manual_seed(4))
    for sharpness in (None, 0.0):
        loss = calibration(0.0, sharpness).loss(logits, index, 6)
        torch.testing.assert_close(loss, cross_entropy(logits, OWN[index]))


def test_images_without_a_label_or_a_soft_label_weigh_nothing() -> None:
    for sharpness in (None, 10.0):
        weights = calibration(0.3, sharpness).weights
        assert [i for i, weight in enumerate(weights.tolist()) if weight == 0] == [3, 4, 9]


def test_a_batch_of_weightless_samples_costs_nothing() -> None:
    logits = torch.randn(2, CLUSTERS, generator=torch.Generator().manual_seed(5)).requires_grad_()
    for samples in (None, 2):
        loss = calibration(0.3, 10).loss(logits, torch.tensor([3, 3]), samples)
        loss.backward()
        assert float(loss.detach()) == 0
        assert logits.grad is not None
        assert logits.grad.eq(0).all()


def test_figures_are_means_over_the_labelled_images() -> None:
    soft, labelled = naive(LISTS, LABELS, "overlap"), [i for i, own in enumerate(OWN.tolist()) if own >= 0]
    agree = [i != 3 and soft[i][OWN[i]] == max(soft[i]) for i in labelled]
    weights = [math.exp(-10 * (1 - soft[i][OWN[i]]) ** 2) * (i != 3) for i in labelled]
    figures = {name: float(value) for name, value in calibration(0.3, 10).figures.items()}
    expected = {"agreement": sum(agree) / 10, "mean_weight": sum(weights) / 10, "unknown": 0.1}
    assert figures == pytest.approx(expected, abs=1e-6)
