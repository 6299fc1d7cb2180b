"""Confidence in pseudo-labels, from a mixture of two Gaussians on the losses of the images.

MMM (https://arxiv.org/abs/2401.06825; shijiangming1/MMM @7e57d50), which takes it from DART (CVPR 2022). The mixture is
fitted by expectation maximisation as in scikit-learn's ``GaussianMixture``. It starts from the best split of the values
into two sets, which in one dimension is found exactly, so that there is no random draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ITERATIONS, TOLERANCE, LEAST_VARIANCE = 100, 1e-2, 5e-4
"""Largest number of iterations, least gain of the mean log-likelihood in one, and the variance added to components."""
LEAST_RANGE = 1e-5
"""Smallest difference of two losses; float32 rounds the logarithm of a softmax to about 2e-6."""


@dataclass(frozen=True)
class Mixture:
    """Mixture of two Gaussians in one dimension.

    Attributes:
        weights: ``[2]``, their sum is 1.
        means: ``[2]``.
        variances: ``[2]``.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor

    @classmethod
    def of(cls, values: Tensor, shares: Tensor) -> Mixture:
        """Estimate a mixture from values ``[N]`` and the share ``[N, 2]`` of each component in them."""
        counts = shares.sum(0) + 10 * torch.finfo(values.dtype).eps
        means = shares.t() @ values / counts
        variances = (shares * (values[:, None] - means) ** 2).sum(0) / counts + LEAST_VARIANCE
        return cls(counts / counts.sum(), means, variances)

    def log_densities(self, values: Tensor) -> Tensor:
        """Compute the logarithm of weight times density of each component, ``[N, 2]``."""
        distance = (values[:, None] - self.means) ** 2 / self.variances
        return self.weights.log() - (distance + self.variances.log() + math.log(2 * math.pi)) / 2


def fit_mixture(values: Tensor) -> Mixture:
    """Fit a mixture to values ``[N]`` that are not all equal."""
    mixture, bound = Mixture.of(values, _best_split(values)), torch.tensor(-torch.inf)
    for _ in range(ITERATIONS):
        densities = mixture.log_densities(values)
        total = densities.logsumexp(1, keepdim=True)
        mixture = Mixture.of(values, (densities - total).exp())
        before, bound = bound, total.mean()
        if abs(bound - before) < TOLERANCE:
            break
    return mixture


def _best_split(values: Tensor) -> Tensor:
    """Split values into two sets with the least sum of squared distances from their means, ``[N, 2]`` of 0 and 1."""
    ordered, order = values.sort()
    sums, number = ordered.cumsum(0)[:-1], torch.arange(1, len(values), dtype=values.dtype)
    between = sums**2 / number + (ordered.sum() - sums) ** 2 / (len(values) - number)
    shares = torch.zeros(len(values), 2, dtype=values.dtype)
    first = int(between.argmax()) + 1
    shares[order[:first], 0] = shares[order[first:], 1] = 1
    return shares


def confidence(losses: Tensor, labels: Tensor) -> Tensor:
    """Compute the confidence in labels: w_i = p(component with the smaller mean | loss_i), 0 for outliers.

    Losses are scaled to 0 to 1 first. If all losses are equal up to rounding, or both means are equal, no label is less
    certain than another: w_i = 1.

    >>> from torch import tensor
    >>> confidence(tensor([0.1, 0.2, 0.1, 3.0, 9.0]), tensor([0, 1, 1, 0, -1]))
    tensor([1., 1., 1., 0., 0.])

    Args:
        losses: ``[N]`` losses of the images of one modality.
        labels: ``[N]`` their classes; outliers (-1) are left out.

    Returns:
        ``[N]`` float32 on the device of ``labels``.
    """
    kept = labels >= 0
    values = losses.detach()[kept].double().cpu()
    found = torch.ones_like(values)
    low, high = (values.min(), values.max()) if len(values) else (0, 0)
    if high - low > LEAST_RANGE:
        scaled = (values - low) / (high - low)
        mixture = fit_mixture(scaled)
        if mixture.means[0] != mixture.means[1]:
            found = mixture.log_densities(scaled).softmax(1)[:, int(mixture.means.argmin())]
    weights = torch.zeros(len(labels), device=labels.device)
    weights[kept] = found.float().to(labels.device)
    return weights
