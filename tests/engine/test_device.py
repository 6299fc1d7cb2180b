from __future__ import annotations

import pytest
import torch

from engine.config import TrainConfig
from engine.device import room, rows_on, set_up, settled, to_device
from engine.registry import UsageError

CPU = torch.device("cpu")


def test_a_batch_that_does_not_fit_names_what_to_lower() -> None:
    with (
        pytest.raises(UsageError, match=r"train\.instances .*8 \+ 8 clusters x 16.*train\.embed_batch.*amp=bf16"),
        room(TrainConfig()),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="other"), room(TrainConfig()):
        raise RuntimeError("other")


def test_rows_arrive_as_they_are() -> None:
    values, rows = torch.arange(12).view(6, 2), torch.tensor([4, 0, 4])
    assert torch.equal(rows_on(values, rows, CPU), values[rows])
    assert to_device(values, CPU) is values
    assert settled(CPU) <= settled(CPU)


def test_deterministic_kernels_are_asked_for_and_left_again() -> None:
    set_up(CPU, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    set_up(CPU, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()
