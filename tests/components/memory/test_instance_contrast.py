from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from usvi_bench.components.memory.instance_contrast import (
    INSTANCE_LOSSES,
    ClusteredInstanceMemory,
    mean_loss,
    nca_loss,
    overwrite,
    random_members,
    self_loss,
)
from usvi_bench.core.errors import UsageError


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def case(seed: int, images: int = 14, batch: int = 9) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make stored features, labels with outliers, features of a batch, and the indices of their clustered images."""
    rng = seeded(seed)
    stored = torch.randn(images, 5, generator=rng)
    labels = torch.arange(images) % 5 - 1  # clusters 0 to 3, and outliers
    clustered = (labels >= 0).nonzero().squeeze(1)
    index = clustered[torch.randint(len(clustered), (batch,), generator=rng)]
    return stored, labels, torch.randn(batch, 5, generator=rng), index


def naive(form: str, stored: Tensor, labels: Tensor, features: Tensor, index: Tensor, tau: float, seed: int) -> Tensor:
    """Compute the definition image by image, over images with a label."""
    kept = [j for j in range(len(labels)) if labels[j] >= 0]
    clusters = sorted({int(labels[j]) for j in kept})
    members = {k: [j for j in kept if labels[j] == k] for k in clusters}
    chosen = random_members(labels[kept], len(clusters), seeded(seed)).tolist()
    total = features.new_zeros(())
    for feature, image in zip(features, index.tolist(), strict=True):
        unit = feature / feature.norm()
        s = {j: unit @ (stored[j] / stored[j].norm()) / tau for j in kept}
        own = int(labels[image])
        if form == "nca":
            share = sum(s[j].exp() for j in members[own]) / sum(v.exp() for v in s.values())
        elif form == "self":
            share = s[image].exp() / sum(v.exp() for v in s.values())
        elif form == "mean":
            means = {k: torch.stack([s[j] for j in members[k]]).mean() for k in clusters}
            share = means[own].exp() / sum(v.exp() for v in means.values())
        else:
            share = s[kept[chosen[own]]].exp() / sum(s[kept[chosen[k]]].exp() for k in clusters)
        total = total - share.log()
    return total / len(features)


@pytest.mark.parametrize("form", INSTANCE_LOSSES)
@pytest.mark.parametrize("seed", range(3))
def test_losses_and_gradients_are_those_of_the_loops(form: str, seed: int) -> None:
    stored, labels, features, index = case(seed)
    features.requires_grad_()
    found = ClusteredInstanceMemory(stored, labels, 0.2, form).loss(features, index, seeded(seed))
    (gradient,) = torch.autograd.grad(found, features)
    expected = naive(form, stored, labels, features, index, 0.2, seed)
    (naive_gradient,) = torch.autograd.grad(expected, features)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(gradient, naive_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", INSTANCE_LOSSES)
def test_losses_stay_finite_where_exponentials_do_not(form: str) -> None:
    stored, labels, features, index = case(1)
    features.requires_grad_()
    loss = ClusteredInstanceMemory(stored, labels, 1e-3, form).loss(features, index, seeded())
    loss.backward()
    assert math.isfinite(loss.item())
    assert features.grad is not None
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("form", INSTANCE_LOSSES)
def test_outliers_take_part_in_nothing(form: str) -> None:
    stored, labels, features, index = case(2)
    moved = torch.where(labels[:, None] < 0, 100 * torch.ones_like(stored), stored)
    first, second = (ClusteredInstanceMemory(x, labels, 0.1, form) for x in (stored, moved))
    assert len(first.rows) == int((labels >= 0).sum())
    assert torch.equal(first.rows, second.rows)
    assert torch.equal(first.loss(features, index, seeded()), second.loss(features, index, seeded()))


def test_clusters_of_one_image_make_all_forms_the_softmax_over_images() -> None:
    stored, _, features, _ = case(3)
    index = torch.arange(9)
    losses = [
        ClusteredInstanceMemory(stored, torch.arange(14), 0.1, form).loss(features, index, seeded())
        for form in INSTANCE_LOSSES
    ]
    expected = F.cross_entropy(F.normalize(features) @ F.normalize(stored).T / 0.1, index)
    for loss in losses:
        torch.testing.assert_close(loss, expected)


@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 30))
@settings(max_examples=40, deadline=None)
def test_the_nca_loss_is_a_share_and_no_larger_than_the_one_for_the_image_alone(seed: int, scale: float) -> None:
    logits = scale * torch.randn(6, 10, generator=seeded(seed))
    labels, own = torch.arange(10) % 3, torch.arange(6)
    found = nca_loss(logits, labels, own, 3, seeded())
    assert 0 <= found.item() <= self_loss(logits, labels, own, 3, seeded()).item() + 1e-6
    assert nca_loss(logits, torch.zeros_like(labels), own, 1, seeded()).item() == pytest.approx(0, abs=1e-6)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_renaming_clusters_changes_no_loss(seed: int) -> None:
    logits = torch.randn(6, 12, generator=seeded(seed))
    labels, own = torch.arange(12) % 4, torch.arange(6)
    names = torch.randperm(4, generator=seeded(seed))
    for form in (nca_loss, mean_loss, self_loss):
        torch.testing.assert_close(
            form(logits, labels, own, 4, seeded()), form(logits, names[labels], own, 4, seeded())
        )


def test_an_overwritten_row_is_one_of_its_features_and_the_rest_stay() -> None:
    rows = F.normalize(torch.randn(6, 4, generator=seeded(1)))
    before = rows.clone()
    features = 3 * torch.randn(7, 4, generator=seeded(2))
    slots = torch.tensor([0, 2, 0, 5, 2, 0, 2])
    overwrite(rows, features, slots, seeded(3))
    unit = F.normalize(features)
    for k in (0, 2, 5):
        assert any(torch.equal(rows[k], unit[i]) for i in range(7) if slots[i] == k)
    assert torch.equal(rows[[1, 3, 4]], before[[1, 3, 4]])


def test_every_feature_of_a_row_is_drawn_alike() -> None:
    slots = torch.tensor([0, 2, 0, 2, 2, 0, 2])
    generator = seeded(0)
    drawn = torch.stack([random_members(slots, 3, generator) for _ in range(3000)])
    for k in (0, 2):
        members = (slots == k).nonzero().squeeze(1)
        shares = torch.stack([(drawn[:, k] == i).float().mean() for i in members])
        assert torch.allclose(shares, torch.full_like(shares, 1 / len(members)), atol=0.04)


def test_a_memory_takes_a_view_of_each_image_in_a_batch() -> None:
    stored, labels, _, _ = case(4)
    memory = ClusteredInstanceMemory(stored, labels)
    before = memory.rows.clone()
    index = torch.tensor([1, 6, 1, 6])  # two images, two views
    views = torch.randn(4, 5, generator=seeded(5))
    memory.update(views, index, seeded(6))
    for image in (1, 6):
        row = memory.rows[memory.slots[image]]
        assert any(torch.equal(row, F.normalize(views)[i]) for i in range(4) if index[i] == image)
    touched = memory.slots[index]
    rest = [k for k in range(len(before)) if k not in touched.tolist()]
    assert torch.equal(memory.rows[rest], before[rest])


def test_memories_take_no_gradient_and_are_no_part_of_the_checkpoint() -> None:
    stored, labels, features, index = case(0)
    memory = ClusteredInstanceMemory(stored.requires_grad_(), labels)
    assert not memory.state_dict()
    memory.loss(features.requires_grad_(), index, seeded()).backward()
    assert stored.grad is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert memory.loss(features, index, seeded()).dtype == torch.float32


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean nca"):
        ClusteredInstanceMemory(torch.eye(2), torch.arange(2), loss="nc")
