"""Context-local progress: nested code reports how far it is, and an enclosing :func:`show_progress` shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Receiver = Callable[[str, int, int], None]
"""Function that is called with the name of some work, how much of it is done, and its whole amount."""
SEARCH = "searching neighbours"
"""Name of the work of neighbour searches, the longest part of clustering."""
_RECEIVER: ContextVar[Receiver | None] = ContextVar("receiver", default=None)


@contextmanager
def show_progress(receiver: Receiver) -> Iterator[None]:
    """Send the progress of all work inside the block to a receiver."""
    token = _RECEIVER.set(receiver)
    try:
        yield
    finally:
        _RECEIVER.reset(token)


def report_progress(work: str, done: int, total: int) -> bool:
    """Report progress; the first call has ``done=0`` and the last one ``done=total``.

    >>> with show_progress(lambda *progress: print(progress)):
    ...     report_progress("decoding images", 0, 10)
    ('decoding images', 0, 10)
    True

    Returns:
        Whether there is a receiver.
    """
    receiver = _RECEIVER.get()
    if receiver is not None:
        receiver(work, done, total)
    return receiver is not None
