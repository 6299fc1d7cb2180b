"""Reading of settings files: TOML and JSON, which are data, and Python, which is executed.

The suite reads a file by its name in ``configs/``. A path comes from the command line or from Python code of the user.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any, cast

from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.files import read_json
from usvi_bench.core.options import explain_missing_path
from usvi_bench.core.paths import expanded

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SUFFIXES = (".toml", ".json", ".py")
"""Endings of settings files."""


def find_named(folder: str, name: str) -> Path:
    """Return the path of ``configs/<folder>/<name>.toml``.

    Raises:
        UsageError: there is no such file in the folder; a path is no name.
    """
    known = {path.stem: path for path in (CONFIGS / folder).glob("*.toml")}
    if name not in known:
        raise UsageError(f"no file '{name:.60}' in configs/{folder}: {did_you_mean(name, known)}")
    return known[name]


def find_schedule(schedule: str) -> Path:
    """Return the file of a schedule: one of the suite by its name, or the user's own by a path with an ending.

    Raises:
        UsageError: the name is unknown, or the file does not exist.
    """
    if Path(schedule).suffix not in SUFFIXES:
        try:
            return find_named("schedules", schedule)
        except UsageError as error:
            known = [path.stem for path in (CONFIGS / "schedules").glob("*.toml")]
            hint = did_you_mean(schedule, known)
            raise UsageError(
                f"--schedule: unknown schedule '{schedule:.60}': {hint}; or give a .toml or .json file"
            ) from error
    path = expanded(schedule)
    if not path.is_file():
        raise UsageError(f"--schedule {schedule}: {explain_missing_path(path)}")
    return path


def read_file(path: Path) -> dict[str, Any]:
    """Read a settings file as plain data; only a file that ends in ``.py`` is executed.

    Raises:
        UsageError: the file cannot be read; the message has one line.
    """
    try:
        if path.suffix == ".toml":
            return tomllib.loads(path.read_text(encoding="utf-8"))
        if path.suffix == ".py":
            return _execute(path)
        content = read_json(path)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:  # any mistake that a Python file can hold
        reason = " ".join(str(error).split())
        named = f"{type(error).__name__}{': ' if reason else ''}{reason:.200}"
        raise UsageError(f"{path}: {named}; correct the file") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected a JSON object with groups of settings")
    return content


def _execute(path: Path) -> dict[str, Any]:
    _refuse_cycle(path, ())
    from mmengine.config import Config  # it reads `_base_`
    from mmengine.config.config import RESERVED_KEYS

    try:
        return cast(dict[str, Any], Config.fromfile(str(path), lazy_import=False).to_dict())
    except KeyError as error:
        if taken := [word for word in RESERVED_KEYS if f"{word} is reserved" in str(error)]:
            raise UsageError(f"the name '{taken[0]}' is reserved in such a file; choose another") from error
        raise


def _refuse_cycle(path: Path, above: tuple[Path, ...]) -> None:
    """Refuse a file that is among its own bases; mmengine would read it without end."""
    if path.resolve() in above:
        raise UsageError(f"its _base_ leads back to {path.name}; remove that line")
    for node in ast.parse(path.read_bytes()).body if path.is_file() else ():
        if isinstance(node, ast.Assign) and any(getattr(target, "id", None) == "_base_" for target in node.targets):
            bases = ast.literal_eval(node.value)
            for base in [bases] if isinstance(bases, str) else bases:
                _refuse_cycle(path.parent / base, (*above, path.resolve()))
