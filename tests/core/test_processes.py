"""Several processes that share a batch compute the same as one process."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.together import normalise_exactly, together
from usvi_bench.components.encoder.batch_norm import GroupedBatchNorm
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.core.distributed.batch_norm import check_parts
from usvi_bench.core.distributed.collectives import (
    all_gather_rows,
    all_reduce_gradients,
    broadcast_parameters,
    broadcast_plain,
    local_chunks,
    local_slice,
)
from usvi_bench.core.distributed.group import destroy_process_group, init_process_group
from usvi_bench.core.errors import UsageError

CPU = torch.device("cpu")
VISIBLE, INFRARED = 12, 8


def encoder(groups: int) -> TwoStreamEncoder:
    network = build_encoder(SmallConfig(width=8, non_local=True, bn_groups=groups), seed=3)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in network.named_parameters():  # the attention is the identity when new
        if "non_local" in name:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return network.train()


def step(network: TwoStreamEncoder) -> dict[str, Tensor]:
    """Compute features, gradients and statistics with a loss that depends on all pairs of features."""
    generator = torch.Generator().manual_seed(2)
    images = [torch.randn(size, 3, 32, 16, generator=generator) for size in (VISIBLE, INFRARED)]
    target = torch.randn(VISIBLE + INFRARED, network.feature_dim, generator=generator)
    features = network(*images)
    loss = ((features @ features.T).softmax(dim=1) @ target - features).square().mean()
    loss.backward()
    all_reduce_gradients([parameter.grad for parameter in network.parameters()])
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return {"features": features.detach(), "loss": loss.detach(), **gradients, **dict(network.named_buffers())}


def shared_step(rank: int, folder: Path, groups: int) -> None:
    init_process_group(CPU, timeout=600)
    network = encoder(groups)
    results = step(network)
    broadcast_parameters(network)
    torch.save({**results, **dict(network.named_buffers())}, folder / f"{rank}.pt")
    destroy_process_group()


def differences(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """Compute the largest difference of each tensor relative to its largest entry.

    A tenth of the largest gradient is added to the denominator of gradients, because the gradient of a bias before a
    normalisation is pure rounding noise.
    """
    largest = max(float(value.abs().max()) for name, value in expected.items() if "weight" in name)
    floors = {name: 0.1 * largest if name.endswith(("weight", "bias")) else 1e-9 for name in expected}
    return {
        name: float((found[name] - value).abs().max() / (value.abs().max() + floors[name]))
        for name, value in expected.items()
    }


@pytest.mark.parametrize("world", [2, 3])
def test_processes_normalise_as_float64_does(world: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupedBatchNorm, "forward", normalise_exactly)
    expected = step(encoder(1))
    together(world, shared_step, tmp_path, 1)
    for rank in range(world):
        wrong = {n: d for n, d in differences(torch.load(tmp_path / f"{rank}.pt"), expected).items() if not d < 1e-4}
        assert not wrong, rank


@pytest.mark.parametrize(("world", "groups"), [(2, 1), (3, 1), (2, 2), (2, 4), (4, 2)])
def test_a_shared_step_is_the_step_of_one_process(world: int, groups: int, tmp_path: Path) -> None:
    expected = step(encoder(groups))
    together(world, shared_step, tmp_path, groups)
    for rank in range(world):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == expected.keys()
        wrong = {name: difference for name, difference in differences(found, expected).items() if not difference < 1e-3}
        assert not wrong, rank


def exchange(rank: int, folder: Path) -> None:
    init_process_group(CPU, timeout=600)
    rows = torch.arange(20.0).view(10, 2)
    own = local_chunks(10, 3)
    assert own == (slice(0, 6), slice(6, 10))[rank]  # four chunks of 3, 3, 3, 1
    assert torch.equal(all_gather_rows(rows[own], own, 10), rows)
    assert local_slice(7) == (slice(0, 3), slice(3, 7))[rank]
    told: dict[str, Any] = broadcast_plain(lambda: {"labels": torch.tensor([1, -1]), "by": rank}, CPU)
    assert told["by"] == 0
    assert told["labels"].tolist() == [1, -1]
    with pytest.raises(UsageError, match="2 processes"):
        local_slice(1)
    with pytest.raises(UsageError, match="bn_groups=3"):
        check_parts(3)
    check_parts(4)
    destroy_process_group()


class Trap:
    """Object that writes a file where it is unpickled."""

    def __init__(self, file: str) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.file),)


def receive_a_trap(rank: int, file: Path) -> None:
    init_process_group(CPU, timeout=600)
    if rank == 0:
        broadcast_plain(lambda: Trap(str(file)), CPU)
    else:
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            broadcast_plain(lambda: None, CPU)
    destroy_process_group()


def test_no_code_comes_from_another_process(tmp_path: Path) -> None:
    together(2, receive_a_trap, tmp_path / "ran")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Trap(str(tmp_path / "ran"))))
    assert (tmp_path / "ran").exists(), "the trap works"


def test_broadcast_reaches_all_processes(tmp_path: Path) -> None:
    together(2, exchange, tmp_path)


def test_alone_nothing_is_exchanged() -> None:
    rows = torch.rand(5, 2)
    assert all_gather_rows(rows, local_chunks(5, 2), 5) is rows
    assert broadcast_plain(lambda: rows, CPU) is rows
    check_parts(3)
