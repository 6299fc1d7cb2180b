from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.memory.hybrid import blend, blend_means

PARTNERS = torch.tensor([2, 4, 0, 2])


def released_means() -> tuple[Tensor, Tensor]:
    g = np.random.default_rng(31)
    infrared, visible = g.standard_normal((4, 16)), g.standard_normal((5, 16))
    infrared, visible = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (infrared, visible))
    infrared, visible = 0.9 * infrared, 0.7 * visible
    infrared[0] /= 2
    return torch.from_numpy(visible.astype(np.float32)), torch.from_numpy(infrared.astype(np.float32))


def test_rows_of_the_released_code() -> None:
    """XiangboYin/RPNR @6647f21; its third row is 0, because its cluster is empty there."""
    rows = blend_means(*released_means(), PARTNERS)
    expected = [[0.085563, 0.232744, -0.041970], [0.366469, -0.168423, -0.010275], [0.393202, 0.399564, -0.336026]]
    for found, row in zip(rows[[0, 1, 3], :3], expected, strict=True):
        assert found.tolist() == pytest.approx(row, rel=2e-6, abs=6e-7)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(4))


def test_rows_of_unit_centroids_differ() -> None:
    visible, infrared = map(normalize, released_means())
    rows, *_ = blend(visible, infrared, (torch.zeros(5, dtype=torch.int64), PARTNERS), 0.5, "top1")
    expected = [
        [0.048351, 0.208128, -0.000078],
        [0.387622, -0.161186, 0.001819],
        [-0.038672, -0.092478, 0.248211],
        [0.380798, 0.400480, -0.325914],
    ]
    for found, row in zip(rows[:, :3], expected, strict=True):
        assert found.tolist() == pytest.approx(row, rel=2e-6, abs=6e-7)


def test_a_cluster_without_partner_keeps_its_direction_and_infrared_clusters_may_be_more() -> None:
    generator = torch.Generator().manual_seed(0)
    visible, infrared = torch.randn(2, 6, generator=generator), torch.randn(3, 6, generator=generator)
    rows = blend_means(visible, infrared, torch.tensor([1, -1, 0]))
    for found, expected in zip(rows, (infrared[0] + visible[1], infrared[1], infrared[2] + visible[0]), strict=True):
        torch.testing.assert_close(found, expected / expected.norm())
