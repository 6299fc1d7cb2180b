"""Reading the options of a command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from engine.registry import UsageError, closest, did_you_mean


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are told like all others, with the option that may be meant."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments:"):
            word = message.split()[-1] if len(message.split()) == 3 else message.split()[2]
            flags = [flag for action in self._actions for flag in action.option_strings]
            message += f"; {did_you_mean(word, flags)}"
        raise UsageError(message)


def missing(path: Path) -> str:
    """That what a path should lead to is not there, with what lies beside it under a like name."""
    if path.exists():
        return "this is a folder, not a file" if path.is_dir() else "this is a file, not a folder"
    folder = next(parent for parent in path.parents if parent.is_dir())
    close = closest(path.relative_to(folder).parts[0], (other.name for other in folder.iterdir()))
    hint = f"; did you mean {' or '.join(str(folder / name) for name in close)}?" if close else ""
    return f"no such file or folder{hint}"
