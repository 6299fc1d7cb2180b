from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.components.memory.dynamic import DynamicMemory, draw_mates, draw_members


def wave(rows: int, columns: int, a: float, b: float) -> Tensor:
    i, j = np.arange(1, rows + 1)[:, None], np.arange(1, columns + 1)[None]
    return torch.from_numpy((np.sin(a * i + b * j) + 0.25 * np.cos(0.9 * i * j)).astype(np.float32))


FEATURES, LABELS = wave(12, 16, 1.3, 0.7), torch.arange(12) % 4


def released_memory() -> DynamicMemory:
    return DynamicMemory(wave(16, 16, 0.8, 0.45), torch.arange(16).view(4, 4))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def naive_loss(slots: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    total = torch.zeros(())
    for feature, label in zip(features, labels, strict=True):
        unit = feature / feature.norm()
        scores = []
        for k in range(slots.shape[1]):
            each = torch.stack([unit @ slots[s, k] for s in range(len(slots))])
            scores.append(each.min() if k == label else each.max())
        total = total + cross_entropy(torch.stack(scores) / 0.05, label)
    return total / len(labels)


def test_values_of_the_released_code() -> None:
    """CMhard of encoder_ema, shijiangming1/PCLHD @c1f7b24, with features that take a gradient."""
    memory, features = released_memory(), FEATURES.clone().requires_grad_()
    loss = memory.loss(features, LABELS)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(16.236691, abs=1e-5)
    assert float(features.grad.norm()) == pytest.approx(3.008055, rel=1e-4)
    expected = [-0.538599, -0.363402, -0.320835, -0.134607]
    assert features.grad[0, :4].tolist() == pytest.approx(expected, abs=1e-5)


def test_slots_after_a_refresh_with_the_released_draws() -> None:
    memory = released_memory()
    drawn = torch.tensor([0, 5, 2, 7, 4, 9, 2, 11, 0, 1, 2, 11, 4, 9, 10, 3]).view(4, 4)
    memory.refresh(FEATURES, torch.arange(4), drawn)
    torch.testing.assert_close(memory.slots.flatten(0, 1), normalize(FEATURES)[drawn.flatten()])


def test_slots_at_the_start_with_the_released_draws() -> None:
    features = torch.arange(1, 11.0)[:, None] * torch.tensor([[1.0, 0.0]]) + torch.tensor([[0.0, 1.0]])
    drawn = torch.tensor([6, 1, 8, 0, 1, 5, 3, 4, 5, 0, 4, 8])  # entry k + 3 s is slot s of cluster k
    memory = DynamicMemory(features, drawn.view(4, 3))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, -1])
    for s in range(4):
        for k in range(3):
            torch.testing.assert_close(memory.slots[s, k], normalize(features, dim=1)[drawn[k + 3 * s]])
            assert labels[drawn[k + 3 * s]] == k


def test_features_without_gradient_train_nothing() -> None:
    """The release embeds them with the teacher, under no_grad."""
    assert not released_memory().loss(FEATURES, LABELS).requires_grad


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradient_are_those_of_the_loop(seed: int) -> None:
    memory = DynamicMemory(torch.randn(40, 6, generator=generator(seed)), torch.arange(15).view(3, 5))
    features = torch.randn(9, 6, generator=generator(seed + 10))
    labels = torch.randint(0, 5, (9,), generator=generator(seed))
    a, b = features.clone().requires_grad_(), features.clone().requires_grad_()
    loss, expected = memory.loss(a, labels), naive_loss(memory.slots, b, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("centroids", [None, normalize(wave(4, 16, 0.3, 0.2))])
def test_one_slot_speaks_for_its_cluster(centroids: Tensor | None) -> None:
    memory, slot = released_memory(), torch.tensor([3, 0, 2, 1])
    expected = 0.0
    for feature, label in zip(FEATURES, LABELS, strict=True):
        unit = feature / feature.norm()
        scores = [unit @ memory.slots[slot[k], k] for k in range(4)]
        if centroids is not None:
            scores = [scores[k] if k == label else unit @ centroids[k] for k in range(4)]
        expected += float(cross_entropy(torch.stack(scores) / 0.05, label)) / 12
    assert float(memory.loss_of_one(FEATURES, LABELS, slot, centroids)) == pytest.approx(expected, rel=1e-5)


def test_only_clusters_of_the_batch_are_refreshed() -> None:
    memory = released_memory()
    before = memory.slots.clone()
    memory.refresh(FEATURES[:3], *draw_mates(torch.tensor([3, 1, 1]), 4, generator()))
    assert torch.equal(memory.slots[:, [0, 2]], before[:, [0, 2]])
    torch.testing.assert_close(memory.slots[:, 3], normalize(FEATURES[:1]).expand(4, -1))
    assert all(int((memory.slots[s, 1] == normalize(FEATURES[1:3])).all(1).sum()) == 1 for s in range(4))


def test_draws_are_uniform_members_of_their_cluster() -> None:
    labels = torch.tensor([2, 0, -1, 2, 0, 2, 5, 2])
    clusters, rows = draw_members(labels, 4000, generator(1))
    assert clusters.tolist() == [0, 2, 5]
    assert rows.shape == (4000, 3)
    for place, cluster in enumerate(clusters.tolist()):
        members = (labels == cluster).nonzero().flatten()
        shares = torch.stack([(rows[:, place] == member).float().mean() for member in members])
        torch.testing.assert_close(shares, torch.full_like(shares, 1 / len(members)), atol=0.03, rtol=0)


def test_distinct_draws_repeat_a_sample_only_where_a_cluster_is_too_small() -> None:
    labels = torch.tensor([0] * 6 + [1] * 4 + [2] * 3)
    seen = torch.zeros(6)
    for seed in range(300):
        clusters, rows = draw_mates(labels, 4, generator(seed))
        assert clusters.tolist() == labels.tolist()
        assert all(len(rows[:, clusters == k].unique(dim=1).T) == 1 for k in range(3)), "equal for equal labels"
        rows = rows[:, [0, 6, 10]]
        assert len(rows[:, 0].unique()) == 4
        assert sorted(rows[:, 1].tolist()) == [6, 7, 8, 9]
        assert set(rows[:, 2].tolist()) <= {10, 11, 12}
        seen[rows[:, 0]] += 1
    torch.testing.assert_close(seen / 1200, torch.full((6,), 1 / 6), atol=0.03, rtol=0)


def test_draws_from_a_small_cluster_are_uniform_whatever_the_order_of_the_batch() -> None:
    labels = torch.tensor([2, 0, 2, 0, 2])
    clusters, rows = draw_mates(labels, 4000, generator(2))
    for place, cluster in enumerate(clusters.tolist()):
        members = (labels == cluster).nonzero().flatten()
        shares = torch.stack([(rows[:, place] == member).float().mean() for member in members])
        torch.testing.assert_close(shares, torch.full_like(shares, 1 / len(members)), atol=0.03, rtol=0)


def test_renaming_clusters_leaves_the_loss() -> None:
    memory, names = released_memory(), torch.tensor([2, 0, 3, 1])
    renamed = DynamicMemory(wave(16, 16, 0.8, 0.45), torch.arange(16).view(4, 4)[:, names.argsort()])
    torch.testing.assert_close(memory.loss(FEATURES, LABELS), renamed.loss(FEATURES, names[LABELS]))


def test_slots_are_no_part_of_the_checkpoint_and_take_no_gradient() -> None:
    features = wave(16, 16, 0.8, 0.45).requires_grad_()
    memory = DynamicMemory(features, torch.arange(16).view(4, 4))
    assert not memory.state_dict()
    assert not list(memory.parameters())
    memory.loss(FEATURES.clone().requires_grad_(), LABELS).backward()
    assert features.grad is None


def test_a_memory_of_members_holds_samples_of_each_cluster_by_its_generator() -> None:
    features, labels = wave(12, 16, 0.8, 0.45), torch.arange(12) % 4 - 1  # every fourth is an outlier
    memory = DynamicMemory.of(features, labels, 5, 0.1, generator(3))
    assert memory.temperature == 0.1
    assert torch.equal(memory.slots, normalize(features)[draw_members(labels, 5, generator(3))[1]])
    for cluster in range(3):
        members = normalize(features[labels == cluster])
        assert all(any(torch.equal(row, member) for member in members) for row in memory.slots[:, cluster])


def test_each_slot_stands_for_a_cluster_equally_often() -> None:
    source = generator(4)
    drawn = torch.stack([released_memory().draw_slot(source) for _ in range(2000)])
    assert drawn.shape == (2000, 4)
    shares = torch.stack([(drawn == slot).float().mean(0) for slot in range(4)])
    torch.testing.assert_close(shares, torch.full((4, 4), 0.25), atol=0.05, rtol=0)
