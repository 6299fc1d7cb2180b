"""Translation of an exit that code of a run asks for."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from usvi_bench.core.errors import UsageError


@contextmanager
def refuse_exit() -> Iterator[None]:
    """Turn an exit within the block into an error; a method or another plug-in must not end the process silently.

    Interruptions pass.

    Raises:
        UsageError: the code raised SystemExit, or another exception that is no error; the message has its place.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())
        raise UsageError(
            f"{place.filename}, line {place.lineno}: {type(error).__name__}{f' ({text:.60})' if text else ''}: "
            "this code must raise an error instead of ending the process"
        ) from error
