"""Readings of SCLHM: each formula against a loop from its definition, and every switch in a training."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.methods import world
from usvi_bench.analysis.sclhm_table import SETTINGS
from usvi_bench.components.memory.rules import mates
from usvi_bench.core import plugins
from usvi_bench.core.registry import METHODS
from usvi_bench.core.revision import ROOT
from usvi_bench.methods.sclhm import SCLHM, SCLHMConfig
from usvi_bench.sweep.grid import read_rows

FOLDER = ROOT / "analysis" / "readings"
SMALL = {"k1": 6, "k2": 2}


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    """The module of the plug-in; the registry forgets its method after the tests."""
    patch = pytest.MonkeyPatch()
    METHODS.names()  # imports all methods, which would be forgotten after the tests otherwise
    patch.setattr(METHODS, "_entries", dict(METHODS._entries))
    patch.setattr(METHODS, "_sources", dict(METHODS._sources))
    patch.setattr(plugins, "_MODULES", {})
    plugins.import_plugins([str(FOLDER / "sclhm_readings.py")])
    yield sys.modules[METHODS.get("sclhm_readings").__module__]
    patch.undo()


def trained(made: Any, **settings: Any) -> tuple[list[dict[str, float]], Tensor, Tensor]:
    """Losses, memories and weights of the teacher after three steps."""
    method = made.SCLHMReadings(made.SCLHMReadingsConfig(**{**SMALL, **settings}), world.encoder())
    return outcome(method)


def outcome(method: SCLHM) -> tuple[list[dict[str, float]], Tensor, Tensor]:
    losses = world.train_steps(method, steps=3)
    weights = torch.cat([p.flatten() for p in method.teacher.parameters()])
    return losses, torch.cat(list(method.memories.values())), weights


def equal(first: Any, second: Any) -> bool:
    return first[0] == second[0] and all(map(torch.equal, first[1:], second[1:]))


def test_without_a_switch_a_reading_is_sclhm_to_the_bit(made: Any) -> None:
    for settings in ({}, {"sscl": False}, {"hml": False}, {"amu": False}, {"association": "mutual"}):
        assert equal(trained(made, **settings), outcome(SCLHM(SCLHMConfig(**SMALL, **settings), world.encoder())))


SWITCHES: dict[str, list[dict[str, Any]]] = {
    "sscl": [
        {"teacher_temperature": 0.02},
        {"soft_rows": 2},
        {"soft_form": "beside", "teacher_temperature": 0.1},
        {"reliability": 1.0},
        {"ramp": True},
        {"sscl_on": ("hybrid",)},
    ],
    "hml": [{"hybrid": "entries", "refresh": 1}, {"hybrid": "examples", "refresh": 2}],
    "amu": [{"amu_form": "margin"}],
}


@pytest.mark.parametrize(
    ("module", "settings"), [(name, each) for name, every in SWITCHES.items() for each in every], ids=str
)
def test_a_switch_changes_a_training_only_with_its_module(made: Any, module: str, settings: dict[str, Any]) -> None:
    assert not equal(trained(made, **settings), trained(made))
    off = {module: False}
    off_losses = [run[0] for run in (trained(made, **settings, **off), trained(made, **off))]
    assert off_losses[0] == off_losses[1]


def test_all_rows_of_the_grid_are_valid_and_differ(made: Any) -> None:
    rows = read_rows("sclhm_readings", FOLDER / "sclhm_readings.toml")
    settings = [dict(row.settings) for row in rows]
    assert all(settings.count(each) == 1 for each in settings)
    names = {name for each in settings for name in each}
    assert names <= {f"method.{name}" for name in made.SCLHMReadingsConfig.__dataclass_fields__}


def test_the_table_lists_the_module_of_every_switch(made: Any) -> None:
    fields, known = set(made.SCLHMReadingsConfig.__dataclass_fields__), set().union(*SETTINGS.values())
    assert fields - set(SCLHMConfig.__dataclass_fields__) <= known <= fields


# ---- formulas ----------------------------------------------------------------------------------------------------


def random_unit(*shape: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_sharpening_is_a_softmax_at_a_lower_temperature_of_the_best_rows(made: Any) -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)) / 0.05 / 5
    sharp = made.sharpened(logits.softmax(-1), 0.05 / 0.02, 3)
    for row, z in zip(sharp, logits, strict=True):
        best = sorted(range(5), key=lambda k: -float(z[k]))[:3]
        total = sum(float((z[k] * 0.05 / 0.02).exp()) for k in best)
        expected = [float((z[k] * 0.05 / 0.02).exp()) / total if k in best else 0.0 for k in range(5)]
        assert row.tolist() == pytest.approx(expected, abs=1e-6)
    assert made.sharpened(logits, 1.0, 0) is logits


def test_leads_and_margin_shares(made: Any) -> None:
    probabilities = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]])
    labels = torch.tensor([0, 0, 0, 2])
    found = made.leads(probabilities, labels)
    assert found.tolist() == pytest.approx([0.3, -0.3, 0.0, 0.7])
    distances = torch.tensor([0.5, 0.4, 0.2, 0.3])
    shares = made.margin_shares(distances, found, mates(labels), 0.05)
    raw = [0.5 * 0.3, 0.4 * 0.05, 0.2 * 0.05, 0.3 * 0.7]
    for i, own in enumerate(labels):
        total = sum(raw[j] for j in range(4) if labels[j] == own)
        expected = [raw[j] / total if labels[j] == own else 0.0 for j in range(4)]
        assert shares[i].tolist() == pytest.approx(expected, abs=1e-6)


def test_balanced_weights_have_the_mean_one_over_the_samples_that_count(made: Any) -> None:
    weights, kept = torch.tensor([[0.2, 0.0, 0.6]]), torch.tensor([[1.0, 0.0, 1.0]])
    assert made.balanced(weights, kept).tolist()[0] == pytest.approx([0.5, 0.0, 1.5])


def test_example_rows_mix_the_most_similar_images(made: Any) -> None:
    visible, infrared, rows = random_unit(20, 4), random_unit(14, 4, seed=1), random_unit(4, 4, seed=2)
    v_rows = torch.tensor([0, 1, 2, -1, 0] * 4)
    r_rows = torch.tensor([0, 0, 1, 1, 3, -1, 0] * 2)  # no infrared image of row 2, no visible one of row 3
    found = made.example_rows(rows, (visible, v_rows), (infrared, r_rows), 0.3, 2)
    for k in range(4):
        v = [i for i in range(20) if v_rows[i] == k]
        r = [j for j in range(14) if r_rows[j] == k]
        if not v or not r:
            assert torch.equal(found[k], rows[k])
            continue
        alike = {(i, j): float(visible[i] @ infrared[j]) for i in v for j in r}
        of_v = {i: max(r, key=lambda j, i=i: alike[i, j]) for i in v}
        of_r = {j: max(v, key=lambda i, j=j: alike[i, j]) for j in r}
        best_v = sorted(v, key=lambda i: (of_r[of_v[i]] != i, -alike[i, of_v[i]]))[:2]
        best_r = sorted(r, key=lambda j: (of_v[of_r[j]] != j, -alike[of_r[j], j]))[:2]
        side_v = normalize(visible[best_v].sum(0), dim=0)
        side_r = normalize(infrared[best_r].sum(0), dim=0)
        torch.testing.assert_close(found[k], normalize(0.7 * side_v + 0.3 * side_r, dim=0))


def started(made: Any, **settings: Any) -> tuple[Any, Any]:
    method = made.SCLHMReadings(made.SCLHMReadingsConfig(**{**SMALL, **settings}), world.encoder())
    seen = world.features(width=method.encoder.feature_dim)
    labels = method.label(seen, world.progress())
    method.begin_epoch(seen, labels, world.progress())
    method.train()
    return method, world.batch(labels, method)


def test_weighted_losses_equal_the_definition(made: Any) -> None:
    settings = {"consistency": "sample", "reliability": 2.0, "teacher_temperature": 0.02, "ramp": True}
    method, batch = started(made, **settings)
    c, now = method.config, world.progress(epoch=2, step=1)
    student, teacher = method.embed_pair(batch)
    losses = method.loss(batch, now)
    cut = 2 * len(batch.visible.labels)
    for name, part, labels in (
        ("visible", slice(0, cut), batch.visible.view_labels),
        ("infrared", slice(cut, None), batch.infrared.labels),
    ):
        costs, trusts, rows = [], [], method.memories[name]
        for f, t, y in zip(student[part].detach(), teacher[part], labels.tolist(), strict=True):
            soft, sharp = (rows @ t / c.temperature).softmax(0), (rows @ t / 0.02).softmax(0)
            share = c.smoothing * now.iteration / now.iterations * (1 - float(sharp[y]))
            target = share * sharp
            target[y] += 1 - share
            costs.append(-float((target * (rows @ f / c.temperature).log_softmax(0)).sum()))
            trusts.append(float(soft[y]) ** 2)
        mean = sum(w * cost for w, cost in zip(trusts, costs, strict=True)) / sum(trusts)
        assert float(losses[name].detach()) == pytest.approx(mean, rel=1e-4)


def test_a_term_beside_the_hard_one_has_one_temperature(made: Any) -> None:
    method, batch = started(made, soft_form="beside", teacher_temperature=0.1)
    student, teacher = method.embed_pair(batch)
    loss = float(method.loss(batch, world.progress())["infrared"].detach())
    rows, costs, cut = method.memories["infrared"], [], 2 * len(batch.visible.labels)
    for f, t, y in zip(student[cut:].detach(), teacher[cut:], batch.infrared.labels.tolist(), strict=True):
        soft = (rows @ t / 0.1).softmax(0) @ (rows @ f / 0.1).log_softmax(0)
        costs.append(-float((rows @ f / 0.05).log_softmax(0)[y] + 0.3 * soft))
    assert loss == pytest.approx(sum(costs) / len(costs), rel=1e-4)


def test_entries_are_mixed_from_the_present_rows(made: Any) -> None:
    method, batch = started(made, hybrid="entries", refresh=1, association="hungarian")
    method.loss(batch, world.progress())
    method.end_step(world.progress())
    rows = method.memories
    for k, partner in enumerate(method.partners["infrared"].tolist()):
        expected = normalize(rows["visible"][partner] + rows["infrared"][k], dim=0)
        torch.testing.assert_close(rows["hybrid"][k], expected)


def test_the_bank_holds_the_latest_features_and_clusters_are_paired_by_the_teacher(made: Any) -> None:
    method, batch = started(made, hybrid="examples", refresh=1)
    before = {name: bank.clone() for name, bank in method.bank.items()}
    student = method.embed_pair(batch)[0].detach()
    method.loss(batch, world.progress())
    method.end_step(world.progress())
    n = len(batch.visible.index)
    expected = normalize(student[:n] + student[n : 2 * n])
    torch.testing.assert_close(method.bank["visible"][batch.visible.index], expected)
    torch.testing.assert_close(method.bank["infrared"][batch.infrared.index], student[2 * n :])
    others = [i for i in range(len(before["visible"])) if i not in batch.visible.index.tolist()]
    assert torch.equal(method.bank["visible"][others], before["visible"][others])
    torch.testing.assert_close(method.memories["hybrid"], method.mixed_examples(method.memories["hybrid"]))
    taught = made.SCLHMReadings(made.SCLHMReadingsConfig(**SMALL, matcher="teacher"), world.encoder())
    assert taught.embeds == ("teacher",)
    assert not method.embeds
    assert world.train_steps(taught, steps=1)
