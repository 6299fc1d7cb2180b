"""Parsing of command-line options."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from usvi_bench.core.errors import UsageError, closest, did_you_mean
from usvi_bench.core.revision import is_installed


def program() -> str:
    """Return the command of this process: ``run.py``, ``usvi-bench`` or ``python -m usvi_bench``."""
    name = Path(sys.argv[0]).name
    usual = "usvi-bench" if is_installed() else "run.py"
    return {"__main__.py": "python -m usvi_bench", "usvi-bench": name}.get(name, usual)


def command(*words: str) -> str:
    """Return a command of this program with its words, which can be copied to a shell."""
    name = program()
    if name == "run.py":
        script = sys.argv[0] if Path(sys.argv[0]).name == name else name
        return shlex.join([interpreter(), script, *words])
    if name.startswith("python "):
        return shlex.join([interpreter(), *name.split()[1:], *words])
    is_found = shutil.which(name) or Path(sys.argv[0]).name != name
    return shlex.join([name if is_found else sys.argv[0], *words])


def interpreter() -> str:
    """Return the word that starts this Python in the present folder: its path unless ``python`` is this one."""
    found, own = shutil.which("python"), Path(sys.executable)
    if not sys.executable or (found and Path(found).parent.resolve() == own.parent.resolve()):
        return "python"
    return str(own.relative_to(Path.cwd())) if own.is_relative_to(Path.cwd()) else str(own)


Explain = Callable[[Sequence[str], Sequence[str]], str]
"""Function that explains words that are no options of a command, given its options."""


class Parser(argparse.ArgumentParser):
    """Argument parser that raises :class:`UsageError` and suggests similar options.

    Attributes:
        explain: function that may suggest settings, for commands that train.
    """

    explain: Explain | None = None

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments:"):
            words = message.split()[2:]
            if not words:
                raise UsageError("an argument is empty; leave it out, or set the variable of the shell that it names")
            flags = [flag for action in self._actions for flag in action.option_strings]
            hint = "" if self.explain is None else self.explain(words, flags)
            message += f"; {hint or did_you_mean(words[0], flags)}"
        elif ": invalid int value:" in message:
            message = f"{message[:200]}; give a whole number"
        raise UsageError(message)


def add_import_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--import``, which names plug-ins."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE|FILE.py",
        help="plug-in to import first: a module or file that registers methods, encoders, data sets, protocols ...; "
        "may be given several times",
    )


def explain_missing_path(path: Path) -> str:
    """Explain why a path cannot be used, and suggest entries of a similar name."""
    if path.exists():
        return "this is a folder, not a file" if path.is_dir() else "this is a file, not a folder"
    if path.is_symlink():
        return "this is a link that leads to no file; restore its target, or name another file"
    return f"no such file or folder{similar_paths(path) or '; check the path'}"


def similar_paths(path: Path) -> str:
    """Return a hint with entries of a similar name as a path that does not exist; empty if there are none."""
    try:
        folder = next(parent for parent in path.parents if parent.is_dir())
        name = path.relative_to(folder).parts[0]
        same = [other.name for other in folder.iterdir() if other.suffix == Path(name).suffix]
    except (OSError, ValueError, StopIteration):  # a folder that cannot be read, or no path
        return ""
    close = closest(name, (other for other in same if other.startswith(".") == name.startswith(".")), 0.6)
    return f"; did you mean {' or '.join(str(folder / name) for name in close)}?" if close else ""
