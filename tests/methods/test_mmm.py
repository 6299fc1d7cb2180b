from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

import usvi_bench
from tests.methods import world
from usvi_bench.components.alignment import class_prototypes, inter_loss, intra_costs
from usvi_bench.components.association import match_costs
from usvi_bench.components.joint_batches import JointBatches
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hybrid import joint_centroids
from usvi_bench.components.memory.sub_centres import sub_centres
from usvi_bench.components.modalities import clustered
from usvi_bench.components.multi_memory import matching_costs
from usvi_bench.components.sampling import TooFewClustersError
from usvi_bench.core.errors import UsageError
from usvi_bench.core.seeding import torch_generator
from usvi_bench.core.types import MODALITIES, Batch, Features, PseudoLabels, Samples
from usvi_bench.engine import checkpoint
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.read_settings import CONFIGS, read_file
from usvi_bench.engine.training import StageTraining
from usvi_bench.methods.base import Form
from usvi_bench.methods.cluster_contrast import ClusterContrastConfig
from usvi_bench.methods.mmm import MMM, RELEASED, MMMConfig

SMALL: dict[str, Any] = {"k1": 6, "k2": 2, "joint_k1": 20, "joint_k2": 16}
WEIGHTS = ("shared_weight", "cluster_weight", "intra_weight")
GRID: dict[str, Any] = read_file(CONFIGS / "ablations" / "mmm.toml")["rows"]


def made(config: MMMConfig, encoder: Any) -> MMM:
    return cast(type[MMM], MMM.in_form(config))(config, encoder)


def build(**settings: Any) -> MMM:
    return made(MMMConfig(**{**SMALL, **settings}), world.encoder())


def seen_by(method: MMM) -> Features:
    width = method.encoder.feature_dim
    others = {name: world.features(seed=9, width=width) for name in method.embeds}
    return replace(world.features(width=width), by_model=others)


def started(epoch: int = 1, **settings: Any) -> tuple[MMM, PseudoLabels]:
    method = build(**settings)
    labels = method.label(seen_by(method), world.progress(epoch))
    method.begin_epoch(seen_by(method), labels, world.progress(epoch))
    method.train()
    return method, labels


def tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


# ---- values of the released code (shijiangming1/MMM @7e57d50): matching ---------------------------------------------


def people(seed: int, visible: int, infrared: int) -> tuple[Features, Tensor, NDArray[np.int64]]:
    """Features of 8 images a cluster in four parts, the visible clusters, and the number of each infrared cluster."""
    g = np.random.default_rng(seed)
    most = max(visible, infrared)
    centres = unit(g.standard_normal((most, 8)))
    parts = unit(centres[:, None] + 0.5 * g.standard_normal((most, 4, 8)))
    gap = 0.15 * g.standard_normal(8)
    rows = []
    for count, shift in ((visible, gap), (infrared, -gap)):
        own = np.arange(8 * count)
        rows.append(tensor(parts[own // 8, own % 4] + shift + 0.02 * g.standard_normal((8 * count, 8))))
    cameras = [torch.zeros(len(part), dtype=torch.int64) for part in rows]
    names = np.random.default_rng(seed + 100).permutation(infrared)
    return Features(rows[0], rows[1], *cameras), torch.arange(8 * visible) // 8, names


def labelled(seed: int, visible: int, infrared: int) -> tuple[Features, PseudoLabels]:
    features, clusters, names = people(seed, visible, infrared)
    others = torch.from_numpy(names)[torch.arange(8 * infrared) // 8]
    clusters[::13], others[::11] = -1, -1
    return features, PseudoLabels(clusters, others)


def costs(features: Features, labels: PseudoLabels, side: Any = "infrared") -> Tensor:
    pairs = (features.visible, labels.visible), (features.infrared, labels.infrared)
    visible, infrared = (sub_centres(*pair, 4, 0.0, torch_generator(0))[:, 1:] for pair in pairs)
    return matching_costs(visible, infrared, side)


PEOPLE = {
    (41, 5, 4): (0.505673, -3.712657, "3 2 1 0", "0 2 1 0 -", "3 2 1 0 3", "3 2 1 0 -", 103.623491, 101.507831),
    (42, 7, 4): (
        *(-12.069513, 1.677660, "3 1 0 2"),
        *("0 1 0 2 0 0 -", "3 1 0 2 3 3 3", "3 1 0 2 - - -", 130.592654, 128.943389),
    ),
    (43, 4, 6): (-35.239807, 15.808995, "5 4 1 2 3 0", "3 4 1 -", "5 4 1 2", "5 4 1 2", 124.211340, 123.751090),
}
"""Sums of features, numbers of infrared clusters, partners (released, nearest, one to one), sums of costs."""


def listed(text: str) -> list[int]:
    return [-1 if word == "-" else int(word) for word in text.split()]


@pytest.mark.parametrize("world_of", PEOPLE)
def test_partners_are_the_released_codes(world_of: tuple[int, int, int]) -> None:
    first, second, names, released, nearest, once, total, paper = PEOPLE[world_of]
    features, labels = labelled(*world_of)
    assert [float(part.sum()) for part in (features.visible, features.infrared)] == pytest.approx(
        [first, second], abs=2e-5
    )
    assert people(*world_of)[2].tolist() == listed(names)
    cost = costs(features, labels)
    assert float(cost.sum()) == pytest.approx(total, rel=2e-6)
    assert float(costs(features, labels, "visible").sum()) == pytest.approx(paper, rel=2e-6)
    assert match_costs(cost, "nearest").tolist() == listed(nearest)
    assert match_costs(cost, "assignment").tolist() == listed(once)
    method = made(MMMConfig(form="released"), world.encoder())
    found = method.match(features, replace(labels, extra={}), world.progress())
    assert found.visible_to_infrared is not None
    assert found.visible_to_infrared.tolist() == listed(released)
    of_images = [-1 if k < 0 else listed(released)[k] for k in labels.visible.tolist()]
    assert found["matched"][0].tolist() == of_images, "images of the last cluster and outliers have no class"
    assert torch.equal(found["matched"][1], labels.infrared)


def test_costs_are_the_released_codes() -> None:
    features, labels = labelled(41, 5, 4)
    expected = [
        [5.976780, 6.565324, 6.566592, 2.645738],
        [5.715936, 5.239720, 2.835084, 6.269576],
        [4.163952, 2.854899, 5.207919, 5.079248],
        [2.809418, 5.399069, 6.044750, 5.434958],
        [6.514518, 6.998774, 5.932838, 5.368400],
    ]
    torch.testing.assert_close(costs(features, labels), torch.tensor(expected).double(), atol=2e-6, rtol=2e-6)
    first = costs(features, labels, "visible")[0].tolist()
    assert first == pytest.approx([5.356949, 6.600524, 5.907718, 2.667476], abs=2e-6)


def test_a_cluster_of_three_images_has_its_mean_in_all_memories() -> None:
    """The released code compares four scalars instead: 4.024426 4.136083 4.503291."""
    features, clusters, _ = people(41, 5, 4)
    clusters[11:16] = -1
    found = costs(features, PseudoLabels(clusters, torch.arange(32) // 8))
    assert found[1, :3].tolist() == pytest.approx([6.242388, 4.330301, 5.971659], abs=2e-6)


@pytest.mark.parametrize(("visible", "infrared"), [(9, 3), (3, 9), (13, 4)])
def test_every_visible_cluster_has_a_partner_whatever_the_counts(visible: int, infrared: int) -> None:
    features, clusters, _ = people(7, visible, infrared)
    labels = PseudoLabels(clusters, torch.arange(8 * infrared) // 8)
    found = build().match(features, labels, world.progress()).visible_to_infrared
    assert found is not None
    assert 0 <= int(found.min()) <= int(found.max()) < infrared


# ---- values of the released code: the second stage ------------------------------------------------------------------


class Linear(nn.Module):
    """An encoder with one matrix; it keeps the features that it has computed."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        self.features = torch.cat([visible, infrared]) @ self.weight
        return self.features


def samples(views: list[NDArray[np.float64]], classes: int) -> Samples:
    rows = torch.arange(len(views[0]))
    return Samples(tuple(map(tensor, views)), rows % classes, rows)


@pytest.mark.parametrize(("form", "infrared_norm"), [("repaired", 1.463281), ("released", 1.701101)])
def test_an_iteration_of_the_joint_phase_is_the_released_trainers(form: Form, infrared_norm: float) -> None:
    g = np.random.default_rng(81)
    infrared, plain = g.standard_normal((12, 8)), g.standard_normal((10, 8))
    own = Batch(samples([plain, plain + 0.3 * g.standard_normal((10, 8))], 5), samples([infrared], 4))
    encoder = Linear(tensor(g.standard_normal((8, 16)) / 2))
    memories = [ClusterMemory(tensor(unit(g.standard_normal((n, 16))))) for n in (4, 5, 3)]
    infrared, plain = g.standard_normal((9, 8)), g.standard_normal((6, 8))
    joint = Batch(samples([plain, plain + 0.3 * g.standard_normal((6, 8))], 3), samples([infrared], 3))
    method = made(MMMConfig(phase="cmc", form=form), encoder)
    method.infrared_memory, method.visible_memory, method.joint_memory = memories
    method.joint_batches = JointBatches((joint.visible.labels, joint.infrared.labels))
    adam = torch.optim.Adam(encoder.parameters(), lr=3.5e-4, weight_decay=5e-4)
    values, norms = {}, []

    def optimise(losses: Mapping[str, Tensor]) -> None:
        for name, value in losses.items():
            values[name] = float(value.detach())
            norms.append(float(torch.autograd.grad(value, encoder.features, retain_graph=True)[0].norm()))
        adam.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        adam.step()

    method.step(lambda name="clusters": joint if name == "joint" else own, world.progress(), optimise)
    expected = {"visible": 5.838850, "infrared": 4.326277, "joint_visible": 4.838490, "joint_infrared": 1.003694}
    assert values == pytest.approx(expected, rel=2e-6)
    assert norms == pytest.approx([0.892362, 0.928755, 1.389435, infrared_norm], rel=1e-5)
    rows = [
        [-0.683662, 0.594308, 1.748908, -1.157436],
        [1.421858, -2.233010, -1.185001, 2.153283, 1.191517],
        [-1.483627, 2.439605, 0.935202],
    ]
    for memory, sums in zip(memories, rows, strict=True):
        assert memory.rows.sum(1).tolist() == pytest.approx(sums, abs=5e-6)
    if form == "released":
        assert float(encoder.weight.detach().sum()) == pytest.approx(-9.359751, abs=1e-5)


# ---- values of the released code: one iteration of the third stage --------------------------------------------------


def triplet(features: Tensor, labels: Tensor, margin: float = 0.2) -> Tensor:
    """Hardest positive and negative; the suite has no such loss."""
    distance = (features[:, None] - features).square().sum(2).clamp(min=1e-12).sqrt()
    same = labels[:, None] == labels
    positive, negative = distance.where(same, -torch.inf).amax(1), distance.where(~same, torch.inf).amin(1)
    return (positive - negative + margin).clamp(min=0).mean()


THIRD = {
    5: (0.160437, 0.185271, 31.3925, [0.156227, 0.264140, 0.327178], 2.600531, -14.852856),
    6: (0.190447, 0.221738, 31.4590, [0.156242, 0.264129, 0.327227], 2.599656, -14.844103),
}
NORMS = {
    5: [[9.545197, 9.415845, 7.045333], [7.778040, 12.617628, 8.505275], [8.793356, 16.553818, 11.529892]],
    6: [[9.544789, 9.414970, 7.044739]],
}


@pytest.mark.parametrize("epoch", THIRD)
def test_intra_inter_and_prototypes_of_an_iteration_are_the_released_codes(epoch: int) -> None:
    """Classifier, triplet loss and SGD are the test's own, because the suite leaves them out."""
    g = np.random.default_rng(61)
    weight, classifier = (tensor(s * g.standard_normal((n, 2048))).requires_grad_() for s, n in ((0.2, 16), (0.01, 5)))
    plain = g.standard_normal((12, 16))
    inputs = [tensor(x) for x in (plain, plain + 0.3 * g.standard_normal((12, 16)), g.standard_normal((12, 16)))]
    trust = [tensor(g.uniform(0.2, 1, 12)) for _ in range(3)]
    prototypes = [tensor(0.5 * g.standard_normal((5, 2048))) if epoch == 6 else torch.zeros(5, 2048) for _ in range(3)]
    labels = torch.tensor([0, 2, 3]).repeat_interleave(4)
    a, b, r = (x @ weight for x in inputs)
    costs = [
        w * cross_entropy(f @ classifier.t(), labels, reduction="none") for f, w in zip((a, b, r), trust, strict=True)
    ]
    identity, hard = torch.cat(costs).mean(), triplet(torch.cat([a, b, r]), labels.repeat(3))
    rows = [c[labels] for c in prototypes]
    visible = 0.5 * intra_costs(torch.cat([a, b]), torch.cat(rows[:2]), torch.cat(trust[:2]), "l1").mean()
    infrared = 0.5 * intra_costs(r, rows[2], trust[2], "l1").mean()
    inter = 0.05 * (inter_loss(a, r, (labels, labels)) + inter_loss(b, r, (labels, labels)))
    of_visible, of_infrared, total, norms, step, sum_after = THIRD[epoch]
    assert [float(x.detach()) for x in (identity, hard)] == pytest.approx([0.906958, 29.805437], rel=2e-6)
    found = [float(x.detach()) for x in (visible, infrared, inter)]
    assert found == pytest.approx([of_visible, of_infrared, 2 * 0.167185], rel=4e-6)
    loss = identity + hard + visible + infrared + inter
    assert float(loss.detach()) == pytest.approx(total, rel=2e-6)
    gradients = torch.autograd.grad(loss, [a, b, r, weight, classifier])
    assert [float(x.norm()) for x in gradients[:3]] == pytest.approx(norms, rel=1e-5)
    assert float(gradients[3].norm()) == pytest.approx(step, rel=1e-5)
    rate = {5: 0.06, 6: 0.07}[epoch]
    options = {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    sgd = torch.optim.SGD([{"params": [weight], "lr": rate / 10}, {"params": [classifier], "lr": rate}], **options)
    weight.grad, classifier.grad = gradients[3:]
    sgd.step()
    assert float(weight.detach().sum()) == pytest.approx(sum_after, abs=2e-5)
    for x, w, expected in zip(inputs, trust, NORMS[epoch], strict=False):
        means = class_prototypes(x @ weight.detach(), labels, w, 5, by_count=True)
        assert means[[0, 2, 3]].norm(dim=1).tolist() == pytest.approx(expected, rel=2e-6)
        assert not means[[1, 4]].any()


# ---- the method -----------------------------------------------------------------------------------------------------


def paired_batch(method: MMM, labels: PseudoLabels) -> Batch:
    """Three classes of both modalities, two images of each."""
    batch = world.batch(labels, method, name="matched", count=6)
    parts = []
    for own, part in zip((batch.visible, batch.infrared), labels["matched"], strict=True):
        rows = torch.cat([(part == p).nonzero().squeeze(1)[:2] for p in (0, 2, 3)])
        parts.append(Samples(own.views, part[rows], rows))
    return Batch(*parts)


@pytest.mark.parametrize("inter_form", ["half", "released"])
def test_the_loss_is_that_of_naive_loops(inter_form: Any) -> None:
    method, labels = started(inter_form=inter_form, inter_start=0.0, intra_weight=0.7, shared_weight=0.3)
    batch = paired_batch(method, labels)
    generator, pairs = torch.Generator().manual_seed(2), clustered(seen_by(method), PseudoLabels(*labels["matched"]))
    for m, (images, z) in pairs.items():
        method.confidence[m] = torch.rand(len(z), generator=generator) * (z >= 0)
        method.prototypes[m] = method.prototypes_of(images, z, method.confidence[m], world.progress(1))
    found = method.matched_loss(batch, world.progress(1))
    with torch.no_grad():
        features = [normalize(part) for part in method.embed_batch(batch)]
    seen, classes = seen_by(method), labels["matched"]
    shared = joint_centroids(seen.visible, seen.infrared, classes)
    costs, intra = [], torch.zeros(())
    parts = (batch.visible, batch.infrared), (seen.visible, seen.infrared)
    for m, f, part, images, z in zip(MODALITIES, features, *parts, classes, strict=True):
        terms = []
        for i, row in enumerate(f):
            image = int(part.index[i % 6])
            w, p = method.confidence[m][image], int(z[image])
            logits = torch.stack([row @ centre / 0.05 for centre in shared])
            costs.append(w * (logits.logsumexp(0) - logits[p]))
            trust = [method.confidence[m][j] for j in range(len(z)) if int(z[j]) == p]
            members = [images[j] for j in range(len(z)) if int(z[j]) == p]
            total = sum((v * member for v, member in zip(trust, members, strict=True)), torch.zeros(len(row)))
            terms.append(((row - total / sum(trust)) ** 2).sum())
        intra = intra + sum(terms) / len(terms)
    assert float(found["shared"].detach()) == pytest.approx(0.3 * float(sum(costs)) / 18, rel=1e-4)
    assert float(found["intra"].detach()) == pytest.approx(0.7 * float(intra), rel=1e-4)
    visible, infrared = features
    of = batch.visible.labels, batch.infrared.labels
    if inter_form == "half":
        expected = inter_loss(visible, infrared, (of[0].repeat(2), of[1])) / 2
    else:
        expected = inter_loss(visible[:6], infrared, of) + inter_loss(visible[6:], infrared, of)
    assert float(found["inter"].detach()) == pytest.approx(0.05 * float(expected), rel=1e-4)
    own = labels.visible[batch.visible.index].repeat(2), labels.infrared[batch.infrared.index]
    for name, f, rows, y in zip(
        ("visible", "infrared"), features, (method.visible_memory, method.infrared_memory), own, strict=True
    ):
        assert float(found[name].detach()) == pytest.approx(float(cross_entropy(f @ rows.rows.t() / 0.05, y)), rel=1e-4)


def test_without_doubt_the_shared_contrast_is_the_plain_one() -> None:
    method, labels = started(confidence="none")
    batch = paired_batch(method, labels)
    found = method.matched_loss(batch, world.progress(1))["shared"]
    features, z = (
        torch.cat(method.embed_batch(batch)),
        torch.cat([p.view_labels for p in (batch.visible, batch.infrared)]),
    )
    torch.testing.assert_close(found, method.shared_memory.loss(features, z))


def test_memories_are_updated_by_visible_and_then_infrared_samples() -> None:
    method, labels = started()
    batch = paired_batch(method, labels)
    method.matched_loss(batch, world.progress(1))
    expected = [
        method.visible_memory.rows.clone(),
        method.infrared_memory.rows.clone(),
        method.shared_memory.rows.clone(),
    ]
    parts = zip(method.pending_updates, method.class_samples, strict=True)
    for k, ((features, own), (_, classes)) in enumerate(parts):
        for f, y, z in zip(normalize(features), own.tolist(), classes.tolist(), strict=True):
            for rows, row in ((expected[k], y), (expected[2], z)):
                rows[row] = normalize(0.1 * rows[row] + 0.9 * f, dim=0)
    method.end_step(world.progress(1))
    for memory, rows in zip(
        (method.visible_memory, method.infrared_memory, method.shared_memory), expected, strict=True
    ):
        torch.testing.assert_close(memory.rows, rows, atol=1e-5, rtol=1e-5)


def test_an_iteration_is_a_paired_step_and_a_joint_step() -> None:
    method, labels = started(epoch=3)
    asked, taken = [], []

    def draw(name: str = "clusters", paired: bool = False) -> Batch:
        asked.append((name, paired))
        return world.batch(labels, method, name=name, paired=paired)

    method.step(draw, world.progress(3), lambda losses: taken.append(sorted(losses)))
    assert asked == [("matched", True), ("joint", False)]
    assert taken == [["infrared", "inter", "intra", "shared", "visible"], ["joint_infrared", "joint_visible"]]
    method.step(draw, world.progress(0), lambda losses: taken.append(sorted(losses)))
    assert "inter" not in taken[2], "it starts in epoch 15 of 80"


def test_too_few_classes_leave_the_contrasts_with_clusters() -> None:
    def draw(name: str = "clusters", paired: bool = False) -> Batch:
        if paired:
            raise TooFewClustersError("1 cluster")
        return world.batch(labels, method, name=name)

    method, labels = started()
    taken: list[list[str]] = []
    for _ in range(2):
        method.step(draw, world.progress(1), lambda losses: taken.append(sorted(losses)))
    assert taken == [["infrared", "visible"], ["joint_infrared", "joint_visible"]] * 2
    method, labels = started(cluster_weight=0.0)
    with pytest.raises(TooFewClustersError, match="1 cluster"):
        method.step(draw, world.progress(1), lambda losses: None)


@pytest.mark.parametrize("row", GRID)
def test_every_row_of_the_grid_trains(row: str) -> None:
    settings = GRID[row].get("method", {})
    method = build(**settings)
    names = {name for losses in world.train_steps(method) for name in losses}
    weights = {name: settings.get(f"{name}_weight", 1) for name in ("shared", "intra")}
    expected = {"visible", "infrared", "joint_visible", "joint_infrared"} | {name for name, w in weights.items() if w}
    assert names == expected | ({"inter"} if row == "released details" else set())


def test_renaming_infrared_clusters_leaves_the_losses() -> None:
    method, labels = started()
    names = torch.tensor([4, 2, 0, 5, 1, 3, -1])  # the last is the outliers'
    renamed = method.match(seen_by(method), replace(labels, infrared=names[labels.infrared]), world.progress(1))
    for part, other in zip(labels["matched"], renamed["matched"], strict=True):
        assert torch.equal(names[part], other)
    losses = []
    for some in (labels, renamed):
        method.begin_epoch(seen_by(method), some, world.progress(1))
        losses.append(method.matched_loss(world.batch(some, method, name="matched"), world.progress(3)))
    assert len(losses[0]) == 5
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, atol=1e-5, rtol=1e-5)


def test_labels_made_once_are_those_of_the_frozen_network_in_every_epoch() -> None:
    method = build(relabel="once")
    frozen = {name: value.clone() for name, value in method.labeller.state_dict().items()}
    world.train_steps(method)
    assert all(torch.equal(value, method.labeller.state_dict()[name]) for name, value in frozen.items())
    assert any(not torch.equal(value, method.encoder.state_dict()[name]) for name, value in frozen.items())
    assert not any(p.requires_grad for p in method.labeller.parameters())
    assert list(method.models()) == ["student", "labeller"]
    first = method.label(seen_by(method), world.progress(0))
    drifted = replace(world.features(seed=5, width=method.encoder.feature_dim), by_model=seen_by(method).by_model)
    again = method.label(drifted, world.progress(3))
    for a, b in zip(first["matched"] + first["joint"], again["matched"] + again["joint"], strict=True):
        assert torch.equal(a, b)
    assert list(build().models()) == list(build(phase="cmc", form="released").models()) == ["student"]


def test_the_released_form_has_its_settings_and_its_prototypes() -> None:
    method, labels = started(epoch=0, form="released")
    assert {name: getattr(method.config, name) for name in RELEASED} == RELEASED
    assert not any(rows.any() for rows in method.prototypes.values()), "zero in the first epoch"
    method.begin_epoch(seen_by(method), labels, world.progress(1))
    seen, z = seen_by(method).visible, labels["matched"][0]
    w = torch.rand(len(z), generator=torch.Generator().manual_seed(1))
    found = method.prototypes_of(seen, z, w, world.progress(1))
    for p in z[z >= 0].unique().tolist():
        members = z == p
        torch.testing.assert_close(found[p], (w[members, None] * seen[members]).sum(0) / members.sum())


def test_stages_follow_the_phase_and_share_what_is_equal() -> None:
    stages = {row: MMM.stages(MMMConfig(**GRID[row].get("method", {}))) for row in GRID}
    assert {stage[0] for stage in stages.values()} == {stages["MMM"][0]}
    assert isinstance(stages["MMM"][0].config, ClusterContrastConfig)
    joint = {row: stage[1] for row, stage in stages.items() if len(stage) == 3}
    assert set(GRID) - set(joint) == {"without the joint phase"}
    assert len(set(joint.values())) == 2, "one for the repaired and one for the released form"
    only = MMM.stages(MMMConfig(phase="cmc", memories=7))
    assert only[1] == stages["MMM"][1]
    assert [stage.method for stage in only] == ["cluster_contrast", "mmm"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "released", "matching": "assignment"}, "form=released has method.matching=nearest"),
        ({"form": "released", "inter_start": 0.5}, "form=released has method.inter_start=0.0"),
        ({"memories": 0}, "method.memories=0 must be from 1 to"),
        (dict.fromkeys(WEIGHTS, 0.0), "epochs before method.inter_start have no loss; raise one of the weights"),
        ({**dict.fromkeys(WEIGHTS, 0.0), "inter_weight": 0.0, "inter_start": 0.0}, "have no loss"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MMMConfig(**settings)


def test_inter_alone_is_a_loss_if_it_starts_at_once() -> None:
    history = world.train_steps(build(**dict.fromkeys(WEIGHTS, 0.0), inter_start=0.0))
    assert [sorted(losses) for losses in history] == [["inter"], ["inter"]]


def test_neighbours_follow_the_data() -> None:
    profiles = ("sysu", "regdb", "llcm", "synthetic_sysu", "synthetic_regdb", "synthetic_llcm")
    found = [load_config("mmm", "sysu_all", profile=profile).method_config for profile in profiles]
    expected = [(40, 32), (38, 18), (40, 32), (20, 16), (19, 9), (20, 16)]
    assert [(c.joint_k1, c.joint_k2) for c in found] == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize("relabel", ["once", "epoch"])
def test_a_run_resumed_inside_the_last_stage_ends_with_the_same_weights(
    relabel: str, tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        **{"train.epochs": 2, "train.iterations": 2, "train.visible_clusters": 2, "train.infrared_clusters": 2},
        **{"method.k1": 6, "method.k2": 4, "method.eps": 0.5, "method.joint_k1": 12, "method.joint_k2": 8},
        **{"method.cmc": False, "method.relabel": relabel, "encoder.width": 8, "engine.threads": 1},
    }

    def run(folder: str, **options: Any) -> dict[str, Tensor]:
        record = usvi_bench.run(
            "mmm",
            "sysu_all",
            tiny_people["sysu"],
            settings=settings,
            output=tmp_path / folder,
            verbose=False,
            report=False,
            **options,
        )
        assert record.complete
        (made_in,) = (tmp_path / folder / "sysu_all").iterdir()
        return checkpoint.load(max((made_in / "checkpoints").iterdir())).models["student"]

    expected = run("whole")
    keep = StageTraining._keep

    def stop(self: StageTraining, entry: dict[str, Any], epochs: int) -> None:
        keep(self, entry, epochs)
        if self.plan.position == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StageTraining, "_keep", stop)
        with pytest.raises(KeyboardInterrupt):
            run("stopped")
    found = run("stopped", resume=True)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
