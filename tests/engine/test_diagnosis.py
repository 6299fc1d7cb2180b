"""Label quality, compared with loops over images and over pairs of images."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from usvi_bench.core.types import PseudoLabels
from usvi_bench.engine.diagnosis import joint_agreement, label_quality, pair_agreement


def test_pairs_are_those_of_a_naive_loop() -> None:
    rng = np.random.default_rng(0)
    visible = rng.integers(-1, 5, 40), rng.integers(0, 6, 40)
    infrared = rng.integers(-1, 4, 30), rng.integers(2, 8, 30)
    visible[0][:5], infrared[0][:4] = range(5), range(4)  # no cluster is empty
    partner = np.array([2, -1, 0, 2, 3])
    declared = right = true = 0
    for cluster, person in zip(*visible, strict=True):
        for other_cluster, other in zip(*infrared, strict=True):
            joined = cluster >= 0 and partner[cluster] >= 0 and partner[cluster] == other_cluster
            declared += joined
            true += person == other
            right += joined and person == other
    assert pair_agreement(visible, infrared, partner) == (right / declared, right / true)


def test_pairs_of_joint_clusters_are_those_of_a_naive_loop() -> None:
    rng = np.random.default_rng(1)
    visible = rng.integers(-1, 4, 40), rng.integers(0, 6, 40)
    infrared = rng.integers(-1, 7, 30), rng.integers(2, 8, 30)  # some clusters are infrared alone
    pairs = [
        (cluster == other_cluster >= 0, person == other)
        for cluster, person in zip(*visible, strict=True)
        for other_cluster, other in zip(*infrared, strict=True)
    ]
    right = sum(together and same for together, same in pairs)
    expected = right / sum(together for together, _ in pairs), right / sum(same for _, same in pairs)
    assert joint_agreement(visible, infrared) == expected
    assert joint_agreement(infrared, visible) == expected
    nothing = np.full(40, -1), visible[1]
    assert joint_agreement(nothing, infrared) == (0.0, 0.0)
    assert joint_agreement(nothing, nothing) == (0.0, 0.0)


def test_nothing_matched_has_no_precision_and_no_recall() -> None:
    labels = np.array([0, 0, 1]), np.array([4, 4, 5])
    assert pair_agreement(labels, labels, np.array([-1, -1])) == (0.0, 0.0)
    assert pair_agreement(labels, labels, np.array([0, 1])) == (1.0, 1.0)


def test_quality_without_and_with_an_association() -> None:
    people = np.array([1, 1, 2, 2])
    clusters = torch.tensor([0, 0, 1, -1])
    alone = label_quality(PseudoLabels(clusters, clusters), people, people)
    assert [alone[f"match_{name}"] for name in ("accuracy", "precision", "recall")] == [None] * 3
    partner = torch.tensor([0, 1])
    matched = label_quality(PseudoLabels(clusters, clusters, visible_to_infrared=partner), people, people)
    assert matched["match_accuracy"] == 1
    assert matched["match_precision"] == 1
    assert matched["match_recall"] == 5 / 8  # 2 x 2 + 1 of 2 x 2 + 2 x 2 pairs


def test_quality_of_joint_clusters() -> None:
    people = np.array([1, 1, 2, 2])
    clusters = torch.tensor([0, 0, 1, -1])
    joint = {"joint_clusters": (torch.tensor([0, 0, 0, 1]), torch.tensor([0, 2, -1, 1]))}
    found = label_quality(PseudoLabels(clusters, clusters, extra=joint), people, people)
    assert found["joint_precision"] == 3 / 4  # of 3 x 1 + 1 x 1 pairs, one is of persons 2 and 1
    assert found["joint_recall"] == 3 / 8
    assert found["match_precision"] is None
    assert label_quality(PseudoLabels(clusters, clusters), people, people)["joint_precision"] is None


def test_quality_of_classes_that_matched_clusters_share() -> None:
    """The index counts pairs of images of both modalities; outliers and unknown people are left out."""
    visible, infrared = np.array([1, 1, 2, 2]), np.array([1, 2, 2, -1])
    clusters, others = torch.tensor([0, 0, 1, -1]), torch.tensor([0, 1, 1, 1])
    right = {"matched": (torch.tensor([0, 0, 1, -1]), others)}
    assert label_quality(PseudoLabels(clusters, others, extra=right), visible, infrared)["matched_ari"] == 1
    swapped = {"matched": (torch.tensor([1, 1, 0, -1]), others)}
    found = label_quality(PseudoLabels(clusters, others, extra=swapped), visible, infrared)["matched_ari"]
    together = sum(
        a == b and p == q
        for (a, p), (b, q) in combinations(zip([1, 1, 0, 0, 1, 1], [1, 1, 2, 1, 2, 2], strict=True), 2)
    )
    classes, people = 4 * 3 / 2 + 1, 3 + 3
    chance = classes * people / 15
    assert found == pytest.approx((together - chance) / ((classes + people) / 2 - chance))
    assert "matched_ari" not in label_quality(PseudoLabels(clusters, others), visible, infrared)
