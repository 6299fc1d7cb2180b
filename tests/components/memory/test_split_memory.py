from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.components.memory.moved_rows import loss_by_moved_rows
from usvi_bench.components.memory.split import Prototypes, SplitMemory, shared_prototypes, split_prototypes


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.float32(np.random.default_rng(seed).normal(size=shape)))


def unit(seed: int, *shape: int) -> Tensor:
    rows = np.random.default_rng(seed).normal(size=shape)
    return torch.from_numpy(np.float32(rows / np.linalg.norm(rows, axis=1, keepdims=True)))


def table_of(clusters: Tensor) -> Tensor:
    """The table of clusters whose first prototype is visible and whose second one, if any, is infrared."""
    table = torch.full((2, int(clusters.max()) + 1), -1)
    for row, cluster in reversed(list(enumerate(clusters.tolist()))):
        table[1, cluster] = table[0, cluster]
        table[0, cluster] = row
    return table


def memory_of(rows: Tensor, clusters: Tensor, temperature: float = 0.05, compared: int = 50) -> SplitMemory:
    """Make a memory of rows ``[2 P, D]``: centroids, then hard prototypes."""
    count = len(clusters)
    memory = SplitMemory(Prototypes(rows[:count], clusters, table_of(clusters)), temperature, 0.1, compared)
    memory.prototypes = rows.view(2, count, -1).clone()
    return memory


# ---- values of the released code (Terminator8758/BMIL @79cc647) ------------------------------------------------------

CLUSTERS = torch.cat([torch.arange(56) // 2, torch.arange(28, 32)])
OWN = torch.tensor([0, 0, 0, 2, 2, 2, 4, 4, 57, 57, 58, 59])


def released(temperature: float = 0.05, compared: int = 50) -> SplitMemory:
    return memory_of(unit(1, 120, 16), CLUSTERS, temperature, compared)


def test_prototypes_of_the_released_code() -> None:
    """``generate_modal_aware_proxy_features``: images 0 to 4 are visible, 5 to 8 infrared."""
    features = torch.arange(18.0).view(9, 2)
    labels = torch.tensor([0, 1, -1, 0, 2, 1, 1, -1, 3])
    found = split_prototypes(features[:5], features[5:], (labels[:5], labels[5:]))
    means = torch.tensor([[3.0, 4.0], [2, 3], [11, 12], [8, 9], [16, 17]])
    torch.testing.assert_close(found.rows, normalize(means))
    assert found.clusters.tolist() == [0, 1, 1, 2, 3]
    assert found.table.tolist() == [[0, 1, 3, -1], [-1, 2, -1, 4]]
    rows = [-1 if label < 0 else int(found.table[int(i > 4), label]) for i, label in enumerate(labels)]
    assert rows == [0, 1, -1, 0, 3, 2, 2, -1, 4]


def test_multi_positive_loss_of_the_released_code() -> None:
    memory, x = released(), normal(0, 12, 16).requires_grad_()
    loss = memory.loss(x, OWN)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(10.202870, abs=1e-5)
    halves = []
    for weights in ([1.0, 0.0], [0.0, 1.0]):
        memory.weights = torch.tensor(weights)
        halves.append(float(memory.loss(x.detach(), OWN)))
    assert halves == pytest.approx([11.770049, 8.635692], abs=1e-5)
    assert x.grad is not None
    assert float(x.grad.norm()) == pytest.approx(1.023139, rel=1e-4)
    assert x.grad[0, :4].tolist() == pytest.approx([-0.010441, -0.103864, -0.086971, 0.170071], abs=1e-5)
    assert x.grad[8, :4].tolist() == pytest.approx([0.065197, 0.051345, 0.033736, -0.019126], abs=1e-5)


@pytest.mark.parametrize(
    ("temperature", "compared", "value"), [(1.0, 50, 3.963046), (1.0, 0, 4.082309), (0.05, 0, 10.202870)]
)
def test_the_limit_of_the_softmax(temperature: float, compared: int, value: float) -> None:
    x = normal(0, 12, 16).requires_grad_()
    loss = released(temperature, compared).loss(x, OWN)
    assert float(loss.detach()) == pytest.approx(value, abs=1e-5)
    loss.backward()
    if compared and temperature == 1:
        assert x.grad is not None
        assert float(x.grad.norm()) == pytest.approx(0.042820, rel=1e-4)


MOVED = {
    (0, 0): [-0.097933, 0.061068, 0.266835, 0.199492],
    (0, 2): [0.367242, 0.208978, 0.268347, -0.171411],
    (0, 57): [-0.057748, -0.299986, -0.539360, 0.060448],
    (1, 0): [-0.219448, -0.145504, 0.172831, 0.365160],
    (1, 2): [0.040100, -0.167624, -0.105392, -0.288178],
    (1, 57): [-0.153457, -0.228288, -0.282051, 0.064329],
}
"""First entries of centroids (0) and hard prototypes (1) after an update."""


def test_update_of_the_released_code() -> None:
    memory = released()
    before = memory.prototypes.clone()
    memory.update(normal(0, 12, 16), OWN)
    for (kind, row), expected in MOVED.items():
        assert memory.prototypes[kind, row, :4].tolist() == pytest.approx(expected, abs=1e-5)
    moved = (memory.prototypes != before).any(dim=2)
    assert [part.nonzero().squeeze(1).tolist() for part in moved] == [[0, 2, 4, 57, 58, 59]] * 2
    assert float(memory.prototypes.sum()) == pytest.approx(-9.569818, abs=1e-5)


def test_own_memory_loss_of_the_released_code() -> None:
    rows, x = unit(1, 120, 16), normal(0, 12, 16).requires_grad_()
    loss = HardMemory(rows[:60], rows[60:]).loss(x, OWN)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(10.161421, abs=1e-5)
    assert float(x.grad.norm()) == pytest.approx(1.224534, rel=1e-4)  # type: ignore[union-attr]


def test_gradients_by_the_memory_before_and_after_the_visible_update() -> None:
    of_infrared, of_visible = torch.tensor([1, 1, 3, 3, 5, 5, 1, 3]), torch.tensor([0, 0, 2, 2, 4, 4, 0, 2])
    gradients = {}
    for form in ("repaired", "released"):
        memory = released()
        infrared, visible = normal(2, 8, 16).requires_grad_(), normal(3, 8, 16).requires_grad_()
        if form == "released":
            first = loss_by_moved_rows(memory, infrared, of_infrared, (visible, of_visible, False))
        else:
            first = memory.loss(infrared, of_infrared)
        second = memory.loss(visible, of_visible)
        total = 0.5 * (first + second)
        total.backward()
        assert float(total.detach()) == pytest.approx(11.062172, abs=1e-5)
        assert [float(first.detach()), float(second.detach())] == pytest.approx([11.837866, 10.286478], abs=1e-5)
        assert float(visible.grad.norm()) == pytest.approx(0.596437, rel=1e-4)  # type: ignore[union-attr]
        assert infrared.grad is not None
        gradients[form] = infrared.grad
        memory.update(visible, of_visible)
        memory.update(infrared, of_infrared)
        assert float(memory.prototypes.sum()) == pytest.approx(-8.799366, abs=1e-5)
        both = memory.prototypes[:, :2, :2].flatten().tolist()
        expected = "0.312938 -0.065746 0.039447 -0.219876 0.358190 -0.496472 -0.083796 -0.153630"
        assert both == pytest.approx([float(value) for value in expected.split()], abs=1e-5)
    late, clean = gradients["released"], gradients["repaired"]
    assert float(late.norm()) == pytest.approx(0.671216, rel=1e-4)
    assert float(clean.norm()) == pytest.approx(0.629101, rel=1e-4)
    assert float((late * clean).sum() / late.norm() / clean.norm()) == pytest.approx(0.742875, abs=1e-4)
    assert late[0, :3].tolist() == pytest.approx([-0.106900, 0.016714, -0.038484], abs=1e-5)
    assert clean[0, :3].tolist() == pytest.approx([-0.055632, -0.025765, -0.039064], abs=1e-5)


def test_twenty_prototypes_are_all_compared() -> None:
    """The released code stops if there are fewer than 50."""
    rows, own, x = unit(1, 40, 16), OWN[:8], normal(0, 8, 16)
    found = [memory_of(rows, torch.arange(20) // 2, compared=count).loss(x, own) for count in (50, 0)]
    assert torch.equal(*found)


# ---- against loops, and laws -----------------------------------------------------------------------------------------


def naive_loss(memory: SplitMemory, features: Tensor, own: Tensor, compared: int) -> Tensor:
    total = torch.zeros(())
    clusters = memory.clusters.tolist()
    for rows in memory.prototypes:
        for feature, row in zip(features, own.tolist(), strict=True):
            scores = [feature @ other / feature.norm() / memory.temperature for other in rows]
            positives = [p for p, cluster in enumerate(clusters) if cluster == clusters[row]]
            others = sorted(
                (p for p in range(len(rows)) if p not in positives), key=lambda p: -float(scores[p].detach())
            )
            kept = positives + others[: max(compared - len(positives), 0) if compared else None]
            below = torch.stack([scores[p] for p in kept]).logsumexp(0)
            terms = [below - scores[p] for p in positives]
            total = total + 0.5 * sum(terms, torch.zeros(())) / len(positives) / len(own)
    return total


@pytest.mark.parametrize("compared", [0, 3, 5, 100])
def test_loss_and_gradient_are_those_of_the_loop(compared: int) -> None:
    clusters, own = torch.tensor([0, 0, 1, 2, 2, 3, 4, 4]), torch.tensor([1, 2, 3, 4, 4, 5, 7])
    memory = memory_of(unit(4, 16, 6), clusters, 0.3, compared)
    a, b = (normal(5, 7, 6).requires_grad_() for _ in range(2))
    loss, expected = memory.loss(a, own), naive_loss(memory, b, own, compared)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(a.grad, b.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_prototypes_are_the_loop_over_clusters_and_modalities(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = normal(seed, 20, 4), normal(seed + 9, 14, 4)
    labels = tuple(torch.from_numpy(rng.integers(-1, 6, len(part))) for part in parts)
    found = split_prototypes(*parts, labels)  # type: ignore[arg-type]
    rows, clusters, table = [], [], torch.full(found.table.shape, -1)
    for cluster in range(int(torch.cat(labels).max()) + 1):
        for m, (part, own) in enumerate(zip(parts, labels, strict=True)):
            if (own == cluster).any():
                table[m, cluster] = len(rows)
                rows.append(normalize(part[own == cluster].mean(0), dim=0))
                clusters.append(cluster)
    torch.testing.assert_close(found.rows, torch.stack(rows))
    assert found.clusters.tolist() == clusters
    assert torch.equal(found.table, table)


def test_shared_prototypes_serve_both_modalities() -> None:
    parts, labels = (normal(1, 6, 4), normal(2, 6, 4)), (torch.tensor([0, 1, 1, -1, 0, 2]), torch.tensor([1, 0, 3] * 2))
    found = shared_prototypes(*parts, labels)
    memory = SplitMemory(found)
    assert len(found.rows) == 4
    both = normalize((parts[0][[0, 4]].mean(0) + parts[1][[1, 4]].mean(0)) / 2, dim=0)
    torch.testing.assert_close(found.rows[0], both)
    assert memory.rows_of("visible", torch.tensor([2, 0])).tolist() == [2, 0]
    assert memory.rows_of("infrared", torch.tensor([3, 0])).tolist() == [3, 0]


def test_with_one_positive_and_no_limit_it_is_the_plain_contrast() -> None:
    rows, own, x = unit(6, 10, 6), torch.tensor([0, 3, 4, 4]), normal(7, 4, 6)
    loss = memory_of(rows, torch.arange(5), compared=0).loss(x, own)
    each = [cross_entropy(normalize(x) @ half.T / 0.05, own) for half in (rows[5:], rows[:5])]
    torch.testing.assert_close(loss, 0.5 * (each[0] + each[1]))


def test_samples_of_one_modality_move_no_row_of_the_other() -> None:
    memory = SplitMemory(split_prototypes(normal(1, 12, 4), normal(2, 12, 4), (torch.arange(12) % 3,) * 2))
    before = memory.prototypes.clone()
    memory.update(normal(3, 9, 4), memory.rows_of("visible", torch.arange(9) % 3))
    infrared = memory.rows_of("infrared", torch.arange(3))
    assert torch.equal(memory.prototypes[:, infrared], before[:, infrared])
    visible = memory.rows_of("visible", torch.arange(3))
    assert (memory.prototypes[:, visible] != before[:, visible]).any(dim=2).all()


def test_equal_similarities_at_the_limit_are_all_taken() -> None:
    """The result does not depend on the order of prototypes."""
    rows = torch.eye(4)[[0, 1, 1, 2]].repeat(2, 1)
    x, own = torch.tensor([[0.2, 1.0, 0.1, 0.0]]), torch.tensor([0])
    found = memory_of(rows, torch.arange(4), 0.5, compared=2).loss(x, own)
    scores = normalize(x) @ rows[:4].T / 0.5
    torch.testing.assert_close(found, scores[0, :3].logsumexp(0) - scores[0, 0])
