"""State of a checkout: changes that git is asked to hide, and untracked files that a run would use."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from usvi_bench.core.revision import find_revision

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@b")


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *AUTHOR, *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a small checkout in the layout of the project."""
    for name in (
        "pyproject.toml",
        "run.py",
        "usvi_bench/__init__.py",
        "core/files.py",
        "core/formats/1.json",
        "leaderboard/build.py",
        "leaderboard/records/a.json",
        "tests/test_files.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    for folder in ("core", "leaderboard"):
        (tmp_path / "usvi_bench" / folder).symlink_to(Path("..") / folder)
    (tmp_path / ".gitignore").write_text("__pycache__/\n*.pyc\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "all")
    return tmp_path


def state(root: Path) -> bool:
    commit, dirty = find_revision(root)
    assert commit == git(root, "rev-parse", "HEAD")
    return dirty


def write(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("changed\n")

    return change


@pytest.mark.parametrize(
    "name",
    [
        "run.py",
        "README.py",
        "core/files.py",
        "core/formats/1.json",
        "core/mine.py",
        "core/deep/mine.py",
        "core/mine.pyc",
        "core/mine.so",
        "core/formats/2.json",
        "core/mine.safetensors",
        "leaderboard/mine.py",
        "usvi_bench/mine.py",
        "torch.py",
        "random.py",
        "json/__init__.py",
        "core/__pycache__/__init__.py",
        "core/__pycache__/mine.so",
    ],
)
def test_a_file_that_a_run_uses_makes_a_checkout_dirty(root: Path, name: str) -> None:
    assert not state(root)
    write(name)(root)
    assert state(root) is (name != "README.py"), "a module of the user's own, which a run names as a plug-in"


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "core/notes.txt", "my_method.py", "runs/x/record.json", "leaderboard/records/b.json",
     "core/__pycache__/files.cpython-311.pyc", "core/__pycache__/files.nbc", "tests/test_more.py", "site/index.html"],
)  # fmt: skip
def test_other_untracked_files_do_not(root: Path, name: str) -> None:
    write(name)(root)
    assert not state(root)


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_flag_of_the_index_hides_no_change(root: Path, flag: str) -> None:
    git(root, "update-index", flag, "core/files.py")
    assert not state(root)
    write("core/files.py")(root)
    assert git(root, "status", "--porcelain") == ""
    assert state(root)
    (root / "core/files.py").unlink()
    assert state(root)


@pytest.mark.parametrize("place", [".gitignore", ".git/info/exclude", "core/.gitignore"])
def test_an_ignored_module_counts(root: Path, place: str) -> None:
    with (root / place).open("a") as file:
        file.write("mine.py\n.gitignore\n")
    git(root, "commit", "-q", "--allow-empty", "-a", "-m", "more")
    assert not state(root)
    write("core/mine.py")(root)
    assert git(root, "status", "--porcelain") == ""
    assert state(root)


def test_an_added_link_counts(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mine.py").touch()
    (root / ".git/info/exclude").write_text("more\n")
    (root / "usvi_bench" / "more").symlink_to(elsewhere)
    assert state(root)


def test_a_replaced_object_hides_no_change(root: Path) -> None:
    old = git(root, "rev-parse", "HEAD:core/files.py")
    write("core/files.py")(root)
    git(root, "replace", old, git(root, "hash-object", "-w", "core/files.py"))
    assert state(root)
