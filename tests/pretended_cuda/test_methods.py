"""Every method on the pretended device: precisions, resuming on the other device, waits and kernels of a step."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.pretended_cuda import guard
from tests.pretended_cuda.operations import TABLE, TINY, carry_out, counting_job, kernels, waits
from usvi_bench.core.registry import METHODS

pytestmark = pytest.mark.skipif(guard.missing() is not None, reason=f"no pretended device: {guard.missing()}")
TRAINED = [name for name in METHODS.names() if METHODS.get(name).stages(METHODS.get(name).Config())]
BOUNDS: dict[str, dict[str, int]] = json.loads(TABLE.read_text())
KINDS = {
    "counted": {},
    "bf16": {"settings": {**TINY, "train.precision": "bf16"}, "options": {"deterministic": True}},
    "fp16": {"settings": {**TINY, "train.precision": "fp16", "evaluate_every": 1}},
}
RESUMED = "sclhm"
"""Method with a teacher and memories in both modalities."""

Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def results(tiny_people: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of all jobs, by method and kind."""
    folder = tmp_path_factory.mktemp("pretended")
    jobs = {}
    for method in TRAINED:
        for kind, changes in KINDS.items():
            # methods with the same first stage share a folder, so that it is trained once
            job = {"method": method, "output": str(folder / kind), "data": str(tiny_people["sysu"])}
            counted = counting_job(method, tiny_people["sysu"], folder)
            jobs[f"{method} {kind}"] = counted if kind == "counted" else {**job, **changes}
    for first, second in (("cpu", "cuda"), ("cuda", "cpu")):
        base = {"method": RESUMED, "output": str(folder / f"resumed-{second}"), "data": str(tiny_people["sysu"])}
        base["settings"] = {**TINY, "train.epochs": 2}
        jobs[f"stopped on {first}"] = {**base, "options": {"device": first}, "stop_after": 1}
        jobs[f"resumed on {second}"] = {**base, "options": {"device": second, "resume": True, "report": True}}
    return dict(zip(jobs, carry_out(list(jobs.values()), folder), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", TRAINED)
def test_a_method_trains_and_is_scored(method: str, kind: str, results: Results) -> None:
    found = results[f"{method} {kind}"]
    assert not found["error"], found["error"]
    assert math.isfinite(found["scores"]["mAP"])
    assert found["any_order"] == {}, "operations without a deterministic kernel"
    assert sum(found["launches"].values()) > 300, "the device was not used"  # scoring alone takes some 500


@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_training_continues_on_the_other_device(first: str, second: str, results: Results) -> None:
    assert "StopError" in results[f"stopped on {first}"]["error"]
    found = results[f"resumed on {second}"]
    assert not found["error"], found["error"]
    assert not any("/0" in place for place in found["steps"] if place.startswith("1:")), "the first epoch ran again"
    assert any(place.startswith("1:") for place in found["steps"])


@pytest.mark.parametrize("method", TRAINED)
def test_a_step_does_not_wait_for_the_device(method: str, results: Results) -> None:
    found = {kind: waits(results[f"{method} {kind}"]) for kind in KINDS}
    assert not any(found.values()), found


@pytest.mark.parametrize("method", TRAINED)
def test_a_step_starts_as_many_kernels_as_the_table_allows(method: str, results: Results) -> None:
    """The bounds are close: a step that needs much less lowers them (``operations.py --write``)."""
    found = kernels(results[f"{method} counted"])
    assert set(found) == set(BOUNDS[method])
    assert {stage: (number, BOUNDS[method][stage]) for stage, number in found.items()} == {
        stage: (number, BOUNDS[method][stage])
        for stage, number in found.items()
        if 0.8 * BOUNDS[method][stage] < number <= BOUNDS[method][stage]
    }


def test_every_method_has_bounds() -> None:
    command = "python -m tests.pretended_cuda.operations --write NAME"
    assert set(BOUNDS) == set(TRAINED), f"tests/pretended_cuda/operations.json: {command}"
