"""Commit of this code: from git in a checkout, from the build stamp in an installed package.

``setup.py`` loads this file by its path during a build, so it imports the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

STAMP = "_build.json"
"""File that the build adds to the package: ``{"commit": ..., "dirty": ..., "content": ...}``."""
_REDIRECTIONS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""Environment variables that redirect git to another repository; git sets them in hooks."""
CODE = (".py", ".pyc", ".so", ".pyd")
"""Endings of files that Python imports."""
DATA = (".json", ".safetensors", ".toml")
"""Endings of files that a run reads."""

RESULTS = "leaderboard"
"""Folder with code, and with records and reports, which no training imports or reads."""

Revision = tuple[str | None, bool]
"""A commit, or None if it is unknown, and whether the code may differ from it."""

ROOT = Path(__file__).resolve().parent.parent
"""Folder that contains ``core``: a checkout, or the installed package."""


def package_folder(root: Path) -> Path:
    """Return the folder of the package ``usvi_bench``: a sub-folder in a checkout, the root itself if installed."""
    linked = root / "usvi_bench"
    return linked if linked.is_dir() else root


def is_installed(root: Path = ROOT) -> bool:
    """Return whether the code is an installed package and not a checkout."""
    return package_folder(root) == root


def find_revision(root: Path = ROOT) -> Revision:
    """Find the commit of a checkout, an installed package or an unpacked source distribution.

    A repository that only contains the folder, for example around a virtual environment, is not considered.
    """
    if (root / ".git").exists() and (root / "pyproject.toml").exists():
        return _ask_git(root)
    return read_stamp(package_folder(root))


def read_stamp(package: Path) -> Revision:
    """Read the commit from the build stamp; files that have changed since the build make it dirty."""
    try:
        stamp = json.loads((package / STAMP).read_text(encoding="utf-8"))
        return stamp["commit"], stamp["dirty"] or stamp["content"] != hash_files(package)
    except (OSError, ValueError, KeyError, TypeError):
        return None, True


def write_stamp(package: Path, revision: Revision) -> None:
    """Write the build stamp of a package: the commit and a hash of its files."""
    commit, dirty = revision
    content = {"commit": commit, "dirty": dirty, "content": hash_files(package)}
    (package / STAMP).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def hash_files(package: Path) -> str:
    """Hash the names and contents of all files of a package, except its stamp and the caches of Python and numba."""
    digest = hashlib.sha256()
    files = {path.relative_to(package).as_posix(): path for path in package.rglob("*") if path.is_file()}
    for name, path in sorted(files.items()):
        if name != STAMP and not _is_bytecode(path):
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def tracked_files(root: Path) -> set[Path]:
    """Return the files of a checkout that git tracks."""
    return {root / name for name in (_git(root, "ls-files", "-z") or "").split("\0") if name}


def _ask_git(root: Path) -> Revision:
    top, commit = _git(root, "rev-parse", "--show-toplevel"), _git(root, "rev-parse", "HEAD")
    if not top or not commit or Path(top).resolve() != root.resolve():
        return None, True
    changed = _git(root, "status", "--porcelain", "--untracked-files=no") != ""
    return commit, changed or _differs(root, commit)


def _differs(root: Path, commit: str) -> bool:
    """Return whether code or data of the package differ from a commit, by content.

    Neither git's index, in which a file can be marked as unchanged, nor its lists of ignored files are used. Caches of
    bytecode in ``__pycache__`` are not checked.
    """
    listed = (_git(root, "ls-tree", "-r", "-z", commit) or "").split("\0")
    tracked = {name: about.split() for about, _, name in (line.partition("\t") for line in listed) if name}
    folders = {path.name for path in package_folder(root).iterdir()} | {package_folder(root).name}
    for name, (_, _, expected) in tracked.items():
        top, below, _ = name.partition("/")
        used = name.endswith(CODE) if top == RESULTS or not below else top in folders
        if used and _blob(root / name, len(expected)) != expected:
            return True
    files = (path.relative_to(root).as_posix() for folder in folders for path in _code(root / folder))
    return any(name not in tracked for name in files) or bool(_shadows(root, tracked))


def _blob(path: Path, length: int) -> str:
    """Return git's hash of a file or link; empty if there is none."""
    try:
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    except OSError:
        return ""
    kind = hashlib.sha1 if length == 40 else hashlib.sha256  # git's own object names
    return kind(b"blob %d\0" % len(content) + content).hexdigest()


def _code(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that a run can import or read."""
    suffixes = CODE if folder.name == RESULTS else (*CODE, *DATA)
    for place, below, names in os.walk(folder):
        yield from (
            path for path in (Path(place, name) for name in names) if path.suffix in suffixes and not _is_bytecode(path)
        )
        yield from (Path(place, name) for name in below if Path(place, name).is_symlink())


def _is_bytecode(path: Path) -> bool:
    """Return whether a file is a cache of Python or of numba."""
    return path.parent.name == "__pycache__" and path.suffix in (".pyc", ".nbc", ".nbi")


def _shadows(root: Path, tracked: Iterable[str]) -> list[str]:
    """Return untracked modules in the root that hide a module of Python or an installed package from ``run.py``."""
    known = {name.partition("/")[0] for name in tracked}
    found = [path for path in root.iterdir() if path.name not in known and not path.name.startswith(".")]
    packages = [path for path in found if any((path / f"__init__{ending}").exists() for ending in CODE)]
    names = {path.name.partition(".")[0] for path in found if path.name.endswith(CODE) or path in packages}
    return sorted(names and names & {*sys.stdlib_module_names, *metadata.packages_distributions()})


def _git(root: Path, *arguments: str) -> str | None:
    environment = {name: value for name, value in os.environ.items() if name not in _REDIRECTIONS}
    try:
        done = subprocess.run(
            ["git", "--no-replace-objects", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
