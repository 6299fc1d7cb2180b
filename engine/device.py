"""Device helpers: backend flags, synchronised timing, out-of-memory messages."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

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
    # the suite reads no memory before it is written
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if deterministic != torch.are_deterministic_algorithms_enabled():  # the call imports hundreds of modules
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = not deterministic


def synchronized_time(device: torch.device) -> float:
    """Wait until the device has finished its queued work, and return the time in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


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
            f"or train.embed_batch (now {train.embed_batch}), or set train.amp=bf16; "
            "several GPUs can share a batch (docs/training.md); checkpoints are intact: continue with --resume"
        ) from error
