"""Interruptions that wait for the end of a block."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from usvi_bench.core.interrupts import deferred_interruption


@pytest.fixture(autouse=True)
def heed_interruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a shell with a job in the background has set for the tests themselves."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_the_block_ends_before_the_interruption() -> None:
    steps = []

    def work() -> None:
        with deferred_interruption():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("the rest of the block")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["the rest of the block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_changes_without_an_interruption_or_in_another_thread() -> None:
    found = []

    def work() -> None:
        with deferred_interruption():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
    with deferred_interruption():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
