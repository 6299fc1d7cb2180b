"""Expected values: seven images of two clusters and one outlier on the unit circle, computed by hand-written loops."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.memory.soft_prototypes import (
    LOSSES,
    SoftPrototypes,
    hardest_loss,
    joint_loss,
    mean_prototype_loss,
    nearest_prototypes,
    per_rank_loss,
    random_prototypes,
    soft_weights,
    uniform_weights,
)


def at(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


BANK = at(0, 10, 30, 90, 104, 112, 200)
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, -1])
ROWS = centroids(BANK, LABELS)
QUERIES, OF = at(20, 80), torch.tensor([0, 1])
TAU = 0.5


def prototypes(slots: int = 2, soft: bool = True) -> SoftPrototypes:
    choice = nearest_prototypes(ROWS, BANK, LABELS, slots, 0.5)
    vectors = BANK[choice.index]
    weights = soft_weights(ROWS, vectors, choice.valid, 0.1) if soft else uniform_weights(choice.valid).double()
    return SoftPrototypes(vectors, weights, choice.valid)


def near(value: Tensor, *expected: float) -> None:
    torch.testing.assert_close(value, torch.tensor(expected, dtype=torch.float64).view_as(value), atol=1e-6, rtol=0)


# ---- values --------------------------------------------------------------------------------------------------


def test_the_most_central_half_is_chosen() -> None:
    near(torch.atan2(ROWS[:, 1], ROWS[:, 0]).rad2deg(), 13.295047, 102.012301)
    choice = nearest_prototypes(ROWS, BANK, LABELS, 2, 0.5)
    assert choice.index.tolist() == [[1, 0], [4, 5]]
    assert choice.valid.all()
    near((ROWS[:, None] * BANK[choice.index]).sum(2), 0.998347, 0.973199, 0.999398, 0.984845)


def test_soft_weights() -> None:
    near(prototypes().weights, 0.562541, 0.437459, 0.536319, 0.463681)


@pytest.mark.parametrize(
    ("form", "soft", "expected"),
    [
        ("per_rank", True, 0.201460),
        ("per_rank", False, 0.199826),
        ("joint", True, 0.890565),
        ("joint", False, 0.895766),
        ("mean", True, 0.200508),
        ("mean", False, 0.198362),
    ],
)
@pytest.mark.parametrize("slots", [2, 3])
def test_losses(form: str, soft: bool, expected: float, slots: int) -> None:
    """With three slots, the third repeats the first and no loss changes."""
    loss = LOSSES[form](QUERIES, prototypes(slots, soft), OF, TAU)
    assert float(loss) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("soft", "expected"), [(True, (0.147493, 0.255427)), (False, (0.145895, 0.253756))])
def test_per_rank_loss_of_each_query(soft: bool, expected: tuple[float, float]) -> None:
    for i, value in enumerate(expected):
        loss = per_rank_loss(QUERIES[i : i + 1], prototypes(soft=soft), OF[i : i + 1], TAU)
        assert float(loss) == pytest.approx(value, abs=1e-6)


def test_slots_beyond_the_limit_repeat_and_do_not_count() -> None:
    choice = nearest_prototypes(ROWS, BANK, LABELS, 3, 0.5)
    assert choice.index.tolist() == [[1, 0, 1], [4, 5, 4]]
    assert choice.valid.tolist() == [[True, True, False]] * 2
    assert prototypes(3).weights[:, 2].tolist() == [0, 0]


# ---- against loops from the definitions ----------------------------------------------------------------------


def random_case(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Draw rows, bank and labels of five clusters with 2 to 12 images, and five outliers."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(5).repeat_interleave(torch.tensor([2, 3, 12, 7, 5])), torch.full((5,), -1)])
    labels = labels[torch.randperm(len(labels), generator=generator)]
    bank = normalize(torch.randn(len(labels), 6, generator=generator, dtype=torch.float64), dim=1)
    return centroids(bank, labels), bank, labels


@pytest.mark.parametrize("scope", ["cluster", "modality"])
@pytest.mark.parametrize("floor", [None, 0.9])
@pytest.mark.parametrize("slots", [1, 4, 50])
def test_choice_equals_the_definition(scope: str, floor: float | None, slots: int) -> None:
    rows, bank, labels = random_case()
    choice = nearest_prototypes(rows, bank, labels, slots, 0.5, scope, floor)  # type: ignore[arg-type]
    for c in range(len(rows)):
        members = [i for i in range(len(bank)) if labels[i] == c]
        pool = members if scope == "cluster" else range(len(bank))
        similar = {i: float(rows[c] @ bank[i]) for i in pool}
        ranked = sorted(pool, key=lambda i: (-similar[i], i))
        limit = max(1, min(slots, math.floor(0.5 * len(members) + 0.5)))
        kept = [
            i for i in ranked[:limit] if floor is None or i == ranked[0] or similar[i] >= floor * similar[ranked[0]]
        ]
        assert choice.valid[c].tolist() == [k < len(kept) for k in range(slots)]
        assert choice.index[c].tolist() == [kept[k % len(kept)] for k in range(slots)]


def test_equal_images_come_in_their_order() -> None:
    bank = at(20, 10, 10, 10, 90)
    choice = nearest_prototypes(at(10), bank, torch.tensor([0, 0, 0, 0, -1]), 4, 1.0)
    assert choice.index.tolist() == [[1, 2, 3, 0]]


def test_random_prototypes_are_different_members_of_the_cluster() -> None:
    _, _, labels = random_case()
    choice = random_prototypes(labels, 6, torch.Generator().manual_seed(1))
    for c, size in enumerate([2, 3, 12, 7, 5]):
        drawn = choice.index[c, choice.valid[c]].tolist()
        assert len(drawn) == len(set(drawn)) == min(size, 6)
        assert all(labels[i] == c for i in choice.index[c])
    other = random_prototypes(labels, 6, torch.Generator().manual_seed(2))
    assert not torch.equal(choice.index, other.index)


def naive(form: str, q: Tensor, p: SoftPrototypes, y: int, tau: float) -> Tensor:
    """Compute the loss of one feature with scalars and loops, differentiably."""
    clusters, slots = range(len(p.vectors)), range(p.vectors.shape[1])
    score = [[torch.dot(q, p.vectors[c, k]) / tau for k in slots] for c in clusters]
    w = p.weights[y]
    if form == "per_rank":
        shares = [score[y][k] - torch.stack([score[c][k] for c in clusters]).logsumexp(0) for k in slots]
        return -torch.stack([w[k] * shares[k] for k in slots]).sum()
    if form == "joint":
        total = torch.stack([score[c][k] for c in clusters for k in slots if p.valid[c, k]]).logsumexp(0)
        return -torch.stack([w[k] * (score[y][k] - total) for k in slots]).sum()
    if form == "mean":
        rows = [torch.stack([p.weights[c, k] * p.vectors[c, k] for k in slots]).sum(0) for c in clusters]
        scores = torch.stack([torch.dot(q, row) / row.norm() / tau for row in rows])
    else:
        best = [torch.stack(score[c]).max() if c != y else torch.stack(score[c]).min() for c in clusters]
        scores = torch.stack(best)
    return scores.logsumexp(0) - scores[y]


@pytest.mark.parametrize("form", sorted(LOSSES))
def test_losses_and_gradients_equal_the_definition(form: str) -> None:
    rows, bank, labels = random_case()
    choice = nearest_prototypes(rows, bank, labels, 4, 0.5)
    vectors = bank[choice.index]
    p = SoftPrototypes(vectors, soft_weights(rows, vectors, choice.valid, 0.2), choice.valid)
    generator = torch.Generator().manual_seed(4)
    queries = normalize(torch.randn(7, 6, generator=generator, dtype=torch.float64), dim=1).requires_grad_()
    own = torch.randint(5, (7,), generator=generator)
    (ours,) = torch.autograd.grad(loss := LOSSES[form](queries, p, own, 0.1), queries)
    mean = torch.stack([naive(form, q, p, int(y), 0.1) for q, y in zip(queries, own, strict=True)]).mean()
    (expected,) = torch.autograd.grad(mean, queries)
    torch.testing.assert_close(loss, mean)
    torch.testing.assert_close(ours, expected)
    step = 1e-6 * torch.ones_like(queries) * (torch.arange(6) == 2)
    with torch.no_grad():
        slope = (LOSSES[form](queries + step, p, own, 0.1) - LOSSES[form](queries - step, p, own, 0.1)) / 2e-6
    assert float(ours[:, 2].sum()) == pytest.approx(float(slope), rel=1e-5, abs=1e-8)


def test_per_rank_gradient_is_the_closed_form() -> None:
    p = prototypes()
    queries = QUERIES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(per_rank_loss(queries, p, OF, TAU), queries)
    for b, y in enumerate(OF.tolist()):
        expected = torch.zeros(2, dtype=torch.float64)
        for k in range(2):
            shares = torch.stack([QUERIES[b] @ p.vectors[c, k] / TAU for c in range(2)]).softmax(0)
            pulled = sum(shares[c] * p.vectors[c, k] for c in range(2))
            expected += p.weights[y, k] * (pulled - p.vectors[y, k]) / TAU
        torch.testing.assert_close(gradient[b], expected / 2)


# ---- laws ----------------------------------------------------------------------------------------------------


def test_weights_sum_to_one_and_fade_to_equal_ones() -> None:
    rows, bank, labels = random_case()
    choice = nearest_prototypes(rows, bank, labels, 5, 0.7)
    soft = [soft_weights(rows, bank[choice.index], choice.valid, t) for t in (0.05, 1.0, 1e9)]
    equal = uniform_weights(choice.valid).double()
    for weights in [*soft, equal]:
        torch.testing.assert_close(weights.sum(1), torch.ones(5).double())
        assert not weights[~choice.valid].any()
    torch.testing.assert_close(soft[2], equal)
    distances = [float((w - equal).abs().sum()) for w in soft]
    assert distances == sorted(distances, reverse=True)
    assert all(a >= b for a, b in pairwise(soft[0][2].tolist()))


@pytest.mark.parametrize("loss", [per_rank_loss, mean_prototype_loss])
def test_one_slot_is_the_contrast_with_the_most_central_images(loss) -> None:  # type: ignore[no-untyped-def]
    p = prototypes(1)
    expected = torch.nn.functional.cross_entropy(QUERIES @ p.vectors[:, 0].T / TAU, OF)
    torch.testing.assert_close(loss(QUERIES, p, OF, TAU), expected)


@pytest.mark.parametrize("form", sorted(LOSSES))
def test_renumbering_clusters_changes_nothing(form: str) -> None:
    _, bank, labels = random_case()
    order = torch.tensor([3, 0, 4, 1, 2])  # cluster c becomes order[c]
    renamed = torch.where(labels < 0, labels, order[labels.clamp(min=0)])
    generator = torch.Generator().manual_seed(4)
    queries = normalize(torch.randn(7, 6, generator=generator, dtype=torch.float64), dim=1)
    own = torch.randint(5, (7,), generator=generator)
    losses = []
    for numbering, of in ((labels, own), (renamed, order[own])):
        centres = centroids(bank, numbering)
        choice = nearest_prototypes(centres, bank, numbering, 4, 0.5)
        vectors = bank[choice.index]
        p = SoftPrototypes(vectors, soft_weights(centres, vectors, choice.valid, 0.1), choice.valid)
        losses.append(LOSSES[form](queries, p, of, TAU))
    torch.testing.assert_close(*losses)


def test_the_joint_loss_is_never_below_the_entropy_of_the_weights() -> None:
    """Positives compete; the minimum is reached if the query's probabilities equal the weights of its prototypes."""
    p = prototypes()
    alone = SoftPrototypes(p.vectors[:1], p.weights[:1], p.valid[:1])
    entropy = float(torch.special.entr(p.weights[0]).sum())
    at_the_centroid = joint_loss(ROWS[:1], alone, OF[:1], 0.1)  # the weights' own anchor and temperature
    assert float(at_the_centroid) == pytest.approx(entropy)
    assert float(joint_loss(QUERIES[:1], alone, OF[:1], 0.1)) > entropy


def test_no_gradient_reaches_weights_or_centroids() -> None:
    rows = ROWS.clone().requires_grad_()
    choice = nearest_prototypes(rows.detach(), BANK, LABELS, 2, 0.5)
    assert not soft_weights(rows, BANK[choice.index], choice.valid, 0.1).requires_grad


def test_what_is_described() -> None:
    figures = {name: float(value) for name, value in prototypes(3).figures(ROWS).items()}
    w = [[0.562541, 0.437459], [0.536319, 0.463681]]
    assert figures["prototypes"] == 2
    assert figures["effective_prototypes"] == pytest.approx(sum(1 / (a * a + b * b) for a, b in w) / 2, abs=1e-4)
    assert figures["weight_entropy"] == pytest.approx(-sum(x * math.log(x) for p in w for x in p) / 2, abs=1e-5)
    assert figures["nearest_similarity"] == pytest.approx((0.998347 + 0.999398) / 2, abs=1e-6)
    assert figures["farthest_similarity"] == pytest.approx((0.973199 + 0.984845) / 2, abs=1e-6)


def test_extremes_are_the_hardest_of_every_cluster() -> None:
    """The query at 20 meets its farther prototype (0) and the nearer one (104) of the other cluster."""
    loss = hardest_loss(QUERIES[:1], prototypes(), OF[:1], TAU)
    own, other = math.cos(math.radians(20)) / TAU, math.cos(math.radians(84)) / TAU
    assert float(loss) == pytest.approx(math.log1p(math.exp(other - own)), abs=1e-9)


def test_a_choice_has_the_rows_of_now_and_weights_by_the_centroids_of_now_or_equal_ones() -> None:
    choice = nearest_prototypes(ROWS, BANK, LABELS, 2, 1.0)
    moved, rows = BANK.flip(0), at(20, 60)
    for temperature, expected in (
        (0.1, soft_weights(rows, moved[choice.index], choice.valid, 0.1)),
        (None, uniform_weights(choice.valid)),
    ):
        found = choice.weighted(rows, moved, temperature)
        assert torch.equal(found.vectors, moved[choice.index])
        assert torch.equal(found.weights, expected)
        assert torch.equal(found.valid, choice.valid)
