"""Environment of a run: the type of the processor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from usvi_bench.core import environment

FIRST = "processor\t: 0\nvendor_id\t: AMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nflags\t\t: avx2\n"


@pytest.fixture
def vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


@pytest.mark.usefixtures("vectors")
@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (FIRST + "\n" + FIRST.replace("25", "26"), "AMD EPYC (family 25, model 1, AVX2)"),
        ("processor\t: 0\nmodel name\t: Neoverse: N1\n", "Neoverse: N1 (AVX2)"),
    ],
)
def test_generations_of_one_name_are_distinguished(
    info: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "_CPU", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(info)
    assert environment.environment_info(torch.device("cpu"))["cpu"] == expected


@pytest.mark.usefixtures("vectors")
@pytest.mark.parametrize("info", ["", "processor\t: 0\nFeatures\t: asimd\n", None])
def test_a_processor_without_a_name_is_that_of_the_platform(
    info: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "_CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    if info is not None:
        (tmp_path / "cpuinfo").write_text(info)
    assert environment.environment_info(torch.device("cpu"))["cpu"] == "aarch64 (AVX2)"
