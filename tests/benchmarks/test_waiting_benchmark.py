"""Comparison of waiting threads: both sides, and the environment variable that distinguishes them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from usvi_bench.benchmarks import waiting
from usvi_bench.benchmarks.waiting import VARIABLE, compare, measure_step


def test_each_side_is_measured_alone_and_beside_a_busy_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = iter([0.25, 0.5, 0.25, 0.25, 0.5, 1.0, 0.5, 4.0])
    monkeypatch.setattr(waiting, "seconds", lambda side: next(measured))
    alone, beside = compare(2)
    assert alone == {
        "busy_process": False,
        "seconds": {"passive": [0.25, 0.25], "default": [0.5, 0.25]},
        "median": {"passive": 0.25, "default": 0.375},
        "ratio": 1.5,
    }
    assert (beside["busy_process"], beside["ratio"]) == (True, 5.0)
    assert "beside a busy process: passive 0.500 s, default 2.500 s, default / passive 5.00" in capsys.readouterr().out


def test_a_step_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    measure_step()
    assert float(capsys.readouterr().out) > 0


@pytest.mark.parametrize(("before", "after"), [(None, "passive"), ("active", "active")])
def test_the_policy_is_passive_unless_it_is_set(before: str | None, after: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    program = f"import os, sys, usvi_bench; print(os.environ['{VARIABLE}'], 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, **({VARIABLE: before} if before else {})},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [after, "False"], "torch was imported before the policy was set"
