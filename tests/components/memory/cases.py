"""Small inputs for tests of memories."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def unit(values) -> Tensor:
    return F.normalize(torch.as_tensor(values, dtype=torch.float64), dim=-1)


def random_case(seed: int, count: int = 7, batch: int = 40, dim: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = unit(torch.randn(count, dim, generator=generator))
    features = unit(torch.randn(batch, dim, generator=generator))
    labels = torch.randint(0, count - 1, (batch,), generator=generator)  # the last row has no sample
    return rows, features, labels


def released_case() -> tuple[Tensor, Tensor, Tensor]:
    """Make the inputs of the reference values from ADCA's models/cm.py (yangbincv/ADCA @8d0a8cb)."""
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32))
    rows = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32))
    return F.normalize(rows, dim=1), 3 * F.normalize(features, dim=1), torch.tensor([0, 0, 1, 1, 1, 2])
