"""Interruptions that wait until a piece of work, which must not be cut in two, has ended."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interruption() -> Iterator[None]:
    """Defer Ctrl-C to the end of the block.

    Outside the main thread nothing is deferred, because Python interrupts the main thread only.
    """
    former = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(former):
        yield
        return
    received: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda number, frame: received.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        if received:
            former(signal.SIGINT, received[0])
