from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.memory.hard import HardMemory, farthest_means


def wave(rows: int, columns: int, a: float, b: float) -> Tensor:
    i, j = np.arange(1, rows + 1)[:, None], np.arange(1, columns + 1)[None]
    return torch.from_numpy((np.sin(a * i + b * j) + 0.25 * np.cos(0.9 * i * j)).astype(np.float32))


def released_memory() -> HardMemory:
    rows = normalize(wave(8, 16, 0.5, 1.1))
    return HardMemory(rows[:4], rows[4:])


FEATURES, LABELS = wave(12, 16, 1.3, 0.7), torch.arange(12) % 4


def random_case(seed: int, count: int = 5, batch: int = 14) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows, hard = normalize(torch.randn(2, count, 6, generator=generator), dim=2)
    features = 3 * torch.randn(batch, 6, generator=generator)
    return rows, hard, features, torch.randint(0, count - 1, (batch,), generator=generator)  # one cluster is absent


def naive_loss(rows: Tensor, hard: Tensor, features: Tensor, labels: Tensor, hinge: float = 0.2) -> Tensor:
    centre, far = torch.zeros(()), torch.zeros(())
    for feature, label in zip(features, labels, strict=True):
        unit = feature / feature.norm()
        scores = torch.stack([(unit * row).sum() / 0.05 for row in rows])
        centre = centre + (scores.logsumexp(0) - scores[label]) / len(labels)
        scores = torch.stack([(unit * row).sum() / 0.05 for row in hard])
        far = far + (scores.logsumexp(0) - scores[label]) / len(labels)
    return 0.5 * far + 0.5 * (centre - hinge).clamp(min=0)


def test_values_of_the_released_code() -> None:
    """CMhybrid, shijiangming1/PCLHD @c1f7b24."""
    memory, features = released_memory(), FEATURES.clone().requires_grad_()
    before = memory.rows.clone(), memory.hard.clone()
    loss = memory.loss(features, LABELS)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1.873502, abs=1e-5)
    assert float(cross_entropy(memory.logits(FEATURES), LABELS)) == pytest.approx(2.025789, abs=1e-5)
    assert float(features.grad.norm()) == pytest.approx(0.834195, abs=1e-4)
    assert features.grad[0, :4].tolist() == pytest.approx([-0.047189, 0.086536, 0.097645, 0.018554], abs=1e-5)
    assert features.grad[5, :4].tolist() == pytest.approx([-0.016126, 0.133531, 0.104102, -0.012726], abs=1e-5)
    assert torch.equal(memory.rows, before[0])
    assert torch.equal(memory.hard, before[1])
    memory.update(features, LABELS)
    assert memory.rows.sum(1).tolist() == pytest.approx([-0.045519, -0.729722, 0.176698, 0.241967], abs=1e-5)
    assert memory.hard.sum(1).tolist() == pytest.approx([-0.057682, -0.586811, 1.090340, -0.301169], abs=1e-5)
    assert memory.rows[0, :3].tolist() == pytest.approx([0.351635, 0.274561, 0.214341], abs=1e-5)
    assert memory.hard[0, :3].tolist() == pytest.approx([0.223865, 0.205564, 0.277376], abs=1e-5)


def test_values_of_the_memory_of_rpnr() -> None:
    """XiangboYin/RPNR @6647f21."""
    g = np.random.default_rng(12)
    features, rows = (torch.from_numpy(g.standard_normal((n, 16)).astype(np.float32)) for n in (12, 8))
    memory = HardMemory(rows[:4], rows[4:])
    features.requires_grad_()
    assert float(cross_entropy(memory.logits(features), LABELS).detach()) == pytest.approx(7.050841, rel=2e-6)
    far = normalize(features.detach()) @ memory.hard.t() / 0.05
    assert float(cross_entropy(far, LABELS)) == pytest.approx(8.614739, rel=2e-6)
    loss = memory.loss(features, LABELS)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(7.732790, rel=2e-6)
    assert features.grad is not None
    assert float(features.grad.norm()) == pytest.approx(1.380912, rel=1e-5)
    assert features.grad[0, :4].tolist() == pytest.approx(
        [-0.187725, -0.037383, -0.051187, 0.014086], rel=1e-5, abs=6e-7
    )
    unit = normalize(features.detach())
    farthest = [min(range(k, 12, 4), key=lambda i: float(unit[i] @ memory.rows[i % 4])) for k in range(4)]
    assert farthest == [0, 1, 6, 7]
    memory.update(features, LABELS)
    sums = [-0.816656, -0.312229, -0.137719, 1.350383], [0.473974, -0.217432, -0.045435, 0.583079]
    for found, expected in zip((memory.rows, memory.hard), sums, strict=True):
        assert found.sum(1).tolist() == pytest.approx(expected, rel=2e-6, abs=2e-6)
    assert memory.rows[0, :4].tolist() == pytest.approx([-0.253152, -0.018150, -0.113030, 0.026606], rel=2e-6, abs=6e-7)
    assert memory.hard[0, :4].tolist() == pytest.approx([0.039234, 0.284413, 0.164990, 0.189433], rel=2e-6, abs=6e-7)


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradient_are_those_of_the_loop(seed: int) -> None:
    rows, hard, features, labels = random_case(seed)
    a, b = features.clone().requires_grad_(), features.clone().requires_grad_()
    loss, expected = HardMemory(rows, hard).loss(a, labels), naive_loss(rows, hard, b, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(a.grad, b.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_update_is_the_loop_over_clusters(seed: int) -> None:
    rows, hard, features, labels = random_case(seed)
    memory = HardMemory(rows, hard)
    rows, hard = memory.rows, memory.hard
    memory.update(features, labels)
    for k in range(len(rows)):
        members = [normalize(f, dim=0) for f, y in zip(features, labels, strict=True) if y == k]
        if not members:
            assert torch.equal(memory.rows[k], rows[k])
            assert torch.equal(memory.hard[k], hard[k])
            continue
        farthest = min(members, key=lambda f: float(f @ rows[k]))
        mean = torch.stack(members).mean(0)
        torch.testing.assert_close(memory.rows[k], normalize(0.1 * rows[k] + 0.9 * mean, dim=0))
        torch.testing.assert_close(memory.hard[k], normalize(0.1 * hard[k] + 0.9 * farthest, dim=0))


def test_below_the_hinge_only_hard_prototypes_give_a_gradient() -> None:
    rows, hard = torch.eye(4), normalize(wave(4, 4, 0.5, 1.1))
    features = (torch.eye(4) + 0.1).requires_grad_()
    labels = torch.arange(4)
    memory = HardMemory(rows, hard)
    assert float(cross_entropy(memory.logits(features.detach()), labels)) < 0.2
    memory.loss(features, labels).backward()
    alone = features.detach().clone().requires_grad_()
    (0.5 * cross_entropy(normalize(alone) @ hard.t() / 0.05, labels)).backward()
    torch.testing.assert_close(features.grad, alone.grad)


def test_a_single_sample_moves_both_rows_of_its_cluster() -> None:
    memory = HardMemory(torch.eye(3))
    sample = torch.tensor([[1.0, 2.0, 2.0]])
    memory.update(sample, torch.tensor([1]))
    expected = normalize(0.1 * torch.eye(3)[1] + 0.3 * sample[0], dim=0)
    torch.testing.assert_close(memory.rows[1], expected)
    torch.testing.assert_close(memory.hard[1], expected)
    assert torch.equal(memory.rows[[0, 2]], torch.eye(3)[[0, 2]])


def test_the_farthest_of_equals_is_the_first() -> None:
    memory = HardMemory(torch.tensor([[1.0, 0.0]]))
    memory.update(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(memory.hard[0], normalize(torch.tensor([0.1, 0.9]), dim=0))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_farthest_means_are_the_loop(count: int) -> None:
    rows, _, features, _ = random_case(7, batch=20)
    labels = torch.tensor([0, 1, 2, 3, 4, -1] * 3 + [0, 1])
    found = farthest_means(features, labels, rows, count)
    for k in range(5):
        members = sorted(
            (f for f, y in zip(features, labels, strict=True) if y == k), key=lambda f: f @ rows[k] / f.norm()
        )
        torch.testing.assert_close(found[k], normalize(torch.stack(members[:count]).mean(0), dim=0))


def test_the_farthest_of_all_members_are_the_centroid() -> None:
    features, labels = FEATURES, LABELS
    rows = centroids(features, labels)
    torch.testing.assert_close(farthest_means(features, labels, rows, 99), rows)


def test_renaming_clusters_permutes_rows_and_leaves_the_loss() -> None:
    rows, hard, features, labels = random_case(8)
    names = torch.tensor([3, 0, 4, 1, 2])
    a, b = HardMemory(rows, hard), HardMemory(rows[names.argsort()], hard[names.argsort()])
    torch.testing.assert_close(a.loss(features, labels), b.loss(features, names[labels]))
    a.update(features, labels)
    b.update(features, names[labels])
    torch.testing.assert_close(b.rows[names], a.rows)
    torch.testing.assert_close(b.hard[names], a.hard)


def test_rows_are_no_part_of_the_checkpoint_and_take_no_gradient() -> None:
    rows, hard, features, labels = random_case(9)
    memory = HardMemory(rows.requires_grad_(), hard.requires_grad_())
    assert not memory.state_dict()
    assert not list(memory.parameters())
    memory.loss(features.requires_grad_(), labels).backward()
    assert rows.grad is None
    assert hard.grad is None
