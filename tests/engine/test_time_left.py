"""Time left of a training, against sums over a list of steps and pauses."""

from __future__ import annotations

from statistics import fmean

import pytest

from usvi_bench.engine.time_left import RECENT, TimeLeft


class Clock:
    """Clock that is set by hand."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


def train(left: TimeLeft, clock: Clock, epochs: int, steps: int, pause: float, step: float) -> None:
    for _ in range(epochs):
        clock.time += pause
        for number in range(steps):
            clock.time += step
            left.step(number == steps - 1)


def test_the_time_of_equal_epochs_is_exact() -> None:
    clock = Clock()
    left = TimeLeft(4 * 10, 4, clock)
    assert left.seconds() is None
    left.begin_stage()
    for done in range(1, 4):
        train(left, clock, 1, 10, pause=7.0, step=0.5)
        assert left.seconds() == pytest.approx((4 - done) * (7.0 + 10 * 0.5))
    clock.time += 3.0
    assert left.seconds() == pytest.approx(9.0), "the time of a pause passes"
    clock.time += 100.0
    assert left.seconds() == pytest.approx(4.5), "a long pause does not use the time of the steps after it"


def test_the_time_of_a_step_is_the_mean_of_recent_ones() -> None:
    clock, steps = Clock(), 3 * RECENT
    left, durations = TimeLeft(2 * steps, 2, clock), []
    left.begin_stage()
    for step in range(steps):
        durations.append(1.0 + step % 7)
        clock.time += durations[-1]
        left.step(False)
    recent = fmean(durations[-RECENT:])
    first = durations[0]  # the pause before the first epoch took no further time
    assert left.seconds() == pytest.approx((steps - 1) * recent + first)


def test_a_stage_begins_with_the_times_of_the_last_one_and_then_has_its_own() -> None:
    clock = Clock()
    left = TimeLeft(10 + 20, 1 + 2, clock)
    left.begin_stage()
    train(left, clock, 1, 10, pause=4.0, step=1.0)
    left.begin_stage()
    assert left.seconds() == pytest.approx(2 * (4.0 + 10 * 1.0))
    clock.time += 6.0 + 3.0
    left.step(False)
    assert left.seconds() == pytest.approx(18 * 1.0 + 9.0)
    clock.time += 3.0
    left.step(False)
    assert left.seconds() == pytest.approx(17 * 3.0 + 9.0)


def test_epochs_of_an_earlier_start_are_left_out() -> None:
    clock = Clock()
    left = TimeLeft(5 * 10, 5, clock)
    left.begin_stage(3 * 10, 3)
    train(left, clock, 1, 10, pause=4.0, step=1.0)
    assert left.seconds() == pytest.approx(4.0 + 10 * 1.0)


def test_epochs_of_one_step_have_pauses_only() -> None:
    clock = Clock()
    left = TimeLeft(3, 3, clock)
    left.begin_stage()
    train(left, clock, 1, 1, pause=4.0, step=1.0)
    assert left.seconds() == pytest.approx(2 * 5.0)
