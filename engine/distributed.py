"""Training by several processes, one a GPU: started by ``torchrun``, or by Slurm's ``srun``.

Every process draws the same global batches. The encoder embeds a share of them on each (``components.processes``), so a
method needs to know nothing of it; this module starts and ends the processes' group, lets rank 0 label and write files,
and adds up gradients. With one process every function here is the identity.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from components import processes
from engine.place import Place, place
from engine.registry import UsageError

T = TypeVar("T")


class LostProcessError(Exception):
    """Another process of the training is gone or silent; what was saved is intact."""


def device(name: str) -> torch.device:
    """The device that this process computes on.

    Args:
        name: ``cpu``, ``cuda``, or ``auto``: a GPU where there is one.

    Raises:
        UsageError: no GPU, or fewer GPUs on this machine than processes.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError("--device cuda: this torch sees no GPU; use --device cpu")
    here = place()
    if here.world == 1:
        return torch.device("cuda")
    if here.local >= torch.cuda.device_count():
        raise UsageError(
            f"process {here.local + 1} of this machine finds {torch.cuda.device_count()} GPUs; "
            "start one process a GPU (torchrun --nproc-per-node), or use --device cpu"
        )
    return torch.device("cuda", here.local)


def start(device: torch.device, timeout: float) -> None:
    """Meet the other processes; nothing to do for one that is alone.

    Args:
        device: where this process computes: GPUs talk over NCCL, everything else over gloo.
        timeout: seconds that a process waits for another before it gives up.

    Raises:
        LostProcessError: they did not all come.
    """
    here = place()
    if here.world == 1:
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with watched():
        dist.init_process_group(backend, rank=here.rank, world_size=here.world, timeout=timedelta(seconds=timeout))


def stop() -> None:
    """Leave the group."""
    if processes.count() > 1:
        dist.destroy_process_group()


@contextmanager
def watched() -> Iterator[None]:
    """Say in plain words that another process is gone, whatever the transport calls it.

    Raises:
        LostProcessError: instead of the transport's error.
    """
    try:
        yield
    except RuntimeError as error:
        here, reason = place(), (str(error).splitlines() or [""])[0]
        told = isinstance(error, dist.DistError) or any(word in reason.lower() for word in ("gloo", "peer", "nccl"))
        if here.world == 1 or not told:
            raise
        raise LostProcessError(
            f"process {here.rank} of {here.world} lost another one ({reason[:160]}); see what that one said. "
            "What was saved is intact: start all again with --resume"
        ) from error


@contextmanager
def leader_first() -> Iterator[None]:
    """Rank 0 goes through the block before the others, who then find the files it made."""
    if not place().leads:
        _meet()
    yield
    if place().leads:
        _meet()


def _meet() -> None:
    if processes.count() > 1:
        dist.all_reduce(torch.zeros(1))


def from_leader(call: Callable[[], T], device: torch.device) -> T:
    """What rank 0 computes, on every process, tensors on ``device``; the others do not call."""
    if processes.count() == 1:
        return call()
    if place().leads:
        value = call()
        buffer = io.BytesIO()
        torch.save(value, buffer)
        content = torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)
        dist.broadcast(torch.tensor([len(content)]), 0)
        dist.broadcast(content, 0)
        return value
    length = torch.zeros(1, dtype=torch.int64)
    dist.broadcast(length, 0)
    content = torch.empty(int(length), dtype=torch.uint8)
    dist.broadcast(content, 0)
    file = io.BytesIO(content.numpy().tobytes())
    # weights_only would refuse our own types; rank 0 of this very run wrote it a moment ago
    received: T = torch.load(file, map_location=partial(_moved, device), weights_only=False)
    return received


def _moved(device: torch.device, storage: Any, _: str) -> Any:
    return storage.cuda(device.index) if device.type == "cuda" else storage


def align(model: nn.Module) -> None:
    """Give every process rank 0's weights and running statistics."""
    if processes.count() > 1:
        for tensor in [*model.parameters(), *model.buffers()]:
            flat = tensor.detach().flatten().clone()
            dist.broadcast(flat, 0)
            tensor.detach().copy_(flat.view(tensor.shape))


def add_up(gradients: Sequence[Tensor | None]) -> None:
    """Sum every gradient over the processes, in place and in one message."""
    if processes.count() == 1:
        return
    present = [gradient for gradient in gradients if gradient is not None]
    flat = torch.cat([gradient.flatten() for gradient in present])
    dist.all_reduce(flat)
    for gradient, total in zip(present, flat.split([gradient.numel() for gradient in present]), strict=True):
        gradient.copy_(total.view(gradient.shape))


def share_of_chunks(rows: int, chunk: int) -> slice:
    """This process's rows of a pass in chunks; borders are borders of chunks, as one process would have them."""
    here, chunks = place() if processes.count() > 1 else Place(), -(-rows // chunk)
    borders = [min(rows, chunk * (rank * chunks // here.world)) for rank in (here.rank, here.rank + 1)]
    return slice(*borders)


def joined(rows: Tensor, own: slice, total: int) -> Tensor:
    """All processes' rows of a pass from this one's."""
    return rows if processes.count() == 1 else processes.join(rows, own, total)
