"""Failures that end a command: interruptions, errors of the file system, unexpected errors."""

from __future__ import annotations

import os
import signal
import tempfile
import traceback
from datetime import datetime
from pathlib import Path
from types import FrameType

from usvi_bench.core.files import write_text
from usvi_bench.core.host import cache_folder


class Terminated(KeyboardInterrupt):
    """Interruption by a signal other than Ctrl-C.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, signal: int) -> None:
        super().__init__()
        self.signal = signal


def raise_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into exceptions, so that they end a command as Ctrl-C does."""

    def handle(number: int, _: FrameType | None) -> None:
        raise Terminated(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, handle)


def interruption_status(error: KeyboardInterrupt) -> int:
    """Return the exit status of an interruption: 128 plus the number of the signal, as shells expect."""
    return 128 + (error.signal if isinstance(error, Terminated) else signal.SIGINT)


def describe_os_error(error: OSError) -> str:
    """Describe an error of the file system in a line.

    >>> describe_os_error(PermissionError(13, "Permission denied", "/data"))
    '/data: Permission denied; check the path and its permissions'
    """
    names = " -> ".join(
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))
    )
    reason = error.strerror or str(error)
    return f"{names}: {reason}; check the path and its permissions" if names else reason


def write_log(error: BaseException) -> Path:
    """Write the traceback of an unexpected error to a file, and return its path."""
    name = f"error-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    text = "".join(traceback.format_exception(error))
    try:
        path = cache_folder() / "logs" / name
        write_text(path, text)
    except Exception:  # the cache may be what failed
        path = Path(tempfile.gettempdir()) / name
        write_text(path, text)
    return path
