from __future__ import annotations

import pytest
import torch

from usvi_bench.core.errors import UsageError
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.device import explain_out_of_memory, index_to_device, set_up, synchronized_time, to_device

CPU = torch.device("cpu")


def test_a_batch_that_does_not_fit_names_what_to_lower() -> None:
    with (
        pytest.raises(UsageError, match=r"train\.instances .*8 \+ 8 clusters x 16.*train\.embed_batch.*precision=bf16"),
        explain_out_of_memory(TrainConfig()),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="other"), explain_out_of_memory(TrainConfig()):
        raise RuntimeError("other")


def test_rows_arrive_as_they_are() -> None:
    values, rows = torch.arange(12).view(6, 2), torch.tensor([4, 0, 4])
    assert torch.equal(index_to_device(values, rows, CPU), values[rows])
    assert to_device(values, CPU) is values
    assert synchronized_time(CPU) <= synchronized_time(CPU)


def test_deterministic_kernels_are_enabled_and_disabled_again() -> None:
    set_up(CPU, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    set_up(CPU, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()
