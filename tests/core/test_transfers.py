from __future__ import annotations

import torch

from usvi_bench.core.transfers import index_to_device, to_device

CPU = torch.device("cpu")


def test_rows_arrive_as_they_are() -> None:
    values, rows = torch.arange(12).view(6, 2), torch.tensor([4, 0, 4])
    assert torch.equal(index_to_device(values, rows, CPU), values[rows])
    assert to_device(values, CPU) is values
