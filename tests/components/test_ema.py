import pytest
import torch
from torch import nn

from usvi_bench.components.ema import (
    alpha_for,
    copy_batch_norm_statistics,
    ema_coefficient,
    ema_step,
    ema_update,
    make_teacher,
)
from usvi_bench.core.types import StageProgress


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize(
    ("iteration", "expected"),
    [(0, 0), (1, 0.5), (2, 0.666667), (9, 0.9), (99, 0.99), (998, 0.998999), (999, 0.999), (5000, 0.999)],
)
def test_ramp_values(iteration, expected):
    assert ema_coefficient(iteration, 0.999) == pytest.approx(expected, abs=1e-6)


def test_window_is_a_fraction_of_the_stage():
    assert alpha_for(0.1, 50 * 200) == pytest.approx(0.999)
    assert alpha_for(0.1, 300) == pytest.approx(1 - 1 / 30)
    assert alpha_for(0.1, 5) == 0  # at least one iteration: the teacher is the student


def test_a_teacher_may_take_over_its_student_s_statistics():
    student = network()
    teacher = make_teacher(student)
    student(torch.randn(8, 3, generator=torch.Generator().manual_seed(1)))
    assert not torch.equal(teacher[1].running_mean, student[1].running_mean)
    copy_batch_norm_statistics(teacher, student)
    for mine, own in zip(teacher.buffers(), student.buffers(), strict=True):
        assert torch.equal(mine, own)
        assert mine is not own


def test_teacher_is_the_loop_average_of_its_students():
    student = network()
    teacher = make_teacher(student)
    expected = [parameter.detach().clone() for parameter in student.parameters()]
    for t in range(5):
        with torch.no_grad():
            for i, parameter in enumerate(student.parameters()):
                parameter += 0.1 * (t + i + 1)
        coefficient = ema_coefficient(t, 0.6)
        ema_update(teacher, student, coefficient)
        expected = [
            coefficient * old + (1 - coefficient) * new for old, new in zip(expected, student.parameters(), strict=True)
        ]
    for found, wanted in zip(teacher.parameters(), expected, strict=True):
        assert torch.allclose(found, wanted)


@pytest.mark.parametrize(("step", "old"), [(0, 0.0), (1, 0.5), (3, 0.75), (9, 0.75)])
def test_a_step_averages_all_students_then_a_fraction_of_the_stage(step: int, old: float) -> None:
    """A fifth of 20 steps is a decay of 3/4, which the plain mean of all students reaches at the fourth."""
    student = network()
    teacher = make_teacher(student)
    before = teacher[0].weight.clone()
    with torch.no_grad():
        student[0].weight += 1
    ema_step(teacher, student, 0.2, StageProgress(step // 5, 4, step % 5, 5, 0))
    torch.testing.assert_close(teacher[0].weight, before + (1 - old))


def test_first_update_copies_the_student_and_shares_nothing():
    student = network()
    teacher = make_teacher(student)
    with torch.no_grad():
        student[0].weight += 1
    assert not torch.equal(teacher[0].weight, student[0].weight)
    ema_update(teacher, student, ema_coefficient(0, 0.999))
    assert torch.equal(teacher[0].weight, student[0].weight)


def test_teacher_takes_no_gradient_and_keeps_its_own_statistics():
    student = network().eval()
    teacher = make_teacher(student)
    assert teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    with torch.no_grad():
        teacher(torch.randn(8, 3, generator=torch.Generator().manual_seed(1)))
    statistics = teacher[1].running_mean.clone()
    assert not torch.equal(statistics, student[1].running_mean)
    ema_update(teacher, student, 0.5)
    assert torch.equal(teacher[1].running_mean, statistics)
