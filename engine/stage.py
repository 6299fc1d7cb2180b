"""The folder of a stage: held by one process at a time, and emptied on request."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from engine.files import StorageError
from engine.plan import StagePlan
from engine.registry import UsageError


@contextmanager
def exclusive(plan: StagePlan) -> Iterator[None]:
    """Hold the stage's folder; the lock goes with the process, so a killed run leaves none behind.

    Raises:
        UsageError: another process trains the same stage.
        StorageError: the folder cannot be made.
    """
    lock = plan.folder.with_name(f".{plan.folder.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise StorageError(f"cannot write {lock}: {error.strerror}; choose another --output") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another process is training {plan.folder}; wait for it or stop it") from error
        yield


def start_clean(plan: StagePlan) -> None:
    """Remove what an earlier attempt at the stage left."""
    shutil.rmtree(plan.folder, ignore_errors=True)
