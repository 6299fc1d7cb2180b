"""Pseudo-terminal of a chosen width: it runs a command, and keeps what its screen shows at each moment."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
HEIGHT = 40
INTERRUPT = b"\x03"
"""Byte that a terminal sends for Ctrl-C."""


@dataclass
class Screen:
    """Screen of a terminal without scrolling: text, carriage returns, cursor movements up, erased lines.

    >>> screen = Screen(10)
    >>> screen.write("one\\r\\ntwo\\r\\x1b[2K\\x1b[1A\\x1b[2Kthree")
    >>> screen.lines
    ['three', '']
    """

    width: int
    rows: list[list[str]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0

    @property
    def lines(self) -> list[str]:
        """Lines of the screen, without spaces at their ends."""
        return ["".join(row).rstrip() for row in self.rows]

    def write(self, text: str) -> None:
        """Show text; a line that is wider than the screen goes on in the next row."""
        place = 0
        while place < len(text):
            found = CONTROL.match(text, place)
            if found:
                self._control(*found.groups())
                place = found.end()
                continue
            self._put(text[place])
            place += 1

    def _control(self, number: str, kind: str) -> None:
        if kind == "A":
            self.row = max(0, self.row - int(number or 1))
        elif kind == "K":
            self.rows[self.row] = []
        else:
            assert kind in "mhl", f"unknown control sequence {number}{kind}"

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._next_row()
        else:
            if self.column == self.width:
                self._next_row()
                self.column = 0
            row = self.rows[self.row]
            row += [" "] * (self.column + 1 - len(row))
            row[self.column] = character
            self.column += 1

    def _next_row(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])


@dataclass(frozen=True)
class Session:
    """Session of a command in a terminal.

    Attributes:
        status: exit status; negative for a signal.
        text: everything that was written to the terminal.
        frames: lines of the screen at each moment.
        sent: moment of the interruption, as an index of ``frames``; None if there was none.
    """

    status: int
    text: str
    frames: list[list[str]]
    sent: int | None

    @property
    def last(self) -> list[str]:
        """Lines that are left on the screen, without empty ones at the end."""
        return "\n".join(self.frames[-1]).rstrip().split("\n")


def run_in_terminal(
    command: Sequence[str],
    width: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    interrupt: Callable[[list[str]], bool] | None = None,
    limit: float = 300,
) -> Session:
    """Run a command in a pseudo-terminal.

    Args:
        command: words of the command.
        width: columns of the terminal.
        folder: working folder.
        environment: variables to set.
        interrupt: called with the lines of the screen; Ctrl-C is pressed once, when it first returns True.
        limit: seconds after which the command is killed.
    """
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background of a shell ignores it
        for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
            os.environ.pop(name, None)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, width, 0, 0))
        os.execvpe(command[0], list(command), {**os.environ, "TERM": "xterm", **(environment or {})})
    screen, frames, received, sent = Screen(width), [], [], None
    for text in _read(terminal, process, time.monotonic() + limit):
        received.append(text)
        screen.write(text)
        frames.append(screen.lines)
        if sent is None and interrupt is not None and interrupt(screen.lines):
            os.write(terminal, INTERRUPT)
            sent = len(frames)
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return Session(status, "".join(received), frames or [[""]], sent)


def _read(terminal: int, process: int, end: float) -> Iterator[str]:
    rest = ""
    while True:
        if time.monotonic() > end:
            os.kill(process, 9)
            raise AssertionError("the command did not end")
        try:
            received = os.read(terminal, 65536)
        except OSError:  # the command has closed its end
            return
        if not received:
            return
        text = rest + received.decode(errors="replace")
        cut = text.rfind("\x1b")  # a sequence may be cut by the read
        whole = cut < 0 or CONTROL.match(text, cut) is not None
        text, rest = (text, "") if whole else (text[:cut], text[cut:])
        yield text


if __name__ == "__main__":  # python -m tests.terminal WIDTH COMMAND...: shows every screen
    shown = run_in_terminal(sys.argv[2:], int(sys.argv[1]), Path.cwd())
    for before, after in zip([[], *shown.frames], shown.frames, strict=False):
        if before != after:
            print("\n".join(line.ljust(int(sys.argv[1])) + "|" for line in after[-8:]), "-" * 20, sep="\n")
    print(*shown.last, f"exit status {shown.status}", sep="\n")
