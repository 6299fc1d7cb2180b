from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from usvi_bench.components import transfer
from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.transfer import transfer_labels, transferred, voted, voted_labels
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Features, Modality, PseudoLabels


def waves(rows: int, width: int, shift: float) -> Tensor:
    i, j = np.arange(rows)[:, None], np.arange(width)[None]
    return torch.from_numpy(np.sin(0.7 * i + 1.3 * j + shift + 0.31 * i * j)).float()


PROTOTYPES = waves(3, 6, 1.7)
IMAGES = PROTOTYPES[torch.arange(9) % 3] + (0.2 + 0.2 * torch.arange(9))[:, None] * waves(9, 6, 0.2)
LABELS = torch.tensor([0, 0, 1, -1, 1, 2, 2, 0, 1])


@pytest.mark.parametrize(
    ("tau", "labels", "expected"),
    [
        (0.5, LABELS, [0, 1, 2, -1, 1, 2, -1, 1, -1]),
        (0.5, torch.zeros(9), [0, 1, 2, 0, 1, 2, -1, 1, -1]),
        (0.8, LABELS, [0, 1, 2, -1, -1, -1, -1, -1, -1]),
        (0.8, torch.zeros(9), [0, 1, 2, -1, -1, -1, -1, -1, -1]),
    ],
)
def test_transferred_labels_are_the_released_codes(tau: float, labels: Tensor, expected: list[int]) -> None:
    assert transfer_labels(IMAGES, labels, PROTOTYPES, tau).tolist() == expected


def naive(features: Tensor, labels: Tensor, prototypes: Tensor, tau: float) -> list[int]:
    cosine = [[float(x @ p / x.norm() / p.norm()) for p in prototypes] for x in features]
    moved = []
    for row, label in zip(cosine, labels.tolist(), strict=True):
        best = max(range(len(row)), key=lambda k: row[k])
        reach = max(other[best] for other in cosine)
        moved.append(best if label >= 0 and row[best] >= tau * reach else -1)
    return moved


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.53, 0.87]))
def test_it_is_the_definition(seed: int, tau: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    features, prototypes = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (12, 4))
    labels = torch.randint(-1, 3, (12,), generator=generator)
    assert transfer_labels(features, labels, prototypes, tau).tolist() == naive(features, labels, prototypes, tau)


def test_an_outlier_still_sets_the_measure_of_a_prototype() -> None:
    prototypes = torch.eye(2)
    features = torch.tensor([[1.0, 0.0], [0.6, 0.5], [0.0, 1.0]])
    assert transfer_labels(features, torch.tensor([-1, 0, 0]), prototypes, 0.9).tolist() == [-1, -1, 1]
    assert transfer_labels(features[1:], torch.tensor([0, 0]), prototypes, 0.9).tolist() == [0, 1]


def test_a_prototype_may_match_no_sample() -> None:
    prototypes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    assert transfer_labels(torch.eye(2), torch.tensor([0, 1]), prototypes, 0.5).tolist() == [0, 1]


def test_the_nearest_image_of_a_prototype_always_passes_and_lower_gates_let_more_pass() -> None:
    strict = transfer_labels(IMAGES, torch.zeros(9), PROTOTYPES, 1.0) >= 0
    assert strict.any()
    for low, high in ((0.0, 0.5), (0.5, 0.8), (0.8, 1.0)):
        looser, tighter = (transfer_labels(IMAGES, torch.zeros(9), PROTOTYPES, t) >= 0 for t in (low, high))
        assert (looser | ~tighter).all()


@pytest.mark.parametrize("modality", ["visible", "infrared"])
def test_one_modality_takes_the_clusters_of_the_other(modality: Modality) -> None:
    cameras = torch.zeros(9, dtype=torch.int64)
    features = Features(IMAGES, IMAGES.flip(0) + 0.1, cameras, cameras)
    own = PseudoLabels(visible=LABELS, infrared=torch.tensor([2, 1, 0, 2, 1, 0, 3, 3, -1]))
    new = transferred(features, own, modality, 0.5)
    visible, infrared = (features.visible, own.visible), (features.infrared, own.infrared)
    expected = (
        (transfer_labels(*visible, centroids(*infrared), 0.5), own.infrared)
        if modality == "visible"
        else (own.visible, transfer_labels(*infrared, centroids(*visible), 0.5))
    )
    assert all(torch.equal(*pair) for pair in zip(new["clusters"], expected, strict=True))
    assert new.visible_to_infrared is not None
    for k, partner in enumerate(new.visible_to_infrared.tolist()):
        assert partner == (k if k in new.visible and k in new.infrared else -1)


def test_a_gate_that_lets_too_little_pass_is_told() -> None:
    cameras = torch.zeros(9, dtype=torch.int64)
    features = Features(IMAGES[:1].repeat(9, 1), IMAGES, cameras, cameras)
    with pytest.raises(UsageError, match=r"1 clusters left after label transfer \(tau=0.5\); lower --set method.tau"):
        transferred(features, PseudoLabels(LABELS, LABELS), "visible", 0.5)


# ---- votes of SDCL --------------------------------------------------------------------------------------------


def most_frequent(votes: list[int], tie: str) -> int:
    """The most frequent vote; of equally frequent ones the first, or the smallest."""
    best = max(votes.count(vote) for vote in votes)
    winners = [vote for vote in votes if votes.count(vote) == best]
    return winners[0] if tie == "first" else min(winners)


def naive_votes(visible: Tensor, infrared: Tensor, clusters: list[int], voters: int, smoothers: int) -> list[int]:
    def nearest(x: Tensor, others: Tensor, count: int) -> list[int]:
        cosine = [float(x @ other / x.norm() / other.norm()) for other in others]
        return sorted(range(len(others)), key=lambda j: -cosine[j])[:count]

    first = [most_frequent([clusters[j] for j in nearest(x, infrared, voters)], "first") for x in visible]
    return [most_frequent([first[j] for j in nearest(x, visible, smoothers)], "smallest") for x in visible]


@given(seed=st.integers(0, 500), voters=st.integers(1, 30), smoothers=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_votes_are_the_definition(seed: int, voters: int, smoothers: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    visible, infrared = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (12, 20))
    clusters = torch.randint(-1, 4, (20,), generator=generator)
    found = voted_labels(visible, 3 * infrared, clusters, voters, smoothers)
    assert found.tolist() == naive_votes(visible, infrared, clusters.tolist(), voters, smoothers)


def test_votes_are_taken_in_blocks_and_outliers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    visible, infrared = (torch.randn(30, 5, generator=generator) for _ in range(2))
    own, cameras = torch.arange(30) % 4 - 1, torch.zeros(30, dtype=torch.int64)
    features, labels = Features(visible, infrared, cameras, cameras), PseudoLabels(own, own)
    whole = voted(features, labels)
    assert whole.visible[own == -1].tolist() == [-1] * int((own == -1).sum())
    kept = own != -1
    assert torch.equal(whole.visible[kept], voted_labels(visible, infrared, own)[kept])
    assert torch.equal(whole.infrared, own)
    assert whole.visible_to_infrared is not None
    assert len(whole.visible_to_infrared) == int(whole.visible.max()) + 1
    monkeypatch.setattr(transfer, "BLOCK", 7)
    assert torch.equal(voted(features, labels).visible, whole.visible)
    with pytest.raises(UsageError, match=r"1 clusters left after label transfer \(votes\); lower --set method.eps"):
        voted(features, PseudoLabels(own, torch.zeros(30, dtype=torch.int64)))
