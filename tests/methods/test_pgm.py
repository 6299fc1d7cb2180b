from __future__ import annotations

from dataclasses import replace
from typing import Any, cast, get_args

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from tests.methods import world
from usvi_bench.components.association import match
from usvi_bench.components.crossing import matched
from usvi_bench.components.memory.rules import UPDATE_RULES
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import MODALITIES, Batch, Modality, PseudoLabels
from usvi_bench.methods.base import Form
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig
from usvi_bench.methods.pgm import PGM, PGMConfig

SMALL = {"k1": 6, "k2": 2}
WIDTH = 64


def started(epoch: int = 0, **settings: Any) -> tuple[PGM, Batch]:
    """A method at the start of an epoch, with features of its own instead of an encoder's, and a batch."""
    config = PGMConfig(**{**SMALL, **settings})
    method = cast(type[PGM], PGM.in_form(config))(config, world.encoder())
    seen = world.features(width=WIDTH)
    labels = method.label(seen, world.progress(epoch))
    method.begin_epoch(seen, labels, world.progress(epoch))
    return method, embedded(method, world.batch(labels, method))


def embedded(method: PGM, batch: Batch, seed: int = 5) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    visible, infrared = (torch.randn(len(y), WIDTH, generator=generator) for y in labels_of(batch).values())
    leaves = visible.requires_grad_(), infrared.requires_grad_()
    method.embed_batch = lambda batch: leaves  # type: ignore[method-assign]
    return batch


def labels_of(batch: Batch) -> dict[Modality, Tensor]:
    return {"visible": batch.visible.labels.repeat(2), "infrared": batch.infrared.labels}


def rows_of(method: PGM) -> dict[Modality, Tensor]:
    return {"visible": method.visible_memory.rows.clone(), "infrared": method.infrared_memory.rows.clone()}


def naive_contrast(features: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
    terms = []
    for feature, label in zip(features, labels, strict=True):
        logits = torch.stack([(feature / feature.norm() * row).sum() / 0.05 for row in rows])
        terms.append(-logits.log_softmax(0)[label])
    return torch.stack(terms).mean()


def trained(method: ClusterContrast, steps: int = 3) -> tuple[list[dict[str, float]], list[Tensor]]:
    history = world.train_steps(method, steps)
    return history, [p.detach().clone() for p in method.encoder.parameters()]


# ---- losses and memories -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epoch", "source", "target"), [(0, "visible", "infrared"), (3, "infrared", "visible")])
def test_losses_and_gradients_are_the_definition(epoch: int, source: Modality, target: Modality) -> None:
    method, batch = started(epoch)
    features = dict(zip(MODALITIES, method.embed_batch(batch), strict=True))
    rows, labels = rows_of(method), labels_of(batch)
    losses = method.loss(batch, world.progress(epoch))
    assert list(losses) == ["visible", "infrared", f"cross_{source}"]
    sum(losses.values()).backward()  # type: ignore[union-attr]
    leaves = {m: features[m].detach().clone().requires_grad_() for m in MODALITIES}
    expected = {m: naive_contrast(leaves[m], labels[m], rows[m]) for m in MODALITIES}
    partners = match(rows["visible"], rows["infrared"])[MODALITIES.index(source)]
    crossed = torch.tensor([int(partners[y]) for y in labels[source]])
    cross = 0.25 * naive_contrast(leaves[source], crossed, rows[target])
    torch.testing.assert_close(losses[f"cross_{source}"], cross)
    (expected["visible"] + expected["infrared"] + cross).backward()
    for modality in MODALITIES:
        torch.testing.assert_close(losses[modality], expected[modality])
        torch.testing.assert_close(features[modality].grad, leaves[modality].grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("update", ["hard", "sequential", "mean"])
@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("cross_updates", [True, False])
def test_memories_move_after_the_step_by_crossing_samples_first(update: Any, epoch: int, cross_updates: bool) -> None:
    method, batch = started(epoch, update=update, cross_updates=cross_updates)
    rows, labels, rule = rows_of(method), labels_of(batch), UPDATE_RULES[update]
    features = {m: normalize(f.detach(), dim=1) for m, f in zip(MODALITIES, method.embed_batch(batch), strict=True)}
    source, target = MODALITIES if epoch == 0 else MODALITIES[::-1]
    partners = match(rows["visible"], rows["infrared"])[MODALITIES.index(source)]
    method.loss(batch, world.progress(epoch))
    assert all(torch.equal(rows[m], method.memories[m].rows) for m in MODALITIES)
    method.end_step(world.progress(epoch))
    if cross_updates:
        rows[target] = rule(rows[target], features[source], partners[labels[source]], 0.1)
    for modality in MODALITIES:
        expected = rule(rows[modality], features[modality], labels[modality], 0.1)
        torch.testing.assert_close(method.memories[modality].rows, expected)
        torch.testing.assert_close(expected.norm(dim=1), torch.ones(len(expected)))


def test_both_modalities_may_cross_in_every_epoch() -> None:
    for epoch in (0, 1):
        method, batch = started(epoch, crossing="both")
        assert set(method.loss(batch, world.progress(epoch))) == {*MODALITIES, "cross_visible", "cross_infrared"}
        assert set(method.crossed) == set(MODALITIES)


def test_renumbering_clusters_leaves_the_losses() -> None:
    method, batch = started(crossing="both")
    seen = world.features(width=WIDTH)
    labels = method.label(seen, world.progress())
    order = torch.randperm(world.PEOPLE, generator=torch.Generator().manual_seed(1))
    before = method.loss(batch, world.progress())
    renumbered = PseudoLabels(torch.where(labels.visible < 0, -1, order[labels.visible]), labels.infrared)
    renumbered = matched(seen, renumbered)
    method.begin_epoch(seen, renumbered, world.progress())
    moved = replace(batch, visible=replace(batch.visible, labels=order[batch.visible.labels]))
    after = method.loss(moved, world.progress())
    for name, value in before.items():
        torch.testing.assert_close(after[name], value)


# ---- the released form ----------------------------------------------------------------------------------------


class MovesInBackward(torch.autograd.Function):
    """A memory as the released code has it: ``backward`` takes the gradient by its rows, then moves them."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, labels: Tensor, memory: dict[str, Any]) -> Tensor:
        ctx.memory, ctx.labels = memory, labels
        ctx.save_for_backward(inputs)
        return inputs @ memory["rows"].t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inputs,), rows = ctx.saved_tensors, ctx.memory["rows"]
        back, mu = gradient @ rows, 0.1
        groups: dict[int, list[Tensor]] = {}
        for sample, label in zip(inputs, ctx.labels.tolist(), strict=True):
            groups.setdefault(label, []).append(sample)
        for label, samples in groups.items():
            if ctx.memory["rule"] == "hard":
                samples = [min(samples, key=lambda sample: float(sample @ rows[label]))]
            for sample in samples:
                rows[label] = normalize(mu * rows[label] + (1 - mu) * sample, dim=0)
        return back, None, None


@pytest.mark.parametrize("update", ["hard", "sequential"])
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_released_step_takes_gradients_by_memories_that_the_cross_term_has_moved(update: Any, epoch: int) -> None:
    method, batch = started(epoch, update=update, form="released")
    features, labels = dict(zip(MODALITIES, method.embed_batch(batch), strict=True)), labels_of(batch)
    memories = {m: {"rows": rows, "rule": update} for m, rows in rows_of(method).items()}
    source, target = MODALITIES if epoch == 0 else MODALITIES[::-1]
    partners = match(*(memories[m]["rows"] for m in MODALITIES))[MODALITIES.index(source)]
    leaves = {m: features[m].detach().clone().requires_grad_() for m in MODALITIES}

    def term(m: Modality, y: Tensor, memory: dict[str, Any]) -> Tensor:
        logits: Tensor = MovesInBackward.apply(normalize(leaves[m], dim=1), y, memory)  # type: ignore[no-untyped-call]
        return cross_entropy(logits / 0.05, y)

    infrared, visible = (term(m, labels[m], memories[m]) for m in ("infrared", "visible"))
    cross = term(source, partners[labels[source]], memories[target])  # made last, so its backward pass comes first
    (infrared + visible + 0.25 * cross).backward()
    losses = method.loss(batch, world.progress(epoch))
    expected = {"visible": visible, "infrared": infrared, f"cross_{source}": 0.25 * cross}
    for name, value in expected.items():
        torch.testing.assert_close(losses[name].detach(), value.detach(), msg=name)
    sum(losses.values()).backward()  # type: ignore[union-attr]
    method.end_step(world.progress(epoch))
    for m in MODALITIES:
        torch.testing.assert_close(features[m].grad, leaves[m].grad, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(method.memories[m].rows, memories[m]["rows"], atol=1e-6, rtol=1e-5)


def test_only_gradients_of_the_target_differ_between_the_forms_and_only_where_rows_were_moved() -> None:
    gradients = {}
    for form in get_args(Form):
        method, batch = started(form=form)
        features = method.embed_batch(batch)
        sum(method.loss(batch, world.progress()).values()).backward()  # type: ignore[union-attr]
        gradients[form] = [part.grad for part in features]
    (visible, infrared), (released_visible, released_infrared) = gradients.values()
    assert torch.equal(visible, released_visible)
    assert not torch.allclose(infrared, released_infrared, rtol=0.05)
    with pytest.raises(UsageError, match=r"form=released needs method.cross_updates=true"):
        PGMConfig(form="released", cross_updates=False)


# ---- matching ------------------------------------------------------------------------------------------------


def merged(labels: PseudoLabels, into: int) -> PseudoLabels:
    """The same images with fewer infrared clusters."""
    return PseudoLabels(labels.visible, torch.where(labels.infrared < 0, -1, labels.infrared % into))


def test_every_cluster_has_a_partner_and_the_journal_is_told() -> None:
    method, _ = started()
    seen = world.features(width=WIDTH)
    labels = method.label(seen, world.progress())
    assert torch.equal(labels.visible_to_infrared, method.partners["visible"])
    method.begin_epoch(seen, matched(seen, merged(labels, 2)), world.progress())  # three times as many visible ones
    assert sorted(method.partners["visible"].tolist()) == [0, 0, 0, 1, 1, 1]
    assert len(set(method.partners["infrared"].tolist())) == 2
    assert float(method.diagnostics()["matched"]) == 1


def test_one_to_one_leaves_clusters_out_of_the_cross_contrast() -> None:
    method, batch = started(progressive=False)
    seen = world.features(width=WIDTH)
    labels = matched(seen, merged(method.label(seen, world.progress()), 2), progressive=False)
    method.begin_epoch(seen, labels, world.progress())
    partners = method.partners["visible"]
    assert int((partners < 0).sum()) == world.PEOPLE - 2
    assert float(method.diagnostics()["matched"]) == pytest.approx(4 / (world.PEOPLE + 2))
    batch = replace(batch, infrared=replace(batch.infrared, labels=batch.infrared.labels % 2))
    loss = method.loss(batch, world.progress())["cross_visible"]
    visible, y = method.embed_batch(batch)[0], labels_of(batch)["visible"]
    kept = [i for i in range(len(y)) if partners[y[i]] >= 0]
    expected = naive_contrast(visible[kept], partners[y[kept]], method.infrared_memory.rows)
    torch.testing.assert_close(loss, 0.25 * expected)


def test_a_batch_without_partners_has_no_cross_contrast() -> None:
    method, batch = started(progressive=False)
    method.partners, method.unmatched = {m: torch.full((world.PEOPLE,), -1) for m in MODALITIES}, True
    before = rows_of(method)["infrared"]
    losses = method.loss(batch, world.progress())
    assert losses["cross_visible"].item() == 0
    losses["cross_visible"].backward()
    method.end_step(world.progress())
    infrared = method.embed_batch(batch)[1]
    moved = UPDATE_RULES["hard"](before, normalize(infrared.detach(), dim=1), batch.infrared.labels, 0.1)
    torch.testing.assert_close(method.infrared_memory.rows, moved)


# ---- the method ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("update", ["hard", "sequential", "mean"])
def test_without_cross_contrast_it_is_dual_cluster_contrast_continued(update: Any) -> None:
    parent = ClusterContrast(ClusterContrastConfig(**SMALL, update=update), world.encoder())
    expected, weights = trained(parent)
    history, own = trained(PGM(PGMConfig(**SMALL, update=update, cross_weight=0), world.encoder()))
    assert history == expected
    assert all(torch.equal(a, b) for a, b in zip(own, weights, strict=True))


@pytest.mark.parametrize(
    "settings",
    [{"cross_weight": 0.5}, {"crossing": "both"}, {"cross_updates": False}, {"update": "sequential"}],
    ids=str,
)
def test_every_switch_changes_the_training(settings: dict[str, Any]) -> None:
    histories = [trained(PGM(PGMConfig(**SMALL, **some), world.encoder()))[0] for some in (settings, {})]
    assert histories[0] != histories[1]


def test_the_first_stage_is_shared_whatever_the_update_rule() -> None:
    stages = PGM.stages(PGMConfig(update="mean", cross_weight=0))
    assert [stage.method for stage in stages] == ["cluster_contrast", "pgm"]
    assert stages[0].config == ClusterContrastConfig()


def test_a_negative_weight_is_named() -> None:
    with pytest.raises(UsageError, match=r"method\.cross_weight=-1"):
        PGMConfig(cross_weight=-1)
