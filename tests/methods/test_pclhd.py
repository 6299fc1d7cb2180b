from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Any, cast, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tests.methods import world
from usvi_bench.components.clustering import labelling
from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.clustering.labelling import in_both
from usvi_bench.components.crossing import matched
from usvi_bench.components.ema import alpha_for
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.components.memory.hybrid import joint_centroids
from usvi_bench.components.sampling import TooFewClustersError
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import Batch, Features, PseudoLabels, Samples
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.engine.read_settings import CONFIGS, read_file
from usvi_bench.methods.base import Form
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig
from usvi_bench.methods.pclhd import PCLHD, PCLHDConfig
from usvi_bench.methods.pgm import PGM, PGMConfig
from usvi_bench.methods.released.pclhd import ReleasedPCLHD
from usvi_bench.protocols.rules import rank_metrics

SMALL: dict[str, Any] = {"k1": 6, "k2": 2, "joint_k1": 20, "joint_k2": 16, "dynamic_slots": 4}
OFF: dict[str, Any] = {"hard": False, "dynamic": False, "joint": False}
GRID = read_file(CONFIGS / "ablations" / "pclhd.toml")["rows"]


def wave(rows: int, columns: int, a: float, b: float) -> Tensor:
    i, j = np.arange(1, rows + 1)[:, None], np.arange(1, columns + 1)[None]
    return torch.from_numpy((np.sin(a * i + b * j) + 0.25 * np.cos(0.9 * i * j)).astype(np.float32))


def build(**settings: Any) -> PCLHD:
    config = PCLHDConfig(**{**SMALL, **settings})
    return cast(type[PCLHD], PCLHD.in_form(config))(config, world.encoder())


def seen_by(method: PCLHD) -> Features:
    width = method.encoder.feature_dim
    return replace(world.features(width=width), by_model={"teacher": world.features(seed=9, width=width)})


def started(**settings: Any) -> tuple[PCLHD, PseudoLabels]:
    method = build(**settings)
    labels = method.label(seen_by(method), world.progress())
    method.begin_epoch(seen_by(method), labels, world.progress())
    method.train()
    return method, labels


# ---- values of the released code (shijiangming1/PCLHD @c1f7b24) ----------------------------------------------------


class Passing(nn.Module):
    """An encoder whose images are its features."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return torch.cat([visible, infrared])


def released_step(form: Form) -> tuple[PCLHD, Tensor, Tensor, Batch]:
    """Twelve samples of four clusters in each modality; two visible views."""
    config = PCLHDConfig(dynamic=False, joint=False, form=form)
    method = (ReleasedPCLHD if form == "released" else PCLHD)(config, Passing())  # type: ignore[arg-type]
    rows = normalize(wave(8, 16, 0.33, 0.9)), normalize(wave(8, 16, 0.5, 1.1))
    method.visible_memory, method.infrared_memory = (HardMemory(part[:4], part[4:]) for part in rows)
    method.memories = {"visible": method.visible_memory, "infrared": method.infrared_memory}
    method.partners = {"visible": torch.tensor([1, 2, 3, 0]), "infrared": torch.tensor([3, 0, 1, 2])}
    method.unmatched = False
    infrared, visible = wave(12, 16, 1.3, 0.7).requires_grad_(), wave(24, 16, 0.6, 1.7).requires_grad_()
    labels, index = torch.arange(12) % 4, torch.arange(12)
    samples = Samples((visible[:12], visible[12:]), labels, index)
    return method, visible, infrared, Batch(samples, Samples((infrared,), labels, index))


MOVED = {
    0: (
        "1.300245 1.171992 1.056213 -.110492 -.397731 .366227 .039154 -.002272",
        "-.076977 -.488788 .362020 .402923 -.046439 .091122 -.588729 .304088",
    ),
    1: (
        ".850073 1.045979 .948121 -.232525 -.412021 .014539 .329769 .430247",
        "-.045519 -.729722 .176698 .241967 -.057682 -.586811 1.090340 -.301169",
    ),
}
"""Sums of the rows of the visible and of the infrared memory after a step of an even and of an odd epoch."""


@pytest.mark.parametrize(
    ("form", "epoch", "cross", "total", "visible_norm", "infrared_norm"),
    [
        ("repaired", 0, 2.249918, 4.572103, 0.519206, 0.834195),
        ("repaired", 1, 2.532355, 4.642712, 0.494785, 0.880541),
        ("released", 0, 2.249918, 4.572103, 0.519206, 1.332179),
        ("released", 1, 2.532355, 4.642712, 1.311405, 0.880541),
    ],
)
def test_losses_gradients_and_memories_of_a_released_step(
    form: Form, epoch: int, cross: float, total: float, visible_norm: float, infrared_norm: float
) -> None:
    method, visible, infrared, batch = released_step(form)
    progress = world.progress(epoch=epoch)
    losses = method.loss(batch, progress)
    source = ("visible", "infrared")[epoch]
    found = [float(losses[name].detach()) for name in ("infrared", "visible", f"cross_{source}")]
    assert found == pytest.approx([1.873502, 2.136122, 0.25 * cross], abs=1e-5)
    loss = torch.stack(list(losses.values())).sum()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(total, abs=1e-5)
    assert float(visible.grad.norm()) == pytest.approx(visible_norm, rel=1e-4)  # type: ignore[union-attr]
    assert float(infrared.grad.norm()) == pytest.approx(infrared_norm, rel=1e-4)  # type: ignore[union-attr]
    method.end_step(progress)
    for memory, expected in zip(method.memories.values(), MOVED[epoch], strict=True):
        assert isinstance(memory, HardMemory)
        sums = torch.cat([memory.rows, memory.hard]).sum(1).tolist()
        assert sums == pytest.approx([float(value) for value in expected.split()], abs=2e-5)


def test_repaired_gradients_are_autograds_of_the_written_loss() -> None:
    method, visible, infrared, batch = released_step("repaired")
    torch.stack(list(method.loss(batch, world.progress()).values())).sum().backward()
    a, b = visible.detach().clone().requires_grad_(), infrared.detach().clone().requires_grad_()
    labels = torch.arange(12) % 4

    def naive(memory: Any, features: Tensor, rows: Tensor) -> Tensor:
        parts = []
        for own in (memory.rows, memory.hard):
            logits = [[f @ row / f.norm() / 0.05 for row in own] for f in features]
            terms = [torch.stack(line).logsumexp(0) - line[y] for line, y in zip(logits, rows, strict=True)]
            parts.append(torch.stack(terms).mean())
        return 0.5 * parts[1] + 0.5 * (parts[0] - 0.2).clamp(min=0)

    double, crossed = labels.repeat(2), torch.tensor([1, 2, 3, 0])[labels.repeat(2)]
    loss = naive(method.visible_memory, a, double) + naive(method.infrared_memory, b, labels)
    (loss + 0.25 * naive(method.infrared_memory, a, crossed)).backward()
    torch.testing.assert_close(visible.grad, a.grad, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(infrared.grad, b.grad, atol=1e-6, rtol=1e-4)


def test_the_joint_step_of_the_release_takes_infrared_gradients_by_moved_rows() -> None:
    gradients = {}
    for form in get_args(Form):
        method, visible, infrared, batch = released_step(form)
        method.joint_memory = HardMemory(method.infrared_memory.rows, normalize(wave(4, 16, 0.2, 0.4)))
        losses = method.joint_loss(batch)
        torch.stack(list(losses.values())).sum().backward()
        gradients[form] = losses["joint_infrared"].detach(), visible.grad, infrared.grad
    (a, visible_a, infrared_a), (b, visible_b, infrared_b) = gradients.values()
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(visible_a, visible_b)
    assert not torch.allclose(infrared_a, infrared_b, rtol=0.05)  # type: ignore[arg-type]


def test_centroids() -> None:
    features, labels = torch.arange(12.0).view(6, 2), torch.tensor([0, 1, 0, 1, -1, 1])
    torch.testing.assert_close(centroids(features, labels), normalize(torch.tensor([[2.0, 3.0], [6.0, 7.0]])))


def test_joint_centroids() -> None:
    features = wave(4, 16, 2.1, 0.8)[torch.arange(48) % 4] + 0.35 * wave(48, 16, 1.7, 2.3)
    features, labels = normalize(features), torch.tensor([0, 1, 2, 0] * 12)
    found = joint_centroids(features[:28], features[28:], (labels[:28], labels[28:]))
    assert (0.9428 * found[0, :3]).tolist() == pytest.approx([0.0629, -0.1547, -0.3341], abs=1e-4)
    for k, norm in enumerate((0.9428, 0.9491, 0.9429)):
        means = [part[y == k].mean(0) for part, y in zip(features.split(28), labels.split(28), strict=False)]
        assert float(torch.stack(means).mean(0).norm()) == pytest.approx(norm, abs=1e-4)
        torch.testing.assert_close(found[k], normalize(torch.stack(means).mean(0), dim=0))


def test_a_joint_cluster_of_one_modality_has_its_mean() -> None:
    visible, infrared = wave(5, 8, 0.3, 0.7), wave(4, 8, 1.1, 0.2)
    labels = torch.tensor([0, 0, 2, -1, 2]), torch.tensor([1, 2, 1, -1])
    found = joint_centroids(visible, infrared, labels)
    torch.testing.assert_close(found[0], normalize(visible[:2].mean(0), dim=0))
    torch.testing.assert_close(found[1], normalize(infrared[[0, 2]].mean(0), dim=0))
    torch.testing.assert_close(found[2], normalize((visible[[2, 4]].mean(0) + infrared[1]) / 2, dim=0))


def test_learning_rate() -> None:
    train = TrainConfig()
    optimiser = Optimiser(ClusterContrast(ClusterContrastConfig(), world.encoder()), train, 50, torch.device("cpu"))
    rates = []
    for _ in range(50):
        rates.append(optimiser.lr)
        optimiser({"one": next(p for g in optimiser._adam.param_groups for p in g["params"]).sum()})
        optimiser.end_epoch()
    expected = {0: 3.5e-4, 19: 3.5e-4, 20: 3.5e-5, 39: 3.5e-5, 40: 3.5e-6, 49: 3.5e-6}
    assert {epoch: rates[epoch] for epoch in expected} == pytest.approx(expected)


def test_scores() -> None:
    i, j = np.arange(1, 7)[:, None], np.arange(1, 15)[None]
    similarity = np.sin(1.7 * i * j) + 0.3 * np.cos(0.4 * i + 1.1 * j)
    queries, gallery = np.array([1, 1, 2, 2, 3, 4]), np.array([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 5])
    query_cams, gallery_cams = np.array([3, 6, 3, 6, 3, 6]), np.array([1, 2, 4, 5, 1, 2, 4, 5, 2, 4, 1, 2, 1, 2])
    sysu = rank_metrics(similarity, queries, gallery, query_cams, gallery_cams)
    assert [sysu.rank(k) for k in range(1, 6)] == pytest.approx([0, 0.666667, 0.833333, 0.833333, 1], abs=1e-6)
    assert (sysu.mAP, sysu.mINP) == pytest.approx((0.306438, 0.279457), abs=1e-6)
    regdb = rank_metrics(similarity, queries, gallery, rule="regdb")
    expected = [0.166667, 0.333333, 0.666667, 0.833333, 0.833333]
    assert [regdb.rank(k) for k in range(1, 6)] == pytest.approx(expected, abs=1e-6)
    assert (regdb.mAP, regdb.mINP) == pytest.approx((0.343399, 0.273199), abs=1e-6)


# ---- what it reduces to --------------------------------------------------------------------------------------------


def weights_after(method: Any, steps: int = 3) -> tuple[list[dict[str, float]], list[Tensor]]:
    history = world.train_steps(method, steps)
    return history, [p.detach().clone() for p in method.encoder.parameters()]


@pytest.mark.parametrize("update", ["hard", "sequential"])
def test_without_its_own_parts_it_is_pgm_bit_for_bit(update: Any) -> None:
    parent = PGM(PGMConfig(k1=6, k2=2, update=update), world.encoder())
    (losses, weights), (other_losses, other_weights) = weights_after(build(**OFF, update=update)), weights_after(parent)
    assert losses == other_losses
    assert all(torch.equal(a, b) for a, b in zip(weights, other_weights, strict=True))


def test_without_the_cross_term_either_it_is_the_first_stage_bit_for_bit() -> None:
    parent = ClusterContrast(ClusterContrastConfig(k1=6, k2=2, update="mean"), world.encoder())
    own = weights_after(build(**OFF, update="mean", cross_weight=0.0))
    other = weights_after(parent)
    assert own[0] == other[0]
    assert all(torch.equal(a, b) for a, b in zip(own[1], other[1], strict=True))


def test_hard_prototypes_of_no_weight_are_the_mean_rule() -> None:
    own = build(**{**OFF, "hard": True}, centre_weight=1.0, hard_weight=0.0, hinge=0.0)
    plain = build(**OFF, update="mean")
    for ours, expected in zip(weights_after(own)[0], weights_after(plain)[0], strict=True):
        assert ours == pytest.approx(expected, abs=1e-5)


def test_dynamic_prototypes_of_no_weight_change_nothing() -> None:
    with_them, without = build(joint=False, dynamic_weight=0.0), build(joint=False, dynamic=False)
    assert all(torch.equal(a, b) for a, b in zip(weights_after(with_them)[1], weights_after(without)[1], strict=True))


def test_the_inert_loss_of_the_release_trains_nothing() -> None:
    with_it, without = build(joint=False, form="released"), build(joint=False, form="released", dynamic=False)
    (history, weights), (_, others) = weights_after(with_it), weights_after(without)
    assert history[0]["dynamic_visible"] > 0
    assert all(torch.equal(a, b) for a, b in zip(weights, others, strict=True))


# ---- the method ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", GRID)
def test_every_ablation_row_trains(row: str) -> None:
    settings = GRID[row].get("method", {})
    history = world.train_steps(build(**settings))
    names = {name for losses in history for name in losses}
    expected = {"visible", "infrared"}
    expected |= {"cross_visible"} if settings.get("cross_weight") != 0 else set()
    for part in ("dynamic", "joint"):
        expected |= {f"{part}_visible", f"{part}_infrared"} if settings.get(part, True) else set()
    assert names == expected


def test_an_iteration_is_two_steps_then_the_teacher() -> None:
    method, labels = started()
    old = [p.clone() for p in method.teacher.parameters()]
    taken = []

    def optimise(losses: dict[str, Tensor]) -> None:
        torch.stack(list(losses.values())).sum().backward()
        assert all(torch.equal(a, b) for a, b in zip(old, method.teacher.parameters(), strict=True))
        with torch.no_grad():
            for parameter in method.encoder.parameters():
                parameter += 0.01
        taken.append(sorted(losses))

    method.step(lambda name="clusters": world.batch(labels, method, name=name), world.progress(), optimise)
    own = ["cross_visible", "dynamic_infrared", "dynamic_visible", "infrared", "visible"]
    assert taken == [own, ["joint_infrared", "joint_visible"]]
    for before, after, student in zip(old, method.teacher.parameters(), method.encoder.parameters(), strict=True):
        torch.testing.assert_close(after, method.alpha * before + (1 - method.alpha) * student)


def test_the_teacher_averages_parameters_only_and_keeps_statistics_of_its_own() -> None:
    assert alpha_for(PCLHDConfig().ema_window, 50 * 200) == pytest.approx(0.999)
    method, labels = started(joint=False)
    before = {name: buffer.clone() for name, buffer in method.teacher.named_buffers()}
    method.loss(world.batch(labels, method), world.progress())
    moved = {name: buffer.clone() for name, buffer in method.teacher.named_buffers()}
    assert all(not torch.equal(before[name], moved[name]) for name in before)
    own = dict(method.encoder.named_buffers())
    assert all(torch.allclose(moved[name], own[name], atol=1e-5) for name in moved)  # same weights, same images
    method.end_step(world.progress())
    assert all(torch.equal(buffer, moved[name]) for name, buffer in method.teacher.named_buffers())


def test_the_teacher_sees_every_batch_even_if_unused() -> None:
    method, labels = started(dynamic=False, joint=False)
    before = [buffer.clone() for buffer in method.teacher.buffers()]
    method.loss(world.batch(labels, method), world.progress())
    assert not any(torch.equal(a, b) for a, b in zip(before, method.teacher.buffers(), strict=True))


def test_no_gradient_reaches_teacher_or_memories() -> None:
    method, labels = started()
    sum(method.loss(world.batch(labels, method), world.progress()).values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None for p in method.teacher.parameters())
    assert any(p.grad is not None for p in method.encoder.parameters())
    assert not any(buffer.requires_grad for buffer in method.buffers())
    assert not any(memory.slots.requires_grad for memory in method.dynamic_memory.values())


def test_dynamic_prototypes_train_the_student_and_follow_the_teacher() -> None:
    method, labels = started(joint=False)
    batch = world.batch(labels, method)
    slots = {name: memory.slots.clone() for name, memory in method.dynamic_memory.items()}
    losses = method.loss(batch, world.progress())
    assert losses["dynamic_visible"].grad_fn is not None
    assert all(torch.equal(slots[name], memory.slots) for name, memory in method.dynamic_memory.items())
    method.end_step(world.progress())
    for name, part in (("visible", batch.visible), ("infrared", batch.infrared)):
        taught = normalize(method.teacher_features[name])  # type: ignore[index]
        for k in range(world.PEOPLE):
            own = taught[part.view_labels == k]
            for s in range(4):
                row = method.dynamic_memory[name].slots[s, k]  # type: ignore[index]
                assert any(torch.equal(row, f) for f in own) if len(own) else torch.equal(row, slots[name][s, k])


def test_the_release_neither_refreshes_nor_learns() -> None:
    method, labels = started(joint=False, form="released")
    slots = method.dynamic_memory["visible"].slots.clone()
    losses = method.loss(world.batch(labels, method), world.progress())
    method.end_step(world.progress())
    assert not losses["dynamic_visible"].requires_grad
    assert torch.equal(slots, method.dynamic_memory["visible"].slots)


def test_slots_start_as_members_seen_by_the_teacher() -> None:
    method, labels = started()
    taught = normalize(seen_by(method).by_model["teacher"].visible)
    for k in range(world.PEOPLE):
        members = taught[labels.visible == k]
        for row in method.dynamic_memory["visible"].slots[:, k]:
            assert any(torch.equal(row, member) for member in members)


def test_joint_clusters_of_one_modality_stay_in_the_memory_but_are_not_drawn() -> None:
    method, labels = started()
    visible, infrared = labels["joint_clusters"]
    infrared = torch.where(infrared == 2, 7, infrared)  # nobody infrared in 2, nobody visible in 7
    infrared = torch.where(infrared == 4, 6, infrared)
    pairs = {"joint": in_both(visible, infrared), "joint_clusters": (visible, infrared)}
    method.begin_epoch(seen_by(method), replace(labels, extra={**labels.extra, **pairs}), world.progress())
    assert len(method.joint_memory.rows) == 8
    assert set(pairs["joint"][0].tolist()) == {0, 1, 3, 5, -1}
    assert method.joint_batches.drawable


@pytest.mark.parametrize("mixed", [False, True])
def test_without_enough_mixed_clusters_the_joint_step_rests(mixed: bool) -> None:
    """None at all, or fewer than a batch draws, which the sampler refuses."""
    method, labels = started(**({} if mixed else {"joint_k1": 12, "joint_k2": 8}))
    taken = []

    def draw(name: str = "clusters") -> Batch:
        if name == "joint":
            assert mixed
            raise TooFewClustersError("6 clusters in 96 images, but a batch draws 8")
        return world.batch(labels, method)

    for step in range(2):
        method.step(draw, world.progress(step=step), lambda losses: taken.append(sorted(losses)))
    assert len(taken) == 2
    assert "joint_visible" not in taken[0]


def test_renaming_clusters_leaves_the_losses() -> None:
    method, labels = started(dynamic=False, hard_init="farthest_k")
    names = torch.tensor([4, 2, 0, 5, 1, 3, -1])  # the last is the outliers'
    renamed = PseudoLabels(
        visible=names[labels.visible],
        infrared=names[labels.infrared],
        extra={key: (names[a], names[b]) for key, (a, b) in labels.extra.items() if key != "partners"},
    )
    renamed = matched(seen_by(method), renamed)
    losses = []
    for some in (labels, renamed):
        method.begin_epoch(seen_by(method), some, world.progress())
        batches = [world.batch(some, method, name=name) for name in ("clusters", "joint")]
        losses.append({**method.loss(batches[0], world.progress()), **method.joint_loss(batches[1])})
    assert len(losses[0]) == 5
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, atol=1e-5, rtol=1e-5)


def test_hard_prototypes_start_at_the_farthest_members() -> None:
    method, labels = started(hard_init="farthest_k", hard_k=1)
    features = seen_by(method).visible
    memory = method.visible_memory
    assert isinstance(memory, HardMemory)
    for k in range(world.PEOPLE):
        members = normalize(features[labels.visible == k])
        torch.testing.assert_close(memory.hard[k], members[(members @ memory.rows[k]).argmin()])


def test_the_release_leaves_the_cross_term_out_where_visible_clusters_are_fewer() -> None:
    for form, crossings in (("repaired", 1), ("released", 0)):
        method, labels = started(form=form)
        fewer = torch.where(labels.visible == 5, -1, labels.visible)
        method.begin_epoch(seen_by(method), matched(seen_by(method), replace(labels, visible=fewer)), world.progress())
        assert len(method.crossings(0)) == crossings
        assert ("cross_skipped" in method.diagnostics()) == (not crossings), "and the journal says so"


def test_the_first_stage_is_shared_with_the_other_methods_or_has_hard_prototypes() -> None:
    settings = [{}, OFF, {"form": "released"}, {"dynamic_weight": 1.0}]
    first = {PCLHD.stages(PCLHDConfig(**more))[0] for more in settings}  # type: ignore[arg-type]
    assert first == {PGM.stages(PGMConfig())[0]}
    first = {PCLHD.stages(PCLHDConfig(stage1_memory="hybrid", **more))[0] for more in settings}  # type: ignore[arg-type]
    (stage,) = first
    assert stage.method == "pclhd"
    assert isinstance(stage.config, PCLHDConfig)
    method = PCLHD(replace(stage.config, k1=6, k2=2), world.encoder())
    assert sorted(world.train_steps(method)[0]) == ["infrared", "visible"]
    assert isinstance(method.visible_memory, HardMemory)
    assert type(started(**OFF)[0].visible_memory) is ClusterMemory


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "released", "hard": False}, "form=released needs method.hard=true"),
        ({"form": "released", "cross_updates": False}, "method.cross_updates=true"),
        ({"dynamic_slots": 0}, "method.dynamic_slots=0 must be from 1 to"),
        ({"hinge": -1.0}, "method.hinge=-1.0 must be from 0 to"),
        ({"ema_window": 0.0}, "method.ema_window=0.0 must be from"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PCLHDConfig(**settings)


def test_neighbours_follow_the_data() -> None:
    joint = {
        profile: load_config("pclhd", "sysu_all", profile=profile).method_config
        for profile in ("sysu", "regdb", "synthetic_sysu")
    }
    assert [(c.eps, c.joint_k1, c.joint_k2) for c in joint.values()] == [(0.6, 40, 32), (0.3, 40, 32), (0.6, 20, 16)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("found", [0, 1])
@pytest.mark.parametrize("name", ["pclhd", "mmm", "dmic"])
def test_an_epoch_without_two_joint_clusters_trains_without_the_joint_step(
    name: str, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One joint cluster holds everybody, or none anybody."""

    def few(features: Features, clustering: object, groups: object) -> tuple[Tensor, Tensor]:
        return torch.full((len(features.visible),), found - 1), torch.full((len(features.infrared),), found - 1)

    cls = METHODS.get(name)
    where = sys.modules[cls.__module__] if name == "dmic" else labelling
    monkeypatch.setattr(where, "cluster_jointly", few)
    method = cls(replace(cls.Config(), k1=6, k2=2), world.encoder())
    history = world.train_steps(method)
    assert all(math.isfinite(value) for losses in history for value in losses.values())
