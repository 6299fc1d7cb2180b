"""Which of several processes this one is, as ``torchrun`` or ``srun`` says."""

from __future__ import annotations

import os
from dataclasses import dataclass

from engine.registry import UsageError

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")


@dataclass(frozen=True)
class Place:
    """Which of the processes this one is, by what started it.

    Attributes:
        rank: number among all, from 0.
        world: how many there are.
        local: number among those on this machine: its GPU.
        neighbours: how many are on this machine and see the same processors.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    neighbours: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process labels, writes files and talks."""
        return self.rank == 0


def place() -> Place:
    """This process among those that ``torchrun`` or ``srun`` started; alone where neither did.

    Raises:
        UsageError: tasks of one Slurm step that were not told where to meet.
    """
    for names in (_TORCHRUN, _SLURM):
        if all(name in os.environ for name in names) and int(os.environ[names[1]]) > 1:
            # Slurm gives every task processors of its own
            rank, world, local = (int(os.environ[name]) for name in names)
            found = Place(rank, world, local, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
            if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
                raise UsageError(
                    f"{found.world} processes were started but {' and '.join(missing)} not set; see docs/training.md"
                )
            return found
    return Place()
