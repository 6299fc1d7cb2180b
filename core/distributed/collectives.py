"""Collective operations: slices of rows, gathered features, broadcast objects, summed gradients."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from usvi_bench.core.distributed.process_info import ProcessInfo, process_info
from usvi_bench.core.errors import UsageError

T = TypeVar("T")


def world_size() -> int:
    """Return the number of training processes; 1 if ``torch.distributed`` is not initialised."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def barrier() -> None:
    """Wait until every process has called this function."""
    if world_size() > 1:
        dist.all_reduce(torch.zeros(1))


def local_slice(rows: int) -> slice:
    """Return the slice of rows of this process: contiguous, in rank order, as equal as possible.

    Raises:
        UsageError: fewer rows than processes.
    """
    size = world_size()
    if rows < size:
        raise UsageError(
            f"a batch of {rows} images of a modality cannot be shared by {size} processes; "
            "raise --set train.instances or start fewer processes"
        )
    rank = dist.get_rank()
    return slice(rank * rows // size, (rank + 1) * rows // size)


def local_chunks(rows: int, chunk: int) -> slice:
    """Return the slice of rows of this process, with borders at multiples of ``chunk``.

    The chunks are therefore the same for any number of processes.
    """
    here, chunks = process_info() if world_size() > 1 else ProcessInfo(), -(-rows // chunk)
    borders = [min(rows, chunk * (rank * chunks // here.world_size)) for rank in (here.rank, here.rank + 1)]
    return slice(*borders)


def all_gather_rows(rows: Tensor, own: slice, total: int) -> Tensor:
    """Gather the rows of all processes.

    Args:
        rows: ``[own, D]`` rows of this process.
        own: position of these rows among all rows.
        total: number of all rows.

    Returns:
        ``[total, D]`` rows. The gradient flows to the rows of this process only, so that the encoder gradients of all
        processes sum to the gradient of the batch.
    """
    if world_size() == 1:
        return rows
    gathered: Tensor = _AllGatherRows.apply(rows, own, total)  # type: ignore[no-untyped-call]
    return gathered


class _AllGatherRows(torch.autograd.Function):
    """Gather by a sum of zero-padded matrices, which permits unequal slices on every backend."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, own: slice, total: int) -> Tensor:
        ctx.own = own
        whole = rows.new_zeros(total, *rows.shape[1:])
        whole[own] = rows
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.own].contiguous(), None, None


def broadcast_plain(call: Callable[[], T], device: torch.device) -> T:
    """Call a function on rank 0 and return its result on every process, with tensors on ``device``.

    The result consists of tensors and plain data: numbers, text, None, lists, tuples and dictionaries. A process that
    receives anything else refuses it, so that no code comes from another machine.
    """
    if world_size() == 1:
        return call()
    if process_info().is_main_process:
        value = call()
        buffer = io.BytesIO()
        torch.save(value, buffer)
        content = torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8)
        dist.broadcast(torch.tensor([len(content)]), 0)
        dist.broadcast(content, 0)
        return value
    length = torch.zeros(1, dtype=torch.int64)
    dist.broadcast(length, 0)
    content = torch.empty(int(length), dtype=torch.uint8)
    dist.broadcast(content, 0)
    received: T = torch.load(io.BytesIO(content.numpy().tobytes()), map_location=device, weights_only=True)
    return received


def broadcast_parameters(model: nn.Module) -> None:
    """Copy rank 0's parameters and buffers to every process."""
    if world_size() > 1:
        for tensor in [*model.parameters(), *model.buffers()]:
            flat = tensor.detach().flatten().clone()
            dist.broadcast(flat, 0)
            tensor.detach().copy_(flat.view(tensor.shape))


def all_reduce_gradients(gradients: Sequence[Tensor | None]) -> None:
    """Sum every gradient over the processes, in place and in one message."""
    if world_size() == 1:
        return
    present = [gradient for gradient in gradients if gradient is not None]
    if not present:
        return
    flat = torch.cat([gradient.flatten() for gradient in present])
    dist.all_reduce(flat)
    for gradient, total in zip(present, flat.split([gradient.numel() for gradient in present]), strict=True):
        gradient.copy_(total.view(gradient.shape))
