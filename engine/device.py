"""Device helpers: backend flags, transfers, synchronised timing, out-of-memory messages."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from usvi_bench.core.errors import UsageError
from usvi_bench.engine.config import TrainConfig


def set_up(device: torch.device, deterministic: bool) -> None:
    """Select the fastest or the deterministic kernels; call this before using the device.

    Args:
        device: device that the run computes on. On a CPU, results are always reproducible for a given number of
            threads.
        deterministic: use only deterministic kernels; an operation without one triggers a warning.
    """
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # see torch.use_deterministic_algorithms
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = not deterministic


def synchronized_time(device: torch.device) -> float:
    """Wait until the device has finished its queued work, and return the time in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy values to a device without blocking the host; copies to a GPU go through pinned memory."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def index_to_device(values: Tensor, rows: Tensor, device: torch.device) -> Tensor:
    """Copy rows of a tensor, which may be on any device, to a device without blocking the host.

    Torch's pinned-memory cache reuses a block only after the copy from it has finished.
    """
    if values.is_cuda or device.type != "cuda":
        return values[to_device(rows, values.device)].to(device)
    pinned = torch.empty((len(rows), *values.shape[1:]), dtype=values.dtype, pin_memory=True)
    return torch.index_select(values, 0, rows, out=pinned).to(device, non_blocking=True)


@contextmanager
def explain_out_of_memory(train: TrainConfig) -> Iterator[None]:
    """Convert an out-of-memory error to one that names the settings to lower.

    Raises:
        UsageError: instead of the allocator's error.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        images = f"{train.visible_clusters} + {train.infrared_clusters} clusters x {train.instances} images"
        raise UsageError(
            f"the GPU's memory is too small: lower --set train.instances (batches of {images}) "
            f"or train.embed_batch (now {train.embed_batch}), or set train.precision=bf16; "
            "several GPUs can share a batch (docs/training.md); checkpoints are intact: continue with --resume"
        ) from error
