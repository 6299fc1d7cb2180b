"""Start of a function in several processes of one gloo group, as with ``torchrun``."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from usvi_bench.components.encoder.batch_norm import GroupedBatchNorm

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["usvi_bench.cli.train", "usvi_bench.methods.base"])
"""Modules are imported once; a fork of a test process itself would inherit the threads of its libraries."""


@contextmanager
def launch(world: int, call: Callable[..., Any], *arguments: Any) -> Iterator[list[BaseProcess]]:
    """Start ``call(rank, *arguments)`` on every rank, and give the processes; kill those that are left at the end."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    processes = [_CONTEXT.Process(target=_begin, args=(rank, world, port, call, *arguments)) for rank in range(world)]
    for process in processes:
        process.start()
    try:
        yield list(processes)
    finally:
        for process in processes:
            process.kill()
            process.join()


def together(world: int, call: Callable[..., Any], *arguments: Any) -> None:
    """Run ``call(rank, *arguments)`` on every rank and wait; all must succeed."""
    with launch(world, call, *arguments) as processes:
        for process in processes:
            process.join(600)
            assert process.exitcode == 0


def _begin(rank: int, world: int, port: int, call: Callable[..., Any], *arguments: Any) -> None:
    meeting = {"MASTER_ADDR": "localhost", "MASTER_PORT": port}
    os.environ.update(
        {k: str(v) for k, v in {**meeting, "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world}.items()}
    )
    torch.set_num_threads(1)
    call(rank, *arguments)


def normalise_exactly(norm: GroupedBatchNorm, x: Tensor) -> Tensor:
    """Normalise a batch as one part in float64; a replacement of :class:`GroupedBatchNorm`'s forward pass."""
    assert norm.groups == 1
    assert norm.momentum is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    held = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, var, weight, bias = (tensor.double() for tensor in held)
    normed = F.batch_norm(x.double(), mean, var, weight, bias, norm.training, norm.momentum, norm.eps)
    if norm.training:
        for kept, moved in ((norm.running_mean, mean), (norm.running_var, var)):
            kept.copy_(moved)
    return normed.to(x.dtype)
