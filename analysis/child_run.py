"""Training of a run by ``run.py`` in a separate process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from usvi_bench.core.errors import UsageError
from usvi_bench.core.revision import ROOT


def train_in_child(what: str, options: Sequence[str], settings: Sequence[str] = ()) -> None:
    """Train and score a method; a finished run is not repeated, and an unfinished one is continued.

    Args:
        what: name of the run, for messages.
        options: options of ``run.py``.
        settings: values of ``--set``.

    Raises:
        UsageError: the run failed; the message ends with its last line.
    """
    words = [sys.executable, str(ROOT / "run.py"), *options, "--resume", "--no-report"]
    words += ["--set", *settings] if settings else []
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UsageError(f"{what}: {reason[0]}")
