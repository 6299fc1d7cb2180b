"""Commit of this code: from git in a checkout, from the build stamp in an installed package.

``setup.py`` loads this file by its path during a build, so it imports the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

STAMP = "_build.json"
"""File that the build adds to the package: ``{"commit": ..., "dirty": ..., "content": ...}``."""
_REDIRECTIONS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""Environment variables that redirect git to another repository; git sets them in hooks."""
_READ = ("*.py", "configs/*.toml")
"""Files that the code imports or reads by the names of their folder."""

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
        if name != STAMP and "__pycache__" not in path.parts:
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
    return commit, changed or bool(_untracked_code(root))


def _untracked_code(root: Path) -> list[str]:
    """Return the Python files and the settings files that git neither tracks nor ignores."""
    found = (_git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *_READ) or "").split("\0")
    package = package_folder(root)
    return [name for name in found if name and (package / name.partition("/")[0]).exists()]


def _git(root: Path, *arguments: str) -> str | None:
    environment = {name: value for name, value in os.environ.items() if name not in _REDIRECTIONS}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
