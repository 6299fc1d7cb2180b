from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.association import (
    ASSOCIATIONS,
    _match_progressively,
    match,
    match_costs,
    mutual_match,
    nearest_match,
    paired,
    sinkhorn_match,
    transport_plan,
)
from usvi_bench.core.types import PseudoLabels


def wave(n: int, a: float) -> Tensor:
    i, j = np.arange(n)[:, None], np.arange(8)[None]
    return torch.from_numpy(np.sin(a * (i + 1) * (j + 1) + 0.37 * i * j))


def gaussian(n: int, seed: int, d: int = 6) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def test_two_rounds_of_the_public_code() -> None:
    """zesenwu23/USL-VI-ReID @ed4a7df on a 5 x 3 similarity."""
    rows = [[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.2, 0.6, 0.55], [0.1, 0.2, 0.5], [0.3, 0.4, 0.45]]
    to_infrared, to_visible = _match_progressively(np.array(rows))
    assert to_infrared.tolist() == [0, 1, 2, 2, 1]
    assert to_visible.tolist() == [0, 1, 2]
    to_infrared, to_visible = _match_progressively(np.array(rows).T)
    assert to_visible.tolist() == [0, 1, 2, 2, 1]
    assert to_infrared.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("visible", "infrared", "to_infrared", "to_visible"),
    [
        (4, 4, "2 3 1 0", "3 2 0 1"),
        (5, 4, "3 0 1 0 2", "3 2 4 0"),
        (7, 4, "1 0 1 0 2 3 3", "3 2 4 5"),
        (8, 4, "1 0 1 0 2 3 3 2", "3 2 7 5"),
        (9, 4, "1 0 1 0 2 3 3 2 3", "3 2 7 5"),
        (12, 4, "1 1 1 0 2 3 3 2 3 2 0 0", "10 2 7 5"),
        (13, 4, "1 0 1 0 2 3 3 2 3 2 0 1 0", "10 2 7 5"),
        (20, 4, "1 1 1 0 2 3 3 2 3 1 0 0 0 2 3 2 3 2 0 1", "10 2 13 5"),
        (3, 5, "2 4 1", "2 2 0 0 1"),
    ],
)
def test_rounds_for_all_proportions(visible: int, infrared: int, to_infrared: str, to_visible: str) -> None:
    found = match(wave(visible, 0.7), wave(infrared, 1.3))
    assert [" ".join(map(str, side.tolist())) for side in found] == [to_infrared, to_visible]


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 1000))
def test_matching_is_total(visible: int, infrared: int, seed: int) -> None:
    a, b = gaussian(visible, seed), gaussian(infrared, seed + 1)
    to_infrared, to_visible = match(a, b)
    assert to_infrared.shape == (visible,)
    assert to_visible.shape == (infrared,)
    assert to_infrared.dtype == to_visible.dtype == torch.int64
    assert 0 <= int(to_infrared.min()) <= int(to_infrared.max()) < infrared
    assert 0 <= int(to_visible.min()) <= int(to_visible.max()) < visible
    small, large = (to_visible, to_infrared) if visible >= infrared else (to_infrared, to_visible)
    assert torch.equal(large[small], torch.arange(len(small)))  # round 1 is one to one
    shares = large.bincount(minlength=len(small))
    assert int(shares.max()) <= -(-len(large) // len(small))  # rounds fill up evenly
    swapped = match(b, a)
    if visible != infrared:
        assert torch.equal(swapped[0], to_visible)
        assert torch.equal(swapped[1], to_infrared)
    rescaled = match(a * torch.rand(visible, 1).add(0.5), b * 3)
    assert torch.equal(rescaled[0], to_infrared)


def test_the_first_round_has_the_least_exponential_cost() -> None:
    other_cost_differs = 0
    for seed in range(40):
        similarity = np.random.default_rng(seed).uniform(-1, 1, (5, 4))
        rows = list(permutations(range(5), 4))
        best = min(rows, key=lambda chosen: sum(np.exp(-similarity[row, i]) for i, row in enumerate(chosen)))
        linear = min(rows, key=lambda chosen: -sum(similarity[row, i] for i, row in enumerate(chosen)))
        assert tuple(_match_progressively(similarity)[1]) == best
        other_cost_differs += best != linear
    assert other_cost_differs


@pytest.mark.parametrize(("visible", "infrared"), [(9, 4), (4, 9), (5, 5)])
def test_the_first_round_alone_is_one_to_one(visible: int, infrared: int) -> None:
    a, b = gaussian(visible, 7), gaussian(infrared, 8)
    full, alone = match(a, b), match(a, b, progressive=False)
    small = int(visible > infrared)  # the smaller side keeps all its partners
    assert torch.equal(alone[small], full[small])
    pairs = {(int(i), j) for j, i in enumerate(alone[1 - small]) if i >= 0}
    assert pairs == {(i, int(j)) for i, j in enumerate(full[small])}


def test_a_single_cluster_takes_all() -> None:
    assert match(gaussian(1, 0), gaussian(4, 1))[1].tolist() == [0, 0, 0, 0]
    assert match(gaussian(4, 0), gaussian(1, 1))[0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("associate", [match, nearest_match, mutual_match, sinkhorn_match])
def test_nothing_to_match_is_an_error(associate: object) -> None:
    assert callable(associate)
    with pytest.raises(ValueError, match="0 visible and 3 infrared clusters"):
        associate(gaussian(3, 0)[:0], gaussian(3, 1))


def test_nearest_match_takes_the_first_of_equals() -> None:
    axes = torch.eye(3)
    to_infrared, to_visible = nearest_match(2 * axes[[0, 1, 1]], axes[[1, 0, 1, 2]])
    assert to_infrared.tolist() == [1, 0, 0]
    assert to_visible.tolist() == [1, 0, 1, 0]


def test_mutual_match_keeps_pairs_that_choose_each_other() -> None:
    a, b = gaussian(15, 3), gaussian(9, 4)
    similarity = (normalize(a) @ normalize(b).T).numpy()
    to_infrared, to_visible = mutual_match(a, b)
    for j, i in enumerate(to_infrared.tolist()):
        best = int(similarity[j].argmax())
        assert i == (best if similarity[:, best].argmax() == j else -1)
    for i, j in enumerate(to_visible.tolist()):
        best = int(similarity[:, i].argmax())
        assert j == (best if similarity[best].argmax() == i else -1)
    assert -1 in to_infrared.tolist()
    assert max(to_visible.tolist()) >= 0


@pytest.mark.parametrize(("visible", "infrared", "regularisation"), [(7, 4, 5.0), (4, 7, 5.0), (12, 12, 0.1)])
def test_sinkhorn_match_reads_the_entropic_plan(visible: int, infrared: int, regularisation: float) -> None:
    a, b = gaussian(visible, 5), gaussian(infrared, 6)
    similarity = (normalize(a.double()) @ normalize(b.double()).T).numpy()
    kernel = np.exp(-np.exp(-similarity) / regularisation)
    u, v = np.ones(visible), np.ones(infrared)
    for _ in range(3000):
        for j in range(infrared):
            v[j] = 1 / infrared / sum(kernel[i, j] * u[i] for i in range(visible))
        for i in range(visible):
            u[i] = 1 / visible / sum(kernel[i, j] * v[j] for j in range(infrared))
        if np.abs((u[:, None] * kernel * v).sum(0) - 1 / infrared).max() < 1e-12:
            break
    plan = u[:, None] * kernel * v
    to_infrared, to_visible = sinkhorn_match(a, b, regularisation)
    assert to_infrared.tolist() == plan.argmax(1).tolist()
    assert to_visible.tolist() == plan.argmax(0).tolist()


@pytest.mark.parametrize(
    ("visible", "infrared", "seed", "to_infrared", "to_visible", "cost", "first", "smallest", "largest"),
    [
        (7, 4, 21, "2 3 2 1 0 3 1", "5 6 2 5", 0.987048, "35139 35557 36845 35316", 0.0334099, 0.0382179),
        (4, 7, 22, "5 6 2 3", "0 3 2 3 1 0 1", 0.941249, "36679 35252 36667 32580", 0.0325800, 0.0401424),
        (12, 5, 23, "2 0 0 4 4 3 1 3 2 4 0 3", "10 6 5 5 4", 1.114805, "16516 15409 17866 17170", 0.0144824, 0.0182425),
        (9, 9, 24, "7 2 6 0 4 4 7 6 7", "3 3 1 2 4 8 7 8 5", 0.859361, "12714 12683 12212 11878", 0.0105711, 0.0137314),
    ],
)
def test_transport_of_the_released_code(
    visible: int,
    infrared: int,
    seed: int,
    to_infrared: str,
    to_visible: str,
    cost: float,
    first: str,
    smallest: float,
    largest: float,
) -> None:
    """XiangboYin/RPNR @6647f21: regularisation 5, tolerance 1e-5; partners are those of the default tolerance."""
    g = np.random.default_rng(seed)
    a, b = (torch.from_numpy(g.standard_normal((n, 16)).astype(np.float32)) for n in (visible, infrared))
    assert float((-(normalize(a) @ normalize(b).T)[0, 0]).exp()) == pytest.approx(cost, rel=2e-6)
    plan = transport_plan(a, b, 5.0, 5000, 1e-5)
    assert plan[0, :4].tolist() == pytest.approx([float(f"0.0{text}") for text in first.split()], abs=6e-7)
    assert (float(plan.min()), float(plan.max())) == pytest.approx((smallest, largest), abs=6e-8)
    for tolerance in (1e-5, 1e-9):
        found = sinkhorn_match(a, b, tolerance=tolerance)
        assert [" ".join(map(str, side.tolist())) for side in found] == [to_infrared, to_visible]


@pytest.mark.parametrize(
    ("visible", "infrared", "seed", "to_infrared", "to_visible"),
    [(7, 4, 21, "0 0 2 0 0 0 1", "4 6 0 5"), (9, 9, 24, "1 3 3 0 4 4 5 6 5", "3 7 1 2 4 8 7 8 5")],
)
def test_the_nearest_centroid_is_another_partner(
    visible: int, infrared: int, seed: int, to_infrared: str, to_visible: str
) -> None:
    g = np.random.default_rng(seed)
    a, b = (torch.from_numpy(g.standard_normal((n, 16)).astype(np.float32)) for n in (visible, infrared))
    found = nearest_match(a, b)
    assert [" ".join(map(str, side.tolist())) for side in found] == [to_infrared, to_visible]


def test_the_journal_has_no_partners_of_clusters_without_images() -> None:
    labels = PseudoLabels(torch.tensor([2, 0, -1]), torch.tensor([1, -1]))
    partners = torch.tensor([1, 0, 2, 3]), torch.tensor([1, 0, 2, 3])
    found = paired(labels, partners)
    assert found.visible_to_infrared is not None
    assert found.visible_to_infrared.tolist() == [1, 0, -1]
    assert all(torch.equal(*pair) for pair in zip(found["partners"], partners, strict=True))


@pytest.mark.parametrize("way", ASSOCIATIONS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_centroids_that_are_not_finite_are_refused(way: str, value: float) -> None:
    odd = torch.tensor([[1.0, value], [0.0, 1.0]])
    for sides in ((odd, torch.eye(2)), (torch.eye(2), odd)):
        with pytest.raises(ValueError, match="centroids hold NaN or infinite values"):
            ASSOCIATIONS[way](*sides)


@pytest.mark.parametrize("way", ASSOCIATIONS)
@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 2, 2)])
def test_centroids_of_other_shapes_are_refused(way: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"centroids must be \[Kv, D\] and \[Ki, D\]"):
        ASSOCIATIONS[way](torch.ones(shape), torch.eye(2))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 1000))
def test_a_matching_by_costs_is_rounds_of_the_least_total_cost(visible: int, infrared: int, seed: int) -> None:
    cost = torch.from_numpy(np.random.default_rng(seed).random((visible, infrared)))
    found = match_costs(cost)
    assert 0 <= int(found.min()) <= int(found.max()) < infrared
    shares = found.bincount(minlength=infrared)
    assert int(shares.max()) <= -(-visible // infrared)  # each round takes every column once at most
    once = match_costs(cost, "assignment")
    paired = once >= 0
    assert int(paired.sum()) == min(visible, infrared)
    assert torch.equal(found[paired], once[paired]), "the first round is the assignment"
    assert match_costs(cost, "nearest").tolist() == [row.index(min(row)) for row in cost.tolist()]


def test_an_assignment_by_costs_has_the_least_total_of_all_permutations() -> None:
    cost = torch.from_numpy(np.random.default_rng(5).random((5, 5)))
    least = min(sum(float(cost[a, b]) for a, b in enumerate(order)) for order in permutations(range(5)))
    found = match_costs(cost, "assignment").tolist()
    assert sum(float(cost[a, b]) for a, b in enumerate(found)) == pytest.approx(least)
