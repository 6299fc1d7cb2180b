from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.methods import world
from usvi_bench.components.ema import alpha_for
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.components.memory.hybrid import blend
from usvi_bench.components.memory.rules import UPDATE_RULES, Update
from usvi_bench.core.types import MODALITIES
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig
from usvi_bench.methods.sclhm import SCLHM, SCLHMConfig

SMALL = {"k1": 6, "k2": 2}
ABLATION = {  # SSCL, HML, AMU: every row of the grid is three settings
    row: dict(zip(("sscl", "hml", "amu"), switches, strict=True))
    for row, switches in enumerate(
        [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)]
    )
}


def unit(*rows: list[float]) -> Tensor:
    return normalize(torch.tensor(rows, dtype=torch.float64), dim=1)


def started(*, alone: bool = False, **settings: Any) -> SCLHM:
    """Begin an epoch; with ``alone`` the visible clusters 0 and 4 and the infrared clusters 1 and 4 have no partner."""
    method = SCLHM(SCLHMConfig(**{**SMALL, **settings}), world.encoder())
    seen = world.features(width=method.encoder.feature_dim)
    labels = method.label(seen, world.progress())
    if alone:
        visible, infrared = (part.clone() for part in labels["partners"])
        visible[[0, 4]], infrared[[1, 4]] = -1, -1
        labels = replace(labels, extra={"partners": (visible, infrared)})
    method.begin_epoch(seen, labels, world.progress())
    method.train()
    return method


def a_batch(method: SCLHM) -> Any:
    return world.batch(method.label(world.features(width=method.encoder.feature_dim), world.progress()), method)


# ---- the blend against hand-computed values -------------------------------------------------------------------

VISIBLE = unit([1, 0, 0.2], [0.1, 1, 0], [0, 0.2, 1], [0.9, 0.1, 0.6])
INFRARED = unit([0.8, 0.1, 0.3], [0, 0.9, 0.4])
PARTNERS = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ("top1", [[0.960017, 0.058412, 0.273780], [0.050920, 0.976837, 0.207838]]),
        ("group", [[0.927190, 0.081669, 0.365580], [0.032493, 0.850324, 0.525255]]),
    ],
)
def test_the_hybrid_memory_blends_partners(members: str, expected: list[list[float]]) -> None:
    from usvi_bench.components.association import nearest_match

    partners = nearest_match(VISIBLE, INFRARED)
    assert [p.tolist() for p in partners] == [p.tolist() for p in PARTNERS]
    hybrid, visible_rows, infrared_rows = blend(VISIBLE, INFRARED, partners, 0.5, members)
    torch.testing.assert_close(hybrid, torch.tensor(expected).double(), atol=1e-6, rtol=0)
    assert visible_rows.tolist() == [0, 1, 1, 0]
    assert infrared_rows.tolist() == [0, 1]


def test_the_smaller_side_indexes_the_hybrid_memory() -> None:
    hybrid, visible_rows, infrared_rows = blend(INFRARED, VISIBLE, PARTNERS[::-1], 0.3, "top1")
    mirrored, other_infrared, other_visible = blend(VISIBLE, INFRARED, PARTNERS, 0.7, "top1")
    torch.testing.assert_close(hybrid, mirrored)
    assert torch.equal(visible_rows, other_visible)
    assert torch.equal(infrared_rows, other_infrared)


def test_beta_one_is_the_infrared_memory() -> None:
    torch.testing.assert_close(blend(VISIBLE, INFRARED, PARTNERS, 1.0, "top1")[0], INFRARED)


def test_clusters_without_partner_have_no_hybrid_row() -> None:
    partners = torch.tensor([0, -1, -1, -1]), torch.tensor([0, -1])
    hybrid, visible_rows, infrared_rows = blend(VISIBLE, INFRARED, partners, 0.5, "top1")
    torch.testing.assert_close(hybrid[1], INFRARED[1])
    assert visible_rows.tolist() == [0, -1, -1, -1]
    assert infrared_rows.tolist() == [0, -1]


# ---- the method ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ABLATION)
def test_every_ablation_row_trains(row: int) -> None:
    method = SCLHM(SCLHMConfig(**SMALL, **{k: bool(v) for k, v in ABLATION[row].items()}), world.encoder())
    history = world.train_steps(method)
    assert ("hybrid_visible" in history[0]) == bool(ABLATION[row]["hml"])
    assert set(method.models()) == {"teacher", "student"}
    for rows in method.memories.values():
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))
        assert not rows.requires_grad


@pytest.mark.parametrize(
    "settings",
    [
        {"consistency": "sample"},
        {"consistency": "class"},
        {"teacher_view": "same"},
        {"association": "mutual"},
        {"association": "hungarian"},
        {"association": "sinkhorn"},
        {"members": "group"},
        {"hybrid_dir": "alternate"},
        {"sscl_on": ("visible", "infrared")},
        {"cross_weight": 0.25},
        {"amu": False, "update": "hard"},
        {"trust": 0.0},
    ],
    ids=str,
)
def test_every_switch_trains_and_changes_something(settings: dict[str, Any]) -> None:
    def run(**other: Any) -> tuple[list[dict[str, float]], Tensor]:
        method = SCLHM(SCLHMConfig(**SMALL, **other), world.encoder())
        history = world.train_steps(method, steps=3)
        return history, torch.cat(list(method.memories.values()))

    (changed, moved), (default, plain) = run(**settings), run()
    if settings.get("association") not in ("mutual", "hungarian", "sinkhorn"):  # six easy people pair off either way
        assert changed != default or not torch.equal(moved, plain)


def test_all_modules_off_is_the_baseline() -> None:
    off = started(sscl=False, hml=False, amu=False)
    baseline = ClusterContrast(ClusterContrastConfig(**SMALL), world.encoder())
    assert [
        {k: h[k] for k in MODALITIES} for h in world.train_steps(SCLHM(off.config, world.encoder()), steps=3)
    ] == pytest.approx([pytest.approx(h, abs=1e-5) for h in world.train_steps(_with_two_views(baseline), steps=3)])


def _with_two_views(baseline: ClusterContrast) -> ClusterContrast:
    """The baseline, given SCLHM's batches (it has a second infrared view) and using the first view only."""
    loss = baseline.loss
    baseline.infrared_views = ("infrared", "infrared")

    def first_view(batch: Any, progress: Any) -> Any:
        return loss(replace(batch, infrared=replace(batch.infrared, views=batch.infrared.views[:1])), progress)

    baseline.loss = first_view  # type: ignore[method-assign]
    return baseline


@pytest.mark.parametrize("alone", [False, True])
def test_losses_equal_the_definition(alone: bool) -> None:
    method = started(alone=alone)
    batch = a_batch(method)
    assert bool((method.hybrid_rows["visible"] < 0).any()) == alone
    cut = [2 * len(batch.visible.labels), len(batch.infrared.labels)]
    student, teacher = (dict(zip(MODALITIES, part.split(cut), strict=True)) for part in method.embed_pair(batch))
    losses = method.loss(batch, world.progress())
    c = method.config
    labels = {"visible": torch.cat([batch.visible.labels] * 2), "infrared": batch.infrared.labels}
    for modality in MODALITIES:
        for memory in (modality, "hybrid"):
            rows, costs = method.memories[memory], []
            for f, t, y in zip(student[modality], teacher[modality], labels[modality], strict=True):
                k = int(method.hybrid_rows[modality][y]) if memory == "hybrid" else int(y)
                if k < 0:
                    continue
                q = torch.tensor([float(t @ m) / c.temperature for m in rows]).softmax(0)
                target = c.smoothing * q
                target[k] += 1 - c.smoothing
                logp = torch.tensor([float(f.detach() @ m) / c.temperature for m in rows]).log_softmax(0)
                costs.append(-float((target * logp).sum()))
            mean = sum(costs) / len(costs)
            if memory == "hybrid":
                assert float(losses[f"hybrid_{modality}"].detach()) == pytest.approx(
                    c.hybrid_weight * mean / 2, rel=1e-4
                )
            else:
                assert float(losses[modality].detach()) == pytest.approx(mean, rel=1e-4)


def test_the_teacher_sees_the_other_view_and_takes_no_gradient() -> None:
    method = started()
    batch = a_batch(method)
    seen: list[Tensor] = []
    method.teacher.register_forward_pre_hook(lambda module, inputs: seen.extend(inputs))
    losses = method.loss(batch, world.progress())
    sum(losses.values()).backward()
    plain, channel = batch.visible.views
    assert torch.equal(seen[0], torch.cat([channel, plain]))
    assert torch.equal(seen[1], batch.infrared.views[1])
    assert all(p.grad is None for p in method.teacher.parameters())
    assert any(p.grad is not None for p in method.encoder.parameters())


def test_running_statistics_of_cut_up_batch_norm_are_of_plain_images_for_teacher_and_student() -> None:
    method = SCLHM(SCLHMConfig(**SMALL), build_encoder(SmallConfig(width=8, bn_groups=2), 0))
    method.train()
    batch = a_batch(method)
    plain, channel = batch.visible.views
    given: list[Tensor] = []
    made: list[Tensor] = []
    method.teacher.register_forward_pre_hook(lambda module, inputs: given.extend(inputs))
    method.teacher.register_forward_hook(lambda module, inputs, output: made.append(output))
    student, teacher = method.embed_pair(batch)
    assert torch.equal(given[0], torch.cat([plain, channel])), "the first part is plain"
    after_plain, after_channel = normalize(made[0][: 2 * len(plain)]).split(len(plain))
    swapped = torch.cat([after_channel, after_plain])
    assert torch.equal(teacher[: len(swapped)], swapped), "the other view, row by row"
    assert len(student) == len(teacher) == len(made[0])
    for name, mean in method.teacher.state_dict().items():
        if name.startswith("visible.") and name.endswith("running_mean"):
            assert torch.equal(mean, method.encoder.state_dict()[name]), "equal weights, equal plain images"


def test_the_teacher_starts_as_the_student_and_averages_over_a_fraction_of_the_stage() -> None:
    method = started()
    for old, new in zip(method.teacher.parameters(), method.encoder.parameters(), strict=True):
        assert torch.equal(old, new)
    assert SCLHMConfig().ema_window == 0.1
    assert alpha_for(SCLHMConfig().ema_window, 50 * 200) == pytest.approx(0.999)


def test_no_memory_moves_before_the_end_of_the_step() -> None:
    method = started()
    before = {name: rows.clone() for name, rows in method.memories.items()}
    method.loss(a_batch(method), world.progress())
    assert all(torch.equal(rows, method.memories[name]) for name, rows in before.items())
    method.end_step(world.progress())
    assert not any(torch.equal(rows, method.memories[name]) for name, rows in before.items())


def test_samples_without_a_hybrid_row_change_no_memory_but_their_own() -> None:
    method = started(alone=True, association="mutual")
    before = {name: rows.clone() for name, rows in method.memories.items()}
    batch = a_batch(method)
    method.loss(batch, world.progress())
    method.end_step(world.progress())
    seen = {"visible": batch.visible.labels, "infrared": batch.infrared.labels}
    touched = torch.cat([method.hybrid_rows[m][labels] for m, labels in seen.items()]).unique().tolist()
    moved = {
        name: (rows != before[name]).any(dim=1).nonzero().flatten().tolist() for name, rows in method.memories.items()
    }
    assert -1 in touched
    assert moved == {**{m: labels.unique().tolist() for m, labels in seen.items()}, "hybrid": touched[1:]}
    for rows in method.memories.values():
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))
    assert 1 <= float(method.diagnostics()["effective_samples"]) < 24


@pytest.mark.parametrize("update", UPDATE_RULES)
def test_samples_without_a_hybrid_row_leave_finite_losses_without_amu(update: Update) -> None:
    method = started(alone=True, association="mutual", amu=False, update=update)
    for _ in range(2):
        losses = method.loss(a_batch(method), world.progress())
        assert all(bool(value.isfinite()) for value in losses.values())
        method.end_step(world.progress())
    assert bool(method.stack.rows.isfinite().all())


def test_one_modality_never_moves_the_memory_of_the_other() -> None:
    method = started(cross_weight=0.25)
    method.loss(a_batch(method), world.progress())
    own, hybrid = method.pending_update.labels
    visible, infrared = len(method.memories["visible"]), len(method.memories["infrared"])
    assert (own[:24] < visible).all()
    assert ((own[24:] >= visible) & (own[24:] < visible + infrared)).all()
    assert (hybrid >= visible + infrared).all()
    assert len(hybrid) == 36


def test_alternate_epochs_contrast_one_modality_with_the_hybrid_memory() -> None:
    method = started(hybrid_dir="alternate")
    for epoch, on, off in ((1, "infrared", "visible"), (2, "visible", "infrared")):
        losses = method.loss(a_batch(method), world.progress(epoch=epoch))
        assert float(losses[f"hybrid_{on}"].detach()) > 0
        assert float(losses[f"hybrid_{off}"].detach()) == 0


def test_the_first_stage_is_the_baseline_and_shared_by_all_ablation_rows() -> None:
    first = {SCLHM.stages(SCLHMConfig(sscl=bool(s), update="mean"))[0] for s in (0, 1)}
    assert len(first) == 1
    stage = first.pop()
    assert (stage.method, stage.config) == ("cluster_contrast", ClusterContrastConfig())


def test_a_gate_that_would_favour_mislabelled_images_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="mislabelled images"):
        SCLHMConfig(amu_temperature=0.03)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SCLHMConfig()
        SCLHMConfig(amu_temperature=0.03, trust=0.0)


def test_diagnostics_are_shares() -> None:
    method = started()
    method.loss(a_batch(method), world.progress())
    method.end_step(world.progress())
    figures = method.diagnostics()
    assert 0 < float(figures["consistency"]) < 1
    assert float(figures["moved_mass"]) == pytest.approx(0.3 * (1 - float(figures["consistency"])), rel=1e-4)
    assert float(figures["effective_samples"]) >= 1
