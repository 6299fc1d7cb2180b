"""Expected values: seven images of two clusters and one outlier on the unit circle."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.memory.instance_batch import InstanceBatch
from usvi_bench.components.memory.instance_discrimination import (
    ImageBank,
    InstanceSettings,
    hardest_share,
    instance_logits,
    instance_loss,
    update_banks,
)
from usvi_bench.components.memory.rules import mean_update


def at(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


BANK = at(0, 10, 30, 90, 104, 112, 200)
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, -1])
QUERIES, OF = at(20, 80), torch.tensor([2, 3])
TAU = 0.5


@pytest.mark.parametrize(
    ("labels", "each", "mean"),
    [(None, (1.255943, 1.296833), 1.276388), (LABELS, (0.468393, 0.707952), 0.588173)],
    ids=["all", "masked"],
)
def test_loss(labels: Tensor | None, each: tuple[float, float], mean: float) -> None:
    assert float(instance_loss(QUERIES, OF, BANK, TAU, labels)) == pytest.approx(mean, abs=1e-6)
    for i, value in enumerate(each):
        loss = instance_loss(QUERIES[i : i + 1], OF[i : i + 1], BANK, TAU, labels)
        assert float(loss) == pytest.approx(value, abs=1e-6)


def test_update() -> None:
    bank = mean_update(BANK, QUERIES[:1], OF[:1], 0.2)
    torch.testing.assert_close(bank[2], torch.tensor([0.927216, 0.374528]).double(), atol=1e-6, rtol=0)
    assert torch.equal(bank[[0, 1, 3, 4, 5, 6]], BANK[[0, 1, 3, 4, 5, 6]])


def random_case() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    bank = normalize(torch.randn(20, 5, generator=generator, dtype=torch.float64), dim=1)
    labels = torch.randint(-1, 4, (20,), generator=generator)
    index = torch.randint(20, (12,), generator=generator)
    index[3] = index[7]  # one image twice
    features = normalize(torch.randn(12, 5, generator=generator, dtype=torch.float64), dim=1)
    return features, index, bank, labels


@pytest.mark.parametrize("masked", [True, False])
def test_loss_and_gradient_equal_the_definition(masked: bool) -> None:
    features, index, bank, labels = random_case()
    assert (labels[index] == -1).any()
    features.requires_grad_()
    loss = instance_loss(features, index, bank, 0.1, labels if masked else None)
    (ours,) = torch.autograd.grad(loss, features)
    terms = []
    for q, i in zip(features, index.tolist(), strict=True):
        others = [j for j in range(20) if j != i and not (masked and labels[j] == labels[i] and labels[j] >= 0)]
        exponents = {j: (torch.dot(q, bank[j]) / 0.1).exp() for j in [i, *others]}
        terms.append(-(exponents[i] / sum(exponents.values())).log())
    mean = torch.stack(terms).mean()
    (expected,) = torch.autograd.grad(mean, features)
    torch.testing.assert_close(loss, mean)
    torch.testing.assert_close(ours, expected)


def test_an_outlier_has_all_others_as_negatives() -> None:
    query, own = at(190), torch.tensor([6])
    assert torch.equal(instance_logits(query, own, BANK, TAU, LABELS), instance_logits(query, own, BANK, TAU))
    two = torch.where(LABELS == 1, -1, LABELS)
    assert instance_logits(query, own, BANK, TAU, two).isfinite().all()


def test_update_equals_the_definition_whatever_the_order() -> None:
    features, index, bank, _ = random_case()
    ours = mean_update(bank, features, index, 0.2)
    for i in range(20):
        mine = [features[b] for b in range(12) if index[b] == i]
        expected = normalize(0.2 * bank[i] + 0.8 * torch.stack(mine).mean(0), dim=0) if mine else bank[i]
        torch.testing.assert_close(ours[i], expected)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(mean_update(bank, features[order], index[order], 0.2), ours)


def test_two_equal_looks_move_an_image_once() -> None:
    once = mean_update(BANK, QUERIES[:1], OF[:1], 0.2)
    torch.testing.assert_close(mean_update(BANK, QUERIES[[0, 0]], OF[[0, 0]], 0.2), once)


def test_renumbering_clusters_changes_nothing() -> None:
    renamed = torch.where(LABELS < 0, LABELS, 1 - LABELS)
    assert torch.equal(instance_loss(QUERIES, OF, BANK, TAU, LABELS), instance_loss(QUERIES, OF, BANK, TAU, renamed))


def test_the_share_of_the_hardest_negatives() -> None:
    features, index, bank, labels = random_case()
    expected = []
    for q, i in zip(features, index.tolist(), strict=True):
        values = [
            float((q @ bank[j] / 0.1).exp())
            for j in range(20)
            if j != i and not (labels[j] == labels[i] and labels[j] >= 0)
        ]
        expected.append(sum(sorted(values)[-3:]) / sum(values))
    share = hardest_share(features, index, bank, 0.1, labels, count=3)
    assert float(share) == pytest.approx(sum(expected) / len(expected))
    assert float(hardest_share(features, index, bank, 0.1, count=50)) == pytest.approx(1)


@pytest.mark.parametrize("negatives", ["masked", "all"])
def test_a_bank_is_made_read_and_moved_as_its_settings_say(negatives: str) -> None:
    features, index, bank, labels = random_case()
    settings = InstanceSettings(instance_negatives=negatives, instance_temperature=0.3, instance_momentum=0.6)  # type: ignore[arg-type]
    ours = ImageBank(3 * bank, labels, settings)
    drawn = InstanceBatch(features[:0], labels[:0], features.requires_grad_(), index)
    spared = labels if negatives == "masked" else None
    torch.testing.assert_close(ours.loss(drawn), instance_loss(features, index, bank, 0.3, spared))
    torch.testing.assert_close(ours.hardest_share(drawn), hardest_share(features, index, bank, 0.3, spared))
    update_banks([(ours, drawn)])
    torch.testing.assert_close(ours.rows, mean_update(bank, features.detach(), index, 0.6))
    assert not ours.rows.requires_grad


@pytest.mark.parametrize(
    ("changed", "progress", "expected"),
    [
        ({}, 0.0, (2.0, 0.5)),
        ({}, 0.2, (1.0, 0.75)),
        ({}, 0.9, (0.0, 1.0)),
        ({"instance_floor": 0.3}, 0.9, (0.3, 1.0)),
        ({"scheduled": False}, 0.0, (0.2, 1.0)),
        ({"scheduled": False, "instances": False}, 0.0, (0.0, 1.0)),
        ({"instances": False}, 0.0, (0.0, 1.0)),
    ],
    ids=str,
)
def test_weight_moves_from_instances_to_classes(
    changed: dict[str, Any], progress: float, expected: tuple[float, float]
) -> None:
    settings = InstanceSettings(**{"instance_weight": 2.0, **changed})
    assert settings.instance_weights(progress) == pytest.approx(expected)
