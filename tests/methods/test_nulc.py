"""N-ULC: values of the released functions (tengxiao14/Neighbor-guided-USL-VI-ReID @af4b43c), laws, and its parents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.methods import world
from usvi_bench.components.association import match, paired
from usvi_bench.components.clustering.most_similar import most_similar
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.neighbour_labels import reliability, soft_labels
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import MODALITIES, Batch, Features, PseudoLabels, Samples
from usvi_bench.methods.nulc import NULC, NULCConfig
from usvi_bench.methods.pgm import PGM, PGMConfig
from usvi_bench.methods.released.nulc import ReleasedNULC

OFF = {"homogeneous": False, "heterogeneous": False, "weighting": False}
SMALL = {"k1": 6, "k2": 2, "neighbours": 6}

# ---- released values -----------------------------------------------------------------------------------------


def made() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    centres, shift, own, other = (rng.normal(size=shape) for shape in ((4, 8), (8,), (30, 8), (20, 8)))
    visible = centres[np.arange(30) % 4] + 0.8 * own
    infrared = centres[np.arange(20) % 4] + 0.8 * other + 0.8 * shift
    assert (visible.sum(), infrared.sum()) == pytest.approx((-38.962572, 7.920327), abs=1e-6)
    return torch.from_numpy(visible).float(), torch.from_numpy(infrared).float()


def labels_of_made() -> tuple[Tensor, Tensor]:
    visible, infrared = torch.arange(30) % 4, torch.arange(20) % 4
    visible[24:], visible[[3, 10, 17]] = 4, -1
    infrared[16:], infrared[15] = -1, 2
    return visible, infrared


V, R = made()
YV, YR = labels_of_made()
PARTNERS = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([0, 1, 2, 3])


def soft(queries: Tensor, keys: Tensor, labels: Tensor, clusters: int, k: int = 6) -> Tensor:
    return soft_labels(most_similar(normalize(queries), normalize(keys), k)[1], labels, clusters)[0]


def weights(soft: Tensor, rows: Tensor) -> Tensor:
    """Weights with sharpness 10; 0 for outliers."""
    return reliability(soft, rows.clamp(min=0), 10.0) * (rows >= 0)


def close(found: Any, expected: Any) -> None:
    torch.testing.assert_close(torch.as_tensor(found), torch.tensor(expected), atol=1e-5, rtol=0)


def test_homogeneous_labels_are_those_of_the_released_function() -> None:
    nearest = most_similar(normalize(V), normalize(V), 6)[1]
    assert nearest[0].tolist() == [0, 28, 16, 4, 6, 12]
    assert YV[nearest[0]].tolist() == [0, 4, 0, 0, 2, 0]
    assert [labels[labels >= 0].bincount().tolist() for labels in (YV, YR)] == [[6, 5, 5, 5, 6], [4, 4, 5, 3]]
    own, other = soft(V, V, YV, 5), soft(R, R, YR, 4)
    close(own[0], [0.723684, 0, 0.144737, 0, 0.131579])
    close(own[1], [0, 0.544954, 0, 0.322936, 0.132110])
    close(own[3], [0, 0.191489, 0, 0.425532, 0.382979])
    close(own[24], [0, 0.344828, 0, 0.344828, 0.310345])
    close(other[0], [0.644776, 0.167164, 0, 0.188060])
    close(other[16], [0.869565, 0, 0.130435, 0])
    close(weights(own, YV)[[0, 1, 3, 24]], [0.466030, 0.126102, 0, 0.008598])
    close(weights(other, YR)[[0, 16]], [0.283133, 0])
    close([float(own[:, 0].sum()), float(weights(own, YV).sum())], [5.553057, 7.383419])
    close(weights(other, YR).sum(), 8.330259)
    ten = soft(V, V, YV, 5, k=10)
    close(ten[0], [0.669118, 0, 0.171569, 0, 0.159314])
    close(weights(ten, YV)[0], 0.334596)


def test_one_neighbour_is_the_image_itself() -> None:
    own = soft(V, V, YV, 5, k=1)
    clustered = YV >= 0
    assert torch.equal(own[clustered], torch.eye(5)[YV[clustered]])
    assert weights(own, YV)[clustered].eq(1).all()


def test_heterogeneous_labels_are_those_of_the_released_function() -> None:
    visible, infrared = soft(V, R, YR, 4), soft(R, V, YV, 5)
    rows = torch.where(YV < 0, -1, PARTNERS[0][YV]), torch.where(YR < 0, -1, PARTNERS[1][YR])
    close(visible[0], [0.658537, 0, 0.341463, 0])
    close(visible[24], [0, 0.156250, 0.140625, 0.703125])
    close(infrared[0], [0.515625, 0.343750, 0, 0, 0.140625])
    close(weights(visible, rows[0])[[0, 24]], [0.311619, 0.000045])
    close(weights(infrared, rows[1])[0], 0.095733)
    sums = weights(visible, rows[0]).sum(), visible[:, 0].sum(), weights(infrared, rows[1]).sum(), infrared[:, 0].sum()
    close([float(value) for value in sums], [8.763697, 6.179890, 6.752909, 6.689979])


def begun(
    cls: type[NULC], epoch: int, labels: tuple[Tensor, Tensor] = (YV, YR), partners: Any = PARTNERS, **settings: Any
) -> NULC:
    """The method at the start of an epoch on the made features."""
    method = cls(NULCConfig(**{"neighbours": 6, "momentum": 0.2, **settings}), world.encoder())
    cameras = torch.zeros(30, dtype=torch.int64), torch.zeros(20, dtype=torch.int64)
    pseudo = paired(PseudoLabels(*labels), partners)
    method.begin_epoch(Features(V, R, *cameras), pseudo, world.progress(epoch))
    return method


def test_images_that_the_released_code_turns_into_nan_take_no_part() -> None:
    few = torch.where(torch.arange(20) < 4, 0, -1)
    nothing = torch.zeros(5, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
    method = begun(NULC, 0, (YV, few), nothing)
    found = method.calibrations["visible", "infrared"]
    assert (found.weights == 0).nonzero().squeeze(1).tolist() == [0, 3, 10, 12, 16, 17, 26], "with three outliers"
    assert found.weights.isfinite().all()
    assert found.targets.isfinite().all()
    assert float(method.diagnostics()["cross_unknown"]) == pytest.approx(4 / 27)


def test_the_journal_has_the_mean_weights_of_the_released_functions() -> None:
    method = begun(NULC, 0)
    for modality, labels, mean in (("visible", YV, 0.273460), ("infrared", YR, 0.520641)):
        own = method.calibrations[modality, modality].weights  # type: ignore[index]
        close(own[labels >= 0].mean(), mean)
    figures = method.diagnostics()
    close(figures["own_mean_weight"], (0.273460 + 0.520641) / 2)
    close(figures["cross_mean_weight"], 0.324581)
    close(begun(NULC, 1).diagnostics()["cross_mean_weight"], 0.422057)
    assert figures["own_unknown"] == figures["cross_unknown"] == 0


INDEX = torch.tensor([0, 5, 1, 6, 2, 7, 24, 25]), torch.tensor([0, 4, 1, 5, 2, 6, 3, 7])


def iteration(cls: type[NULC], epoch: int, **settings: Any) -> tuple[NULC, Tensor, dict[str, Tensor], list[Tensor]]:
    """One iteration with a linear encoder: the method, the encoder, the losses, and the gradients of the features."""
    rng = np.random.default_rng(5)
    blocks = [torch.from_numpy(np.eye(8) + 0.2 * rng.normal(size=(8, 8))).float()]
    blocks += [torch.from_numpy(0.3 * rng.normal(size=(8, 8))).float() for _ in range(3)]
    encoder, first, second, third = blocks
    assert float(encoder.sum()) == pytest.approx(5.623720, abs=1e-5)
    encoder.requires_grad_()
    (v, r), method = INDEX, begun(cls, epoch, **settings)
    batch = Batch(Samples((V[v] + first, V[v] + second), YV[v], v), Samples((R[r] + third,), YR[r], r))
    features = torch.cat(batch.visible.views) @ encoder, batch.infrared.views[0] @ encoder
    method.embed_batch = lambda batch: features  # type: ignore[method-assign]
    losses = method.loss(batch, world.progress(epoch))
    optimiser = torch.optim.Adam([encoder], lr=3.5e-4, weight_decay=5e-4)
    total = torch.stack(list(losses.values())).sum()
    gradients = list(torch.autograd.grad(total, features, retain_graph=True))
    total.backward()
    optimiser.step()
    method.end_step(world.progress(epoch))
    return method, encoder, losses, gradients


TOTAL = {0: 1.478924, 1: 4.202127}
CROSS = {0: ("cross_visible", 0.157476), 1: ("cross_infrared", 1.065210)}
NORMS = {
    (ReleasedNULC, 0): (0.392853, 0.712749, 3.467134),
    (ReleasedNULC, 1): (0.223443, 1.628252, 5.351593),
    (NULC, 0): (0.392853, 0.719738, 4.034327),
    (NULC, 1): (0.184293, 1.628252, 6.780451),
}
AFTER = {
    0: (
        [0.243293, -0.281743, 0.611885, 0.174769],
        [1.409907, -0.425788, 1.407086, 0.880959],
        [0.050101, 0.327712, 0.704579, 0.010952],
        [2.076196, -0.866497, 0.431325, -1.079481, 0.586482],
    ),
    1: (
        [0.238858, -0.278622, 0.611088, 0.179311],
        [1.420247, -0.458508, 1.412294, 0.885849],
        [0.051221, 0.316349, 0.721183, 0.011841],
        [2.064260, -0.864820, 0.434350, -1.020509, 0.586482],
    ),
}
ENCODER = {0: 5.631420, 1: 5.632120}


@pytest.mark.parametrize(("cls", "epoch"), NORMS)
def test_an_iteration_is_that_of_the_released_trainer(cls: type[NULC], epoch: int) -> None:
    method, encoder, losses, gradients = iteration(cls, epoch)
    cross, value = CROSS[epoch]
    assert list(losses) == ["visible", "infrared", cross]
    close(torch.stack(list(losses.values())), [0.513279, 0.493216, 3 * value])
    close(torch.stack(list(losses.values())).sum(), TOTAL[epoch])
    assert encoder.grad is not None
    norms = [float(part.norm()) for part in (*gradients, encoder.grad)]
    assert norms == pytest.approx(list(NORMS[cls, epoch]), rel=1e-4)
    (v, r), calibrations = INDEX, method.calibrations
    expected = [0.466030, 0.828293, 0.126102, 0.158663, 0.013479, 0.456576, 0.008598, 0.014217]
    close(calibrations["visible", "visible"].weights[v], expected)
    expected = [0.283133, 0.815396, 0.843553, 0.843553, 1, 0.090126, 0.414224, 0.044299]
    close(calibrations["infrared", "infrared"].weights[r], expected)
    infrared, visible = method.infrared_memory.rows, method.visible_memory.rows
    found = infrared[0, :4], infrared.sum(dim=1), visible[0, :4], visible.sum(dim=1)
    for part, expected in zip(found, AFTER[epoch], strict=True):
        close(part, expected)
    if cls is ReleasedNULC:
        close(encoder.detach().sum(), ENCODER[epoch])


def test_clusters_of_the_larger_side_share_partners() -> None:
    """Where the released scripts stop or leave clusters without a partner, the same rule is continued."""
    found = {
        (4, 4): ([3, 2, 0, 1], [2, 3, 1, 0]),
        (5, 4): ([3, 2, 0, 1, 0], [4, 3, 1, 0]),
        (8, 4): ([3, 2, 1, 0, 0, 3, 2, 1], [3, 7, 1, 0]),
        (9, 4): ([3, 2, 0, 1, 0, 3, 2, 1, 0], [8, 7, 1, 0]),
        (12, 4): ([3, 2, 0, 1, 0, 2, 2, 1, 0, 3, 1, 3], [8, 7, 1, 0]),
        (13, 4): ([3, 2, 0, 0, 0, 2, 2, 1, 0, 3, 1, 3, 1], [8, 12, 1, 0]),
        (3, 5): ([3, 2, 0], [2, 0, 1, 0, 1]),
        (3, 7): ([3, 2, 0], [2, 2, 1, 0, 1, 1, 0]),
    }
    for (visible, infrared), expected in found.items():
        rows = [
            torch.from_numpy(np.random.default_rng(s).normal(size=(n, 8))) for s, n in ((3, visible), (4, infrared))
        ]
        assert tuple(side.tolist() for side in match(*rows)) == expected, (visible, infrared)


def test_the_memory_is_that_of_the_released_code() -> None:
    features = 3 * normalize(torch.from_numpy(np.random.default_rng(0).normal(size=(6, 4)))).float()
    rows = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 4))).float()
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    memory = ClusterMemory(rows, momentum=0.2)
    features.requires_grad_()
    loss = memory.loss(features, labels)
    (gradient,) = torch.autograd.grad(loss, features)
    close(loss.detach(), 5.929041)
    assert float(gradient.norm()) == pytest.approx(2.923043, rel=1e-4)
    memory.update(features, labels)
    expected = [[-0.213810, 0.163637, 0.848188, 0.456164], [-0.594948, -0.291513, 0.183240, 0.726278]]
    close(memory.rows, [*expected, [0.038970, 0.856289, -0.364553, 0.363802]])


# ---- laws ----------------------------------------------------------------------------------------------------


def trained(method: PGM) -> tuple[list[dict[str, float]], list[Tensor]]:
    history = world.train_steps(method, 3)
    return history, [p.detach().clone() for p in method.encoder.parameters()]


@pytest.mark.parametrize("settings", [{"cross_weight": 0.25}, {"crossing": "both"}, {"progressive": False}], ids=str)
def test_without_its_modules_it_is_pgm(settings: dict[str, Any]) -> None:
    shared = {"k1": 6, "k2": 2, "cross_weight": 0.25, "update": "sequential", **settings}
    expected, weights = trained(PGM(PGMConfig(**shared), world.encoder()))
    history, own = trained(NULC(NULCConfig(**shared, **OFF), world.encoder()))
    assert history == expected
    assert all(torch.equal(a, b) for a, b in zip(own, weights, strict=True))


@pytest.mark.parametrize("settings", [{"balance": 1.0, "sharpness": 0.0}, {"neighbours": 1}], ids=str)
def test_hard_targets_and_equal_weights_are_plain_contrast(settings: dict[str, Any]) -> None:
    """With one neighbour, this holds for the own memory only."""
    plain, same = iteration(NULC, 0, **OFF)[2], iteration(NULC, 0, **settings)[2]
    for name in MODALITIES if "neighbours" in settings else plain:
        torch.testing.assert_close(same[name], plain[name])


def test_a_rotation_of_the_features_changes_nothing() -> None:
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))[0]
    torch.testing.assert_close(soft(V @ turn, R @ turn, YR, 4), soft(V, R, YR, 4))


def test_a_sample_without_clustered_neighbours_has_no_gradient_of_the_cross_term() -> None:
    few = torch.where(torch.arange(20) < 4, torch.arange(20) % 2, -1)
    partners = torch.tensor([0, 1, 0, 1, 0]), torch.tensor([0, 1])
    for settings in ({}, {"weighting": False}, {"homogeneous": False, "heterogeneous": False}):
        method = begun(NULC, 0, (YV, few), partners, **settings)
        v, features = torch.tensor([0, 5, 12, 1]), V[[0, 5, 12, 1]].clone().requires_grad_()
        method.index = {"visible": v}
        losses = method.cross({"visible": features}, {"visible": YV[v]}, world.progress(0))
        losses["cross_visible"].backward()
        assert features.grad is not None
        assert [bool(row.any()) for row in features.grad] == [False, True, False, True]


@pytest.mark.parametrize("settings", [{}, {"normalise_weights": True}, {"weighting": False}], ids=str)
def test_samples_without_partner_stay_out_of_the_cross_term(settings: dict[str, Any]) -> None:
    lonely = torch.tensor([0, -1, 2, 3, -1]), torch.tensor([0, -1, 2, 3])
    method = begun(NULC, 0, partners=lonely, progressive=False, **settings)
    v = INDEX[0]
    method.index = {"visible": v}
    found = method.cross({"visible": V[v]}, {"visible": YV[v]}, world.progress(0))["cross_visible"]
    total, taken, divisor = torch.zeros(()), 0, 0.0
    for image in v.tolist():
        row = int(lonely[0][YV[image]])
        if row < 0:
            continue
        label = soft(V, R, YR, 4)[image]
        target = 0.7 * torch.eye(4)[row] + 0.3 * label
        weight = 1.0 if settings.get("weighting") is False else float(torch.exp(-10 * (1 - label[row]) ** 2))
        logits = method.infrared_memory.rows @ normalize(V[image], dim=0) / 0.05
        total = total - weight * (target * logits.log_softmax(0)).sum()
        taken, divisor = taken + 1, divisor + weight
    torch.testing.assert_close(found, 3 * total / (divisor if settings.get("normalise_weights") else taken))


@pytest.mark.parametrize("cls", [NULC, ReleasedNULC])
@pytest.mark.parametrize(
    "settings",
    [
        *({name: False} for name in OFF),
        {"neighbours": 7},
        {"balance": 0.5},
        {"sharpness": 5.0},
        {"cross_weight": 1.0},
        {"crossing": "both"},
        {"normalise_weights": True},
        {"weigh_on": "own"},
        {"weigh_on": "cross"},
        {"soft_label": "vote"},
    ],
    ids=str,
)
def test_every_switch_changes_the_losses(cls: type[NULC], settings: dict[str, Any]) -> None:
    assert iteration(cls, 0, **settings)[2] != iteration(cls, 0)[2]


def test_weights_are_on_the_chosen_terms() -> None:
    own, cross = ("visible", "visible"), ("visible", "infrared")
    both, none = begun(NULC, 0).calibrations, begun(NULC, 0, weighting=False).calibrations
    for name, chosen in {"own": {own}, "cross": {cross}, "both": {own, cross}}.items():
        found = begun(NULC, 0, weigh_on=name).calibrations
        for pair in (own, cross):
            assert torch.equal(found[pair].weights, (both if pair in chosen else none)[pair].weights)
    alone = begun(NULC, 0, weigh_on="own", homogeneous=False, heterogeneous=False).calibrations
    assert set(alone) == {(m, m) for m in MODALITIES}


def test_both_views_of_an_image_have_its_target() -> None:
    method, _, losses, _ = iteration(NULC, 0)
    assert torch.equal(method.index["visible"], INDEX[0].repeat(2))
    assert torch.equal(method.index["infrared"], INDEX[1])
    assert len(losses) == 3


def test_more_neighbours_than_images_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"infrared: 20 images are fewer than neighbours=25; lower --set method\.neigh"
    ):
        begun(NULC, 0, neighbours=25)


def test_the_released_form_needs_updates_by_crossing_samples() -> None:
    with pytest.raises(UsageError, match=r"method\.form=released needs method\.cross_updates=true"):
        NULCConfig(form="released", cross_updates=False)


def test_the_released_form_differs_in_gradients_only() -> None:
    for settings in ({}, {"crossing": "both"}, OFF):
        ours, theirs = iteration(NULC, 1, **settings), iteration(ReleasedNULC, 1, **settings)
        for name, value in ours[2].items():
            torch.testing.assert_close(theirs[2][name], value)
        assert not torch.equal(theirs[1], ours[1])


def test_a_method_without_cross_term_is_the_same_in_both_forms() -> None:
    config = NULCConfig(**{**SMALL, "cross_weight": 0.0})
    histories = [world.train_steps(cls(replace(config), world.encoder())) for cls in (NULC, ReleasedNULC)]
    assert histories[0] == histories[1]
