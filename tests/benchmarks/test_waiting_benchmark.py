"""Comparison of waiting threads: both sides, alone and beside a busy process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from usvi_bench.benchmarks import waiting
from usvi_bench.benchmarks.waiting import compare, measure_step, seconds


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


@pytest.mark.parametrize(("side", "expected"), [("passive", "passive"), ("default", "None")])
def test_a_side_has_its_own_environment(side: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    def run(command: list[str], env: dict[str, str], **_: object) -> SimpleNamespace:
        found.extend(str(env.get(name)) for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"))
        return SimpleNamespace(stdout="0.5\n")

    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.setattr("subprocess.run", run)
    assert seconds(side) == 0.5
    assert found == [expected, "None"]
