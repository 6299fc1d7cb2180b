"""Time and memory of one computation, measured in a separate child process."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch

from usvi_bench.core import environment
from usvi_bench.core.errors import StorageError, UsageError
from usvi_bench.core.host import cpu_count
from usvi_bench.core.process_memory import peak_rise

T = TypeVar("T")


@dataclass(frozen=True)
class Measurement:
    """Measurement of a computation.

    Attributes:
        wall: median wall-clock seconds over the repeats.
        cpu: median CPU seconds of all threads together.
        extra_mib: peak resident memory in MiB above that before the first repeat; inputs do not count.
        gpu_mib: the same increase in the GPU's allocator; 0 without a GPU.
        best: minimum wall-clock seconds over the repeats, more robust than the median on a busy machine.
    """

    wall: float
    cpu: float
    extra_mib: float
    gpu_mib: float
    best: float


def measured(
    call: Callable[[], T],
    *,
    prepare: Callable[[], object] = lambda: None,
    repeats: int = 1,
    threads: int | None = None,
) -> tuple[T, Measurement]:
    """Run a computation in a forked child, which shares the caller's arrays without a copy.

    Linux only. The calling process must not have used OpenMP threads (torch with more than one thread, faiss) or CUDA
    before, because neither survives a fork. Make inputs with numpy.

    Args:
        call: computation to measure; its first result is sent back pickled.
        prepare: runs in the child before the measurement, to compile kernels or move inputs to the GPU.
        repeats: number of calls; memory is the peak over all of them.
        threads: number of threads of torch and of our kernels in the child; default: the cores this process may use.

    Raises:
        RuntimeError: the computation failed; the message holds the child's traceback.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (sender, call, prepare, repeats, threads or cpu_count())
    child = context.Process(target=_child, args=arguments)
    sys.stdout.flush()
    child.start()
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError:
        child.join()
        raise RuntimeError(f"the measured process ended with exit code {child.exitcode}; out of memory?") from None
    child.join()
    if isinstance(outcome, str):
        raise RuntimeError(f"the measured computation failed:\n{outcome}")
    result, measurement = outcome
    return result, measurement


def machine(device: torch.device | None = None) -> dict[str, Any]:
    """Describe processor, cores, memory, versions and commit, without the host name."""
    described = environment.environment_info(device or torch.device("cpu"))
    described.pop("threads")  # threads of the parent; the child may use others
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    revision, dirty = environment.commit()
    cores = cpu_count()
    return {**described, "cores": cores, "memory_gib": round(memory, 1), "commit": revision, "dirty": dirty}


_FAILURES = (
    *(UsageError, StorageError, RuntimeError, ValueError, TypeError, LookupError, ArithmeticError),
    *(AssertionError, AttributeError, ImportError, MemoryError, OSError),
)
"""Failures of a computation, whose traceback the parent raises; after another one it only has the exit code."""


def _child(
    sender: Connection, call: Callable[[], T], prepare: Callable[[], object], repeats: int, threads: int
) -> None:
    try:
        torch.set_num_threads(threads)
        prepare()
        sender.send(_timed(call, repeats))
    except _FAILURES:
        sender.send(traceback.format_exc())


def _timed(call: Callable[[], T], repeats: int) -> tuple[T, Measurement]:
    gpu = torch.cuda.is_initialized()
    devices = [torch.device("cpu"), *([torch.device("cuda")] if gpu else [])]
    result, walls, cpus = None, [], []
    with ExitStack() as stack:
        rises = [stack.enter_context(peak_rise(device)) for device in devices]
        for repeat in range(repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            value = call()
            if gpu:
                torch.cuda.synchronize()
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
            result = value if repeat == 0 else result
            del value
    extra, on_gpu = rises[0][0], rises[1][0] if gpu else 0.0
    median = statistics.median
    return result, Measurement(median(walls), median(cpus), extra, on_gpu, min(walls))  # type: ignore[return-value]
