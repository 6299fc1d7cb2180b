from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.memory.sub_centres import SubCentres, gated_sum, multi_centre_loss, sub_centres
from usvi_bench.core.seeding import torch_generator


def waves(rows: int, width: int, shift: float) -> Tensor:
    """Make deterministic samples that are equal on every platform."""
    i, j = np.arange(rows)[:, None], np.arange(width)[None]
    return torch.from_numpy(np.sin(0.7 * i + 1.3 * j + shift + 0.31 * i * j)).float()


def split(features: Tensor, labels: Tensor, count: int, blend: float) -> Tensor:
    return sub_centres(features, labels, count, blend, torch_generator(0))


LABELS = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, -1, 2, 2, 2])


def samples() -> Tensor:
    rows = waves(12, 4, 0.9)
    rows[3:6] += 2.0
    rows[9] -= 1.5
    return rows


def same_set(rows: Tensor, expected: list[list[float]]) -> None:
    found = rows[rows[:, 0].argsort()]
    wanted = torch.tensor(sorted(expected))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_sub_centres_are_the_released_codes() -> None:
    rows = split(samples(), LABELS, 2, 0.9)
    means = [[1.19805, 0.96164, 0.90194, 0.88222], [-0.69521, 0.53643, -0.36926, 0.21116]]
    means.append([0.34234, -0.68108, -0.91755, -0.27142])
    torch.testing.assert_close(rows[:, 0], torch.tensor(means), atol=1e-5, rtol=0)
    same_set(rows[0, 1:], [[1.23357, 1.06251, 1.04172, 0.96614], [1.16253, 0.86077, 0.76216, 0.79830]])
    torch.testing.assert_close(rows[1, 1:], rows[1, :1].expand(2, 4))  # two samples: none to split
    same_set(rows[2, 1:], [[0.39477, -0.59228, -0.90454, -0.23906], [0.23747, -0.85867, -0.94359, -0.33613]])


def test_three_sub_centres_are_the_released_codes() -> None:
    expected = [[1.25881, 1.01987, 1.08797, 0.93350], [1.16253, 0.86077, 0.76216, 0.79830]]
    expected.append([1.18308, 1.14778, 0.94924, 1.03142])
    same_set(split(samples(), LABELS, 3, 0.9)[0, 1:], expected)


@pytest.mark.parametrize("count", [6, 9])
def test_clusters_that_are_no_larger_than_the_number_of_parts_have_their_mean_everywhere(count: int) -> None:
    rows = split(samples(), LABELS, count, 0.9)
    assert rows.shape == (3, count + 1, 4)
    torch.testing.assert_close(rows, rows[:, :1].expand_as(rows))


def test_identical_samples_cannot_be_split_and_give_no_warning() -> None:
    same = torch.ones(7, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = split(same, torch.zeros(7, dtype=torch.int64), 3, 0.5)
    torch.testing.assert_close(rows, torch.ones(1, 4, 3))


def test_no_parts_leave_the_means() -> None:
    assert split(samples(), LABELS, 0, 0.9).shape == (3, 1, 4)


def test_sub_centres_average_to_the_mean_and_the_blend_pulls_them_to_it() -> None:
    free = split(samples(), LABELS, 2, 0.0)
    pulled = split(samples(), LABELS, 2, 0.9)
    torch.testing.assert_close(pulled[:, 1:] - pulled[:, :1], 0.1 * (free[:, 1:] - free[:, :1]), atol=1e-6, rtol=0)


def test_only_the_given_generator_plays_a_part() -> None:
    torch.manual_seed(5)  # what must not matter
    first, state = split(samples(), LABELS, 2, 0.0), torch.get_rng_state()
    torch.manual_seed(6)
    assert torch.equal(first, split(samples(), LABELS, 2, 0.0))
    torch.manual_seed(5)
    assert torch.equal(state, torch.get_rng_state())


def test_rows_are_found_by_label() -> None:
    labels = torch.tensor([4, 4, -1, 1, 1, 7])
    centres = SubCentres.of(waves(6, 3, 0.2), labels, 1, 0.9, torch_generator(0))
    assert centres.clusters.tolist() == [1, 4, 7]
    torch.testing.assert_close(centres.rows.norm(dim=2), torch.ones(3, 2))
    rows, known = centres.find(torch.tensor([7, 0, 1, 9, 4]))
    assert known.tolist() == [True, False, True, False, True]
    assert rows[known].tolist() == [2, 0, 1]


def naive(feature: Tensor, centres: Tensor, positive: int | None) -> tuple[Tensor, int]:
    unit = feature / feature.norm()
    distances = torch.stack([torch.stack([(unit - slot).norm() for slot in cluster]) for cluster in centres])
    least = [row.min() for row in distances]
    nearest = min(range(len(centres)), key=lambda k: least[k].item())
    chosen = nearest if positive is None else positive
    pos = sum((1 / d for d in distances[chosen]), torch.zeros(())) / len(distances[chosen])
    others = [1 / least[k] for k in range(len(centres)) if k != chosen]
    neg = sum(others, torch.zeros(())) / len(others)
    return -torch.log(pos / (pos + neg + 1e-8)), nearest


@pytest.mark.parametrize("labels", [None, [0, 3, 1, 1, 2]])
def test_the_loss_and_its_gradient_are_the_definition(labels: list[int] | None) -> None:
    centres = normalize(torch.stack([waves(4, 6, 0.1) + 0.5 * waves(4, 6, 6.0 + m) for m in range(3)], 1), dim=2)
    ours = (3 * waves(5, 6, 4.1)).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    losses, nearest = multi_centre_loss(ours, centres, None if labels is None else torch.tensor(labels))
    expected = [naive(theirs[b], centres, None if labels is None else labels[b]) for b in range(5)]
    torch.testing.assert_close(losses, torch.stack([loss for loss, _ in expected]))
    assert nearest.tolist() == [k for _, k in expected]
    losses.sum().backward()
    torch.stack([loss for loss, _ in expected]).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-4)


def test_slot_order_and_cluster_order_do_not_matter() -> None:
    centres = normalize(waves(12, 6, 0.3), dim=1).reshape(4, 3, 6)
    features = waves(5, 6, 2.0)
    losses, nearest = multi_centre_loss(features, centres)
    order = torch.tensor([2, 0, 3, 1])
    again, moved = multi_centre_loss(features, centres[order][:, [1, 2, 0]])
    torch.testing.assert_close(again, losses)
    assert torch.equal(order[moved], nearest)


def test_no_gradient_reaches_the_centres_and_a_sample_on_a_centre_costs_a_finite_loss() -> None:
    centres = normalize(waves(4, 6, 0.3), dim=1).reshape(2, 2, 6).requires_grad_()
    features = centres.detach()[0, :1].clone().requires_grad_()
    losses, _ = multi_centre_loss(features, centres)
    losses.sum().backward()
    assert centres.grad is None
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert losses.isfinite().all()


def test_one_cluster_has_nothing_to_be_contrasted_with() -> None:
    losses, nearest = multi_centre_loss(waves(3, 4, 0.1), normalize(waves(2, 4, 1.0), dim=1)[None])
    torch.testing.assert_close(losses, torch.zeros(3), atol=1e-6, rtol=0)
    assert nearest.tolist() == [0, 0, 0]


def test_the_gated_mean_of_nothing_is_zero() -> None:
    losses = torch.tensor([1.0, 2.0, 4.0])
    assert float(gated_sum(losses, torch.tensor([True, False, True]), [3])) == 2.5
    assert float(gated_sum(losses, torch.zeros(3, dtype=torch.bool), [2, 1])) == 0
    assert float(gated_sum(losses.repeat(2), torch.tensor([False, False, False, False, True, True]), [4, 2])) == 3
    assert float(gated_sum(losses, torch.ones(3, dtype=torch.bool), [2, 1])) == 5.5
