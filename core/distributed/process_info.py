"""Rank and world size of this process, from the environment variables of ``torchrun`` or Slurm."""

from __future__ import annotations

import os
from dataclasses import dataclass

from usvi_bench.core.errors import UsageError

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
        UsageError: several processes without ``MASTER_ADDR`` or ``MASTER_PORT``.
    """
    for names in (_TORCHRUN, _SLURM):
        if all(name in os.environ for name in names) and int(os.environ[names[1]]) > 1:
            # Slurm assigns separate processors to every task
            rank, world, local = (int(os.environ[name]) for name in names)
            if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
                raise UsageError(
                    f"{world} processes were started without {' and '.join(missing)} in the environment; "
                    "see docs/training.md"
                )
            return ProcessInfo(rank, world, local, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    return ProcessInfo()
