"""The folder of a stage: held by one process at a time, and emptied on request."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from engine.files import locked
from engine.plan import StagePlan
from engine.registry import UsageError


@contextmanager
def exclusive(plan: StagePlan, wait: bool = False) -> Iterator[None]:
    """Hold the stage's folder; the lock goes with the process, so a killed run leaves none behind.

    Args:
        plan: the stage.
        wait: for another process that trains the same stage.

    Raises:
        UsageError: another process trains the same stage, and ``wait`` is false.
        StorageError: the folder cannot be made.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(plan.folder.with_name(f".{plan.folder.name}.lock"), wait))
        except BlockingIOError as error:
            raise UsageError(f"another process is training {plan.folder}; wait for it or stop it") from error
        yield


def start_clean(plan: StagePlan) -> None:
    """Remove what an earlier attempt at the stage left."""
    shutil.rmtree(plan.folder, ignore_errors=True)
