from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from tests.methods import world
from usvi_bench.components.memory.instance import InstanceMemory
from usvi_bench.components.memory.moved_rows import similarity_by_moved_rows
from usvi_bench.components.memory.rules import sequential_update
from usvi_bench.components.memory.sub_centres import gated_sum, multi_centre_loss
from usvi_bench.components.neighbour_losses import neighbour_costs, neighbour_mask
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Batch, PseudoLabels
from usvi_bench.engine.load_config import build, load_config
from usvi_bench.engine.read_settings import CONFIGS, read_file
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig
from usvi_bench.methods.hil import HIL, HILConfig

SMALL = {"k1": 6, "k2": 2, "sub_centres": 3}
PARENT = {"transfer": "none", "mccl": False, "neighbours": False}
GRID: dict[str, Any] = read_file(CONFIGS / "ablations" / "hil.toml")["rows"]

# ---- one step of the released trainers, which have a deep and a shallow feature: the formulas once for each ----


def waves(rows: int, width: int, shift: float) -> Tensor:
    i, j = np.arange(rows)[:, None], np.arange(width)[None]
    return torch.from_numpy(np.sin(0.7 * i + 1.3 * j + shift + 0.31 * i * j)).float()


def unit(rows: Tensor) -> Tensor:
    return normalize(rows, dim=-1)


DEEP, SHALLOW = waves(4, 8, 0.1), waves(4, 8, 2.2)
INDEX = {"v": torch.tensor([0, 3, 5, 6] * 2), "r": torch.tensor([1, 4, 6])}
SHIFTS = {"d": {"v": 0.5, "r": 1.5}, "s": {"v": 2.5, "r": 3.5}}


class TwoBranches:
    """A step on given features; ``slots`` centres a cluster, gradients through memories before or after they move."""

    def __init__(self, slots: int, released: bool = False) -> None:
        labels = {m: rows % 4 for m, rows in INDEX.items()}
        coarse = {"d": DEEP, "s": SHALLOW}
        f = {
            "dv": 3 * (DEEP[labels["v"]] + 0.9 * waves(8, 8, 4.1)),
            "sv": 3 * (SHALLOW[labels["v"]] + 1.6 * waves(8, 8, 5.2)),
            "dr": 3 * (DEEP[labels["r"]] + 0.9 * waves(3, 8, 4.6)),
            "sr": 3 * (SHALLOW[labels["r"]] + 0.9 * waves(3, 8, 5.9)),
        }
        self.features = {name: rows.requires_grad_() for name, rows in f.items()}
        self.instances = {
            b + m: unit(coarse[b][torch.arange(n) % 4] + 0.3 * waves(n, 8, SHIFTS[b][m]))
            for b in "ds"
            for m, n in (("v", 10), ("r", 8))
        }
        noise = {"d": 6, "s": 7}
        self.centres = {
            b: unit(torch.stack([coarse[b] + (0.5 * waves(4, 8, noise[b] + m) if m else 0) for m in range(slots)], 1))
            for b in "ds"
        }
        with torch.no_grad():
            self.moved = {
                b + m: sequential_update(self.instances[b + m], self.features[b + m], INDEX[m], 0.9)
                for b in "ds"
                for m in "vr"
            }
            self.coarse = {b: unit(rows) for b, rows in coarse.items()}
            self.coarse_v = {
                b: sequential_update(self.coarse[b], unit(self.features[b + "v"]), labels["v"], 0.1) for b in "ds"
            }
            self.coarse_vr = {
                b: sequential_update(self.coarse_v[b], unit(self.features[b + "r"]), labels["r"], 0.1) for b in "ds"
            }
        self.ce = {}
        for b in "ds":
            for m in "vr":
                rows = self.coarse[b]
                cosine = unit(self.features[b + m]) @ rows.t()
                if released and m == "r":
                    cosine = similarity_by_moved_rows(self.features[b + m], rows, self.coarse_v[b])
                self.ce[b + m] = cross_entropy(cosine / 0.05, labels[m])
        self.gate, self.mccl = {}, {}
        for m in "vr":
            parts = {b: multi_centre_loss(self.features[b + m], self.centres[b]) for b in "ds"}
            self.gate[m] = parts["d"][1] == parts["s"][1]
            for b, (losses, _) in parts.items():
                self.mccl[b + m] = gated_sum(losses, self.gate[m], [len(losses)]) * (0.5 if b == "s" else 1)
        self.masks, self.nl = {}, {}
        for q, k in ("vv", "rr", "vr", "rv"):
            masks = [neighbour_mask(self.instances[b + q][INDEX[q]], self.instances[b + k], 0.9) for b in "ds"]
            self.masks[q + k] = masks[0] & masks[1]
            for b in "ds":
                f, keys, mask = self.features[b + q], self.instances[b + k], self.masks[q + k]
                cosine = unit(f) @ keys.t()
                if released:
                    cosine = similarity_by_moved_rows(f, keys, self.moved[b + k])
                loss = neighbour_costs(cosine / 0.05, mask.repeat(len(f) // len(mask), 1)).mean()
                self.nl[b + q + k] = loss * (0.5 if b == "s" else 1) * (0.1 if q + k == "vr" else 1)

    def total(self, epoch: int) -> Tensor:
        across = "rv" if epoch % 2 else "vr"
        neighbours = sum(self.nl[b + pair] for b in "ds" for pair in ("vv", "rr", across))
        weight = 1.0 if epoch >= 20 else 0.1
        return torch.stack([*self.ce.values()]).sum() + 0.1 * neighbours + 2 * weight * sum(self.mccl.values())

    def gradient_norms(self, epoch: int) -> list[float]:
        names = ("dv", "dr", "sv", "sr")
        gradients = torch.autograd.grad(self.total(epoch), [self.features[name] for name in names])
        return [float(g.norm()) for g in gradients]


def close(value: Tensor, expected: float) -> bool:
    return float(value.detach()) == pytest.approx(expected, abs=1e-5)


def test_every_term_of_a_step_is_the_released_trainers() -> None:
    step = TwoBranches(10)
    for name, value in {"dr": 0.001235, "dv": 0.000241, "sr": 0.914778, "sv": 3.526795}.items():
        assert close(step.ce[name], value), name
    expected = {"dvv": 0.934861, "svv": 1.358349, "drr": 0.123448, "srr": 0.305338}
    expected |= {"dvr": 0.081673, "svr": 0.118946, "drv": 1.060223, "srv": 0.843271}
    for name, value in expected.items():
        assert close(step.nl[name], value), name
    sizes = {"vv": [3, 2, 2, 2, 3, 2, 2, 2], "rr": [1, 1, 1], "vr": [2, 2, 2, 1, 2, 2, 2, 1], "rv": [3, 3, 2]}
    assert {name: mask.sum(1).tolist() for name, mask in step.masks.items()} == sizes


@pytest.mark.parametrize(
    ("slots", "expected", "infrared_gate", "totals"),
    [
        (10, (0.409989, 0.233452, 0.450302, 0.211095), [1, 1, 1], (4.996278, 5.166566, 7.344988, 7.515276)),
        (3, (0.387698, 0.216804, 0.386551, 0.158386), [1, 1, 0], (4.965199, 5.135487, 7.034190, 7.204477)),
    ],
)
def test_multi_centre_terms_and_totals_are_the_released_trainers(
    slots: int, expected: tuple[float, ...], infrared_gate: list[int], totals: tuple[float, ...]
) -> None:
    step = TwoBranches(slots)
    for name, value in zip(("dv", "sv", "dr", "sr"), expected, strict=True):
        assert close(step.mccl[name], value), name
    assert step.gate["v"].tolist() == [False] + [True] * 7
    assert step.gate["r"].int().tolist() == infrared_gate
    for epoch, value in zip((0, 1, 20, 21), totals, strict=True):
        assert close(step.total(epoch), value), epoch


@pytest.mark.parametrize(
    ("slots", "released", "epoch", "norms"),
    [
        (10, False, 0, (0.010392, 0.017242, 0.440875, 3.266732)),
        (10, False, 21, (0.043316, 0.106433, 0.441199, 3.430325)),
        (3, False, 0, (0.010550, 0.014616, 0.440876, 3.260854)),
        (3, False, 21, (0.046391, 0.100436, 0.441192, 3.371663)),
        (10, True, 0, (0.014143, 0.014844, 0.440880, 3.126715)),
        (10, True, 21, (0.046447, 0.104077, 0.441186, 3.270685)),
        (3, True, 0, (0.014337, 0.011996, 0.440880, 3.121691)),
        (3, True, 21, (0.049562, 0.097959, 0.441175, 3.220048)),
    ],
)
def test_gradients_are_those_of_either_order(slots: int, released: bool, epoch: int, norms: tuple[float, ...]) -> None:
    assert TwoBranches(slots, released).gradient_norms(epoch) == pytest.approx(norms, abs=1e-5)


def test_memories_move_as_in_the_released_trainers() -> None:
    step = TwoBranches(3)
    row3 = [0.544215, -0.590498, 0.354932, 0.053132, -0.340683, 0.302694, -0.049314, -0.127363]
    row0 = [-0.153639, 0.449796, 0.308243, -0.357560, -0.477360, 0.289710, 0.472773, -0.126082]
    instance = [0.073611, 0.481763, 0.190149, -0.161262, -0.643167, 0.203110, 0.482207, 0.113503]
    torch.testing.assert_close(step.coarse_vr["d"][3], torch.tensor(row3), atol=1e-5, rtol=0)
    torch.testing.assert_close(step.coarse_vr["d"][0], torch.tensor(row0), atol=1e-5, rtol=0)
    torch.testing.assert_close(step.moved["dv"][0], torch.tensor(instance), atol=1e-5, rtol=0)


# ---- the method ----------------------------------------------------------------------------------------------


def build_method(**settings: Any) -> HIL:
    config = HILConfig(**{**SMALL, **settings})
    return cast(type[HIL], HIL.in_form(config))(config, world.encoder())


def started(labels: PseudoLabels | None = None, **settings: Any) -> tuple[HIL, PseudoLabels]:
    method = build_method(**settings)
    seen = world.features(width=method.encoder.feature_dim)
    labels = labels or method.label(seen, world.progress())
    method.begin_epoch(seen, labels, world.progress())
    method.train()
    return method, labels


def test_without_its_parts_it_is_the_first_stage_continued_bit_for_bit() -> None:
    ours = HIL(HILConfig(k1=6, k2=2, **PARENT), world.encoder())
    parent = ClusterContrast(ClusterContrastConfig(k1=6, k2=2), world.encoder())
    assert world.train_steps(ours, steps=3) == world.train_steps(parent, steps=3)
    for mine, theirs in zip(ours.encoder.state_dict().values(), parent.encoder.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("off", [{"mccl": False}, {"neighbours": False}, {"mccl_weight": 0.0, "mccl_early": 0.0}])
def test_a_part_that_is_off_leaves_the_other_losses_as_they_are(off: dict[str, Any]) -> None:
    (full, labels), (less, _) = started(), started(**off)
    batch = world.batch(labels, full)
    with torch.no_grad():
        all_losses, losses = full.loss(batch, world.progress()), less.loss(batch, world.progress())
    for name, value in losses.items():
        assert torch.equal(value, all_losses[name]) or (name == "mccl" and float(value) == 0)


def test_visible_images_take_infrared_labels_and_one_memory_serves_both() -> None:
    method, labels = started()
    people = torch.arange(world.PEOPLE).repeat_interleave(world.IMAGES)
    for part in (labels.visible, labels.infrared):
        agree = (part[:, None] == part) == (people[:, None] == people)
        assert agree[part >= 0][:, part >= 0].all()
    assert set(labels.visible[labels.visible >= 0].tolist()) <= set(labels.infrared.tolist())
    assert method.visible_memory is method.infrared_memory
    seen = world.features(width=method.encoder.feature_dim)
    for k in range(world.PEOPLE):
        pool = torch.cat([seen.visible[labels.visible == k], seen.infrared[labels.infrared == k]])
        torch.testing.assert_close(method.visible_memory.rows[k], unit(pool.mean(0)))
    torch.testing.assert_close(method.centres[0].rows[:, 0], method.visible_memory.rows)


def test_alternate_epochs_transfer_the_other_way() -> None:
    method = HIL(HILConfig(**SMALL, transfer="alternate"), world.encoder())
    seen = world.features()
    own = ClusterContrast.label(method, seen, world.progress())
    even, odd = method.label(seen, world.progress(epoch=0)), method.label(seen, world.progress(epoch=1))
    assert torch.equal(even.infrared, own.infrared)
    assert torch.equal(odd.visible, own.visible)
    assert torch.equal(even.visible, method.label(seen, world.progress(epoch=2)).visible)
    method.begin_epoch(seen, odd, world.progress(epoch=1))
    assert len(method.visible_memory.rows) == int(own.visible.max()) + 1


def test_partners_are_the_clusters_that_hold_both_modalities() -> None:
    _, labels = started()
    assert labels.visible_to_infrared is not None
    for k, partner in enumerate(labels.visible_to_infrared.tolist()):
        assert partner == (k if (labels.visible == k).any() and (labels.infrared == k).any() else -1)


def test_a_gate_that_lets_too_little_pass_is_told() -> None:
    method = HIL(HILConfig(**SMALL), world.encoder())
    seen = world.features()
    toward_one = seen.infrared[:1] + 0.01 * seen.visible
    with pytest.raises(UsageError, match=r"1 clusters left after label transfer \(tau=0.5\); lower"):
        method.label(replace(seen, visible=toward_one), world.progress())


def test_losses_are_the_definition() -> None:
    method, labels = started(mccl_weight=1.0)
    batch = world.batch(labels, method)
    c = method.config
    for epoch in (0, 3):
        method.agreement = []
        losses = method.loss(batch, world.progress(epoch=epoch))
        (visible, visible_labels), (infrared, _) = method.pending_updates
        features = {"visible": visible, "infrared": infrared}
        rows = method.visible_memory.rows
        expected = cross_entropy(unit(infrared) @ rows.T / 0.05, batch.infrared.labels)
        torch.testing.assert_close(losses["infrared"].detach(), expected)
        terms = []
        for f, y in ((visible, visible_labels), (infrared, batch.infrared.labels)):
            each, nearest = multi_centre_loss(f, method.centres[0].rows)
            picked = [float(each[i]) for i in range(len(f)) if nearest[i] == y[i]]
            terms.append(sum(picked) / max(len(picked), 1))
        assert sum(terms) > 0
        assert float(losses["mccl"].detach()) == pytest.approx(2 * (1.0 if epoch == 3 else 0.1) * sum(terms), rel=1e-4)
        queries = {"visible": batch.visible.index.repeat(2), "infrared": batch.infrared.index}

        def naive(q: str, k: str) -> float:
            query, keys = method.instances[q].rows[queries[q]], method.instances[k].rows  # noqa: B023
            mask = neighbour_mask(query, keys, c.neighbour_threshold)
            return float(neighbour_costs(unit(features[q]) @ keys.t() / 0.05, mask).mean())  # noqa: B023

        within = naive("visible", "visible") + naive("infrared", "infrared")
        across = naive("infrared", "visible") if epoch == 3 else 0.1 * naive("visible", "infrared")
        assert float(losses["neighbours_within"].detach()) == pytest.approx(0.1 * within, rel=1e-4)
        assert float(losses["neighbours_across"].detach()) == pytest.approx(0.1 * across, rel=1e-4)


def test_the_weight_of_the_centres_switches_at_two_thirds_of_any_stage() -> None:
    method, labels = started(gate="none")
    batch = world.batch(labels, method)
    for epochs, switch in ((6, 4), (30, 20), (50, 34)):
        with torch.no_grad():
            before, after = (
                float(method.loss(batch, world.progress(epoch=e, epochs=epochs))["mccl"]) for e in (switch - 1, switch)
            )
        assert after / before == pytest.approx(10, rel=0.05)  # batch norm moves between the two


def test_memories_move_at_the_end_of_the_step_only() -> None:
    method, labels = started()
    batch = world.batch(labels, method)
    coarse = method.visible_memory.rows.clone()
    instances = {m: memory.rows.clone() for m, memory in method.instances.items()}
    centres = method.centres[0].rows.clone()
    method.loss(batch, world.progress())
    assert torch.equal(method.visible_memory.rows, coarse)
    assert all(torch.equal(rows, method.instances[m].rows) for m, rows in instances.items())
    method.end_step(world.progress())
    for features, labels_seen in method.pending_updates:
        for f, y in zip(unit(features), labels_seen, strict=True):
            coarse[y] = unit(0.1 * coarse[y] + 0.9 * f)
    torch.testing.assert_close(method.visible_memory.rows, coarse)
    parts = zip(("visible", "infrared"), (batch.visible, batch.infrared), method.instance_updates, strict=True)
    for m, samples, (memory, features, index) in parts:
        rows = instances[m]
        assert memory is method.instances[m]
        assert torch.equal(index, torch.cat([samples.index] * len(samples.views)))
        old = 0.9 / (0.9 + 0.1 * method.encoder.feature_dim**0.5)
        for f, i in zip(unit(features), index, strict=True):
            rows[i] = unit(old * rows[i] + (1 - old) * f)
        torch.testing.assert_close(memory.rows, rows)
        assert not memory.rows.requires_grad
    assert torch.equal(method.centres[0].rows, centres)


@pytest.mark.parametrize(("form", "given"), [("released", None), ("released", 0.25), ("repaired", 0.6)])
def test_instances_mix_long_features_as_released_or_unit_ones_as_given(form: str, given: float | None) -> None:
    method, labels = started(form=form, instance_momentum=given)
    batch = world.batch(labels, method)
    rows = method.instances["infrared"].rows.clone()
    method.loss(batch, world.progress())
    method.end_step(world.progress())
    features, index = method.pending_updates[1][0], batch.infrared.index
    assert not torch.allclose(features.norm(dim=1), torch.ones(()), atol=0.1)
    for f, i in zip(features, index, strict=True):
        rows[i] = unit(0.9 * rows[i] + 0.1 * f) if given is None else unit(given * rows[i] + (1 - given) * unit(f))
    torch.testing.assert_close(method.instances["infrared"].rows, rows)


@pytest.mark.parametrize(("width", "momentum"), [(128, 0.443), (768, 0.245), (2048, 0.166)])
def test_the_momentum_of_instances_follows_the_width_of_features(width: int, momentum: float) -> None:
    """A unit feature then has the weight of a released one, 0.1 of a length of sqrt(D) beside 0.9 of the old row."""
    found = InstanceMemory(torch.randn(2, width)).momentum
    assert found == pytest.approx(momentum, abs=5e-4)
    assert found / (1 - found) == pytest.approx(0.9 / (0.1 * width**0.5))


def test_the_host_need_not_count_repeated_images() -> None:
    results = []
    for repeats in (0, 2):
        method, labels = started(instance_momentum=0.9)
        batch = world.batch(labels, method)
        index = batch.visible.index.clone()
        index[1] = index[0]
        batch = replace(
            batch,
            visible=replace(batch.visible, index=index, most_repeats=repeats),
            infrared=replace(batch.infrared, most_repeats=min(repeats, 1)),
        )
        method.loss(batch, world.progress())
        assert {memory.most_samples for memory in method.instances.values()} == {2 * repeats}
        method.end_step(world.progress())
        results.append(method.instances["visible"].rows)
    assert torch.equal(*results)


# ---- the first stage of SDCL's script for RegDB ---------------------------------------------------------------


def test_the_first_stage_of_sdcl_keeps_the_form_and_leaves_out_the_parts_of_hil() -> None:
    settings = load_config("hil", "regdb_v2i", profile="regdb", setting="paper", settings={"method.form": "released"})
    first, second = HIL.stages(settings.method_config)
    assert (first.method, first.epochs, second.method) == ("hil", 30, "hil")
    own = cast(HILConfig, first.config)
    assert (own.transfer, own.transfer_from, own.first_momentum) == ("votes", 2 / 3, 0.99)
    assert (own.mccl, own.neighbours, own.form, own.eps) == (False, False, "released", 0.3)
    shared = load_config("hil", "regdb_v2i", profile="regdb", settings={"method.form": "released"})
    assert HIL.stages(shared.method_config)[0].method == "cluster_contrast"


def test_labels_are_transferred_by_votes_from_two_thirds_of_the_stage_on() -> None:
    method = build_method(transfer="votes", transfer_from=2 / 3, first_momentum=0.99, mccl=False, neighbours=False)
    seen = world.features(width=method.encoder.feature_dim)
    own = ClusterContrast.label(method, seen, world.progress())
    for epoch, shared, momentum in ((0, False, 0.99), (1, False, 0.1), (19, False, 0.1), (20, True, 0.1)):
        progress = world.progress(epoch=epoch, epochs=30)
        labels = method.label(seen, progress)
        method.begin_epoch(seen, labels, progress)
        assert shared or torch.equal(labels.visible, own.visible)
        assert (method.visible_memory is method.infrared_memory) == shared
        assert [m.momentum for m in (method.visible_memory, method.infrared_memory)] == [momentum] * 2
        assert set(method.diagnostics()) == ({"transferred"} if shared else set())
    with pytest.raises(UsageError, match=r"transfer_from=0\.5 leaves no shared clusters for MCCL"):
        HILConfig(transfer_from=0.5)


def gradients(method: HIL, batch: Batch, names: tuple[str, ...]) -> tuple[list[float], Tensor]:
    losses = method.loss(batch, world.progress())
    parameters = [p for p in method.encoder.parameters() if p.requires_grad]
    found = torch.autograd.grad(sum(losses[name] for name in names), parameters, allow_unused=True)
    return [float(v.detach()) for v in losses.values()], torch.cat([g.flatten() for g in found if g is not None])


def test_the_released_order_changes_gradients_but_no_loss() -> None:
    (ours, labels), (theirs, _) = started(), started(form="released")
    batch = world.batch(labels, ours)
    for names, same in (
        (("visible", "mccl"), True),
        (("infrared",), False),
        (("neighbours_within",), False),
        (("neighbours_across",), False),
    ):
        (values, gradient), (released, other) = gradients(ours, batch, names), gradients(theirs, batch, names)
        assert released == pytest.approx(values, rel=1e-5)
        assert torch.allclose(gradient, other, rtol=1e-4, atol=1e-7) == same, names


@pytest.mark.parametrize("settings", [{}, {"mccl_memory": "per_modality"}, {"gate": "none", "positive": "label"}])
def test_relabelling_clusters_changes_no_loss(settings: dict[str, Any]) -> None:
    method, labels = started(**settings)
    order = torch.randperm(world.PEOPLE, generator=torch.Generator().manual_seed(1))
    moved = [torch.where(part >= 0, order[part], -1) for part in (labels.visible, labels.infrared)]
    other, renamed = started(PseudoLabels(*moved), **settings)
    batch, same = world.batch(labels, method), world.batch(renamed, other)
    with torch.no_grad():
        losses, again = method.loss(batch, world.progress()), other.loss(same, world.progress())
    for name, value in losses.items():
        torch.testing.assert_close(again[name], value)


def test_centres_per_modality_stand_apart_and_may_lack_clusters() -> None:
    _, labels = started()
    visible = torch.where(labels.visible == 2, -1, labels.visible)
    for settings in ({}, {"gate": "none"}, {"gate": "none", "positive": "label"}):
        method, _ = started(replace(labels, visible=visible), mccl_memory="per_modality", **settings)
        assert [len(c.rows) for c in method.centres] == [world.PEOPLE - 1, world.PEOPLE]
        features, y = torch.randn(8, 64, generator=torch.Generator().manual_seed(0)), torch.arange(8) % world.PEOPLE
        features = features[:, : method.encoder.feature_dim]
        parts = {"visible": (features, y), "infrared": (features[2:], y[2:].flip(0))}
        expected = sum(naive_multi_centre(method, *part, settings) for part in parts.values())
        both = torch.cat([part[0] for part in parts.values()])
        found = method.multi_centre(both, {m: part[1] for m, part in parts.items()})  # type: ignore[misc]
        torch.testing.assert_close(found, expected)


def naive_multi_centre(method: HIL, features: Tensor, y: Tensor, settings: dict[str, str]) -> Tensor:
    terms = []
    for centres in method.centres:
        rows = [centres.clusters.tolist().index(k) if k in centres.clusters else None for k in y.tolist()]
        if settings.get("positive"):
            kept = [i for i in range(len(y)) if rows[i] is not None]
            positive = torch.tensor([rows[i] for i in kept])
            terms.append(multi_centre_loss(features[kept], centres.rows, positive)[0].mean())
            continue
        losses, nearest = multi_centre_loss(features, centres.rows)
        kept = [i for i in range(len(y)) if settings or rows[i] == int(nearest[i])]
        terms.append(losses[kept].sum() / max(len(kept), 1))
    return torch.stack(terms).mean()


def test_a_batch_in_which_no_sample_passes_the_gate_costs_nothing() -> None:
    method, _ = started()
    rows = method.centres[0].rows[:, 0].clone().requires_grad_()
    wrong = (torch.arange(world.PEOPLE) + 1) % world.PEOPLE
    loss = method.multi_centre(torch.cat([rows, rows[:2]]), {"visible": wrong, "infrared": wrong[:2]})
    loss.backward()
    assert float(loss.detach()) == 0
    assert rows.grad is not None
    assert rows.grad.isfinite().all()


def test_no_gradient_reaches_a_memory() -> None:
    method, labels = started(form="released")
    kept = [method.visible_memory.rows, *(m.rows for m in method.instances.values()), method.centres[0].rows]
    for rows in kept:
        rows.requires_grad_()
    sum(method.loss(world.batch(labels, method), world.progress()).values()).backward()
    assert all(rows.grad is None for rows in kept)


def test_diagnostics_are_shares_of_the_epoch() -> None:
    method, labels = started()
    own = ClusterContrast.label(method, world.features(width=method.encoder.feature_dim), world.progress())
    with torch.no_grad():
        method.loss(world.batch(labels, method), world.progress())
    figures = method.diagnostics()
    assert set(figures) == {"transferred", "agreement"}
    assert float(figures["transferred"]) == pytest.approx(float((labels.visible >= 0).sum() / (own.visible >= 0).sum()))
    shares = []
    for features, y in method.pending_updates:
        nearest = multi_centre_loss(features, method.centres[0].rows)[1]
        shares.append((nearest == y).float().mean())
    assert float(figures["agreement"]) == pytest.approx(float(torch.stack(shares).mean()))
    off, _ = started(**PARENT)
    assert off.diagnostics() == {}


@pytest.mark.parametrize(
    "settings",
    [
        {"transfer": "alternate"},
        {"transfer": "none", "mccl": False},
        {"sub_centres": 0},
        {"sub_centres": 2, "blend": 0.0},
        {"gate": "none", "positive": "label"},
        {"mccl_memory": "per_modality", "gate": "none"},
        {"form": "released", "update": "hard"},
        {"tau": 0.9},
    ],
    ids=str,
)
def test_every_switch_trains(settings: dict[str, Any]) -> None:
    method = build_method(**settings)
    history = world.train_steps(method)
    assert all(np.isfinite(value) for losses in history for value in losses.values())


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no shared clusters for MCCL: add --set method.mccl=false"):
        HILConfig(transfer="none")
    with pytest.raises(UsageError, match=r"method.tau=1.5"):
        HILConfig(tau=1.5)
    with pytest.raises(UsageError, match=r"method.sub_centres=-1"):
        HILConfig(sub_centres=-1)
    with pytest.raises(UsageError, match=r"method.warmup_epochs=0"):
        HILConfig(warmup_epochs=0)


@pytest.mark.parametrize(
    ("profile", "parts", "tau"),
    [
        *(("sysu", 9, 0.5), ("regdb", 2, 0.8), ("llcm", 9, 0.5)),
        *(("synthetic_sysu", 2, 0.5), ("synthetic_regdb", 2, 0.8), ("synthetic_llcm", 2, 0.5)),
    ],
)
def test_settings_differ_per_data_set(profile: str, parts: int, tau: float) -> None:
    hyper: Any = load_config("hil", "sysu_all", profile=profile).method_config
    assert (hyper.sub_centres, hyper.tau) == (parts, tau)


def test_the_first_stage_is_the_baseline_and_shared_by_all_rows() -> None:
    first = {HIL.stages(build(HILConfig, row.get("method", {}), "method"))[0] for row in GRID.values()}
    assert len(first) == 1
    assert first.pop().config == ClusterContrastConfig()
