"""World of the cases: a process with everything imported and compiled, from which the commands of each case fork."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.disk import DEAD, Disk, Point

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 180.0
"""Seconds after which a command counts as hanging."""
RUN = ("--protocol", "sysu_all", "--data", "synthetic:size=tiny", "--schedule", "quick", "--weights", "random")
SETTINGS = (
    "data.height=32",
    "data.width=16",
    "encoder.width=8",
    "train.epochs=2",
    "train.iterations=2",
    "train.instances=2",
    "engine.threads=1",
)


def run_words(method: str, *settings: str, protocol: str = "sysu_all") -> list[str]:
    """Return the words of the smallest run of a method."""
    base = [protocol if word == "sysu_all" else word for word in RUN]
    return ["--method", method, *base, "--output", "out", "--no-report", "--set", *SETTINGS, *settings]


def resumed(words: list[str]) -> list[str]:
    """Return the words that continue a run."""
    return ["--resume", *words]


@dataclass(frozen=True)
class Outcome:
    """Outcome of a command: its exit status (None if it hung), and what it printed."""

    status: int | None
    out: str
    error: str

    @property
    def crashed(self) -> bool:
        """Whether an unexpected exception ended it."""
        return bool(re.search(r"Traceback \(most recent|: unexpected \w+: |\(traceback: ", self.error + self.out))

    @property
    def clear(self) -> bool:
        """Whether it ended with one to three lines that name a file."""
        lines = self.error.strip().splitlines()
        return self.status in (1, 2) and 1 <= len(lines) <= 3 and not self.crashed and "/" in self.error

    @property
    def last(self) -> str:
        """Last lines that it printed."""
        return " | ".join((self.error.strip() or self.out.strip()).splitlines()[-3:])[-400:]


class World:
    """World of one session: its folder, and templates of the folders of cases.

    Args:
        folder: folder for templates and cases.

    Attributes:
        broken: called first in the process of each command, to break the suite.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken: Callable[[], None] = lambda: None
        self._made: dict[str, Path] = {}
        self._warm()

    def _warm(self) -> None:
        """Import everything, compile the kernels, and keep what is slow and writes nothing: renders and figures."""
        import torch

        torch.set_num_threads(1)
        from usvi_bench.cli.main import main
        from usvi_bench.core import environment
        from usvi_bench.engine import output
        from usvi_bench.protocols import evaluation_file
        from usvi_bench.reports import page, tsne
        from usvi_bench.reports.site import published
        from usvi_bench.synthetic import tree, writing

        revision = environment.commit()  # the checkout may be edited meanwhile
        environment.commit = output.commit = lambda: revision
        tree.cpu_count = lambda: 1  # type: ignore[attr-defined]
        writing.picture = _remembered(writing.picture, lambda *given: repr((given[2], given[3], given[4:])))
        evaluation_file.IMAGES = 2
        tsne.project = _remembered(tsne.project, lambda features, *more: repr((features.tobytes(), more)))
        drawn = _remembered(published.draw_published, lambda *given: repr(given))
        published.draw_published = drawn  # type: ignore[attr-defined]
        page.save_figure = _remembered_figures(page.save_figure)  # type: ignore[attr-defined]
        page.stamp = lambda *_: None  # type: ignore[attr-defined]
        place = self.folder / "warm"
        place.mkdir(parents=True)
        with contextlib.chdir(place), _quiet(), _cache(place / "cache"):
            for method in ("cluster_contrast", "pclhd", "sclhm"):
                assert main(run_words(method, "evaluate_every=1")) == 0
            assert main(["report", *map(str, Path("out").glob("sysu_all/cluster_contrast-*"))]) == 0
            lay_out_leaderboard(place)
            assert main(site_words()) == 0

    def template(self, name: str) -> Path:
        """Return the folder of a template, made on first use.

        ``rendered`` has the people; ``cached`` also the decoded images; ``trained`` a finished run; ``reported`` also
        its report; ``unfinished`` a run that ended in its last epoch.
        """
        if name not in self._made:
            self._made[name] = _TEMPLATES[name](self, self.folder / "templates" / name)
        return self._made[name]

    def lay_out(self, template: str, folder: Path, own_people: bool = False) -> None:
        """Copy a template to a folder; the people are a link to those of the template unless they are ``own``."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        source = self.template(template)
        subprocess.run(["cp", "-a", str(source), str(folder)], check=True)
        people = folder / "cache" / "synthetic"
        if people.is_symlink() and own_people:
            target = people.resolve()
            people.unlink()
            subprocess.run(["cp", "-a", str(target), str(people)], check=True)

    def command(
        self,
        folder: Path,
        words: list[str],
        disk: Disk | None = None,
        before: Callable[[], None] = lambda: None,
        timeout: float = TIMEOUT,
    ) -> Outcome:
        """Run a command in a forked process, in a folder of its own.

        Args:
            folder: working folder of the command, which also has its cache.
            words: words after ``run.py``.
            disk: disk that fails.
            before: called in the process first.
            timeout: seconds after which it is killed.
        """
        return self.finish(folder, self.start(folder, words, disk, before), timeout)

    def start(
        self,
        folder: Path,
        words: list[str],
        disk: Disk | None = None,
        before: Callable[[], None] = lambda: None,
        log: str = "log",
    ) -> tuple[int, str]:
        """Start a command in a forked process; returns its number and the name of its log."""
        sys.stdout.flush()
        sys.stderr.flush()
        number = os.fork()
        if number == 0:
            _live(folder, words, disk, [self.broken, before], log)
        return number, log

    def finish(self, folder: Path, started: tuple[int, str], timeout: float = TIMEOUT) -> Outcome:
        """Wait for a command that was started; kill it and its children after ``timeout`` seconds."""
        number, log = started
        deadline = time.monotonic() + timeout
        status: int | None = None
        while True:
            ended, code = os.waitpid(number, os.WNOHANG)
            if ended:
                status = os.waitstatus_to_exitcode(code)
                break
            if time.monotonic() > deadline:
                os.killpg(number, signal.SIGKILL)
                os.waitpid(number, 0)
                break
            time.sleep(0.005)
        texts = [Path(f"{folder}.{log}.{kind}").read_text(errors="replace") for kind in ("out", "err")]
        return Outcome(status, *texts)


def command_line(words: list[str]) -> str:
    """Return a command as it is typed."""
    return shlex.join(["run.py", *words])


def _live(folder: Path, words: list[str], disk: Disk | None, first: list[Callable[[], None]], log: str) -> None:
    """Run a command in this process, a child, and end it."""
    status = 99
    try:
        os.setsid()
        for descriptor, kind in ((1, "out"), (2, "err")):
            file = os.open(f"{folder}.{log}.{kind}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(file, descriptor)
        os.chdir(folder)
        os.environ["USVI_CACHE"] = str(folder / "cache")
        from usvi_bench.cli.main import main

        for call in first:
            call()
        if disk is not None:
            disk.install()
        try:
            status = main(words)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 2
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _remembered(call: Callable[..., Any], key: Callable[..., str]) -> Callable[..., Any]:
    known: dict[str, Any] = {}

    def remembered(*given: Any) -> Any:
        name = key(*given)
        if name not in known:
            known[name] = call(*given)
        return known[name]

    return remembered


def _remembered_figures(save: Callable[..., None]) -> Callable[..., None]:
    """Save each figure as it was drawn first; its files are written anew."""
    from usvi_bench.core.files import write_bytes
    from usvi_bench.reports import style

    known: dict[str, dict[str, bytes]] = {}
    style.DPI = 20

    def save_figure(figure: Any, path: Path) -> None:
        if path.name not in known:
            with tempfile.TemporaryDirectory() as place:
                save(figure, Path(place) / path.name)
                known[path.name] = {file.name: file.read_bytes() for file in sorted(Path(place).iterdir())}
        for name, content in known[path.name].items():
            write_bytes(path.parent / name, content)

    return save_figure


@contextlib.contextmanager
def _quiet() -> Any:
    with Path(os.devnull).open("w") as null, contextlib.redirect_stdout(null):
        yield


@contextlib.contextmanager
def _cache(folder: Path) -> Any:
    os.environ["USVI_CACHE"] = str(folder)
    yield
    del os.environ["USVI_CACHE"]


def site_words() -> list[str]:
    """Return the words that build a site of the runs of a case."""
    return ["site", "--runs", "out", "--output", "site", "--leaderboard", "lb"]


def lay_out_leaderboard(folder: Path) -> None:
    """Write a leaderboard without records."""
    (folder / "lb" / "records").mkdir(parents=True)
    shutil.copyfile(ROOT / "leaderboard" / "published.csv", folder / "lb" / "published.csv")


def _rendered(world: World, folder: Path) -> Path:
    """Link the people that were rendered for the warm process."""
    (folder / "cache").mkdir(parents=True)
    lay_out_leaderboard(folder)
    (folder / "cache" / "synthetic").symlink_to(world.folder / "warm" / "cache" / "synthetic")
    return folder


def _cached(world: World, folder: Path) -> Path:
    """Decode the images, and remove the run that did."""
    _after("rendered", run_words("cluster_contrast", "train.epochs=1"))(world, folder)
    shutil.rmtree(folder / "out")
    return folder


def _after(template: str, *commands: list[str]) -> Callable[[World, Path], Path]:
    def make(world: World, folder: Path) -> Path:
        world.lay_out(template, folder)
        for words in commands:
            run = [str(path.relative_to(folder)) for path in folder.glob("out/sysu_all/cluster_contrast-*")]
            found = world.command(folder, [word if word != "RUN" else run[0] for word in words])
            assert found.status == 0, found
        return folder

    return make


def _unfinished(world: World, folder: Path) -> Path:
    """End a run when its last epoch is in the journal and not in a checkpoint."""
    world.lay_out("cached", folder)
    words = run_words("cluster_contrast")
    counted = folder.with_name("counted")
    world.lay_out("cached", counted)
    points = points_of(world, counted, words)
    at = next(i for i, point in enumerate(points) if point.kind == "write" and ".epoch_0002" in point.path)
    assert world.command(folder, words, Disk(folder, at)).status == DEAD
    for path in folder.glob("out/stages/*/.*.partial"):
        path.unlink()
    return folder


def points_of(world: World, folder: Path, words: list[str]) -> list[Point]:
    """Run a command undisturbed, and return the points that it passes."""
    note = Path(f"{folder}.points")
    disk = Disk(folder)

    def keep() -> None:
        real_exit = os._exit

        def leave(status: int) -> None:
            with note.open("w") as file:
                file.write(repr([(point.kind, point.path, point.size) for point in disk.points]))
            real_exit(status)

        os._exit = leave  # type: ignore[assignment]

    found = world.command(folder, words, disk, before=keep)
    assert found.status == 0, found
    return [Point(*point) for point in ast.literal_eval(note.read_text())]


_TEMPLATES: dict[str, Callable[[World, Path], Path]] = {
    "empty": lambda world, folder: folder.joinpath("cache").mkdir(parents=True) or folder,
    "rendered": _rendered,
    "cached": _cached,
    "trained": _after("cached", run_words("cluster_contrast")),
    "reported": _after("trained", ["report", "RUN"]),
    "unfinished": _unfinished,
}
