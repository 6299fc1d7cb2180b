from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from tests.methods import world
from usvi_bench.components.association import match
from usvi_bench.components.crossing import matched
from usvi_bench.components.ema import alpha_for
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.instance_batch import InstanceBatch
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import MODALITIES, OUTLIER, Batch, PseudoLabels, StageProgress
from usvi_bench.engine.load_config import load_config, parse_settings
from usvi_bench.engine.read_settings import CONFIGS, read_file
from usvi_bench.methods.base import Method
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig, warmup
from usvi_bench.methods.pgm import PGM, PGMConfig
from usvi_bench.methods.soft_prototype import Shares, SoftPrototype, SoftPrototypeConfig

SMALL: dict[str, Any] = {"k1": 6, "k2": 2, "slots": 3, "instance_extra": 5}
OFF = {"prototypes": "none", "instances": False, "cross_weight": 0.0}
GRID: dict[str, dict[str, Any]] = {
    name: row.get("method", {})
    for name, row in read_file(CONFIGS / "ablations" / "soft_prototype.toml")["rows"].items()
}
LATE = world.progress(epoch=2)
"""Half of a stage has passed: soft prototypes are there in full, instance discrimination is over."""


def config(**settings: Any) -> SoftPrototypeConfig:
    return SoftPrototypeConfig(**{**SMALL, **settings})


def with_outliers(labels: PseudoLabels) -> PseudoLabels:
    """The same labels, but one image of each modality is an outlier."""
    parts = {m: getattr(labels, m).clone() for m in MODALITIES}
    for part in parts.values():
        part[4] = OUTLIER
    return replace(labels, **parts)


def started(progress: StageProgress = LATE, **settings: Any) -> SoftPrototype:
    method = SoftPrototype(config(**settings), world.encoder())
    seen = world.features(width=method.encoder.feature_dim)
    method.begin_epoch(seen, with_outliers(method.label(seen, progress)), progress)
    method.train()
    return method


def labels_of(method: SoftPrototype) -> PseudoLabels:
    return PseudoLabels(method.banks["visible"].labels, method.banks["infrared"].labels)


def a_batch(method: SoftPrototype, extra: int = 0) -> Batch:
    return world.batch(labels_of(method), method, extra=extra)


def trained(method: Method, progress: StageProgress, steps: int = 3) -> tuple[list[dict[str, float]], Tensor]:
    """Losses and final weights of a few steps in an epoch, as the engine takes them."""
    seen = world.features(width=method.encoder.feature_dim)
    with torch.no_grad():
        labels = method.label(seen, progress)
        method.begin_epoch(seen, labels, progress)
    method.train()
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=1e-3)
    history: list[dict[str, float]] = []

    def optimise(losses: dict[str, Tensor]) -> None:
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        history.append({name: value.item() for name, value in losses.items()})

    for step in range(steps):

        def draw(name: str = "clusters", extra: int = 0, seed: int = step) -> Batch:
            return world.batch(labels, method, seed, name=name, extra=extra)

        method.step(draw, replace(progress, step=step), optimise)
    return history, torch.cat([p.detach().flatten() for p in method.encoder.parameters()])


# ---- schedule ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, (1, 0.5, 0)),
        (5, (0.75, 0.625, 0)),
        (10, (0.5, 0.75, 0)),
        (15, (0.25, 0.875, 0)),
        (20, (0, 1, 0)),
        (49, (0, 1, 0)),
        (50, (0, 1, 0)),
        (55, (0, 1, 0.25)),
        (60, (0, 1, 0.5)),
        (99, (0, 1, 0.5)),
    ],
)
@pytest.mark.parametrize("length", [50, 200])
def test_attention_moves_from_instances_to_classes_to_prototypes(
    epoch: int, expected: tuple[float, float, float], length: int
) -> None:
    """Whatever the length of a stage, of which the paper-like one has 50 epochs."""
    phase, within = ("first", epoch) if epoch < 50 else ("second", epoch - 50)
    c = SoftPrototypeConfig(phase=phase)  # type: ignore[arg-type]
    shares = Shares.at(c, StageProgress(within * length // 50, length, 0, 200, 0))
    assert (shares.instance, shares.contrast, shares.prototypes) == pytest.approx(expected)


@pytest.mark.parametrize("phase", ["first", "second"])
@pytest.mark.parametrize("epoch", [0, 3])
def test_without_schedule_weights_are_constant(phase: Any, epoch: int) -> None:
    progress = world.progress(epoch=epoch)
    assert Shares.at(config(phase=phase, scheduled=False), progress) == Shares(0.2, 1.0, 0.5)
    assert Shares.at(config(phase=phase, scheduled=False, instances=False), progress) == Shares(0.0, 1.0, 0.5)
    assert Shares.at(config(phase=phase, scheduled=False, prototypes="none"), progress) == Shares(0.2, 1.0, 0.0)


def test_a_floor_keeps_some_instance_discrimination() -> None:
    assert Shares.at(config(instance_floor=0.1), LATE).instance == 0.1
    assert Shares.at(config(instance_floor=0.1, instances=False), LATE).instance == 0


# ---- stages and switches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"prototypes": "none"}, {"scheduled": True}, OFF], ids=str)
def test_without_instance_discrimination_the_first_stage_is_cluster_contrast(settings: dict[str, Any]) -> None:
    c = config(**{**settings, "instances": False})
    first, last = SoftPrototype.stages(c)
    shared = warmup(c)
    assert first == replace(shared, config=replace(shared.config, update="mean"))
    assert (last.method, last.config) == ("soft_prototype", c)
    assert SoftPrototype.stages(replace(c, first_update="sequential"))[0] == shared


@pytest.mark.parametrize(
    "settings",
    [
        {"prototypes": "none"},
        {"slots": 4},
        {"prototype_loss": "joint"},
        {"weight_temperature": 1.0},
        {"scope": "modality"},
        {"prototype_weight": 0.25},
        {"cross_weight": 0.0},
        {"update": "hard"},
        {"soft_weights": False},
    ],
    ids=str,
)
def test_what_concerns_the_second_stage_shares_the_first(settings: dict[str, Any]) -> None:
    assert SoftPrototype.stages(config(**settings))[0] == SoftPrototype.stages(config())[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"instance_until": 1.0},
        {"instance_temperature": 0.05},
        {"instance_negatives": "all"},
        {"centroid_start": 1.0},
        {"scheduled": False},
        {"eps": 0.5},
        {"warmup_epochs": 3},
        {"first_update": "sequential"},
    ],
    ids=str,
)
def test_what_concerns_the_first_stage_is_trained_apart(settings: dict[str, Any]) -> None:
    first, plain = SoftPrototype.stages(config(**settings))[0], SoftPrototype.stages(config())[0]
    assert first != plain
    assert first.method == "soft_prototype"
    assert isinstance(first.config, SoftPrototypeConfig)
    assert first.config.phase == "first"
    assert first.config.update == settings.get("first_update", "mean")


def test_the_phase_is_not_for_the_command_line() -> None:
    with pytest.raises(UsageError, match=r"method\.phase=first"):
        SoftPrototype.stages(config(phase="first"))


@pytest.mark.parametrize(
    "settings",
    [
        {"prototypes": "none", "instances": False},
        {"prototype_weight": 0.0, "instances": False},
        {"prototypes": "none", "instance_weight": 0.0, "centroid_start": 1.0},
        {"phase": "first", "instances": False},
        {"phase": "first", "instance_weight": 0.0, "centroid_start": 1.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("epoch", [0, 2])
def test_all_switches_off_is_cluster_contrast_bit_for_bit(settings: dict[str, Any], epoch: int) -> None:
    ours = SoftPrototype(config(**settings, cross_weight=0.0, update="sequential"), world.encoder())
    parent = ClusterContrast(ClusterContrastConfig(k1=6, k2=2), world.encoder())
    progress = world.progress(epoch=epoch)
    (losses, weights), (expected, expected_weights) = trained(ours, progress), trained(parent, progress)
    assert losses == expected
    assert torch.equal(weights, expected_weights)
    for name in ("visible_memory", "infrared_memory"):
        assert torch.equal(getattr(ours, name).rows, getattr(parent, name).rows)


@pytest.mark.parametrize("epoch", [2, 3])
def test_the_baseline_row_is_pgm_bit_for_bit(epoch: int) -> None:
    """Given PGM's update rule: matching, alternation and the order of updates are the same."""
    ours = SoftPrototype(config(**GRID["A0 baseline"], update="hard"), world.encoder())
    progress = world.progress(epoch=epoch)
    losses, weights = trained(ours, progress)
    expected, expected_weights = trained(PGM(PGMConfig(k1=6, k2=2), world.encoder()), progress)
    assert [list(step.values()) for step in losses] == [list(step.values()) for step in expected]
    assert torch.equal(weights, expected_weights)


@pytest.mark.parametrize("row", sorted(GRID))
def test_every_row_of_the_grid_trains_both_stages(row: str) -> None:
    settings = [f"method.{name}={value}" for name, value in GRID[row].items()]
    c = load_config(
        "soft_prototype", "sysu_all", profile="synthetic_sysu", settings=parse_settings(settings)
    ).method_config
    assert isinstance(c, SoftPrototypeConfig)
    for stage in SoftPrototype.stages(c):
        if not isinstance(stage.config, SoftPrototypeConfig):
            continue
        method = SoftPrototype(replace(stage.config, **SMALL), world.encoder())
        second, early = stage.config == c, not c.scheduled
        history, _ = trained(method, LATE if second else world.progress(epoch=1), steps=2)
        names = set(history[-1])
        assert ("cross" in names) == second
        assert ("visible_prototypes" in names) == (c.prototypes != "none" and (second or early))
        assert ("visible_instances" in names) == (c.instances and (early or not second))
        assert set(method.models()) == ({"teacher", "student"} if second else {"student"})


def test_the_grid_is_in_the_papers_order_and_its_rows_differ() -> None:
    assert [row.split()[0] for row in GRID] == [f"A{i}" for i in range(8)]
    assert len({SoftPrototypeConfig(**row) for row in GRID.values()}) == 8
    assert SoftPrototypeConfig(**GRID["A5 full, scheduled"]) == SoftPrototypeConfig()


@pytest.mark.parametrize(
    "settings",
    [
        {"prototypes": "random"},
        {"soft_weights": False},
        {"slots": 1},
        {"share": 0.25},
        {"scope": "modality", "slots": 12, "share": 1.0},
        {"floor": 1.0},
        {"weight_temperature": 1.0},
        {"prototype_loss": "joint"},
        {"prototype_loss": "mean"},
        {"prototype_weight": 0.25},
        {"scheduled": False},
        {"instance_floor": 0.1},
        {"instance_floor": 0.1, "instance_negatives": "all"},
        {"cross_weight": 0.0},
        {"cross_updates": False},
        {"update": "hard"},
    ],
    ids=str,
)
def test_every_switch_changes_something(settings: dict[str, Any]) -> None:
    history, weights = trained(SoftPrototype(config(**settings), world.encoder()), LATE)
    base = {k: v for k, v in settings.items() if k == "instance_floor" and len(settings) > 1}
    default, plain = trained(SoftPrototype(config(**base), world.encoder()), LATE)
    assert history != default
    assert not torch.equal(weights, plain)


# ---- losses --------------------------------------------------------------------------------------------------


def naive_per_rank(method: SoftPrototype, memory: Any, q: Tensor, y: int) -> Tensor:
    rows, bank, choice = method.memories[memory].rows, method.banks[memory].rows, method.chosen[memory]
    c = method.config
    kept = [k for k in range(c.slots) if choice.valid[y, k]]
    weights = torch.stack([rows[y] @ bank[choice.index[y, k]] / c.weight_temperature for k in kept]).softmax(0)
    total = q.new_zeros(())
    for w, k in zip(weights, kept, strict=True):
        scores = torch.stack([q @ bank[choice.index[j, k]] / c.temperature for j in range(len(rows))])
        total = total - w * scores.log_softmax(0)[y]
    return total


@pytest.mark.parametrize("epoch", [2, 3])
def test_losses_equal_the_definition(epoch: int) -> None:
    method = started(world.progress(epoch=epoch), instance_floor=0.1)
    c, extra = method.config, 5
    batch = a_batch(method, extra)
    losses = method.loss(batch, world.progress(epoch=epoch), extra)
    source, target = MODALITIES if epoch == 2 else MODALITIES[::-1]
    cross = {"centroids": [], "prototypes": []}  # type: ignore[var-annotated]
    partners = match(method.visible_memory.rows, method.infrared_memory.rows)[MODALITIES.index(source)]
    for m, samples in zip(MODALITIES, (batch.visible, batch.infrared), strict=True):
        centroid, prototype, instance = [], [], []
        looks = iter(method.drawn[m].all_features)
        for _ in samples.views:
            for position, (y, i) in enumerate(zip(samples.labels.tolist(), samples.index.tolist(), strict=True)):
                q = next(looks)
                bank = method.banks[m].rows
                mates = [j for j in range(len(bank)) if y >= 0 and method.banks[m].labels[j] == y and j != i]
                scores = q @ bank.T / c.instance_temperature
                scores[mates] = -torch.inf
                instance.append(-scores.log_softmax(0)[i])
                if position >= len(samples.labels) - extra:
                    continue
                centroid.append(cross_entropy(q @ method.memories[m].rows.T / c.temperature, torch.tensor(y)))
                prototype.append(naive_per_rank(method, m, q, y))
                if m == source:
                    partner = partners[y]
                    logits = q @ method.memories[target].rows.T / c.temperature
                    cross["centroids"].append(cross_entropy(logits, partner))
                    cross["prototypes"].append(naive_per_rank(method, target, q, int(partner)))
        for name, weight, terms in (
            ("", 0.5, centroid),
            ("_prototypes", 0.5, prototype),
            ("_instances", 0.1, instance),
        ):
            torch.testing.assert_close(losses[m + name], weight * torch.stack(terms).mean(), rtol=1e-4, atol=1e-5)
    for name, terms in (("cross", cross["centroids"]), ("cross_prototypes", cross["prototypes"])):
        torch.testing.assert_close(losses[name], 0.25 * 0.5 * torch.stack(terms).mean(), rtol=1e-4, atol=1e-5)


def test_images_drawn_from_all_enter_instance_discrimination_only() -> None:
    method = started(world.progress(epoch=0), phase="first")
    batch = a_batch(method, extra=5)
    assert (torch.cat([batch.visible.labels, batch.infrared.labels])[-5:] >= OUTLIER).all()
    method.loss(batch, world.progress(), 5)
    for m, views in zip(MODALITIES, (2, 1), strict=True):
        drawn, samples = method.drawn[m], getattr(batch, m)
        assert drawn.all_features.shape[0] == drawn.index.shape[0] == views * 17
        assert torch.equal(drawn.labels, samples.labels[:12].repeat(views))
        assert torch.equal(drawn.index, samples.index.repeat(views))
        rows = drawn.all_features.unflatten(0, (views, 17))[:, :12].flatten(0, 1)
        assert torch.equal(normalize(drawn.features), rows)
        assert (drawn.labels >= 0).all()


def test_they_are_drawn_while_instances_are_told_apart() -> None:
    asked = []

    def draw(name: str = "clusters", extra: int = 0) -> Batch:
        asked.append(extra)
        return a_batch(method, extra)

    for epoch in (0, 1, 2):
        method = started(world.progress(epoch=epoch), phase="first")
        method.step(draw, world.progress(epoch=epoch), lambda losses: None)
    assert asked == [5, 5, 0]  # the weight is 0 after 0.4 of four epochs


def test_an_outlier_among_them_has_a_finite_loss_and_moves_its_entry() -> None:
    method = started(world.progress(), phase="first")
    batch = a_batch(method, extra=5)
    for part in (batch.visible, batch.infrared):
        part.index[-1], part.labels[-1] = 4, OUTLIER
    before = {m: bank.rows.clone() for m, bank in method.banks.items()}
    assert all(torch.isfinite(value) for value in method.loss(batch, world.progress(), 5).values())
    method.end_step(world.progress())
    for m in MODALITIES:
        moved = (method.banks[m].rows != before[m]).any(1).nonzero().squeeze(1)
        assert torch.equal(moved, method.drawn[m].index.unique())
        assert 4 in moved


def test_renumbering_clusters_leaves_losses_unchanged() -> None:
    method = started(instance_floor=0.1)
    batch = a_batch(method)
    expected = method.loss(batch, LATE)
    renumbered = started(instance_floor=0.1)
    labels = labels_of(method)
    order = {
        m: torch.randperm(world.PEOPLE, generator=torch.Generator().manual_seed(3 + i))
        for i, m in enumerate(MODALITIES)
    }

    def renamed(m: str, part: Tensor) -> Tensor:
        return torch.where(part < 0, part, order[m][part.clamp(min=0)])  # type: ignore[index]

    other = PseudoLabels(visible=renamed("visible", labels.visible), infrared=renamed("infrared", labels.infrared))
    seen = world.features(width=method.encoder.feature_dim)
    renumbered.begin_epoch(seen, matched(seen, other), LATE)
    parts = {m: replace(getattr(batch, m), labels=renamed(m, getattr(batch, m).labels)) for m in MODALITIES}
    losses = renumbered.loss(Batch(**parts), LATE)
    assert losses.keys() == expected.keys()
    for name, value in losses.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)


# ---- memories, bank, teacher ---------------------------------------------------------------------------------


def test_nothing_moves_before_the_end_of_the_step_and_none_takes_gradients() -> None:
    method = started(instance_floor=0.1)
    state = {m: (method.memories[m].rows.clone(), method.banks[m].rows.clone()) for m in MODALITIES}
    losses = method.loss(a_batch(method), LATE)
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    for m, (rows, bank) in state.items():
        assert torch.equal(method.memories[m].rows, rows)
        assert torch.equal(method.banks[m].rows, bank)
    method.end_step(LATE)
    for m, (rows, bank) in state.items():
        for new, old in ((method.memories[m].rows, rows), (method.banks[m].rows, bank)):
            assert not torch.equal(new, old)
            assert not new.requires_grad
            torch.testing.assert_close(new.norm(dim=1), torch.ones(len(new)))


@pytest.mark.parametrize("cross_updates", [True, False])
def test_the_other_modality_moves_a_centroid_first_and_its_own_last(cross_updates: bool) -> None:
    method = started(cross_updates=cross_updates)
    before = {m: method.memories[m].rows.clone() for m in MODALITIES}
    method.loss(a_batch(method), LATE)
    partners = match(before["visible"], before["infrared"])[0]
    method.end_step(LATE)
    for m in MODALITIES:
        rows, own = before[m].clone(), method.drawn[m]
        steps = [(normalize(own.features), own.labels)]
        if m == "infrared" and cross_updates:
            other = method.drawn["visible"]
            steps.insert(0, (normalize(other.features), partners[other.labels]))
        for features, labels in steps:
            for k in labels.unique():
                mean = torch.stack([f for f, y in zip(features, labels, strict=True) if y == k]).mean(0)
                rows[k] = normalize(0.1 * rows[k] + 0.9 * mean, dim=0)
        torch.testing.assert_close(method.memories[m].rows, rows)


def test_an_unused_bank_does_not_change() -> None:
    method = started(world.progress(epoch=0))
    before = {m: bank.rows.clone() for m, bank in method.banks.items()}
    method.loss(a_batch(method), world.progress())
    method.end_step(world.progress())
    assert all(torch.equal(bank.rows, before[m]) for m, bank in method.banks.items())


def test_bank_and_centroids_start_at_the_unit_features_of_the_epoch() -> None:
    method = started()
    seen = world.features(width=method.encoder.feature_dim)
    for m in MODALITIES:
        torch.testing.assert_close(method.banks[m].rows, normalize(getattr(seen, m)))
        assert isinstance(method.memories[m], ClusterMemory)


def test_weights_follow_centroids_and_bank_within_an_epoch_but_the_choice_stays() -> None:
    method = started()
    index, before = method.chosen["visible"].index.clone(), method.prototypes("visible")
    method.loss(a_batch(method), LATE)
    method.end_step(LATE)
    after = method.prototypes("visible")
    assert torch.equal(method.chosen["visible"].index, index)
    assert not torch.equal(after.vectors, before.vectors)
    assert not torch.equal(after.weights, before.weights)
    torch.testing.assert_close(after.weights.sum(1), torch.ones(world.PEOPLE))


def test_the_teacher_averages_weights_and_copies_statistics() -> None:
    method = started()
    old = [p.clone() for p in method.teacher.parameters()]
    with torch.no_grad():
        for p in method.encoder.parameters():
            p.add_(1.0)
    method.loss(a_batch(method), replace(LATE, step=3))
    method.end_step(replace(LATE, step=3))
    share = min(1 - 1 / 14, alpha_for(method.config.ema_window, LATE.iterations))  # two epochs of five steps and three
    for average, start, p in zip(method.teacher.parameters(), old, method.encoder.parameters(), strict=True):
        torch.testing.assert_close(average, share * start + (1 - share) * p.detach())
    for mine, student in zip(method.teacher.buffers(), method.encoder.buffers(), strict=True):
        assert torch.equal(mine, student)


def test_centroid_update_of_one_query() -> None:
    angles = torch.tensor([13.295047, 102.012301, 20.0], dtype=torch.float64).deg2rad()
    points = torch.stack([angles.cos(), angles.sin()], dim=1).float()
    for rule in ("mean", "sequential"):
        memory = ClusterMemory(points[:2], temperature=0.5, momentum=0.1, rule=rule)
        bases = torch.tensor([0.166493, 0.296634])
        queries = torch.stack([points[2], torch.tensor([0.173648, 0.984808])])
        for query, label, value in zip(queries, (0, 1), bases, strict=True):
            torch.testing.assert_close(memory.loss(query[None], torch.tensor([label])), value, atol=1e-5, rtol=0)
        memory.update(points[2:], torch.tensor([0]))
        torch.testing.assert_close(memory.rows[0], torch.tensor([0.943624, 0.331019]), atol=1e-5, rtol=0)


def test_clusters_of_the_larger_side_share_partners() -> None:
    """Three visible and two infrared centroids with cosines [[.9, .2], [.8, .7], [.1, .6]]."""
    infrared = torch.tensor([[1.0, 0, 0], [0.5, 0.75**0.5, 0]])
    visible = []
    for first, second in ((0.9, 0.2), (0.8, 0.7), (0.1, 0.6)):
        y = (second - first / 2) / 0.75**0.5
        visible.append([first, y, (1 - first**2 - y**2) ** 0.5])
    to_infrared, to_visible = match(torch.tensor(visible), infrared)
    assert to_infrared.tolist() == [0, 1, 1]
    assert to_visible.tolist() == [0, 1]


# ---- degenerate epochs, diagnostics, configuration -----------------------------------------------------------


def test_unequal_cluster_counts_and_clusters_of_one_image_train() -> None:
    method = SoftPrototype(config(instance_floor=0.1), world.encoder())
    people = world.true_labels().visible
    visible = people.clone()
    visible[0] = world.PEOPLE  # a cluster of one image
    infrared = torch.where(people < 2, people, OUTLIER)
    seen = world.features(width=method.encoder.feature_dim)
    labels = matched(seen, PseudoLabels(visible=visible, infrared=infrared))
    for epoch in (2, 3):
        progress = world.progress(epoch=epoch)
        method.begin_epoch(seen, labels, progress)
        method.train()
        losses = method.loss(world.batch(labels, method, count=4, extra=2), progress, 2)
        method.end_step(progress)
        assert all(torch.isfinite(value) for value in losses.values())
        assert method.chosen["visible"].valid.sum(1).tolist() == [3] * world.PEOPLE + [1]


def test_too_few_clusters_end_the_run_with_a_remedy() -> None:
    method = SoftPrototype(config(), world.encoder())
    same = world.features(people=1, images=24, width=method.encoder.feature_dim)
    with pytest.raises(UsageError, match=r"method\.eps"):
        method.label(same, LATE)


def test_diagnostics() -> None:
    method = started(instance_floor=0.1)
    method.loss(a_batch(method), LATE)
    figures = {name: float(value) for name, value in method.diagnostics().items()}
    assert 1 <= figures["effective_prototypes"] <= figures["prototypes"] <= 3
    assert 0 <= figures["weight_entropy"] <= torch.tensor(3.0).log()
    assert figures["farthest_similarity"] <= figures["nearest_similarity"] <= 1
    assert 0 < figures["hardest_negatives"] <= 1
    assert started(world.progress(epoch=0)).diagnostics() == {}


@pytest.mark.parametrize(
    "settings",
    [
        {"slots": 0},
        {"share": 0.0},
        {"share": 1.5},
        {"floor": 1.5},
        {"weight_temperature": 0.0},
        {"instance_temperature": 0.0},
        {"prototype_weight": 1.5},
        {"instance_momentum": -0.1},
        {"instance_extra": -1},
        {"instance_until": 0.0},
        {"cross_weight": -1.0},
        {"warmup_epochs": 0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_named(settings: dict[str, Any]) -> None:
    (name, value), *_ = settings.items()
    with pytest.raises(UsageError, match=rf"method\.{name}={value}"):
        SoftPrototypeConfig(**settings)


def test_sorting_out_a_batch_keeps_view_after_view() -> None:
    method = started()
    samples = a_batch(method, extra=2).visible
    features = torch.arange(2.0 * len(samples.index))[:, None]
    drawn = InstanceBatch.of(samples, features, 2)
    count = len(samples.index)
    assert drawn.features.squeeze(1).tolist() == [*range(count - 2), *range(count, 2 * count - 2)]
