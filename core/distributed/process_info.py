"""Rank and world size of this process, from the environment variables of ``torchrun`` or Slurm."""

from __future__ import annotations

import os
from dataclasses import dataclass

from usvi_bench.core.errors import UsageError, show

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")


@dataclass(frozen=True)
class ProcessInfo:
    """Rank of a process and the size of its group.

    Attributes:
        rank: number among all processes, from 0.
        world_size: number of processes.
        local_rank: number among the processes of this machine: the index of its GPU.
        local_world_size: number of processes that share the processors of this machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def is_main_process(self) -> bool:
        """True for rank 0, which labels, writes files and prints."""
        return self.rank == 0


def process_info() -> ProcessInfo:
    """Read the rank and the world size of this process; without a launcher it is a single process.

    Raises:
        UsageError: a variable is not a number or out of range, or there are several processes without ``MASTER_ADDR``
            or ``MASTER_PORT``.
    """
    for names in (_TORCHRUN, _SLURM):
        if all(name in os.environ for name in names) and (world := _number(names[1], 1)) > 1:
            rank, local = (_number(name, 0, world - 1) for name in (names[0], names[2]))
            if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
                raise UsageError(
                    f"{world} processes were started without {' and '.join(missing)} in the environment; "
                    "see docs/training.md"
                )
            _number("MASTER_PORT", 0, 65535)
            # 1 under Slurm, which assigns separate processors to every task
            return ProcessInfo(rank, world, local, _number("LOCAL_WORLD_SIZE", 1, world))
    return ProcessInfo()


def _number(name: str, low: int, high: int = 1_000_000) -> int:
    """Read a whole number from the environment; ``low`` if the variable is missing."""
    text = os.environ.get(name, str(low))
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    if not low <= value <= high:
        raise UsageError(
            f"the environment variable {name}={show(text)} must be a whole number from {low} to {high}; "
            "torchrun or srun sets it: unset it for a single process"
        )
    return value
