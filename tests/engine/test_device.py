from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from usvi_bench.core.errors import UsageError
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.device import explain_out_of_memory, set_up, synchronized_time

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]


def test_a_batch_that_does_not_fit_names_what_to_lower() -> None:
    with (
        pytest.raises(UsageError, match=r"train\.instances .*8 \+ 8 clusters x 16.*train\.embed_batch.*amp=bf16"),
        explain_out_of_memory(TrainConfig()),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="other"), explain_out_of_memory(TrainConfig()):
        raise RuntimeError("other")


def test_time_goes_forward() -> None:
    assert synchronized_time(CPU) <= synchronized_time(CPU)


def test_deterministic_kernels_are_enabled_and_disabled_again() -> None:
    set_up(CPU, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    set_up(CPU, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_deterministic_kernels_are_not_imported_unless_they_are_enabled() -> None:
    script = "import sys, torch; from usvi_bench.engine.device import set_up; before = len(sys.modules); "
    script += "set_up(torch.device('cpu'), deterministic=False); print(len(sys.modules) - before)"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    assert int(found.stdout) < 10


def test_new_memory_is_not_filled() -> None:
    set_up(CPU, deterministic=True)
    assert not torch.utils.deterministic.fill_uninitialized_memory
    set_up(CPU, deterministic=False)
