from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tests.methods import world
from usvi_bench.components.clustering.labelling import cluster_jointly
from usvi_bench.components.joint_batches import JointBatches
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.components.memory.hybrid import joint_centroids
from usvi_bench.components.memory.split import Prototypes, SplitMemory
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Batch, Features, PseudoLabels, Samples
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.read_settings import CONFIGS, read_file
from usvi_bench.methods.base import Form
from usvi_bench.methods.bmil import BMIL, BMILConfig
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig
from usvi_bench.methods.pclhd import PCLHD, PCLHDConfig
from usvi_bench.methods.pgm import PGM, PGMConfig
from usvi_bench.methods.released.bmil import ReleasedBMIL

SMALL: dict[str, Any] = {"k1": 6, "k2": 2, "joint_k1": 16, "joint_k2": 4}
WHOLE: dict[str, Any] = {**SMALL, "subset": 1.0}
GRID = read_file(CONFIGS / "ablations" / "bmil.toml")["rows"]


def build(**settings: Any) -> BMIL:
    config = BMILConfig(**{**WHOLE, **settings})
    return cast(type[BMIL], BMIL.in_form(config))(config, world.encoder())


def seen_by(method: BMIL, images: int = 8) -> Features:
    return world.features(width=method.encoder.feature_dim, images=images)


def started(images: int = 8, **settings: Any) -> tuple[BMIL, PseudoLabels]:
    method = build(**settings)
    labels = method.label(seen_by(method, images), world.progress())
    method.begin_epoch(seen_by(method, images), labels, world.progress())
    method.train()
    return method, labels


# ---- an iteration of the released code (Terminator8758/BMIL @79cc647, ClusterContrastTrainer_Stage2) -----------------


class Linear(nn.Module):
    """A linear encoder."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return torch.cat([visible, infrared]) @ self.weight


def unit(rng: np.random.Generator, *shape: int) -> Tensor:
    rows = rng.normal(size=shape)
    return torch.from_numpy(np.float32(rows / np.linalg.norm(rows, axis=1, keepdims=True)))


def hybrid(rows: Tensor, kind: Any, *arguments: Any) -> Any:
    memory = kind(*arguments)
    memory.prototypes = rows.view(2, len(rows) // 2, -1).clone()
    return memory


def samples(labels: str, *views: Tensor) -> Samples:
    return Samples(views, torch.tensor([int(label) for label in labels.split()]), torch.arange(8))


@pytest.mark.parametrize(("form", "norm"), [("repaired", 2.706107), ("released", 2.454504)])
def test_an_iteration_of_the_released_code(form: Form, norm: float) -> None:
    rng = np.random.default_rng(7)
    start = torch.from_numpy(np.float32(0.3 * rng.normal(size=(10, 16))))
    images = [torch.from_numpy(np.float32(rng.normal(size=(8, 10)))) for _ in range(6)]
    rows = unit(rng, 10, 16), unit(rng, 12, 16)
    sums = [float(part.sum()) for part in (start, *rows)]
    assert sums == pytest.approx([-8.114074, -1.125313, 3.391483], abs=1e-5)
    encoder = Linear(start.clone())
    method = (ReleasedBMIL if form == "released" else BMIL)(BMILConfig(form=form), encoder)  # type: ignore[arg-type]
    method.infrared_memory, method.visible_memory = (hybrid(part, HardMemory, part[: len(part) // 2]) for part in rows)
    both, clusters = unit(np.random.default_rng(1), 120, 16), torch.arange(60) // 2
    prototypes = Prototypes(both[:60], clusters, torch.arange(60).view(30, 2).T)
    method.joint_memory = hybrid(both, SplitMemory, prototypes)
    labels = "0 0 1 1 2 2 3 3"
    batches = {
        "clusters": Batch(samples("0 0 2 2 4 4 5 5", *images[1:3]), samples(labels, images[0])),
        "joint": Batch(samples(labels, *images[4:6]), samples(labels, images[3])),
    }
    method.joint_batches = JointBatches((torch.arange(4),) * 2)
    adam = torch.optim.Adam(method.parameters(), lr=3.5e-4, weight_decay=5e-4)
    values, norms, totals = [], [], []

    def optimise(losses: dict[str, Tensor]) -> None:
        adam.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        norms.append(float(encoder.weight.grad.norm()))  # type: ignore[union-attr]
        values.extend(float(losses[name].detach()) for name in sorted(losses))
        adam.step()
        totals.append(float(encoder.weight.detach().sum()))

    method.step(lambda name="clusters": batches[name], world.progress(), optimise)
    assert values == pytest.approx([6.131655, 7.379323, 0.5 * 12.137211, 0.5 * 11.070808], abs=1e-5)
    assert norms == pytest.approx([8.222960, norm], rel=1e-4)
    assert totals[0] == pytest.approx(-8.115474, abs=1e-5)
    # with clean gradients, the value is ours: the second gradient is another one
    assert totals[1] == pytest.approx(-8.114397 if form == "released" else -8.115018, abs=1e-5)
    if form == "released":
        assert float((encoder.weight.detach() - start).norm()) == pytest.approx(0.00720654, rel=1e-4)
    memories = (method.infrared_memory, method.visible_memory, method.joint_memory)
    sums = [float(cast(HardMemory, memory).prototypes.sum()) for memory in memories]
    assert sums == pytest.approx([-2.609382, 0.444290, -1.639692], abs=1e-5)


# ---- what it reduces to ----------------------------------------------------------------------------------------------


def weights_after(method: Any, steps: int = 3) -> tuple[list[dict[str, float]], list[Tensor]]:
    return world.train_steps(method, steps), [p.detach().clone() for p in method.encoder.parameters()]


@pytest.mark.parametrize("parent", ["cluster_contrast", "pclhd"])
def test_without_the_joint_step_it_is_its_parent_bit_for_bit(parent: str) -> None:
    if parent == "pclhd":
        config = PCLHDConfig(k1=6, k2=2, dynamic=False, joint=False, cross_weight=0.0)
        own, other = build(joint=False), weights_after(PCLHD(config, world.encoder()))
    else:
        own = build(joint=False, hard=False)
        other = weights_after(ClusterContrast(ClusterContrastConfig(k1=6, k2=2), world.encoder()))
    found = weights_after(own)
    assert found[0] == other[0]
    assert all(torch.equal(a, b) for a, b in zip(found[1], other[1], strict=True))


def test_plain_joint_clusters_are_those_of_both_modalities_in_one_row() -> None:
    method = build(balanced=False, expansion="plain")
    labels = method.label(seen_by(method), world.progress())
    clustering = replace(method.config.clustering, k1=16, k2=4)
    expected = cluster_jointly(seen_by(method), clustering, None)
    assert all(torch.equal(a, b) for a, b in zip(labels["joint"], expected, strict=True))


# ---- the method ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", GRID)
def test_every_ablation_row_trains(row: str) -> None:
    settings = GRID[row].get("method", {})
    history = world.train_steps(build(**{"subset": 1.0, **settings, "min_samples": 2}))
    names = {name for losses in history for name in losses}
    joint = {"joint_visible", "joint_infrared"} if settings.get("joint", True) else set()
    assert names == {"visible", "infrared"} | joint


def test_half_of_the_visible_images_is_clustered_and_another_half_jointly() -> None:
    method, labels = started(images=18, subset=0.5)
    joint = labels["joint_clusters"]
    assert len(labels.visible) == len(joint[0]) == 108
    apart, together = labels.visible >= 0, joint[0] >= 0
    assert 40 < apart.sum() <= 54
    assert 40 < together.sum() <= 54
    assert not (apart & together).any()
    assert float(method.diagnostics()["visible_labelled"]) == pytest.approx(float(apart.float().mean()))
    parts = [build(subset=0.5).label(seen_by(method, 18), world.progress(epoch)).visible >= 0 for epoch in (0, 1)]
    assert torch.equal(parts[0], apart)
    assert not torch.equal(parts[1], apart), "drawn in every epoch"


def test_the_halves_may_be_the_same_or_constant() -> None:
    method = build(subset=0.5, halves="same")
    labels = method.label(seen_by(method, 18), world.progress())
    assert 40 < ((labels.visible >= 0) | (labels["joint_clusters"][0] >= 0)).sum() <= 54
    fixed = build(subset=0.5, halves="fixed")
    epochs = [fixed.label(seen_by(fixed, 18), world.progress(epoch)) for epoch in (0, 1)]
    assert torch.equal(epochs[0].visible, epochs[1].visible)
    assert not ((epochs[0].visible >= 0) & (epochs[0]["joint_clusters"][0] >= 0)).any()


def test_clusters_of_one_modality_are_drawn_unless_mixed_is_asked_for() -> None:
    pair = torch.tensor([0, 0, 1, -1]), torch.tensor([0, 2, 2, 0])
    for draw_from, expected in (("all", pair), ("mixed", (torch.tensor([0, 0, -1, -1]), torch.tensor([0, -1, -1, 0])))):
        method = build(draw_from=draw_from)
        part = Features(
            torch.eye(4), torch.eye(4), torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
        )
        with pytest.MonkeyPatch.context() as patch:
            module = sys.modules[BMIL.__module__]
            patch.setattr(module, "cluster_each_modality", lambda *_: PseudoLabels(pair[0], pair[1]))
            patch.setattr(module, "cluster_jointly", lambda *_: pair)
            labels = method.label(part, world.progress())
        assert all(torch.equal(a, b) for a, b in zip(labels["joint"], expected, strict=True))
        method.begin_epoch(part, labels, world.progress())
        assert method.joint_memory.clusters.tolist() == [0, 0, 1, 2], "memories hold all clusters"
        assert method.joint_memory.table.tolist() == [[0, 2, -1], [1, -1, 3]]
        assert {k: float(v) for k, v in method.diagnostics().items()} == pytest.approx(
            {"visible_labelled": 0.75, "joint_clusters": 3, "joint_mixed": 1 / 3}
        )


def test_an_iteration_is_two_steps_and_moves_the_joint_memory_after_the_second() -> None:
    method, labels = started()
    before, taken = method.joint_memory.prototypes.clone(), []

    def optimise(losses: dict[str, Tensor]) -> None:
        torch.stack(list(losses.values())).sum().backward()
        assert torch.equal(method.joint_memory.prototypes, before)
        taken.append(sorted(losses))

    method.step(lambda name="clusters": world.batch(labels, method, name=name), world.progress(), optimise)
    assert taken == [["infrared", "visible"], ["joint_infrared", "joint_visible"]]
    drawn = world.batch(labels, method, name="joint")
    rows = {*method.joint_memory.rows_of("visible", drawn.visible.labels).tolist()}
    rows |= {*method.joint_memory.rows_of("infrared", drawn.infrared.labels).tolist()}
    moved = (method.joint_memory.prototypes != before).any(dim=2)
    assert [part.nonzero().squeeze(1).tolist() for part in moved] == [sorted(rows)] * 2


def test_without_split_prototypes_a_cluster_has_the_mean_of_both_modalities() -> None:
    method, labels = started(split=False)
    features = seen_by(method)
    expected = joint_centroids(features.visible, features.infrared, labels["joint_clusters"])
    torch.testing.assert_close(method.joint_memory.rows, expected)
    assert torch.equal(method.joint_memory.table[0], method.joint_memory.table[1])


def test_memories_start_at_the_means_and_are_plain_without_hard_prototypes() -> None:
    method, labels = started()
    memory = method.visible_memory
    assert isinstance(memory, HardMemory)
    assert torch.equal(memory.rows, memory.hard)
    mean = seen_by(method).visible[labels.visible == 2].mean(0)
    torch.testing.assert_close(memory.rows[2], normalize(mean, dim=0))
    assert type(started(hard=False)[0].visible_memory) is ClusterMemory


def test_renaming_clusters_leaves_the_losses() -> None:
    method, labels = started()
    names = torch.tensor([4, 2, 0, 5, 1, 3, -1])  # the last is the outliers'
    extra = {key: (names[a], names[b]) for key, (a, b) in labels.extra.items()}
    renamed = PseudoLabels(names[labels.visible], names[labels.infrared], extra)
    losses = []
    for some in (labels, renamed):
        method.begin_epoch(seen_by(method), some, world.progress())
        batches = [world.batch(some, method, name=name) for name in ("clusters", "joint")]
        losses.append({**method.loss(batches[0], world.progress()), **method.joint_loss(batches[1])})
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("found", [0, 1])
def test_an_epoch_without_two_joint_clusters_trains_without_the_joint_step_or_with_one(
    found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One joint cluster holds everybody, or none anybody."""

    def few(features: Features, clustering: object, groups: object) -> tuple[Tensor, Tensor]:
        return torch.full((len(features.visible),), found - 1), torch.full((len(features.infrared),), found - 1)

    monkeypatch.setattr(sys.modules[BMIL.__module__], "cluster_jointly", few)
    for split in (True, False):
        history = world.train_steps(build(split=split))
        assert all(np.isfinite(value) for losses in history for value in losses.values())
        assert ("joint_visible" in {name for losses in history for name in losses}) == bool(found)


# ---- stages and settings ---------------------------------------------------------------------------------------------


def test_the_first_stage_is_shared_unless_the_released_one_is_asked_for() -> None:
    later: list[dict[str, Any]] = [{}, {"split": False}, {"form": "released"}, {"joint_k1": 20}, {"subset": 0.3}]
    assert {BMIL.stages(BMILConfig(**more))[0] for more in later} == {PGM.stages(PGMConfig())[0]}
    released = [BMIL.stages(BMILConfig(stage1_memory="hybrid", stage1_subset=True, **more))[0] for more in later[:4]]
    (stage,) = set(released)
    assert isinstance(stage.config, BMILConfig)
    assert (stage.config.hard, stage.config.subset, stage.config.joint) == (True, 0.5, False)
    method = BMIL(replace(stage.config, k1=6, k2=2, min_samples=2), world.encoder())
    assert sorted(world.train_steps(method)[0]) == ["infrared", "visible"]
    (centroids, _) = BMIL.stages(BMILConfig(stage1_subset=True, halves="fixed"))
    assert isinstance(centroids.config, BMILConfig)
    assert (centroids.config.hard, centroids.config.halves) == (False, "fixed")
    assert BMIL.stages(BMILConfig(stage1_subset=True, subset=1.0))[0].method == "cluster_contrast"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subset": 0.6}, r"method.subset=0.6 must be at most 0.5, or 1 for all"),
        ({"subset": 0.0}, r"method.subset=0.0 must be from"),
        ({"joint_k1": 15}, "method.joint_k1=15 must be even"),
        ({"joint_k1": 10}, "method.joint_k2=6 exceeds the 5 neighbours of each modality"),
        ({"expansion": "plain"}, "method.expansion=plain needs method.balanced=false"),
        ({"negatives": 2}, "method.negatives=2 leaves no negative"),
        ({"form": "released", "joint": False}, "method.form=released needs method.joint=true"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BMILConfig(**settings)


def test_a_modality_with_too_few_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    method = build(joint_k1=20)
    features = seen_by(method)
    few = replace(features, infrared=features.infrared[:9], infrared_cameras=features.infrared_cameras[:9])
    clusters = PseudoLabels(torch.zeros(48, dtype=torch.int64), torch.zeros(9, dtype=torch.int64))
    monkeypatch.setattr(sys.modules[BMIL.__module__], "cluster_each_modality", lambda *_: clusters)
    with pytest.raises(
        UsageError, match="visible and infrared: k1=20 needs 10 images of each group, but one group has 9"
    ):
        method.label(few, world.progress())


def test_settings_follow_the_data() -> None:
    shared = {
        profile: load_config("bmil", "sysu_all", profile=profile).method_config
        for profile in ("sysu", "regdb", "llcm", "synthetic_sysu", "synthetic_regdb", "synthetic_llcm")
    }
    found = [(c.eps, c.joint_k1, c.joint_k2, c.subset) for c in shared.values()]  # type: ignore[attr-defined]
    assert found[:3] == [(0.6, 30, 6, 0.5), (0.3, 30, 6, 1.0), (0.6, 30, 6, 1.0)]
    assert found[3:] == [(0.6, 16, 4, 1.0)] * 3
    paper = load_config("bmil", "sysu_all", profile="sysu", setting="paper")
    assert paper.encoder.bn_groups == 2
    assert paper.augment.jitter == 0.5
    assert BMIL.stages(paper.method_config)[0].method == "bmil"
