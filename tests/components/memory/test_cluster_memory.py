"""Cluster memory: loss, updates of several memories together, and what it keeps."""

import pytest
import torch
import torch.nn.functional as F

from tests.components.memory.cases import random_case, released_case
from usvi_bench.components.memory.cluster import ClusterMemory, cross_entropy, update_together
from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.components.memory.rules import (
    UPDATE_RULES,
)
from usvi_bench.core.errors import UsageError


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            "sequential",
            [
                (-0.26480, 0.17902, 0.79666, 0.51300),
                (-0.51028, -0.26068, 0.26476, 0.77561),
                (-0.02451, 0.86918, -0.39807, 0.29234),
            ],
        ),
        ("hard", [(-0.29094, 0.27065, 0.79073, 0.46566), (-0.81484, -0.04349, -0.53057, -0.22943)]),
    ],
)
def test_released_values(rule, expected):
    rows, features, labels = released_case()
    memory = ClusterMemory(rows, temperature=0.05, momentum=0.1, rule=rule)
    features.requires_grad_()
    loss = memory.loss(features, labels)
    loss.backward()
    assert loss.item() == pytest.approx(5.929041, abs=1e-5)
    assert features.grad.norm().item() == pytest.approx(2.923043, abs=1e-5)
    assert torch.equal(memory.rows, F.normalize(rows, dim=1)), "rows must stay until update is called"
    memory.update(features, labels)
    assert torch.allclose(memory.rows[: len(expected)], torch.tensor(expected), atol=1e-5)


def make_memory(kind: str, seed: int) -> ClusterMemory:
    rows = random_case(seed, count=7 - 2 * seed)[0]
    if kind == "prototypes":
        return HardMemory(rows, random_case(seed + 9, count=7 - 2 * seed)[0], momentum=0.1)
    return ClusterMemory(rows, momentum=0.1, rule=kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("unmatched", [False, True])
@pytest.mark.parametrize("kind", [*UPDATE_RULES, "prototypes"])
def test_memories_updated_together_are_those_updated_one_by_one_with_the_samples_that_have_a_row(kind, unmatched):
    together, alone = ([make_memory(kind, seed) for seed in range(2)] for _ in range(2))
    samples = [(5 * features, labels) for _, features, labels in (random_case(20), random_case(21, count=5, batch=9))]
    if unmatched:
        samples = [(features, torch.where(labels == 2, -1, labels)) for features, labels in samples]
    update_together([(memory, *part) for memory, part in zip(together, samples, strict=True)], unmatched)
    for memory, (features, labels) in zip(alone, samples, strict=True):
        memory.update(features[labels >= 0], labels[labels >= 0])
    for one, other in zip(together, alone, strict=True):
        moved, expected = getattr(one, one.state), getattr(other, other.state)
        torch.testing.assert_close(moved, expected, atol=1e-6, rtol=0)
        before = getattr(make_memory(kind, together.index(one)), one.state)
        untouched = [k for k in range(len(one.rows)) if k not in samples[together.index(one)][1]]
        assert torch.equal(moved[..., untouched, :], before[..., untouched, :])


def test_memories_of_different_momenta_are_updated_together_as_one_by_one():
    momenta = 0.02, 0.3, 0.9
    together, alone = (
        [ClusterMemory(random_case(k, count=4 + k)[0], momentum=mu) for k, mu in enumerate(momenta)] for _ in range(2)
    )
    samples = [random_case(30 + k, count=4 + k, batch=50)[1:] for k in range(3)]
    update_together([(memory, *part) for memory, part in zip(together, samples, strict=True)])
    for one, other, part in zip(together, alone, samples, strict=True):
        other.update(*part)
        torch.testing.assert_close(one.rows, other.rows, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["mean", "prototypes"])
@pytest.mark.parametrize("left", [0, 3, 6])
def test_samples_without_a_row_take_no_part_in_a_loss(kind, left):
    memory, (_, features, labels) = make_memory(kind, 0), random_case(3, count=5, batch=6)
    labels[left:] = -1
    whole, part = features.float().requires_grad_(), features.float().requires_grad_()
    loss = memory.loss(whole, labels, unmatched=True)
    loss.backward()
    if not left:
        assert float(loss.detach()) == 0
        assert not whole.grad.any()
        return
    expected = memory.loss(part[:left], labels[:left])
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(whole.grad, part.grad)
    plain = torch.zeros(6, 2), torch.tensor([0, 1, 1, 0, 0, 1])
    assert torch.equal(cross_entropy(*plain), cross_entropy(*plain, unmatched=True))


def test_two_losses_on_one_memory_do_not_disturb_each_other():
    """The released code moves rows inside backward, so that a second use changes the first use's gradient."""
    rows, features, labels = released_case()
    memory = ClusterMemory(rows, momentum=0.1)
    alone = features.clone().requires_grad_()
    memory.loss(alone, labels).backward()
    together, other = features.clone().requires_grad_(), features.flip(0).clone().requires_grad_()
    (memory.loss(together, labels) + memory.loss(other, labels)).backward()
    assert torch.equal(alone.grad, together.grad)


def test_memory_is_no_part_of_the_checkpoint_and_takes_no_gradient():
    rows, features, labels = released_case()
    memory = ClusterMemory(rows.requires_grad_())
    assert not memory.state_dict()
    assert not list(memory.parameters())
    memory.loss(features.requires_grad_(), labels).backward()
    assert rows.grad is None


def test_logits_are_float32_cosines_even_under_autocast():
    rows, features, _ = released_case()
    memory = ClusterMemory(5 * rows, temperature=0.1)
    expected = torch.stack([F.cosine_similarity(feature, rows) for feature in features]) / 0.1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = memory.logits(features)
    assert torch.allclose(logits, expected, atol=1e-5)


def test_unknown_rule_is_refused():
    with pytest.raises(UsageError, match="did you mean sequential"):
        ClusterMemory(torch.eye(2), rule="sequentiel")
