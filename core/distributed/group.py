"""Process group: device selection, initialisation, shutdown and error translation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed as dist

from usvi_bench.core.distributed.collectives import barrier, world_size
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.errors import LostProcessError, UsageError


def select_device(name: str) -> torch.device:
    """Select the device that this process computes on.

    Args:
        name: ``cpu``, ``cuda``, or ``auto``, which is a GPU if one is available.

    Raises:
        UsageError: no GPU, or fewer GPUs on this machine than processes.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError("--device cuda: torch found no GPU; use --device cpu")
    here = process_info()
    if here.world_size == 1:
        return torch.device("cuda")
    if here.local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"process {here.local_rank + 1} of this machine has no GPU ({torch.cuda.device_count()} available); "
            "start one process for each GPU (torchrun --nproc-per-node), with access to all GPUs of its machine (srun "
            "--gpu-bind=none), or use --device cpu"
        )
    return torch.device("cuda", here.local_rank)


def init_process_group(device: torch.device, timeout: float) -> None:
    """Initialise the process group; a no-op for a single process.

    Args:
        device: device of this process; a GPU uses NCCL, a CPU gloo.
        timeout: seconds after which a process stops waiting for another.

    Raises:
        LostProcessError: a process did not connect.
    """
    here = process_info()
    if here.world_size == 1:
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with translate_errors():
        dist.init_process_group(backend, rank=here.rank, world_size=here.world_size, timeout=timedelta(seconds=timeout))


def destroy_process_group() -> None:
    """Leave the process group."""
    if world_size() > 1:
        dist.destroy_process_group()


@contextmanager
def translate_errors() -> Iterator[None]:
    """Convert communication errors to :class:`LostProcessError`.

    Raises:
        LostProcessError: a communication error occurred.
    """
    try:
        yield
    except RuntimeError as error:
        here, reason = process_info(), (str(error).splitlines() or [""])[0]
        transport = isinstance(error, dist.DistError) or any(w in reason.lower() for w in ("gloo", "peer", "nccl"))
        if here.world_size == 1 or not transport:
            raise
        raise LostProcessError(
            f"process {here.rank} of {here.world_size} lost the connection to another process ({reason[:160]}); "
            "see the output of that process. Saved files are intact: start all processes again with --resume"
        ) from error


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the block on rank 0 first, so that the other processes find the files that it writes."""
    if not process_info().is_main_process:
        barrier()
    yield
    if process_info().is_main_process:
        barrier()
