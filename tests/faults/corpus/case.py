"""One hostile case: an action in a forked process, and the classification of its outcome."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

TIMEOUT = 10.0
"""Seconds of processor time after which a case counts as a hang."""
IDLE = 6
"""Multiple of them after which it counts as one too, busy or not; other jobs may have the processor."""
SPARE = 2 << 30
"""Bytes of address space that a case may take beyond those of the warm process."""
LINES = 3
"""Most lines that a clear message has."""
LISTED = 30
"""Most lines of a list of contradictions."""
REMEDY = re.compile(
    r"; |restore|\bgive|choose|remove|delete|\bset\b|write|\bsee\b|save|\brun\b|\buse\b|expected|did you mean|known:|"
    r"must|looked for|instead of|rename|missing|cannot be read|match|shape",
)
"""Words of which a message with a remedy has at least one."""

Verdict = Literal["clear", "accepted", "wrong", "unclear", "traceback", "hang"]
FAULTS: tuple[Verdict, ...] = ("wrong", "unclear", "traceback", "hang")
"""Verdicts that are faults: a wrong input accepted or a right one refused, a message that is not clear, ..."""
Expect = Literal["refused", "accepted", "either"]
Action = Callable[[Path], int]
"""Function that writes a hostile input into an empty folder, gives it to the suite, and returns an exit status."""


class WrongResultError(AssertionError):
    """Error of a harmless input that was accepted with a wrong result."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a case.

    Attributes:
        verdict: class of the outcome.
        text: message of the suite, traceback, or the reason for the verdict.
        seconds: time of the case.
    """

    verdict: Verdict
    text: str
    seconds: float

    @property
    def faulty(self) -> bool:
        return self.verdict in FAULTS


@dataclass(frozen=True)
class Case:
    """Case of the hostile corpus.

    Attributes:
        kind: group of the table.
        name: name within the kind.
        act: writes and tries the input; see :data:`Action`.
        expect: whether the input must be refused or accepted; ``either`` if both are right.
        limit: seconds of processor time after which it counts as a hang.
        remedy: whether the message must have a remedy; contradictions of a record are only listed.
        names: a clear message holds one of these texts; any message will do if there are none.
    """

    kind: str
    name: str
    act: Action
    expect: Expect = "refused"
    names: tuple[str, ...] = ()
    remedy: bool = True
    limit: float = TIMEOUT

    def run(self) -> Outcome:
        """Try the input in a forked process with a time limit and a memory limit."""
        folder = Path(tempfile.mkdtemp(prefix="usvi-corpus-"))
        begun = time.monotonic()
        try:
            status, error = _in_fork(self.act, folder, self.limit)
            text = "".join(_printed(folder / name) for name in ("out.txt", "err.txt"))
        finally:
            _remove(folder)
        return Outcome(*self._verdict(status, text, error), time.monotonic() - begun)

    def _verdict(self, status: int | None, text: str, error: str) -> tuple[Verdict, str]:
        if status is None:
            return "hang", f"no answer in {self.limit:.0f} s"
        if error.startswith("wrong: "):
            return "wrong", error.removeprefix("wrong: ")
        if error or "Traceback" in text or "traceback" in text or status not in (0, 1, 2):
            return "traceback", error or f"status {status}\n{text}"
        if status == 0:
            return ("wrong", f"accepted: {text[-300:]}") if self.expect == "refused" else ("accepted", text)
        if self.expect == "accepted":
            return "wrong", f"a harmless input is refused: {text}"
        message = message_in(text)
        lines = message.splitlines()
        if not 1 <= len(lines) <= (LINES if self.remedy else LISTED):
            return "unclear", f"{len(lines)} lines: {message[:500]}"
        if not all(line.isprintable() for line in lines):
            return "unclear", f"control characters: {message!r:.300}"
        if max(map(len, lines)) > 1000:
            return "unclear", f"a line of {max(map(len, lines))} characters: {message[:200]}"
        if self.remedy and not REMEDY.search(message):
            return "unclear", f"no remedy: {message}"
        if self.names and not any(name in message for name in self.names):
            return "unclear", f"does not name {' or '.join(self.names)}: {message}"
        return "clear", message


def message_in(text: str) -> str:
    """Return the message of the command line in its output; the whole output if it has no prefix."""
    from usvi_bench.core.options import program

    for prefix in (f"{program()}: ", "error: "):
        at = text.rfind(f"\n{prefix}") + 1 if not text.startswith(prefix) else 0
        if at or text.startswith(prefix):
            return text[at:].removeprefix(prefix).strip("\n")
    return text.strip("\n")


@cache
def tiny_people() -> Path:
    """Return the folder of tiny synthetic people, rendered once."""
    from usvi_bench.core.host import cache_folder
    from usvi_bench.synthetic import ensure, parse

    return ensure("sysu", parse("synthetic:size=tiny"), cache_folder() / "synthetic")


def command(words: list[str], check: Callable[[Any], None] | None = None) -> int:
    """Run the command line in this process, up to the training; return its exit status.

    Args:
        words: arguments of the command line.
        check: receives the prepared run, if it would train now.
    """
    from usvi_bench.cli.main import main
    from usvi_bench.engine import tracking

    def stop(run: Any, _: bool) -> None:
        if check:
            check(run)

    tracking.execute = stop  # type: ignore[assignment]  # the checks come before it
    try:
        return main(words)
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)


def call(function: Callable[[], Any], refusals: tuple[type[Exception], ...] = ()) -> int:
    """Call a function of the Python interface; the errors that it documents become exit statuses."""
    from usvi_bench.core.errors import StorageError, UsageError

    try:
        function()
    except (UsageError, *refusals) as error:
        print(error, file=sys.stderr)
        return 2
    except StorageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def require(condition: object, reason: str) -> None:
    """Raise if an accepted input has a wrong result."""
    if not condition:
        raise WrongResultError(reason)


def _in_fork(act: Action, folder: Path, limit: float) -> tuple[int | None, str]:
    """Return the exit status, None for a hang, and the traceback of an error that was not handled."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(_child(act, folder, limit)).encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        ready, _, _ = select.select([file], [], [], IDLE * limit)
        if not ready:
            os.kill(child, signal.SIGKILL)
        answer = file.read() if ready else b""
    _, ended = os.waitpid(child, 0)
    if not ready or (os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGXCPU):
        return None, ""
    if not answer:
        return -1, f"the process ended with status {ended}"
    status, error = json.loads(answer)
    return status, error


def _child(act: Action, folder: Path, limit: float) -> tuple[int, str]:
    # One processor, so that nothing here starts threads: OpenMP waits forever for those of the process before the fork.
    os.sched_setaffinity(0, {random.choice(sorted(os.sched_getaffinity(0)))})
    try:
        for number, name in ((1, "out.txt"), (2, "err.txt")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o666), number)
        # pytest may have replaced them
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
        os.environ["USVI_CACHE"] = str(folder / "cache")
        os.environ.pop("USVI_DATA", None)
        work = folder / "work"
        work.mkdir()
        os.chdir(work)
        soft = math.ceil(time.process_time() + limit)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 1))
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + SPARE
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        status = act(work)
        sys.stdout.flush()
        sys.stderr.flush()
        log = "".join(path.read_text(errors="replace") for path in folder.glob("cache/logs/*"))
        return status, log
    except WrongResultError as error:
        return 0, f"wrong: {error}"
    except BaseException:
        return -1, traceback.format_exc()[-8000:]


def _printed(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _remove(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
