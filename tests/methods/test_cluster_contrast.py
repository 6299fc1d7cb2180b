from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.methods import world
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig

CONFIG = ClusterContrastConfig(k1=6, k2=2)


def started() -> ClusterContrast:
    method = ClusterContrast(CONFIG, world.encoder())
    seen = world.features(width=method.encoder.feature_dim)
    labels = method.label(seen, world.progress())
    method.begin_epoch(seen, labels, world.progress())
    return method


def naive_loss(features: Tensor, labels: Tensor, rows: Tensor) -> float:
    total = 0.0
    for feature, label in zip(features, labels, strict=True):
        unit = feature / feature.norm()
        scores = [float((unit * row).sum()) / CONFIG.temperature for row in rows]
        top = max(scores)
        total += -(scores[label] - top - torch.tensor([s - top for s in scores]).exp().sum().log().item())
    return total / len(features)


def test_memories_start_at_the_unit_means_of_the_clusters() -> None:
    method = started()
    seen = world.features(width=method.encoder.feature_dim)
    labels = method.label(seen, world.progress())
    for cluster in range(int(labels.visible.max()) + 1):
        mean = torch.stack([f for f, y in zip(seen.visible, labels.visible, strict=True) if y == cluster]).mean(0)
        torch.testing.assert_close(method.visible_memory.rows[cluster], mean / mean.norm())


def test_the_losses_are_the_definition_with_both_visible_views_and_memories_of_before() -> None:
    method = started()
    labels = method.label(world.features(width=method.encoder.feature_dim), world.progress())
    batch = world.batch(labels, method)
    visible_rows, infrared_rows = method.visible_memory.rows.clone(), method.infrared_memory.rows.clone()
    method.train()
    losses = method.loss(batch, world.progress())
    visible, infrared = (part for part, _ in method.pending_updates)
    expected = naive_loss(visible, torch.cat([batch.visible.labels] * 2), visible_rows)
    assert abs(float(losses["visible"].detach()) - expected) < 1e-4
    assert abs(float(losses["infrared"].detach()) - naive_loss(infrared, batch.infrared.labels, infrared_rows)) < 1e-4
    assert torch.equal(method.visible_memory.rows, visible_rows)


def test_after_the_step_each_memory_moves_by_its_own_modality_in_batch_order() -> None:
    method = started()
    labels = method.label(world.features(width=method.encoder.feature_dim), world.progress())
    batch = world.batch(labels, method)
    method.train()
    method.loss(batch, world.progress())
    visible = method.pending_updates[0][0]
    rows = method.visible_memory.rows.clone()
    for feature, label in zip(normalize(visible), torch.cat([batch.visible.labels] * 2), strict=True):
        rows[label] = normalize(CONFIG.momentum * rows[label] + (1 - CONFIG.momentum) * feature, dim=0)
    method.end_step(world.progress())
    torch.testing.assert_close(method.visible_memory.rows, rows)


def test_normalising_features_first_changes_the_distance_but_not_these_easy_clusters() -> None:
    raw = ClusterContrast(ClusterContrastConfig(k1=6, k2=2, normalise_features=False), world.encoder())
    seen = world.features()
    first, second = raw.label(seen, world.progress()), started().label(seen, world.progress())
    assert torch.equal(first.visible, second.visible)
    assert int(first.visible.max()) + 1 == world.PEOPLE
