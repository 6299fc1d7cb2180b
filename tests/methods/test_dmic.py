from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array
from torch import Tensor
from torch.nn.functional import normalize

from tests.methods import world
from usvi_bench.components.clustering.jaccard import _encode, _expand, jaccard_distance, nested_groups
from usvi_bench.components.clustering.labelling import cameras_of_each
from usvi_bench.components.clustering.neighbours import nearest
from usvi_bench.components.sampling import TooFewClustersError
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Batch, Features, PseudoLabels
from usvi_bench.engine.load_config import build, load_config
from usvi_bench.engine.read_settings import CONFIGS, read_file
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig
from usvi_bench.methods.dmic import DMIC, DMICConfig, neighbourhood

SMALL = {"k1": 6, "k2": 2, "joint_k2": 5}
OFF = {"phase": "intra", "mie": False, "dnc": False, "intra_instance": False, "real_time": False}
SYSU = {"eps": 0.6, "k1": 40, "k2": 6, "narrowing": 0.5, "widening": 3.0}
REGDB = {"eps": 0.3, "k1": 38, "k2": 6, "narrowing": 2 / 3, "widening": 2.0}


def wide(seed: int = 0) -> Features:
    return world.features(seed, width=world.encoder().feature_dim)


@pytest.fixture
def modalities_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Infrared features that resemble the visible ones of the same person, so that joint clusters hold both."""
    apart = world.features

    def alike(seed: int = 0, width: int = 64) -> Features:
        seen = apart(seed, width=width)
        noise = torch.randn(seen.visible.shape, generator=torch.Generator().manual_seed(seed + 1))
        return replace(seen, infrared=0.9 * normalize(seen.visible + 0.2 / width**0.5 * noise))

    monkeypatch.setattr(world, "features", alike)


def started(labels: PseudoLabels | None = None, **options: Any) -> tuple[DMIC, PseudoLabels]:
    method = DMIC(DMICConfig(**{**SMALL, **options}), world.encoder())
    labels = labels or method.label(wide(), world.progress())
    method.begin_epoch(wide(), labels, world.progress())
    method.train()
    return method, labels


def halves() -> PseudoLabels:
    """Six people a modality; jointly the first four are found in both modalities, the others in one, some nowhere."""
    people = torch.arange(world.PEOPLE).repeat_interleave(world.IMAGES)
    joint = torch.where(people >= 4, people, people), torch.where(people >= 4, people + 2, people)
    joint[0][::8], joint[1][3::8] = -1, -1
    mixed = torch.where(people < 4, joint[0], -1), torch.where(people < 4, joint[1], -1)
    return PseudoLabels(people, people, extra={"joint": mixed, "joint_clusters": joint})


# ---- dynamic neighbourhood clustering --------------------------------------------------------------------------

TABLE = [  # epoch, SYSU-MM01 intra eps and k2, inter eps; RegDB likewise; the bounds are the paper's
    (1, 0.6000, 6, 0.6000, 0.3000, 6, 0.3000),
    (5, 0.5670, 7, 0.4409, 0.2902, 6, 0.2505),
    (10, 0.5283, 7, 0.3000, 0.2785, 7, 0.2000),
    (11, 0.5209, 8, 0.3000, 0.2762, 7, 0.2000),
    (20, 0.4586, 9, 0.3520, 0.2564, 8, 0.2196),
    (30, 0.3981, 11, 0.4205, 0.2360, 9, 0.2437),
    (40, 0.3456, 14, 0.5023, 0.2173, 10, 0.2704),
    (50, 0.3000, 18, 0.6000, 0.2000, 12, 0.3000),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"epoch {row[0]}")
def test_eps_and_k2_follow_the_schedule(row: tuple[float, ...]) -> None:
    epoch = int(row[0]) - 1
    for settings_, (eps, k2, inter_eps) in ((SYSU, row[1:4]), (REGDB, row[4:7])):
        intra = neighbourhood(DMICConfig(phase="intra", **settings_), epoch, 50)
        inter = neighbourhood(DMICConfig(**settings_), epoch, 50)
        assert intra == (pytest.approx(eps, abs=5e-5), k2)
        assert inter == (pytest.approx(inter_eps, abs=5e-5), k2)


@given(epochs=st.integers(1, 60), k1=st.integers(1, 60), phase=st.sampled_from(["intra", "inter"]))
@settings(max_examples=60, deadline=None)
def test_schedules_keep_their_bounds_in_a_phase_of_any_length(epochs: int, k1: int, phase: Any) -> None:
    course = [neighbourhood(DMICConfig(k1=k1, phase=phase), epoch, epochs) for epoch in range(epochs)]
    assert all(0.3 - 1e-12 <= eps <= 0.6 and 1 <= k2 <= min(18, k1) for eps, k2 in course)
    assert course[0] == (0.6, min(6, k1))
    if epochs > 2:
        assert course[-1] == (pytest.approx(0.3 if phase == "intra" else 0.6), min(18, k1))
        assert min(eps for eps, _ in course) == pytest.approx(0.3)
    assert [k2 for _, k2 in course] == sorted(k2 for _, k2 in course)


def test_without_dnc_nothing_moves() -> None:
    course = {neighbourhood(DMICConfig(dnc=False, eps=0.5, k1=5), epoch, 9) for epoch in range(9)}
    assert course == {(0.5, 5)}


def test_label_uses_the_schedule_and_a_constant_joint_k2(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, float, int, int, int]] = []

    def record(self: Any, features: Tensor, groups: Tensor | None, what: str, at_least: int = 2) -> Tensor:
        calls.append((what, self.eps, self.k1, self.k2, 0 if groups is None else groups.ndim))
        return torch.arange(len(features)) % 6

    monkeypatch.setattr("usvi_bench.components.clustering.labelling.Clustering.__call__", record)
    config = DMICConfig(k1=30, joint_k2=32)
    DMIC(config, world.encoder()).label(wide(), world.progress(epoch=49, epochs=50))
    assert calls == [
        ("visible", 0.6, 30, 18, 1),
        ("infrared", 0.6, 30, 18, 1),
        ("visible and infrared", 0.6, 30, 30, 2),
    ]
    for options, levels in (({"mie_mode": "flat"}, 1), ({"mie": False}, 0)):
        DMIC(replace(config, **options), world.encoder()).label(wide(), world.progress())
        assert calls[-1] == ("visible and infrared", 0.6, 30, 30, levels)
    calls.clear()
    DMIC(replace(config, mie=False, phase="intra"), world.encoder()).label(wide(), world.progress())
    assert calls == [("visible", 0.6, 30, 6, 0), ("infrared", 0.6, 30, 6, 0)]


# ---- modality-camera invariant expansion -----------------------------------------------------------------------


def joint_groups(visible: Tensor, infrared: Tensor, mode: str) -> Tensor:
    nothing = torch.zeros(0, 1)
    return cameras_of_each(Features(nothing, nothing, visible, infrared), nested=mode == "two_level")


def weights(lists: NDArray[np.int32], groups: Any, n: int) -> NDArray[np.float32]:
    """What each image's expanded code is made of: the expansion of the identity."""
    identity = csr_array(eye_array(n, dtype=np.float32))
    return _expand(identity, lists, nested_groups(groups, n)).toarray()


def naive_weights(
    lists: NDArray[np.int32], modality: NDArray[np.int64], camera: NDArray[np.int64], mode: str
) -> NDArray[np.float64]:
    n = len(modality)
    result = np.zeros((n, n))
    for i in range(n):
        listed = [int(j) for j in lists[i]]
        for j in listed:
            mates = [q for q in listed if (modality[q], camera[q]) == (modality[j], camera[j])]
            cameras = {(modality[q], camera[q]) for q in listed}
            if mode == "two_level":
                own = {key for key in cameras if key[0] == modality[j]}
                result[i, j] = 1 / (len({key[0] for key in cameras}) * len(own) * len(mates))
            else:
                result[i, j] = 1 / (len(cameras) * len(mates))
    return result


def scene(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, NDArray[np.int32]]:
    """Features and neighbour lists of 24 visible images of cameras 1, 2, 4, 5 and 16 infrared ones of 3 and 6."""
    rng = np.random.default_rng(seed)
    visible, infrared = torch.tensor([1, 2, 4, 5] * 6), torch.tensor([3, 6] * 8)
    rows = rng.normal(size=(5, 8))[np.arange(40) % 5] + 0.6 * rng.normal(size=(40, 8))
    f = normalize(torch.from_numpy(rows).float(), dim=1)
    return f, visible, infrared, nearest(f, 12)[1].numpy().astype(np.int32)


@pytest.mark.parametrize("mode", ["two_level", "flat"])
@pytest.mark.parametrize("shared_numbers", [False, True])
def test_mie_is_the_definition(mode: str, shared_numbers: bool) -> None:
    _, visible, infrared, lists = scene()
    if shared_numbers:  # as in RegDB, where both modalities may call their camera 1
        visible, infrared = torch.ones_like(visible), torch.ones_like(infrared)
    modality = np.repeat([0, 1], [len(visible), len(infrared)])
    camera = torch.cat([visible, infrared]).numpy()
    found = weights(lists[:, :9], joint_groups(visible, infrared, mode), 40)
    np.testing.assert_allclose(found, naive_weights(lists[:, :9], modality, camera, mode), atol=1e-6)


def test_two_levels_and_flat_differ_where_modalities_have_unequal_numbers_of_cameras() -> None:
    visible, infrared = torch.tensor([1, 2, 4, 5]), torch.tensor([3, 6])
    lists = np.tile(np.arange(6, dtype=np.int32), (6, 1))
    share = {m: weights(lists, joint_groups(visible, infrared, m), 6)[0, :4].sum() for m in ("two_level", "flat")}
    assert share == {"two_level": pytest.approx(1 / 2), "flat": pytest.approx(2 / 3)}


@pytest.mark.parametrize("mode", ["two_level", "flat"])
def test_rows_of_codes_and_of_their_expansion_sum_to_one(mode: str) -> None:
    f, visible, infrared, lists = scene(1)
    groups = joint_groups(visible, infrared, mode)
    codes = _encode(f, lists)
    expanded = _expand(codes, lists[:, :8], nested_groups(groups, 40))
    for rows in (codes, csr_array(weights(lists[:, :8], groups, 40)), expanded):
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    distance = jaccard_distance(f, 12, 8, groups).toarray()
    assert np.array_equal(distance, distance.T)
    assert distance.min() >= 0
    assert distance.max() <= 1
    assert distance.diagonal().max() <= 2e-6


def test_one_camera_a_modality_is_the_average_of_modalities_and_one_in_all_the_plain_mean() -> None:
    f, visible, infrared, _ = scene(2)
    one, other = torch.ones_like(visible), torch.ones_like(infrared)
    modality = torch.cat([0 * one, other])
    averaged = jaccard_distance(f, 12, 8, modality).toarray()
    for mode in ("two_level", "flat"):
        assert np.array_equal(jaccard_distance(f, 12, 8, joint_groups(one, other, mode)).toarray(), averaged)
    assert np.array_equal(jaccard_distance(f, 12, 8, torch.ones(40)).toarray(), jaccard_distance(f, 12, 8).toarray())


def test_more_neighbours_from_one_camera_do_not_raise_its_weight() -> None:
    cameras = torch.tensor([1, 1, 1, 2])
    few, many = (weights(np.array([row] * 4, np.int32), cameras, 4)[0] for row in ([0, 3], [0, 1, 2, 3]))
    assert few[0] == few[3] == pytest.approx(0.5)
    assert many[:3].sum() == pytest.approx(0.5)


def test_without_mie_the_joint_clustering_is_the_vanilla_one() -> None:
    seen = wide()
    options = {**SMALL, "joint_k2": 6, "k1": 8, "dnc": False}
    found = (
        DMIC(DMICConfig(mie=False, **options), world.encoder()).label(seen, world.progress()).extra["joint_clusters"]
    )
    f = seen.normalised()
    expected = DMICConfig(mie=False, **options).clustering
    plain = replace(expected, k2=6)(torch.cat([f.visible, f.infrared]), None, "all")
    assert torch.equal(torch.cat(found), plain)


# ---- hybrid memories -------------------------------------------------------------------------------------------


def test_memories_start_at_means_and_features() -> None:
    labels = halves()
    method, _ = started(labels)
    seen = wide()
    both, joint = torch.cat([seen.visible, seen.infrared]), torch.cat(labels.extra["joint_clusters"])
    for k in range(8):
        torch.testing.assert_close(method.clusters["joint"].rows[k], normalize(both[joint == k].mean(0), dim=0))
    torch.testing.assert_close(method.images["joint"].rows, normalize(both[joint >= 0]))
    torch.testing.assert_close(method.images["visible"].rows, normalize(seen.visible))
    balanced, _ = started(labels, shared_init="balanced")
    parts = [
        part[rows == 0].mean(0)
        for part, rows in zip((seen.visible, seen.infrared), labels.extra["joint_clusters"], strict=True)
    ]
    torch.testing.assert_close(balanced.clusters["joint"].rows[0], normalize((parts[0] + parts[1]) / 2, dim=0))


def test_losses_are_the_definition() -> None:
    labels = halves()
    method, _ = started(labels)
    c = method.config
    for joint in (False, True):
        batch = world.batch(labels, method, name="joint" if joint else "clusters")
        losses = method.contrast(batch, world.progress(), joint=joint)
        part = (
            method.pending_updates["joint"]
            if joint
            else [method.pending_updates["visible"][0], method.pending_updates["infrared"][0]]
        )
        for name, modality, (features, rows, index) in zip(("visible", "infrared"), (0, 1), part, strict=True):
            memory = "joint" if joint else name
            clusters, images = method.clusters[memory].rows, method.images[memory]
            stored = torch.cat(labels.extra["joint_clusters"]) if joint else labels["clusters"][modality]
            cluster_total = image_total = 0.0
            for feature, label, image in zip(normalize(features), rows, index, strict=True):
                scores = (clusters @ feature / c.temperature).exp()
                cluster_total -= float((scores[label] / scores.sum()).log())
                scores = (images.rows @ feature / c.temperature).exp()
                assert stored[image] == label
                image_total -= float((scores[stored[stored >= 0] == label].sum() / scores.sum()).log())
            prefix = f"joint_{name}" if joint else name
            assert losses[prefix].item() == pytest.approx(cluster_total / len(rows), rel=1e-4)
            assert losses[f"{prefix}_instance"].item() == pytest.approx(0.1 * image_total / len(rows), rel=1e-3)


def test_renaming_clusters_changes_no_loss() -> None:
    labels = halves()
    names = torch.tensor([3, 7, 0, 5, 1, 6, 2, 4])

    def renamed(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        first, second = (torch.where(part < 0, -1, names[part]) for part in pair)
        return first, second

    other = replace(labels, extra={name: renamed(pair) for name, pair in labels.extra.items()})
    found = []
    for each in (labels, other):
        method, _ = started(each)
        losses = method.contrast(world.batch(each, method, name="joint"), world.progress(), joint=True)
        found.append([value.item() for value in losses.values()])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_rows_become_features_of_the_batch_after_the_step_and_not_before() -> None:
    labels = halves()
    method, _ = started(labels)
    before = method.clusters["joint"].rows.clone(), method.images["joint"].rows.clone()
    method.contrast(world.batch(labels, method, name="joint"), world.progress(), joint=True)
    assert torch.equal(before[0], method.clusters["joint"].rows)
    assert torch.equal(before[1], method.images["joint"].rows)
    features, clusters, images = (torch.cat(part) for part in zip(*method.pending_updates["joint"], strict=True))
    method.end_step(world.progress())
    slots = method.images["joint"].slots[images]
    for rows, old, owners in (
        (method.clusters["joint"].rows, before[0], clusters),
        (method.images["joint"].rows, before[1], slots),
    ):
        for k in range(len(rows)):
            candidates = normalize(features)[owners == k]
            if len(candidates):
                assert any(torch.equal(rows[k], candidate) for candidate in candidates)
            else:
                assert torch.equal(rows[k], old[k])


def test_a_joint_row_may_become_a_feature_of_either_modality() -> None:
    labels = halves()
    method, _ = started(labels)
    batch = world.batch(labels, method, count=24, name="joint")
    taken = set()
    for step in range(12):
        method.contrast(batch, world.progress(), joint=True)
        visible = normalize(method.pending_updates["joint"][0][0])
        method.end_step(world.progress(step=step))
        taken.add(bool((visible @ method.clusters["joint"].rows[0]).max() > 1 - 1e-6))
    assert taken == {True, False}


def test_no_gradient_reaches_a_memory() -> None:
    labels = halves()
    method, _ = started(labels)
    losses = method.contrast(world.batch(labels, method, name="joint"), world.progress(), joint=True)
    torch.stack(list(losses.values())).sum().backward()
    rows = [memory.rows for memory in (*method.clusters.values(), *method.images.values())]
    assert all(not part.requires_grad and part.grad is None for part in rows)


# ---- steps, phases, switches -----------------------------------------------------------------------------------


def steps_taken(mode: Any, labels: PseudoLabels, refuse: bool = False) -> tuple[list[set[str]], list[str]]:
    method, _ = started(labels, step_mode=mode)
    steps: list[set[str]] = []
    drawn: list[str] = []

    def draw(name: str = "clusters", extra: int = 0) -> Batch:
        drawn.append(name)
        if refuse and name == "joint":
            raise TooFewClustersError("3 clusters, but a batch draws 8")
        return world.batch(labels, method, name=name)

    for step in range(2):
        method.step(draw, world.progress(step=step), lambda losses: steps.append(set(losses)))
    return steps, drawn


APART = {"visible", "infrared", "visible_instance", "infrared_instance"}
JOINT = {f"joint_{name}" for name in APART}


def test_one_or_two_optimiser_steps() -> None:
    assert steps_taken("sequential", halves()) == ([APART, JOINT] * 2, ["clusters", "joint"] * 2)
    assert steps_taken("joint", halves()) == ([APART | JOINT] * 2, ["clusters", "joint"] * 2)


@pytest.mark.parametrize("mode", ["sequential", "joint"])
def test_an_epoch_without_enough_mixed_clusters_goes_without_the_second_step(mode: str) -> None:
    labels = halves()
    assert steps_taken(mode, labels, refuse=True) == ([APART] * 2, ["clusters", "joint", "clusters"])
    nothing = torch.full_like(labels.visible, -1)
    none_mixed = replace(labels, extra={**labels.extra, "joint": (nothing, nothing)})
    assert steps_taken(mode, none_mixed) == ([APART] * 2, ["clusters"] * 2)


def test_one_joint_cluster_that_holds_all_costs_nothing_and_breaks_nothing() -> None:
    people = torch.zeros(48, dtype=torch.int64)
    labels = replace(halves(), extra={"joint": (people, people), "joint_clusters": (people, people)})
    method, _ = started(labels)
    losses = method.contrast(world.batch(labels, method, name="joint"), world.progress(), joint=True)
    assert all(value.item() == pytest.approx(0, abs=1e-4) for value in losses.values())


def test_a_single_image_of_a_cluster_in_a_batch_is_fine() -> None:
    labels = halves()
    method, _ = started(labels)
    method.contrast(world.batch(labels, method, count=2), world.progress())
    method.end_step(world.progress())
    assert method.clusters["visible"].rows.isfinite().all()


def test_drawn_are_images_of_mixed_clusters_or_all_but_outliers(monkeypatch: pytest.MonkeyPatch) -> None:
    joint = halves().extra["joint_clusters"]

    def known(self: Any, features: Tensor, groups: Tensor | None, what: str, at_least: int = 2) -> Tensor:
        return torch.cat(joint) if what == "visible and infrared" else torch.arange(len(features)) % 6

    monkeypatch.setattr("usvi_bench.components.clustering.labelling.Clustering.__call__", known)
    for subset, expected in (("mixed", halves().extra["joint"]), ("all", joint)):
        _, labels = started(shared_subset=subset)
        assert all(torch.equal(*pair) for pair in zip(labels.extra["joint"], expected, strict=True))
        assert all(torch.equal(*pair) for pair in zip(labels.extra["joint_clusters"], joint, strict=True))


def test_everything_off_is_dual_cluster_contrast_to_the_bit() -> None:
    off = DMIC(DMICConfig(**{**SMALL, **OFF}), world.encoder())
    parent = ClusterContrast(ClusterContrastConfig(k1=6, k2=2), world.encoder())
    assert world.train_steps(off, steps=4) == world.train_steps(parent, steps=4)
    for one, other in zip(off.encoder.parameters(), parent.encoder.parameters(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(off.clusters["visible"].rows, parent.visible_memory.rows)


@pytest.mark.usefixtures("modalities_alike")
def test_weightless_instance_losses_change_no_gradient() -> None:
    histories = []
    for options in ({"instance_weight": 0.0}, {"intra_instance": False, "inter_instance": False}):
        method = DMIC(DMICConfig(**SMALL, **options), world.encoder())
        history = world.train_steps(method)
        histories.append([{k: v for k, v in losses.items() if not k.endswith("_instance")} for losses in history])
    assert histories[0] == histories[1]


@pytest.mark.usefixtures("modalities_alike")
@pytest.mark.parametrize(
    "options",
    [
        {"phase": "intra"},
        {"real_time": False},
        {"intra_instance": False},
        {"inter_instance": False},
        {"instance_loss": "single"},
        {"instance_loss": "mean"},
        {"instance_loss": "self"},
        {"instance_weight": 1.0},
        {"cluster_weight": 0.5},
        {"step_mode": "joint"},
    ],
    ids=str,
)
def test_every_switch_trains_and_changes_something(options: dict[str, Any]) -> None:
    changed, default = (world.train_steps(DMIC(DMICConfig(**SMALL, **o), world.encoder())) for o in (options, {}))
    assert {name for losses in default for name in losses} >= JOINT
    assert changed != default


def test_the_first_phase_is_trained_once_for_all_settings_of_the_second() -> None:
    full = DMIC.stages(DMICConfig())
    assert [(stage.method, stage.config.phase) for stage in full] == [("dmic", "intra"), ("dmic", "inter")]
    assert full[-1].config == DMICConfig()
    for options in ({"inter_instance": False}, {"mie_mode": "flat"}, {"step_mode": "joint"}, {"shared_subset": "all"}):
        assert DMIC.stages(DMICConfig(**options))[0] == full[0]
    assert DMIC.stages(DMICConfig(phase="intra")) == full[:1]
    for options in ({"mie": False}, {"dnc": False}, {"intra_instance": False}, {"real_time": False}):
        assert DMIC.stages(DMICConfig(**options))[0] != full[0]
    assert DMIC.stages(DMICConfig(intra_epochs=3))[0].epochs == 3


def test_the_journal_gets_the_neighbourhood_and_the_joint_clusters() -> None:
    method, _ = started(halves())
    assert method.diagnostics() == {"eps": 0.6, "k2": 2, "joint_clusters": 8, "mixed_clusters": 4}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"narrowing": 0.0}, r"method\.narrowing=0\.0 must be from"),
        ({"narrowing": 1.5}, r"method\.narrowing=1\.5 must be from"),
        ({"turn": 2.0}, r"method\.turn=2\.0 must be from 0 to 1"),
        ({"widening": 0.5}, r"method\.widening=0\.5 must be from 1 to"),
        ({"joint_k2": 0}, r"method\.joint_k2=0 must be from 1 to"),
        ({"instance_weight": -1.0}, r"method\.instance_weight=-1\.0 must be from 0 to"),
        ({"intra_epochs": 0}, r"method\.intra_epochs=0 must be from 1 to"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DMICConfig(**options)


def test_every_row_of_the_ablation_is_a_valid_setting_of_its_own() -> None:
    rows = read_file(CONFIGS / "ablations" / "dmic.toml")["rows"]
    configs = [build(DMICConfig, dict(row.get("method", {})), "method") for row in rows.values()]
    assert len(set(configs)) == len(rows) == 7
    assert configs[-1] == DMICConfig()


def test_settings_of_data_sets_are_those_of_the_paper() -> None:
    found = {profile: load_config("dmic", "sysu_all", profile=profile).method_config for profile in ("sysu", "regdb")}
    assert found == {"sysu": DMICConfig(**SYSU, joint_k2=32), "regdb": DMICConfig(**REGDB, joint_k2=18)}
    for profile in ("synthetic_sysu", "synthetic_regdb"):
        assert load_config("dmic", "sysu_all", profile=profile).method_config.k1 < 30
