from __future__ import annotations

import torch

from tests.components.clustering.test_balanced_lists import people
from usvi_bench.components.clustering.dbscan import pseudo_labels
from usvi_bench.components.clustering.subsets import random_parts, scattered, visible_part
from usvi_bench.core.types import Features


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_parts_and_labels_of_the_released_code() -> None:
    """Terminator8758/BMIL @79cc647, utils/matching_and_clustering.py."""
    first, second = random_parts(70, 0.5, draws(0))
    assert first[:8].tolist() == [4, 28, 31, 29, 23, 9, 5, 17]
    assert second[:8].tolist() == [60, 52, 22, 16, 27, 12, 63, 42]
    labels = pseudo_labels(torch.from_numpy(people())[first], eps=0.6, k1=10, k2=3)
    expected = "-1 -1 0 -1 1 2 -1 -1 -1 -1 -1 1 1 0 0 2 0 2 0 -1 0 1 0 1 0 1 1 -1 0 2 -1 0 0 1 -1"
    assert labels.tolist() == [int(label) for label in expected.split()]
    everyone = scattered(labels, first, 70)
    assert (everyone >= 0).sum() == 23
    assert everyone[first].tolist() == labels.tolist()
    assert set(everyone[second].tolist()) == {-1}


def test_parts_are_disjoint_and_leave_the_rest_out() -> None:
    for count, share, size in ((71, 0.5, 35), (70, 0.2, 14), (9, 0.01, 0)):
        first, second = random_parts(count, share, draws(1))
        assert len(first) == len(second) == size
        assert len({*first.tolist(), *second.tolist()}) == 2 * size
    assert not torch.equal(random_parts(70, 0.5, draws(1))[0], random_parts(70, 0.5, draws(2))[0])


def test_without_a_subset_both_parts_are_all_in_their_order() -> None:
    for part in random_parts(7, 1.0, draws(0)):
        assert part.tolist() == list(range(7))


def test_a_part_of_the_features_keeps_the_infrared_images() -> None:
    cameras = torch.arange(4)
    features = Features(torch.arange(8.0).view(4, 2), torch.ones(3, 2), cameras, cameras[:3])
    part = visible_part(features, torch.tensor([2, 0]))
    assert part.visible.tolist() == [[4, 5], [0, 1]]
    assert part.visible_cameras.tolist() == [2, 0]
    assert torch.equal(part.infrared, features.infrared)
