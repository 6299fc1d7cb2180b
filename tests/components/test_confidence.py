from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from usvi_bench.components.confidence import Mixture, _best_split, confidence, fit_mixture


def losses(seed: int) -> Tensor:
    g = np.random.default_rng(seed)
    return torch.from_numpy(np.concatenate([g.gamma(2, 0.15, 400), g.gamma(6, 0.4, 100)]))


def test_confidence_is_that_of_the_released_code() -> None:
    """shijiangming1/MMM @7e57d50, losses of 500 images."""
    values = losses(72)
    assert float(values.sum()) == pytest.approx(364.476842, abs=1e-6)
    mixture = fit_mixture((values - values.min()) / (values.max() - values.min()))
    assert mixture.means.tolist() == pytest.approx([0.0448209, 0.3534383], rel=2e-6)
    assert mixture.weights.tolist() == pytest.approx([0.7734748, 0.2265252], rel=2e-6)
    assert mixture.variances.tolist() == pytest.approx([0.0013912, 0.0333064], abs=1e-7)
    found = confidence(values, torch.zeros(500, dtype=torch.int64))
    assert float(found.double().sum()) == pytest.approx(385.380701, rel=2e-6)
    expected = [0.985429, 0.982664, 0.984273, 0.972251, 0.985204, 0.986363]
    assert found[:6].tolist() == pytest.approx(expected, abs=1e-6)
    assert found[400:406].tolist() == pytest.approx([0, 0.088029, 0, 0, 0, 0.010253], abs=1e-6)


def test_confidence_has_no_random_draw() -> None:
    labels, found = torch.zeros(500, dtype=torch.int64), []
    for seed in range(3):
        torch.manual_seed(seed)
        np.random.seed(seed)
        found.append(confidence(losses(72), labels))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_images_without_a_loss_would_be_certain() -> None:
    """The loss of images that the released pass leaves out is -1; the method has a loss of every image."""
    values, labels = losses(72), torch.zeros(500, dtype=torch.int64)
    left_out = values.argsort(descending=True)[:30]
    assert float(confidence(values, labels)[left_out].max()) < 1e-6
    values[left_out] = -1
    assert float(confidence(values, labels)[left_out].min()) > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_the_mixture_is_scikit_learns(seed: int) -> None:
    values = losses(seed)
    values = (values - values.min()) / (values.max() - values.min())
    peer = GaussianMixture(2, max_iter=100, tol=1e-2, reg_covar=5e-4, random_state=0, n_init=1)
    posterior = peer.fit(values[:, None].numpy()).predict_proba(values[:, None].numpy())
    kept = confidence(values, torch.zeros(len(values), dtype=torch.int64))
    np.testing.assert_allclose(kept.numpy(), posterior[:, peer.means_.ravel().argmin()], atol=1e-4)


def test_a_step_is_that_of_a_naive_loop() -> None:
    values, shares = losses(4)[395:405], torch.rand(10, 2, dtype=torch.float64)
    shares = shares / shares.sum(1, keepdim=True)
    mixture = Mixture.of(values, shares)
    for k in range(2):
        count = sum(float(s[k]) for s in shares)
        mean = sum(float(s[k] * x) for s, x in zip(shares, values, strict=True)) / count
        variance = sum(float(s[k]) * (float(x) - mean) ** 2 for s, x in zip(shares, values, strict=True)) / count
        assert mixture.weights[k] == pytest.approx(count / 10)
        assert mixture.means[k] == pytest.approx(mean)
        assert mixture.variances[k] == pytest.approx(variance + 5e-4)
        for x, found in zip(values.tolist(), mixture.log_densities(values)[:, k].tolist(), strict=True):
            v = variance + 5e-4
            density = math.exp(-((x - mean) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
            assert found == pytest.approx(math.log(count / 10 * density))


@pytest.mark.parametrize("seed", range(4))
def test_the_start_is_the_best_split_of_all(seed: int) -> None:
    values = torch.from_numpy(np.random.default_rng(seed).gamma(1, 1, 12))

    def spread(part: Tensor) -> float:
        return float(((part - part.mean()) ** 2).sum())

    ordered = values.sort()[0]
    best = min(range(1, 12), key=lambda n: spread(ordered[:n]) + spread(ordered[n:]))
    assert torch.equal(_best_split(values)[:, 0] == 1, values <= ordered[best - 1])


def test_outliers_have_none_and_change_nothing() -> None:
    values, labels = losses(7).float(), torch.arange(500) % 5
    found = confidence(values, labels)
    more = confidence(torch.cat([values, torch.tensor([99.0, -3.0])]), torch.cat([labels, torch.tensor([-1, -1])]))
    assert torch.equal(more[:500], found)
    assert more[500:].tolist() == [0, 0]


@pytest.mark.parametrize("values", [[0.5] * 6, [0.5, 0.500001], [2.0], []])
def test_equal_losses_are_all_certain(values: list[float]) -> None:
    labels = torch.zeros(len(values), dtype=torch.int64)
    assert confidence(torch.tensor(values), labels).tolist() == [1] * len(values)


def test_two_equal_means_are_no_reason_for_doubt() -> None:
    """Equal means are forced here by another fit, because the best split of unequal values has two means."""
    values, labels = torch.tensor([0.0, 1.0]), torch.tensor([0, 0])
    with pytest.MonkeyPatch.context() as patch:
        same = Mixture(*(torch.tensor([0.5, 0.5]).double() for _ in range(3)))
        patch.setattr("usvi_bench.components.confidence.fit_mixture", lambda values: same)
        assert confidence(values, labels).tolist() == [1, 1]
