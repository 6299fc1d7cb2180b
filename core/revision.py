"""Which commit this code is: asked of git in a checkout, read from the stamp of the build where it is installed.

``setup.py`` loads this file by its path while it builds, so it imports the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

STAMP = "_build.json"
"""File in the package, made by the build: ``{"commit": ..., "dirty": ..., "content": ...}``."""
_REDIRECTIONS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""Variables that point git at another repository than the one it is started in; hooks of git set them."""

Revision = tuple[str | None, bool]
"""A commit, None where it is unknown, and whether the code may differ from it."""

ROOT = Path(__file__).resolve().parent.parent
"""Folder that holds ``core``: a checkout, or the installed package."""


def package_folder(root: Path) -> Path:
    """Return the folder of the package ``usvi_bench``: beside the folders it links to, or the root itself."""
    linked = root / "usvi_bench"
    return linked if linked.is_dir() else root


def is_installed(root: Path = ROOT) -> bool:
    """Whether the code lies in an installed package, not in a checkout."""
    return package_folder(root) == root


def find_revision(root: Path = ROOT) -> Revision:
    """Find the commit of the code below ``root``: of a checkout, of an installed package or of an unpacked sdist.

    A repository that merely surrounds the code, such as one that holds a virtual environment, is never asked.
    """
    if (root / ".git").exists() and (root / "pyproject.toml").exists():
        return _ask_git(root)
    return read_stamp(package_folder(root))


def read_stamp(package: Path) -> Revision:
    """Read the commit that a build noted; files that have changed since then make it dirty."""
    try:
        stamp = json.loads((package / STAMP).read_text(encoding="utf-8"))
        return stamp["commit"], stamp["dirty"] or stamp["content"] != hash_files(package)
    except (OSError, ValueError, KeyError, TypeError):
        return None, True


def write_stamp(package: Path, revision: Revision) -> None:
    """Note a commit, and a hash of the files as they are now, in a package that is being built."""
    commit, dirty = revision
    content = {"commit": commit, "dirty": dirty, "content": hash_files(package)}
    (package / STAMP).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def hash_files(package: Path) -> str:
    """Hash names and contents of all files of a package, but for its stamp and what Python and numba cache."""
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
    """Return the Python files that git neither tracks nor ignores and that a run can import."""
    found = (_git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", "*.py") or "").split("\0")
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
