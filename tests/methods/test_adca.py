from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

import usvi_bench.methods.adca
from tests.methods import world
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Features, PseudoLabels
from usvi_bench.methods.adca import ADCA, ADCAConfig, aggregate, count_votes, pair_by_votes
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig

SMALL = {"k1": 6, "k2": 2}


def built(**settings: Any) -> ADCA:
    return ADCA(ADCAConfig(**{**SMALL, **settings}), world.encoder())


def trained(method: ClusterContrast, steps: int = 3) -> tuple[list[dict[str, float]], list[Tensor]]:
    history = world.train_steps(method, steps)
    return history, [p.detach().clone() for p in method.encoder.parameters()]


def naive_pairs(visible: Tensor, infrared: Tensor, labels: PseudoLabels, threshold: float) -> dict[int, int]:
    """The definition: rank all pairs of images, count label pairs in that order, take them greedily by count."""
    similarity = visible @ infrared.T
    pairs = [(float(similarity[i, j]), i, j) for i in range(len(visible)) for j in range(len(infrared))]
    counted: dict[tuple[int, int], int] = {}
    for value, i, j in sorted(pairs, key=lambda pair: -pair[0]):
        if value >= threshold:
            key = int(labels.visible[i]), int(labels.infrared[j])
            counted[key] = counted.get(key, 0) + 1
    partners: dict[int, int] = {}
    for a, b in sorted(counted, key=lambda pair: -counted[pair]):  # stable: first seen goes first
        if -1 not in (a, b) and a not in partners and b not in partners.values():
            partners[a] = b
    return partners


def random_case(seed: int) -> tuple[Tensor, Tensor, PseudoLabels]:
    generator = torch.Generator().manual_seed(seed)
    visible = 0.9 * normalize(torch.randn(40, 5, generator=generator))
    infrared = 0.8 * normalize(torch.randn(30, 5, generator=generator))
    labels = [torch.cat([torch.arange(k), torch.randint(-1, k, (n - k,), generator=generator)]) for n, k in SIZES]
    return visible, infrared, PseudoLabels(*labels)


SIZES = ((40, 6), (30, 4))

# ---- aggregation ---------------------------------------------------------------------------------------------


def test_known_counts_are_taken_greedily_and_mixed() -> None:
    similarity = torch.tensor(
        [
            [0.9, 0.8, 0.1, 0.6, 0.7],  # cluster 0: three votes for infrared 0, one for 1 ...
            [0.4, 0.5, 0.1, 0.2, 0.9],
            [0.6, 0.1, 0.2, 0.8, 0.9],  # cluster 1: one for 0, one for 1
            [0.95, 0.9, 0.99, 0.9, 0.9],  # an outlier, however similar
            [0.1, 0.1, 0.7, 0.2, 0.49],  # cluster 2: only for an outlier
        ]
    )
    labels = PseudoLabels(torch.tensor([0, 0, 1, -1, 2]), torch.tensor([0, 0, -1, 1, -1]))
    counts, best = count_votes(similarity, torch.eye(5), labels, 0.5)
    assert counts.tolist() == [[3, 1], [1, 1], [0, 0]]
    torch.testing.assert_close(best, torch.tensor([[0.9, 0.6], [0.6, 0.8], [-torch.inf, -torch.inf]]))
    partners = pair_by_votes(counts, best)
    assert partners.tolist() == [0, 1, -1]
    visible, infrared = torch.eye(3, 4), torch.eye(4)[2:]
    rows = aggregate(visible, infrared, partners, 0.9)
    torch.testing.assert_close(rows, torch.tensor([[0.1, 0, 0.9, 0], [0, 0.1, 0, 0.9], [0, 0, 1.0, 0]]))


@pytest.mark.parametrize("threshold", [0.5, 0.2, -0.3])
@pytest.mark.parametrize("block", [1, 100, 1 << 22])
def test_pairs_are_those_of_the_sorted_definition(
    block: int, threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usvi_bench.methods.adca, "BLOCK", block)
    found = 0
    for seed in range(8):
        visible, infrared, labels = random_case(seed)
        partners = pair_by_votes(*count_votes(visible, infrared, labels, threshold)).tolist()
        assert {a: b for a, b in enumerate(partners) if b >= 0} == naive_pairs(visible, infrared, labels, threshold)
        found += sum(b >= 0 for b in partners)
    assert found >= 16


def test_as_many_votes_are_settled_by_the_most_similar_images_and_then_by_number() -> None:
    counts = torch.tensor([[2, 2], [2, 2]])
    assert pair_by_votes(counts, torch.tensor([[0.6, 0.7], [0.65, 0.6]])).tolist() == [1, 0]
    assert pair_by_votes(counts, torch.full((2, 2), 0.6)).tolist() == [0, 1]


def test_more_clusters_than_partners_stay_alone() -> None:
    assert pair_by_votes(torch.tensor([[1], [5], [2]]), torch.zeros(3, 1)).tolist() == [-1, 0, -1]
    assert pair_by_votes(torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3)).tolist() == [-1, -1]


def test_renumbering_clusters_renumbers_the_pairs() -> None:
    visible, infrared, labels = random_case(3)
    order = torch.tensor([2, 0, 3, 5, 1, 4])
    renumbered = replace(labels, visible=torch.where(labels.visible < 0, -1, order[labels.visible]))
    before = pair_by_votes(*count_votes(visible, infrared, labels, 0.4))
    after = pair_by_votes(*count_votes(visible, infrared, renumbered, 0.4))
    assert torch.equal(after[order], before)
    assert (before >= 0).any()


# ---- the method ----------------------------------------------------------------------------------------------


def prepared(method: ADCA) -> tuple[Features, PseudoLabels]:
    seen = world.features(width=method.encoder.feature_dim)
    labels = method.label(seen, world.progress())
    method.begin_epoch(seen, labels, world.progress())
    return seen, labels


def test_an_epoch_starts_with_visible_rows_turned_to_their_partners() -> None:
    method, raw, parent = built(), built(normalise_rows=False), built(aggregate=False)
    (seen, labels), _, (_, alone) = prepared(method), prepared(raw), prepared(parent)
    partners = labels.visible_to_infrared
    assert partners is not None
    assert alone.visible_to_infrared is None
    assert sorted(partners.tolist()) == list(range(world.PEOPLE))
    for a, b in enumerate(partners.tolist()):
        mixed = 0.1 * parent.visible_memory.rows[a] + 0.9 * parent.infrared_memory.rows[b]
        torch.testing.assert_close(raw.visible_memory.rows[a], mixed)
        torch.testing.assert_close(method.visible_memory.rows[a], mixed / mixed.norm())
    assert torch.equal(method.infrared_memory.rows, parent.infrared_memory.rows)
    assert float(method.diagnostics()["aggregated"]) == 1
    assert parent.diagnostics() == {}
    assert float(count_votes(seen.visible, seen.infrared, labels, 0.5)[0].sum()) > 0


@pytest.mark.parametrize("update", ["sequential", "hard", "mean"])
def test_without_aggregation_it_is_dual_cluster_contrast_continued(update: Any) -> None:
    parent = ClusterContrast(ClusterContrastConfig(**SMALL, update=update), world.encoder())
    expected, weights = trained(parent)
    for settings in ({"aggregate": False}, {"threshold": 1.0}):  # no two images are that similar
        history, own = trained(built(update=update, **settings))
        assert history == expected
        assert all(torch.equal(a, b) for a, b in zip(own, weights, strict=True))


@pytest.mark.parametrize("settings", [{}, {"share": 0.5}, {"normalise_rows": False}], ids=str)
def test_every_switch_changes_the_training(settings: dict[str, Any]) -> None:
    other = {"aggregate": False} if not settings else {}
    assert trained(built(**settings))[0] != trained(built(**other))[0]


def test_no_gradient_reaches_the_memories() -> None:
    method = built()
    world.train_steps(method)
    assert not method.visible_memory.rows.requires_grad
    assert not list(method.visible_memory.parameters())


def test_the_first_stage_is_shared_by_all_settings() -> None:
    stages = ADCA.stages(ADCAConfig(aggregate=False, threshold=0.3))
    assert [stage.method for stage in stages] == ["cluster_contrast", "adca"]
    assert stages[0].config == ClusterContrastConfig()


@pytest.mark.parametrize(("settings", "message"), [({"threshold": 2.0}, "threshold=2.0"), ({"share": -1.0}, "share")])
def test_values_out_of_range_are_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=rf"method\.{message}"):
        ADCAConfig(**settings)
