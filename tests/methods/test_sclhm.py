from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
import world
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from components.ema import alpha_for
from components.hybrid import average, blend
from components.losses import soft_cross_entropy
from components.memory import momentum_step
from engine.types import MODALITIES
from methods.cluster_contrast import ClusterContrast, ClusterContrastConfig
from methods.sclhm import SCLHM, SCLHMConfig, Seen, smooth_targets

SMALL = {"k1": 6, "k2": 2}
ABLATION = {  # SSCL, HML, AMU: every row of the grid is three settings
    row: dict(zip(("sscl", "hml", "amu"), switches, strict=True))
    for row, switches in enumerate(
        [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)]
    )
}


def unit(*rows: list[float]) -> Tensor:
    return normalize(torch.tensor(rows, dtype=torch.float64), dim=1)


def started(**settings: Any) -> SCLHM:
    method = SCLHM(SCLHMConfig(**{**SMALL, **settings}), world.encoder())
    seen = world.features(width=method.encoder.feature_dim)
    labels = method.label(seen, world.clock())
    method.begin_epoch(seen, labels, world.clock())
    method.train()
    return method


def a_batch(method: SCLHM) -> Any:
    return world.batch(method.label(world.features(width=method.encoder.feature_dim), world.clock()), method)


# ---- formulas against hand-computed values -------------------------------------------------------------------

F = unit([0.9, 0.4, 0.1], [0.5, 0.6, 0.62])
T = unit([0.95, 0.3, 0.1], [0.55, 0.56, 0.62])
Y = torch.tensor([0, 1])


def test_soft_targets_and_loss() -> None:
    f = F.clone().requires_grad_()
    soft = (T / 0.05).softmax(1)
    targets = smooth_targets(Y, soft, 0.3, "plain")
    torch.testing.assert_close(targets[1], torch.tensor([0.047808, 0.758390, 0.193802]).double(), atol=1e-6, rtol=0)
    loss = soft_cross_entropy(f / 0.05, targets)
    loss.backward()
    assert loss.item() == pytest.approx(0.492224, abs=1e-6)
    assert float(cross_entropy(F / 0.05, Y)) == pytest.approx(0.483147, abs=1e-6)
    expected = torch.tensor([0.033993, -3.778838, 3.744845]).double()
    torch.testing.assert_close(f.grad[1], expected, atol=1e-5, rtol=0)


def test_a_reliable_sample_is_smoothed_less() -> None:
    targets = smooth_targets(Y, (T / 0.05).softmax(1), 0.3, "sample")
    smoothing = (1 - targets[1, 1]) / (1 - (T / 0.05).softmax(1)[1, 1])
    assert float(smoothing) == pytest.approx(0.241610, abs=1e-6)
    assert float(soft_cross_entropy(F[1:] / 0.05, targets[1:])) == pytest.approx(0.980867, abs=1e-6)


def test_class_consistency_shares_soft_assignments_within_a_cluster() -> None:
    soft = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).softmax(1)
    labels = torch.tensor([0, 1, 0, 2, 1])
    targets = smooth_targets(labels, soft, 0.4, "class")
    for i, label in enumerate(labels):
        mates = torch.stack([soft[j] for j in range(5) if labels[j] == label]).mean(0)
        expected = 0.4 * (soft[i] + mates) / 2
        expected[label] += 0.6
        torch.testing.assert_close(targets[i], expected)


def test_the_mass_left_on_the_label_follows_its_consistency() -> None:
    soft = torch.rand(6, 4, generator=torch.Generator().manual_seed(1)).softmax(1)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    kept = smooth_targets(labels, soft, 0.3, "plain").gather(1, labels[:, None])
    torch.testing.assert_close(kept, 1 - 0.3 * (1 - soft.gather(1, labels[:, None])))


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
    from components.association import nearest_match

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


def test_modalities_have_equal_say_in_a_shared_row() -> None:
    generator = torch.Generator().manual_seed(2)
    rows = normalize(torch.randn(4, 5, generator=generator), dim=1)
    method = started()
    parts = []
    for labels in (torch.tensor([0, 0, 0, 1]), torch.tensor([0, 2, 2, 2])):
        features = normalize(torch.randn(4, 5, generator=generator), dim=1)
        parts.append(Seen(features, labels, torch.rand(4, generator=generator)))
    new = method.updated(rows, parts)
    c = method.config
    for k in range(4):
        targets = []
        for s in parts:
            mine = [i for i in range(4) if s.labels[i] == k]
            if not mine:
                continue
            scores = [
                float(-(s.features[i] @ rows[k]) / c.amu_temperature + c.trust * s.trust[i].clamp(min=1e-6).log())
                for i in mine
            ]
            weights = torch.tensor(scores).softmax(0)
            total = sum(w * s.features[i] for w, i in zip(weights, mine, strict=True))
            targets.append(normalize(total, dim=0))
        expected = rows[k]
        if targets:
            expected = normalize(c.momentum * rows[k] + (1 - c.momentum) * torch.stack(targets).mean(0), dim=0)
        torch.testing.assert_close(new[k], expected, atol=1e-5, rtol=1e-5)


def test_average_counts_only_parts_with_samples() -> None:
    parts = [torch.tensor([[2.0], [4.0], [9.0]]), torch.tensor([[6.0], [8.0], [9.0]])]
    present = [torch.tensor([True, True, False]), torch.tensor([True, False, False])]
    mean, anywhere = average(parts, present)
    assert mean.squeeze(1).tolist() == [4.0, 4.0, 0.0]
    assert anywhere.tolist() == [True, True, False]


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

    def first_view(batch: Any, clock: Any) -> Any:
        return loss(replace(batch, infrared=replace(batch.infrared, views=batch.infrared.views[:1])), clock)

    baseline.loss = first_view  # type: ignore[method-assign]
    return baseline


def test_losses_equal_the_definition() -> None:
    method = started()
    batch = a_batch(method)
    student, teacher = method.embed_pair(batch)
    losses = method.loss(batch, world.clock())
    c = method.config
    labels = {"visible": torch.cat([batch.visible.labels] * 2), "infrared": batch.infrared.labels}
    for modality in MODALITIES:
        for memory in (modality, "hybrid"):
            rows, total = method.memories[memory], 0.0
            for f, t, y in zip(student[modality], teacher[modality], labels[modality], strict=True):
                k = int(method.hybrid_rows[modality][y]) if memory == "hybrid" else int(y)
                q = torch.tensor([float(t @ m) / c.temperature for m in rows]).softmax(0)
                target = c.smoothing * q
                target[k] += 1 - c.smoothing
                logp = torch.tensor([float(f @ m) / c.temperature for m in rows]).log_softmax(0)
                total -= float((target * logp).sum())
            mean = total / len(labels[modality])
            if memory == "hybrid":
                assert float(losses[f"hybrid_{modality}"]) == pytest.approx(c.hybrid_weight * mean / 2, rel=1e-4)
            else:
                assert float(losses[modality]) == pytest.approx(mean, rel=1e-4)


def test_the_teacher_sees_the_other_view_and_takes_no_gradient() -> None:
    method = started()
    batch = a_batch(method)
    seen: list[Tensor] = []
    method.teacher.register_forward_pre_hook(lambda module, inputs: seen.extend(inputs))
    losses = method.loss(batch, world.clock())
    sum(losses.values()).backward()
    plain, channel = batch.visible.views
    assert torch.equal(seen[0], torch.cat([channel, plain]))
    assert torch.equal(seen[1], batch.infrared.views[1])
    assert all(p.grad is None for p in method.teacher.parameters())
    assert any(p.grad is not None for p in method.encoder.parameters())


def test_the_teacher_starts_as_the_student_and_averages_over_a_fraction_of_the_stage() -> None:
    method = started()
    for old, new in zip(method.teacher.parameters(), method.encoder.parameters(), strict=True):
        assert torch.equal(old, new)
    assert SCLHMConfig().ema_window == 0.1
    assert alpha_for(SCLHMConfig().ema_window, 50 * 200) == pytest.approx(0.999)


def test_no_memory_moves_before_the_end_of_the_step() -> None:
    method = started()
    before = {name: rows.clone() for name, rows in method.memories.items()}
    method.loss(a_batch(method), world.clock())
    assert all(torch.equal(rows, method.memories[name]) for name, rows in before.items())
    method.end_step(world.clock())
    assert not any(torch.equal(rows, method.memories[name]) for name, rows in before.items())


def test_one_modality_never_moves_the_memory_of_the_other() -> None:
    method = started(cross_weight=0.25)
    method.loss(a_batch(method), world.clock())
    count = {name: sum(len(s.labels) for s in seen) for name, seen in method.seen.items()}
    assert count == {"visible": 24, "infrared": 12, "hybrid": 36}


def test_alternate_epochs_contrast_one_modality_with_the_hybrid_memory() -> None:
    method = started(hybrid_dir="alternate")
    for epoch, on, off in ((1, "infrared", "visible"), (2, "visible", "infrared")):
        losses = method.loss(a_batch(method), world.clock(epoch=epoch))
        assert float(losses[f"hybrid_{on}"]) > 0
        assert float(losses[f"hybrid_{off}"]) == 0


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
    method.loss(a_batch(method), world.clock())
    method.end_step(world.clock())
    figures = method.diagnostics()
    assert 0 < float(figures["consistency"]) < 1
    assert float(figures["moved_mass"]) == pytest.approx(0.3 * (1 - float(figures["consistency"])), rel=1e-4)
    assert float(figures["effective_samples"]) >= 1


def test_rows_without_samples_stay() -> None:
    rows = unit([1.0, 0.0], [0.0, 1.0])
    assert torch.equal(momentum_step(rows, torch.zeros(2, 2).double(), torch.tensor([False, False]), 0.0), rows)
