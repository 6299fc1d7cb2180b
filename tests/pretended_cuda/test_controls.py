"""Negative controls: each check of the pretended device fails on a training that breaks its rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.pretended_cuda import guard
from tests.pretended_cuda.operations import TINY, carry_out, kernels, waits

pytestmark = pytest.mark.skipif(guard.missing() is not None, reason=f"no pretended device: {guard.missing()}")
ERRORS = {
    "mixed_device": "operands on cuda:0 and on the CPU",
    "wrong_generator": "Expected a 'cuda' device type for generator but found 'cpu'",
    "numpy_of_the_device": "can't convert cuda:0 device type tensor to numpy",
}
WAITS = {"item": "item", "mask": "index by mask", "branch": "item", "pageable_copy": "pageable memory"}
CONTROLS = ["", *ERRORS, *WAITS, "small_kernels", "any_order"]


@pytest.fixture(scope="module")
def results(tiny_people: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Results of a short training without a control (``""``) and with each."""
    folder, settings = tmp_path_factory.mktemp("controls"), {**TINY, "train.epochs": 1}
    shared = {"method": "supervised", "data": str(tiny_people["sysu"]), "settings": settings}
    options = {"any_order": {"deterministic": True}}
    jobs = [
        {**shared, "output": str(folder / f"run-{name}"), "control": name, "options": options.get(name, {})}
        for name in CONTROLS
    ]
    return dict(zip(CONTROLS, carry_out(jobs, folder), strict=True))


def test_without_a_control_nothing_is_found(results: dict[str, dict[str, Any]]) -> None:
    assert results[""]["error"] == ""
    assert waits(results[""]) == {}
    assert results[""]["any_order"] == {}


@pytest.mark.parametrize("name", ERRORS)
def test_what_a_gpu_refuses_is_refused(name: str, results: dict[str, dict[str, Any]]) -> None:
    assert ERRORS[name] in results[name]["error"]


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_is_counted(name: str, results: dict[str, dict[str, Any]]) -> None:
    assert results[name]["error"] == ""
    ((place, count),) = waits(results[name]).items()
    assert WAITS[name] in place
    assert count == 1


def test_kernels_are_counted(results: dict[str, dict[str, Any]]) -> None:
    (plain,), (more,) = kernels(results[""]).values(), kernels(results["small_kernels"]).values()
    assert more - plain == 300


def test_an_operation_without_a_deterministic_kernel_is_found(results: dict[str, dict[str, Any]]) -> None:
    assert any("cumsum" in name for name in results["any_order"]["any_order"])
