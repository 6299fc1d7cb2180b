from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tests.methods import world
from usvi_bench.components.clustering.dbscan import cluster_means
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Batch, Features, PseudoLabels, Samples
from usvi_bench.engine.check_labels import check_labels
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.read_settings import CONFIGS, read_file
from usvi_bench.methods.base import Form
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig
from usvi_bench.methods.pclhd import PCLHD, PCLHDConfig
from usvi_bench.methods.pgm import PGM, PGMConfig
from usvi_bench.methods.released.rpnr import ReleasedRPNR
from usvi_bench.methods.rpnr import RPNR, RPNRConfig

SMALL: dict[str, Any] = {"k1": 6, "k2": 2}
OFF: dict[str, Any] = {"calibrate": False, "cross_weight": 0.0, "hybrid_weight": 0.0, "neighbour_weight": 0.0}
GRID = read_file(CONFIGS / "ablations" / "rpnr.toml")["rows"]


def build(**settings: Any) -> RPNR:
    config = RPNRConfig(**{**SMALL, **settings})
    return cast(type[RPNR], RPNR.in_form(config))(config, world.encoder())


def seen_by(method: RPNR) -> Features:
    return world.features(width=method.encoder.feature_dim)


def started(epoch: int = 0, emptied: bool = False, **settings: Any) -> tuple[RPNR, PseudoLabels]:
    """A method at the start of an epoch; the calibration may have emptied visible cluster 5 and infrared cluster 2."""
    method = build(**settings)
    seen, progress = seen_by(method), world.progress(epoch)
    labels = method.label(seen, progress)
    if emptied:
        visible, infrared = labels["raw"]
        visible, infrared = torch.where(visible == 5, 0, visible), torch.where(infrared == 2, 1, infrared)
        labels = replace(labels, visible=visible, infrared=infrared)
    method.begin_epoch(seen, labels, progress)
    method.train()
    return method, labels


def memories_of(method: RPNR) -> list[HardMemory]:
    return [cast(HardMemory, each) for each in (method.visible_memory, method.infrared_memory, method.hybrid_memory)]


# ---- values of the released code (XiangboYin/RPNR @6647f21) ---------------------------------------------------------


class Linear(nn.Module):
    """An encoder of one matrix, whose images are vectors; it keeps its features."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        self.parts = [part @ self.weight for part in (visible, infrared)]
        for part in self.parts:
            part.retain_grad()
        return torch.cat(self.parts)


def released_step(form: Form) -> tuple[RPNR, Linear, Batch]:
    g = np.random.default_rng(32)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.from_numpy((g.standard_normal(shape) * scale).astype(np.float32))

    infrared, visible = draw(12, 8), g.standard_normal((10, 8))
    other = torch.from_numpy((visible + 0.3 * g.standard_normal((10, 8))).astype(np.float32))
    encoder = Linear(draw(8, 16, scale=0.5))
    config = RPNRConfig(form=form, neighbour_space="raw")
    method = (ReleasedRPNR if form == "released" else RPNR)(config, encoder)  # type: ignore[arg-type]
    r, v, h = draw(8, 16), draw(10, 16), draw(8, 16)
    method.infrared_memory, method.visible_memory = HardMemory(r[:4], r[4:]), HardMemory(v[:5], v[5:])
    method.hybrid_memory = HardMemory(h[:4], h[4:])
    method.memories = {"visible": method.visible_memory, "infrared": method.infrared_memory}
    method.partners = {"visible": torch.tensor([1, 2, 3, 0, 1]), "infrared": torch.tensor([3, 4, 1, 2])}
    method.unmatched = False
    index = torch.arange(12)
    views = torch.from_numpy(visible.astype(np.float32)), other
    batch = Batch(Samples(views, index[:10] % 5, index[:10]), Samples((infrared,), index % 4, index))
    return method, encoder, batch


MOVED = {
    0: {
        "visible": "-1.930932 1.571371 .236448 2.259499 .916597 -1.851499 .154128 -1.224962 1.936291 2.100606",
        "infrared": "-.462596 -.455452 -1.555051 -1.700245 -2.321115 2.565417 -.953423 -.459997",
        "hybrid": "2.430916 -.460208 1.296326 .314767 1.764954 -1.282189 .544160 -1.211137",
    },
    1: {
        "visible": "-1.930932 1.427897 -.122826 2.198602 .916057 -1.851499 1.836829 1.051542 2.193401 2.234864",
        "infrared": "-.813128 -.401864 -1.204202 -1.607785 -2.249824 -.882277 -.952823 -.730593",
        "hybrid": "-.749081 .031529 -1.886975 -1.358457 1.168595 -.615717 -.649913 -.158983",
    },
}
"""Sums of the rows of the memories after a step of an even and of an odd epoch, centroids first."""


@pytest.mark.parametrize(
    ("form", "epoch", "cross", "hybrid", "total", "norms"),
    [
        ("released", 0, 5.074419, 6.497998, 15.070562, (0.659508, 0.922867, 3.859133)),
        ("released", 1, 5.786738, 4.365928, 14.182610, (0.564321, 1.082053, 3.682204)),
        ("repaired", 0, 5.074419, 6.497998, 15.070562, (0.659508, 1.031023, 4.143898)),
        ("repaired", 1, 5.786738, 4.365928, 14.182610, (0.602432, 1.082053, 3.937032)),
    ],
)
def test_losses_gradients_weights_and_memories_of_a_released_step(
    form: Form, epoch: int, cross: float, hybrid: float, total: float, norms: tuple[float, float, float]
) -> None:
    method, encoder, batch = released_step(form)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=3.5e-4, weight_decay=5e-4)
    progress, source = world.progress(epoch=epoch), ("visible", "infrared")[epoch]
    losses = method.loss(batch, progress)
    found = {name: float(value.detach()) for name, value in losses.items()}
    assert found == pytest.approx(
        {
            "infrared": 5.233912,
            "visible": 4.708222,
            f"cross_{source}": 0.25 * cross,
            f"hybrid_{source}": 0.5 * hybrid,
            "neighbour_visible": 0.46496,
            "neighbour_infrared": 0.14586,
        },
        rel=2e-6,
        abs=6e-6,
    )
    loss = torch.stack(list(losses.values())).sum()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(total, rel=2e-6)
    gradients = [*(cast(Tensor, part.grad) for part in encoder.parts), cast(Tensor, encoder.weight.grad)]
    assert [float(each.norm()) for each in gradients] == pytest.approx(norms, rel=1e-5)
    optimiser.step()
    if form == "released":
        expected = (2.689858, 2.686358)[epoch]
        assert float(encoder.weight.detach().sum()) == pytest.approx(expected, rel=2e-6)
    method.end_step(progress)
    for name, memory in zip(("visible", "infrared", "hybrid"), memories_of(method), strict=True):
        sums = torch.cat([memory.rows, memory.hard]).sum(1).tolist()
        assert sums == pytest.approx([float(text) for text in MOVED[epoch][name].split()], rel=2e-6, abs=2e-6)


# ---- what it reduces to ---------------------------------------------------------------------------------------------


def weights_after(method: Any, steps: int = 3) -> tuple[list[dict[str, float]], list[Tensor]]:
    history = world.train_steps(method, steps)
    return history, [p.detach().clone() for p in method.encoder.parameters()]


def is_bit_for_bit(own: Any, parent: Any) -> bool:
    (losses, weights), (other_losses, other_weights) = weights_after(own), weights_after(parent)
    return losses == other_losses and all(torch.equal(a, b) for a, b in zip(weights, other_weights, strict=True))


def test_without_its_parts_it_is_its_parents_bit_for_bit() -> None:
    plain = ClusterContrast(ClusterContrastConfig(**SMALL), world.encoder())
    assert is_bit_for_bit(build(**OFF, hard=False, update="sequential"), plain)
    crossed = {**OFF, "cross_weight": 0.25, "association": "hungarian"}
    pclhd = PCLHD(PCLHDConfig(**SMALL, dynamic=False, joint=False), world.encoder())
    assert is_bit_for_bit(build(**crossed), pclhd)
    assert is_bit_for_bit(build(**crossed, hard=False), PGM(PGMConfig(**SMALL), world.encoder()))


@pytest.mark.parametrize(
    "settings",
    [
        {"hybrid_dir": "both"},
        {"hybrid_updates": False},
        {"cross_updates": False},
        {"neighbour_space": "raw"},
        {"neighbour_sigma": 0.5},
        {"neighbour_delta": 0.8},
        {"hinge": 0.0},
        {"hard": False},
        {"form": "released"},
    ],
    ids=str,
)
def test_every_switch_of_a_step_changes_the_training(settings: dict[str, Any]) -> None:
    scattered = {"hinge": 5.0} if "hinge" in settings else {}  # the default hinge would change nothing here
    assert weights_after(build(**settings))[0] != weights_after(build(**scattered))[0]


# ---- labels and memories --------------------------------------------------------------------------------------------


def noisy(method: RPNR) -> tuple[Features, PseudoLabels]:
    """Features, and clusters of which some images belong to others."""
    seen, people = seen_by(method), world.true_labels().visible
    wrong = torch.where(torch.arange(len(people)) % world.IMAGES == 3, (people + 1) % world.PEOPLE, people)
    return seen, PseudoLabels(wrong, torch.where(torch.arange(len(people)) == 4, -1, wrong))


def test_labels_are_calibrated_within_each_modality() -> None:
    method = build(calibrate_members=4)
    seen, raw = noisy(method)
    found, people = method.calibrated(seen, raw), world.true_labels()
    assert torch.equal(found.visible, people.visible)
    assert int(found.infrared[4]) == -1, "an outlier stays one"
    kept = raw.infrared >= 0
    assert torch.equal(found.infrared[kept], people.infrared[kept])


@pytest.mark.parametrize("calibrate", [True, False])
def test_batches_have_calibrated_labels_and_memories_raw_ones(calibrate: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    method = build(calibrate=calibrate, calibrate_members=4)
    seen, raw = noisy(method)
    monkeypatch.setattr("usvi_bench.methods.rpnr.cluster_each_modality", lambda *_: raw)
    labels = method.label(seen, world.progress())
    check_labels(labels, seen, "rpnr")
    assert torch.equal(labels.visible, raw.visible) != calibrate
    method.begin_epoch(seen, labels, world.progress())
    expected = cluster_means(seen.visible, raw.visible)
    for rows in (memories_of(method)[0].rows, memories_of(method)[0].hard):
        torch.testing.assert_close(rows, normalize(expected))
    means = cluster_means(seen.infrared, raw.infrared) + expected[labels["partners"][1]]
    torch.testing.assert_close(memories_of(method)[2].rows, normalize(means))
    figures = {name: float(value) for name, value in method.diagnostics().items()}
    assert figures["relabelled"] == pytest.approx(12 / 95 if calibrate else 0)
    assert figures["matched"] == 1
    assert figures["hybrid_to_infrared"] == pytest.approx(
        float((memories_of(method)[2].rows * memories_of(method)[1].rows).sum(1).mean())
    )


def test_memories_of_calibrated_labels_keep_the_raw_centroids_of_emptied_clusters() -> None:
    method, labels = started(emptied=True, centroids_from="calibrated")
    seen, raw = seen_by(method), labels["raw"]
    visible, infrared = memories_of(method)[:2]
    for memory, images, own, before, lost in (
        (visible, seen.visible, labels.visible, raw[0], 5),
        (infrared, seen.infrared, labels.infrared, raw[1], 2),
    ):
        for k, row in enumerate(memory.rows):
            members = images[(before if k == lost else own) == k]
            torch.testing.assert_close(row, normalize(members.mean(0), dim=0))


@pytest.mark.parametrize("form", ["repaired", "released"])
def test_an_emptied_cluster_keeps_its_rows_and_is_never_drawn(form: Form) -> None:
    method, labels = started(emptied=True, form=form)
    figures = {name: float(value) for name, value in method.diagnostics().items()}
    assert (figures["emptied_visible"], figures["emptied_infrared"]) == (1, 1)
    assert [len(memory.rows) for memory in memories_of(method)] == [6, 6, 6]
    lengths = memories_of(method)[2].prototypes.norm(dim=2)
    expected = torch.ones(2, 6)
    expected[:, 2] = 1 if form == "repaired" else 0
    torch.testing.assert_close(lengths, expected)
    batch = world.batch(labels, method)
    losses = method.loss(batch, world.progress())
    assert all(bool(value.isfinite()) for value in losses.values())
    method.end_step(world.progress())
    reached = method.partners["visible"][batch.visible.labels]
    expected[:, 2] = 1 if form == "repaired" or 2 in reached else 0
    for memory in memories_of(method):
        torch.testing.assert_close(
            memory.prototypes.norm(dim=2), expected if memory is method.hybrid_memory else torch.ones(2, 6)
        )


@pytest.mark.parametrize("way", ["sinkhorn", "hungarian", "nn", "mutual"])
def test_every_association_trains_also_with_clusters_without_partner(way: str) -> None:
    method, labels = started(association=way, progressive=False)
    seen = seen_by(method)
    raw = labels.visible, torch.where(labels.infrared < 0, -1, labels.infrared % 2)
    method.calibrated = lambda features, _: PseudoLabels(*raw)  # type: ignore[method-assign]
    own = replace(labels, infrared=raw[1], extra={"raw": raw})
    partners = method.associate(
        *(normalize(cluster_means(*pair)) for pair in zip((seen.visible, seen.infrared), raw, strict=True))
    )
    alone = int((torch.cat(partners) < 0).sum())
    assert (alone > 0) == (way in ("hungarian", "mutual"))
    for epoch in range(2):
        method.begin_epoch(seen, replace(own, extra={"raw": raw, "partners": partners}), world.progress(epoch))
        losses = method.loss(world.batch(own, method), world.progress(epoch))
        assert all(bool(value.isfinite()) for value in losses.values())
        method.end_step(world.progress(epoch))
        torch.testing.assert_close(method.hybrid_memory.rows.norm(dim=1), torch.ones(2))


# ---- a step ---------------------------------------------------------------------------------------------------------


def test_the_hybrid_memory_serves_one_modality_in_turn_or_both_with_half_the_weight() -> None:
    def hybrid(epoch: int, **settings: Any) -> dict[str, float]:
        method, labels = started(epoch, **settings)
        losses = method.loss(world.batch(labels, method), world.progress(epoch))
        return {name: float(value.detach()) for name, value in losses.items() if name.startswith("hybrid")}

    even, odd, both = hybrid(0), hybrid(1), hybrid(0, hybrid_dir="both")
    assert (set(even), set(odd)) == ({"hybrid_visible"}, {"hybrid_infrared"})
    assert both == pytest.approx({name: value / 2 for name, value in {**even, **odd}.items()})
    assert not hybrid(0, hybrid_weight=0.0)


@pytest.mark.parametrize("epoch", [0, 1])
def test_without_updates_the_hybrid_memory_stays(epoch: int) -> None:
    for updates in (True, False):
        method, labels = started(epoch, hybrid_updates=updates)
        before = memories_of(method)[2].prototypes.clone()
        method.loss(world.batch(labels, method), world.progress(epoch))
        method.end_step(world.progress(epoch))
        assert torch.equal(before, memories_of(method)[2].prototypes) != updates


def test_no_gradient_reaches_memories_and_rows_stay_unit() -> None:
    for epoch in range(2):
        method, labels = started(epoch)
        sum(method.loss(world.batch(labels, method), world.progress(epoch)).values()).backward()  # type: ignore[union-attr]
        method.end_step(world.progress(epoch))
        assert any(p.grad is not None for p in method.encoder.parameters())
        for memory in memories_of(method):
            assert not memory.prototypes.requires_grad
            torch.testing.assert_close(memory.prototypes.norm(dim=2), torch.ones(2, 6))


def test_renaming_clusters_permutes_rows_and_leaves_the_losses() -> None:
    method, labels = started()
    seen, names = seen_by(method), torch.tensor([4, 2, 0, 5, 1, 3, -1])  # the last is the outliers'
    pairs = [tuple(names[part] for part in labels[key]) for key in ("clusters", "raw")]
    rows = memories_of(method)[2].rows
    losses = method.loss(world.batch(labels, method), world.progress())
    basis = method.basis(seen, PseudoLabels(*pairs[0], {"raw": pairs[1]}))  # type: ignore[arg-type]
    partners = method.associate(
        *(normalize(cluster_means(*p)) for p in ((seen.visible, basis[1].visible), (seen.infrared, basis[1].infrared)))
    )
    renamed = PseudoLabels(*pairs[0], {"raw": pairs[1], "partners": partners})  # type: ignore[arg-type]
    method.begin_epoch(seen, renamed, world.progress())
    torch.testing.assert_close(memories_of(method)[2].rows[names[:-1]], rows)
    method.encoder.load_state_dict(world.encoder().state_dict())
    for name, value in method.loss(world.batch(renamed, method), world.progress()).items():
        torch.testing.assert_close(value, losses[name], atol=1e-5, rtol=1e-5)


# ---- the method -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", GRID)
def test_every_ablation_row_trains(row: str) -> None:
    settings = GRID[row].get("method", {})
    names = {name for losses in world.train_steps(build(**settings)) for name in losses}
    expected = {"visible", "infrared"}
    for part in ("cross", "hybrid"):
        used = settings.get(f"{part}_weight") != 0
        both = part == "hybrid" and settings.get("hybrid_dir") == "both"
        expected |= {f"{part}_{m}" for m in (("visible", "infrared") if both else ("visible",)) if used}
    if settings.get("neighbour_weight") != 0:
        expected |= {"neighbour_visible", "neighbour_infrared"}
    assert names == expected


def test_the_first_stage_is_shared_with_the_other_methods_or_has_hard_prototypes() -> None:
    some: list[dict[str, Any]] = [{}, OFF, {"form": "released"}, {"calibrate_members": 5}]
    assert {RPNR.stages(RPNRConfig(**more))[0] for more in some} == {PGM.stages(PGMConfig())[0]}
    (stage,) = {RPNR.stages(RPNRConfig(stage1_memory="hybrid", **more))[0] for more in some}
    assert stage.method == "rpnr"
    assert isinstance(stage.config, RPNRConfig)
    method = RPNR(replace(stage.config, **SMALL), world.encoder())
    assert sorted(world.train_steps(method)[0]) == ["infrared", "visible"]
    assert isinstance(method.visible_memory, HardMemory)
    assert type(started(hard=False)[0].hybrid_memory) is ClusterMemory


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "released", "hard": False}, "form=released needs method.hard=true"),
        ({"form": "released", "cross_updates": False}, "method.cross_updates=true"),
        ({"calibrate_members": 0}, "method.calibrate_members=0 must be from 1 to"),
        ({"calibrate_threshold": 1.5}, "method.calibrate_threshold=1.5 must be from -1 to 1"),
        ({"neighbour_sigma": 0.0}, "method.neighbour_sigma=0.0 must be from"),
        ({"neighbour_weight": -1.0}, "method.neighbour_weight=-1.0 must be from 0 to"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RPNRConfig(**settings)


def test_members_follow_the_data_and_the_published_batches_are_known() -> None:
    def members(profile: str, setting: str = "shared") -> int:
        protocol = {"sysu": "sysu_all", "regdb": "regdb_v2i", "llcm": "llcm_v2i"}[profile.rpartition("_")[2]]
        return load_config("rpnr", protocol, profile=profile, setting=setting).method_config.calibrate_members  # type: ignore[attr-defined,no-any-return]

    assert [members(profile) for profile in ("sysu", "regdb", "llcm")] == [20, 5, 20]
    assert {members(f"synthetic_{profile}") for profile in ("sysu", "regdb", "llcm")} == {4}
    assert [members(profile, "paper") for profile in ("sysu", "regdb", "synthetic_sysu", "synthetic_regdb")] == [
        20,
        5,
        4,
        4,
    ]
    for profile, protocol, visible in (("sysu", "sysu_all", 8), ("regdb", "regdb_v2i", 4)):
        c = load_config("rpnr", protocol, profile=profile, setting="paper")
        assert (c.train.visible_clusters, c.train.infrared_clusters, c.train.instances) == (visible, 8, 16)
        assert (c.encoder.non_local, c.encoder.bn_groups) == (True, 2)  # type: ignore[attr-defined]
        assert c.method_config.eps == (0.6 if profile == "sysu" else 0.3)  # type: ignore[attr-defined]
