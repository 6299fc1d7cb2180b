"""Failures that end a command: interruptions, errors of the file system, unexpected errors."""

from __future__ import annotations

import io
import os
import signal
import sys
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


def open_streams() -> None:
    """Make the standard streams accept any text: closed ones drop it, undecodable bytes of paths are escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), "utf-8"))
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


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
