from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.neighbour_losses import neighbour_costs, neighbour_mask


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


KEYS = normalize(draws(9, 4), dim=1)
QUERIES = KEYS[[0, 4, 4, 7]]
FEATURES = 3 * draws(4, 4, seed=1)


def test_neighbours_are_the_definition_and_include_oneself() -> None:
    mask = neighbour_mask(QUERIES, KEYS, 0.6)
    for query, row in zip(QUERIES, mask, strict=True):
        cosine = [float(query @ key) for key in KEYS]
        assert row.tolist() == [value > 0.6 * max(cosine) for value in cosine]
    assert mask[torch.arange(4), [0, 4, 4, 7]].all()
    assert mask.sum(1).max() > 1


def test_a_query_that_is_like_nothing_has_no_neighbours_and_costs_nothing() -> None:
    keys = torch.eye(3)
    mask = neighbour_mask(-torch.ones(1, 3) / 3**0.5, keys, 0.9)
    assert not mask.any()
    assert float(loss_of(torch.ones(1, 3), keys, mask, 0.05)) == 0


def loss_of(features: Tensor, keys: Tensor, mask: Tensor, temperature: float) -> Tensor:
    return neighbour_costs(normalize(features) @ keys.T / temperature, mask).mean()


def naive(features: Tensor, keys: Tensor, mask: Tensor, temperature: float) -> Tensor:
    losses = []
    for feature, row in zip(features, mask, strict=True):
        scores = torch.stack([feature / feature.norm() @ key / temperature for key in keys])
        probabilities = (scores - scores.max()).exp() / (scores - scores.max()).exp().sum()
        costs = [-probabilities[j].clamp(min=1e-8).log() for j in range(len(keys)) if row[j]]
        losses.append(sum(costs, torch.zeros((), dtype=torch.float64)) / (1 + len(costs)))
    return torch.stack(losses).mean()


def test_the_loss_and_its_gradient_are_the_definition() -> None:
    mask = neighbour_mask(QUERIES, KEYS, 0.6)
    mask[1] = False
    for temperature in (0.3, 0.03):  # the second has probabilities below the floor
        ours, theirs = FEATURES.clone().requires_grad_(), FEATURES.clone().requires_grad_()
        loss, expected = loss_of(ours, KEYS, mask, temperature), naive(theirs, KEYS, mask, temperature)
        torch.testing.assert_close(loss, expected)
        loss.backward()
        expected.backward()
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_order_of_keys_does_not_matter() -> None:
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    mask = neighbour_mask(QUERIES, KEYS, 0.6)
    assert torch.equal(neighbour_mask(QUERIES, KEYS[order], 0.6), mask[:, order])
    loss = loss_of(FEATURES, KEYS, mask, 0.05)
    torch.testing.assert_close(loss_of(FEATURES, KEYS[order], mask[:, order], 0.05), loss)
