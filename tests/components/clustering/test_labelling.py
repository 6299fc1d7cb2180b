from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from usvi_bench.components.clustering.dbscan import dbscan
from usvi_bench.components.clustering.jaccard import jaccard_distance
from usvi_bench.components.clustering.labelling import (
    Clustering,
    cluster_each_modality,
    cluster_jointly,
    in_both,
    modality_of_each,
)
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Features

CLUSTERING = Clustering(eps=0.6, k1=8, k2=3)


def some_features() -> Features:
    """Make features of six people, with eight images in each modality and three cameras."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(6, 32, generator=generator).repeat_interleave(8, 0)
    visible, infrared = (
        0.9 * normalize(centres + gap + 0.2 * torch.randn(centres.shape, generator=generator)) for gap in (0.0, 0.3)
    )
    cameras = torch.arange(48) % 3
    return Features(visible, infrared, cameras, cameras + 3)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("balanced", [True, False])
def test_joint_labels_are_those_of_both_modalities_in_one_row(unit: bool, balanced: bool) -> None:
    features = some_features()
    groups = modality_of_each(features) if balanced else None
    visible, infrared = cluster_jointly(features, replace(CLUSTERING, normalise=unit), groups)
    rows = torch.cat([features.visible, features.infrared])
    near = jaccard_distance(normalize(rows) if unit else rows, 8, 3, groups, max_distance=0.6)
    assert torch.cat([visible, infrared]).tolist() == dbscan(near, 0.6).tolist()
    assert len(visible) == len(features.visible)


def test_no_joint_cluster_is_an_answer_but_no_cluster_of_a_modality_is_not() -> None:
    nobody = replace(CLUSTERING, min_samples=1000)
    visible, infrared = cluster_jointly(some_features(), nobody, None)
    assert set(visible.tolist()) == set(infrared.tolist()) == {-1}
    with pytest.raises(UsageError, match="visible: 0 clusters"):
        cluster_each_modality(some_features(), nobody)


def test_cameras_are_balanced_over_within_a_modality() -> None:
    features = some_features()
    found = cluster_each_modality(features, CLUSTERING, cameras=True)
    near = jaccard_distance(normalize(features.infrared), 8, 3, features.infrared_cameras, max_distance=0.6)
    assert found.infrared.tolist() == dbscan(near, 0.6).tolist()


def test_only_clusters_of_both_modalities_stay() -> None:
    visible, infrared = in_both(torch.tensor([0, 1, 2, -1, 2]), torch.tensor([2, 3, -1, 0]))
    assert visible.tolist() == [0, -1, 2, -1, 2]
    assert infrared.tolist() == [2, -1, -1, 0]
