"""Rules that update the rows of a memory, against loops written from their definitions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.components.memory.cases import random_case, unit
from usvi_bench.components.memory.rules import (
    MOST_ROUNDS,
    adaptive_shares,
    hard_update,
    hardest_mate,
    mates,
    mean_of_mates,
    mean_update,
    momentum_step,
    random_mate,
    samples_that_matter,
    sequential_update,
    take_steps,
)


def naive_one_step(rows: Tensor, features: Tensor, labels: Tensor, momentum: float, target) -> Tensor:
    rows = rows.clone()
    for k in sorted(set(labels.tolist())):
        members = [i for i in range(len(labels)) if labels[i] == k]
        rows[k] = unit(momentum * rows[k] + (1 - momentum) * target(rows[k], members))
    return rows


def released_wave(rows: int, columns: int, a: float, b: float) -> Tensor:
    i, j = np.arange(1, rows + 1)[:, None], np.arange(1, columns + 1)[None]
    return torch.from_numpy((np.sin(a * i + b * j) + 0.25 * np.cos(0.9 * i * j)).astype(np.float32))


def test_released_values_of_a_hybrid_of_mean_and_hardest_rows():
    """PCLHD's CMhybrid (shijiangming1/PCLHD @c1f7b24): hardness is measured against the mean row before its update."""
    rows = F.normalize(released_wave(8, 16, 0.5, 1.1), dim=1)
    features = F.normalize(released_wave(12, 16, 1.3, 0.7), dim=1)
    labels = torch.arange(12) % 4
    mean, hard = rows[:4], rows[4:]
    hardest = hardest_mate(mean[labels], features, mates(labels))
    assert hardest.unique().tolist() == [1, 4, 6, 11]
    mean = mean_update(mean, features, labels, 0.1)
    hard = momentum_step(hard, labels, features[hardest], 0.1)
    assert mean.sum(1).tolist() == pytest.approx([-0.045519, -0.729722, 0.176698, 0.241967], abs=1e-5)
    assert hard.sum(1).tolist() == pytest.approx([-0.057682, -0.586811, 1.090340, -0.301169], abs=1e-5)
    assert mean[0, :3].tolist() == pytest.approx([0.351635, 0.274561, 0.214341], abs=1e-5)
    assert hard[0, :3].tolist() == pytest.approx([0.223865, 0.205564, 0.277376], abs=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batch", [40, 200])
def test_sequential_update_is_the_loop_over_samples(seed, momentum, batch):
    rows, features, labels = random_case(seed, batch=batch)
    expected = naive_sequential(rows, features, labels, momentum)
    torch.testing.assert_close(sequential_update(rows, features, labels, momentum), expected, atol=1e-12, rtol=0)
    single = sequential_update(rows.float(), features.float(), labels, momentum)
    torch.testing.assert_close(single, expected.float(), atol=1e-6, rtol=0)


def naive_sequential(rows: Tensor, features: Tensor, labels: Tensor, momentum: float) -> Tensor:
    rows = rows.clone()
    for feature, k in zip(features, labels.tolist(), strict=True):
        rows[k] = unit(momentum * rows[k] + (1 - momentum) * feature)
    return rows


@pytest.mark.parametrize("rounds", [0, 30])
def test_steps_of_any_length_are_the_loop_over_samples(rounds):
    """The weights of samples differ if memories with different momenta are updated together."""
    rows, features, labels = random_case(6, batch=30)
    steps = features * torch.logspace(-3, 3, 30, dtype=torch.float64)[:, None].flip(0)
    expected = rows.clone()
    for step, k in zip(steps, labels.tolist(), strict=True):
        expected[k] = unit(expected[k] + step)
    torch.testing.assert_close(take_steps(rows, steps, labels, rounds), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("momentum", [0.02, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_earlier_samples_do_not_matter_even_in_the_worst_case(momentum, dtype):
    """Every sample is opposite to the mean of the two rows, which keeps them as far apart as possible."""
    a = torch.tensor([1.0, 0.0], dtype=torch.float64)
    b = torch.tensor([-1.0, 1e-3], dtype=torch.float64)
    count, distances = samples_that_matter(momentum, dtype), []
    for _ in range(count):
        b = unit(b)
        sample = -unit(a + b) if float((a + b).norm()) > 1e-12 else unit([0.0, 1.0])
        a, b = (unit(momentum * row + (1 - momentum) * sample) for row in (a, b))
        distances.append(float((a - b).norm()))
    assert distances[-1] <= torch.finfo(dtype).eps
    shrinks = momentum / (1 - 2 * momentum)
    bounds = [2 * momentum / (1 - momentum) * shrinks**k for k in range(count)]
    assert all(found <= bound + 1e-15 for found, bound in zip(distances, bounds, strict=True))
    assert count == 1 or bounds[-2] > torch.finfo(dtype).eps, "no fewer samples are sure to be enough"


def test_a_small_momentum_never_asks_for_the_size_of_clusters(monkeypatch):
    rows, features, labels = random_case(0, batch=200)
    expected = naive_sequential(rows.float(), features.float(), labels, 0.2)
    assert samples_that_matter(0.2, torch.float32) <= MOST_ROUNDS < 200
    with monkeypatch.context() as patch:
        patch.setattr(Tensor, "__int__", lambda self: pytest.fail("the host waits"))
        found = sequential_update(rows.float(), features.float(), labels, 0.2)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", range(3))
def test_one_step_updates_are_the_loops_over_clusters(seed):
    rows, features, labels = random_case(seed)

    def hardest(row, members):
        return features[min(members, key=lambda i: float(features[i] @ row))]

    def mean(row, members):
        return sum(features[i] for i in members) / len(members)

    for update, target in ((hard_update, hardest), (mean_update, mean)):
        expected = naive_one_step(rows, features, labels, 0.2, target)
        torch.testing.assert_close(update(rows, features, labels, 0.2), expected, atol=1e-12, rtol=0)


def test_hardest_of_equals_is_the_first():
    rows, labels = unit([[1.0, 0.0]]), torch.zeros(3, dtype=torch.int64)
    features = unit([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert hardest_mate(rows[labels], features, mates(labels)).tolist() == [1, 1, 1]


def test_random_mates_are_one_sample_of_each_cluster_drawn_uniformly():
    labels = torch.tensor([0, 2, 0, 2, 2, 0, 2])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([random_mate(labels, generator) for _ in range(3000)])
    for k in (0, 2):
        mine = drawn[:, labels == k]
        assert (mine == mine[:, :1]).all()
        assert (labels[mine] == k).all()
    shares = torch.stack([(drawn[:, labels[i]] == i).float().mean() for i in range(7)])
    assert torch.allclose(shares[[0, 2, 5]], torch.full((3,), 1 / 3), atol=0.035)
    shares = torch.stack([(drawn[:, 1] == i).float().mean() for i in (1, 3, 4, 6)])
    assert torch.allclose(shares, torch.full((4,), 1 / 4), atol=0.035)


AMU_ROW = [[1, 0.2, 0.1]]


AMU_FEATURES = [[1, 0.25, 0.05], [0.9, 0.1, 0.5], [0.2, 1, 0.1], [0.8, 0, 0.9]]


@pytest.mark.parametrize(
    ("exponent", "weights", "row"),
    [
        (0, (0.001141, 0.002855, 0.971397, 0.024606), (0.309103, 0.943175, 0.121970)),
        (1, (0.015286, 0.035119, 0.663763, 0.285832), (0.537259, 0.768055, 0.348487)),
    ],
)
def test_adaptive_update_values(exponent, weights, row):
    rows, features, labels = unit(AMU_ROW), unit(AMU_FEATURES), torch.zeros(4, dtype=torch.int64)
    trust = torch.tensor([0.98, 0.90, 0.05, 0.85], dtype=torch.float64)
    found = adaptive_shares(rows[labels], features, mates(labels), trust, temperature=0.09, exponent=exponent)
    assert found.diagonal().tolist() == pytest.approx(weights, abs=1e-6)
    assert momentum_step(rows, labels, found @ features, 0.1)[0].tolist() == pytest.approx(row, abs=1e-6)


def test_mean_and_hardest_values():
    rows, features, labels = unit(AMU_ROW), unit(AMU_FEATURES), torch.zeros(4, dtype=torch.int64)
    mean, hardest = (f(rows, features, labels, 0.1)[0].tolist() for f in (mean_update, hard_update))
    assert mean == pytest.approx([0.843415, 0.377387, 0.382401], abs=1e-6)
    assert hardest == pytest.approx([0.289600, 0.951543, 0.103429], abs=1e-6)


def test_adaptive_weights_are_the_softmax_of_each_cluster():
    rows, features, labels = random_case(4)
    trust = torch.rand(len(labels), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    trust[3] = 0
    weights = adaptive_shares(rows[labels], features, mates(labels), trust, temperature=0.03, exponent=2).diagonal()
    for k in set(labels.tolist()):
        members = (labels == k).nonzero().flatten().tolist()
        scores = [-float(features[i] @ rows[k]) / 0.03 + 2 * np.log(max(float(trust[i]), 1e-6)) for i in members]
        total = sum(np.exp(scores))
        assert weights[members].tolist() == pytest.approx([np.exp(score) / total for score in scores])


def test_adaptive_weights_at_their_limits():
    rows, features, labels = random_case(5)
    trust = torch.full((len(labels),), 0.5, dtype=torch.float64)
    own, together = rows[labels], mates(labels)
    even = adaptive_shares(own, features, together, trust, temperature=torch.inf)
    assert torch.allclose(even @ features, mean_of_mates(features, together))
    sharp = adaptive_shares(own, features, together, trust, temperature=1e-5)
    assert torch.allclose(sharp @ features, features[hardest_mate(own, features, together)])


@given(seed=st.integers(0, 10_000), batch=st.integers(1, 30), momentum=st.floats(0, 0.99))
@settings(max_examples=40, deadline=None)
def test_rows_stay_unit_and_rows_without_samples_stay_as_they_are(seed, batch, momentum):
    rows, features, labels = random_case(seed, batch=batch)
    generator = torch.Generator().manual_seed(seed)
    for moved in (
        sequential_update(rows, features, labels, momentum),
        mean_update(rows, features, labels, momentum),
        hard_update(rows, features, labels, momentum),
        momentum_step(rows, labels, features[random_mate(labels, generator)], momentum),
    ):
        assert torch.allclose(moved.norm(dim=1), torch.ones(7, dtype=torch.float64))
        untouched = [k for k in range(len(rows)) if k not in labels]
        assert torch.equal(moved[untouched], rows[untouched])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_renaming_clusters_permutes_rows(seed):
    rows, features, labels = random_case(seed)
    names = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    renamed = torch.empty_like(rows)
    renamed[names] = rows
    for update in (sequential_update, mean_update, hard_update):
        moved = update(renamed, features, names[labels], 0.1)
        assert torch.allclose(moved[names], update(rows, features, labels, 0.1))
