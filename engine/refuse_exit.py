"""Translation of SystemExit, raised by code of a run, into an error."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from usvi_bench.core.errors import LostProcessError, StorageError, UsageError, WorkerError
from usvi_bench.core.plugins import plugin_roots
from usvi_bench.core.sources import explain_failure


@contextmanager
def refuse_exit() -> Iterator[None]:
    """Turn an exit within the block, and any error of a plug-in's code, into an error that names the place.

    Interruptions pass, and so do unexpected errors of the suite itself and the exit by which submitit requeues a job.

    Raises:
        UsageError: the code raised SystemExit or another exception that is no error, or a plug-in raised any; the
            message has its place.
    """
    try:
        yield
    except (UsageError, StorageError, LostProcessError, WorkerError, OSError, KeyboardInterrupt):
        raise
    except Exception as error:
        frames = {Path(frame.filename).resolve() for frame in traceback.extract_tb(error.__traceback__)}
        for root in plugin_roots():
            if any(frame.is_relative_to(root) for frame in frames):
                raise UsageError(f"{explain_failure(error, root)}; correct the plug-in") from error
        raise
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        if "submitit" in Path(place.filename).parts:
            raise
        text = " ".join(str(error).split())
        raise UsageError(
            f"{place.filename}, line {place.lineno}: {type(error).__name__}{f' ({text:.60})' if text else ''}: "
            "this code must raise an error instead of ending the process"
        ) from error
