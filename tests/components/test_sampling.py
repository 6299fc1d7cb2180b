from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from usvi_bench.components.sampling import PKSampler
from usvi_bench.core.errors import UsageError


def sampler(labels, cameras, clusters, instances, seed=0) -> PKSampler:
    generator = np.random.default_rng(seed)
    return PKSampler(torch.tensor(labels), torch.tensor(cameras), clusters, instances, generator)


@given(
    labels=st.lists(st.integers(-1, 6), min_size=20, max_size=60),
    cameras=st.integers(1, 3),
    instances=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_every_batch_is_p_distinct_clusters_of_k(labels, cameras, instances, seed):
    named = sorted({label for label in labels if label >= 0})
    if not named:
        return
    clusters = max(1, len(named) // 2)
    where = np.random.default_rng(seed).integers(0, cameras, len(labels))
    drawing = sampler(labels, where, clusters, instances, seed)
    for _ in range(6):
        rows = drawing.draw()
        assert rows.dtype == torch.int64
        groups = torch.tensor(labels)[rows].view(clusters, instances)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0].tolist())) == clusters
        assert (groups >= 0).all()
        for members in rows.view(clusters, instances).tolist():
            check_companions(members, labels, where, instances)


def check_companions(rows, labels, cameras, instances) -> None:
    """Check a drawn group against the rule of the released sampler."""
    anchor, companions = rows[0], rows[1:]
    cluster = [i for i, label in enumerate(labels) if label == labels[anchor]]
    others = [i for i in cluster if cameras[i] != cameras[anchor]] or [i for i in cluster if i != anchor] or [anchor]
    assert set(companions) <= set(others)
    if len(others) >= instances:
        assert len(set(companions)) == len(companions)


def test_a_pass_visits_every_cluster_once_and_drops_the_rest():
    labels = np.repeat(np.arange(7), 5)
    drawing = sampler(labels, np.zeros(35, dtype=int), clusters=3, instances=2)
    seen = Counter()
    for _ in range(300):
        first, second = (set(labels[drawing.draw()]) for _ in range(2))
        assert not first & second
        seen.update(first | second)
    assert set(seen) == set(range(7))
    assert all(abs(count / 300 - 6 / 7) < 0.08 for count in seen.values())


def test_anchor_and_companions_are_uniform():
    labels, cameras = [0] * 6, [0, 0, 0, 1, 1, 2]
    drawing = sampler(labels, cameras, clusters=1, instances=3)
    draws = np.array([drawing.draw().tolist() for _ in range(6000)])
    anchors = np.bincount(draws[:, 0], minlength=6) / 6000
    assert anchors == pytest.approx(np.full(6, 1 / 6), abs=0.02)
    after_last = draws[draws[:, 0] == 5][:, 1:].ravel()  # the others are rows 0 to 4
    shares = np.bincount(after_last, minlength=6) / len(after_last)
    assert shares == pytest.approx([0.2] * 5 + [0], abs=0.03)
    after_first = draws[draws[:, 0] == 0][:, 1:]  # three others for K = 3: without replacement
    assert (after_first[:, 0] != after_first[:, 1]).all()


def test_replacement_begins_below_k_candidates_not_below_k_less_one():
    """With K - 1 candidates for K - 1 places the released sampler still draws with replacement."""
    drawing = sampler([0, 0, 0], [0, 0, 0], clusters=1, instances=3)
    repeats = sum(len(set(drawing.draw().tolist())) < 3 for _ in range(2000)) / 2000
    assert repeats == pytest.approx(0.5, abs=0.05)


def test_a_single_image_fills_its_group():
    assert sampler([4, -1], [0, 0], clusters=1, instances=4).draw().tolist() == [0, 0, 0, 0]


def test_draws_depend_on_the_generator_alone():
    labels, cameras = np.arange(40) % 8, np.arange(40) % 3
    first, second, other = (sampler(labels, cameras, 4, 3, seed) for seed in (1, 1, 2))
    state = np.random.get_state()[1].copy()
    a = torch.stack([first.draw() for _ in range(5)])
    assert torch.equal(a, torch.stack([second.draw() for _ in range(5)]))
    assert not torch.equal(a, torch.stack([other.draw() for _ in range(5)]))
    assert np.array_equal(np.random.get_state()[1], state)


def test_too_few_clusters_raise_with_the_remedy():
    with pytest.raises(UsageError, match=r"2 clusters in 5 images, but a batch draws 3.*train\..*method\.eps"):
        sampler([0, 0, 1, 1, -1], [0] * 5, clusters=3, instances=2)
    with pytest.raises(UsageError, match="0 clusters"):
        sampler([-1, -1], [0, 0], clusters=1, instances=2)
    with pytest.raises(UsageError, match="at least 1"):
        sampler([0, 0], [0, 0], clusters=0, instances=2)


def test_clusters_chosen_by_one_sampler_are_drawn_by_another():
    """The numbers of clusters have gaps; both samplers have the same ones."""
    labels, others = np.array([7, 2, 7, 4, 2, 4, -1]), np.array([4, 4, 7, -1, 2, 7, 2, 2])
    first, second = (sampler(part, np.arange(len(part)) % 2, 2, 3, seed) for seed, part in enumerate((labels, others)))
    for _ in range(9):
        chosen = first.choose()
        drawn, also = labels[first.draw_from(chosen)], others[second.draw_from(chosen)]
        assert drawn.tolist() == also.tolist()
        assert len(set(drawn.tolist())) == 2


def test_a_draw_is_a_choice_and_a_draw_from_it():
    labels, cameras = np.arange(40) % 8, np.arange(40) % 3
    whole, parts = (sampler(labels, cameras, 4, 3) for _ in range(2))
    assert all(torch.equal(whole.draw(), parts.draw_from(parts.choose())) for _ in range(5))
