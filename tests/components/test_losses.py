import math

import pytest
import torch
import torch.nn.functional as F

from usvi_bench.components.losses import smoothed_targets, soft_cross_entropy, teacher_targets


def unit(values):
    return F.normalize(torch.tensor(values, dtype=torch.float64), dim=-1)


STUDENT, TEACHER = [[0.9, 0.4, 0.1], [0.5, 0.6, 0.62]], [[0.95, 0.3, 0.1], [0.55, 0.56, 0.62]]
LABELS = torch.tensor([0, 1])


def test_smoothed_contrast_values():
    """Contrast against three orthogonal rows at temperature 0.05, the teacher's probabilities blended in by 0.3."""
    features = unit(STUDENT).requires_grad_()
    soft = (unit(TEACHER) / 0.05).softmax(1)
    target = smoothed_targets(LABELS, soft, 0.3)
    assert soft[1].tolist() == pytest.approx([0.159359, 0.194632, 0.646008], abs=1e-6)
    assert target[1].tolist() == pytest.approx([0.047808, 0.758390, 0.193802], abs=1e-6)
    loss = soft_cross_entropy(features / 0.05, target).mean()
    loss.backward()
    assert loss.item() == pytest.approx(0.492224, abs=1e-6)
    assert features.grad[1].tolist() == pytest.approx([0.033993, -3.778838, 3.744845], abs=1e-6)
    each = [soft_cross_entropy(features[i : i + 1] / 0.05, target[i : i + 1]).item() for i in (0, 1)]
    assert each == pytest.approx([0.000048, 0.984399], abs=1e-6)
    assert F.cross_entropy(features / 0.05, LABELS).item() == pytest.approx(0.483147, abs=1e-6)


def test_smoothing_per_sample_values():
    """Each sample is smoothed in proportion to the probability that the teacher gives to other labels."""
    soft = (unit(TEACHER) / 0.05).softmax(1)
    smoothing = 0.3 * (1 - soft.gather(1, LABELS[:, None]).squeeze(1))
    assert smoothing[1].item() == pytest.approx(0.241610, abs=1e-6)
    target = smoothed_targets(LABELS, soft, smoothing)
    loss = soft_cross_entropy(unit(STUDENT)[1:] / 0.05, target[1:]).mean()
    assert loss.item() == pytest.approx(0.980867, abs=1e-6)


def test_soft_cross_entropy_is_the_loop():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 4, generator=generator)
    target = torch.rand(5, 4, generator=generator).softmax(1)
    losses = []
    for i in range(5):
        total = sum(math.exp(float(z)) for z in logits[i])
        losses.append(-sum(float(target[i, k]) * (float(logits[i, k]) - math.log(total)) for k in range(4)))
    assert soft_cross_entropy(logits, target).tolist() == pytest.approx(losses, rel=1e-5)


def test_no_smoothing_is_cross_entropy():
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    target = smoothed_targets(labels, torch.full((6, 3), 1 / 3), 0.0)
    assert torch.allclose(soft_cross_entropy(logits, target).mean(), F.cross_entropy(logits, labels))


def test_targets_are_distributions_and_stop_gradients():
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(2), requires_grad=True)
    teacher = torch.randn(6, 3, generator=torch.Generator().manual_seed(3), requires_grad=True)
    target = smoothed_targets(torch.zeros(6, dtype=torch.int64), teacher.softmax(1), 0.7)
    assert torch.allclose(target.sum(1), torch.ones(6))
    soft_cross_entropy(logits, target).mean().backward()
    assert teacher.grad is None
    assert logits.grad is not None


def test_a_reliable_sample_is_smoothed_less():
    targets = teacher_targets(LABELS, (unit(TEACHER) / 0.05).softmax(1), 0.3, "sample")
    smoothing = (1 - targets[1, 1]) / (1 - (unit(TEACHER) / 0.05).softmax(1)[1, 1])
    assert float(smoothing) == pytest.approx(0.241610, abs=1e-6)
    assert float(soft_cross_entropy(unit(STUDENT)[1:] / 0.05, targets[1:])) == pytest.approx(0.980867, abs=1e-6)


def test_class_consistency_shares_soft_assignments_within_a_cluster():
    soft = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).softmax(1)
    labels = torch.tensor([0, 1, 0, 2, 1])
    targets = teacher_targets(labels, soft, 0.4, "class")
    for i, label in enumerate(labels):
        mates = torch.stack([soft[j] for j in range(5) if labels[j] == label]).mean(0)
        expected = 0.4 * (soft[i] + mates) / 2
        expected[label] += 0.6
        torch.testing.assert_close(targets[i], expected)


def test_the_mass_left_on_the_label_follows_its_consistency():
    soft = torch.rand(6, 4, generator=torch.Generator().manual_seed(1)).softmax(1)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    kept = teacher_targets(labels, soft, 0.3, "plain").gather(1, labels[:, None])
    torch.testing.assert_close(kept, 1 - 0.3 * (1 - soft.gather(1, labels[:, None])))
