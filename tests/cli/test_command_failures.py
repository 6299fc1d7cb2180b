"""Failures of a command end with a line, a matching exit status, and what was finished."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from usvi_bench.cli import main as cli
from usvi_bench.core.host import cpu_count, kernel_folder
from usvi_bench.core.options import interpreter

ROOT = Path(__file__).resolve().parents[2]
RUN = ("--method", "cluster_contrast", "--protocol", "sysu_all", "--schedule", "quick", "--no-report")
UNPRIVILEGED = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner")


def heed_signals() -> None:
    """Undo what nohup, or a shell with a job in the background, has set for the tests themselves."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def start(folder: Path, *words: str, before: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
    command = [*before, sys.executable, str(ROOT / "run.py"), *words]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        preexec_fn=heed_signals,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output_of(process: subprocess.Popen[str], status: int) -> str:
    text, _ = process.communicate(timeout=300)
    assert process.returncode == status, text
    assert "Traceback" not in text
    return text


def test_a_python_without_the_packages_is_named() -> None:
    done = subprocess.run([sys.executable, "-S", "run.py", "--list"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"run.py: no package 'torch' in this Python, {sys.executable}; install the suite")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=lambda x: str(int(x))
)
def test_an_interrupted_run_names_the_command_that_continues_it(
    number: signal.Signals,
    status: int,
    tmp_path: Path,
    tiny_people: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = ("--data", str(tiny_people["sysu"]), "--set", "train.epochs=500", "engine.threads=1")
    monkeypatch.chdir(tmp_path)
    process = start(tmp_path, *RUN, *data)
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("runs/stages/*/epoch_*.pt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    text = output_of(process, status)
    last = text.strip().splitlines()[-1]
    begin = (
        f"interrupted; finished epochs are kept. To continue: {interpreter()} {ROOT}/run.py --method cluster_contrast "
    )
    assert last.startswith(begin)
    assert last.endswith(" --resume --no-report")


def test_a_backend_of_a_notebook_is_ignored(tmp_path: Path) -> None:
    process = start(tmp_path, "--list", MPLBACKEND="module://matplotlib_inline.backend_inline")
    assert "sclhm" in output_of(process, 0)


def test_an_interruption_before_any_work_names_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupt)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    assert cli.main(["report", "a b"]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("run.py: interrupted. To start again: ")
    assert line.endswith("run.py report 'a b'")


def test_an_unexpected_error_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("USVI_CACHE", str(tmp_path))

    def fail(name: str) -> None:
        raise ZeroDivisionError("a\nfault")

    monkeypatch.setattr(cli, "import_module", fail)
    assert cli.main(["--list"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("unexpected ZeroDivisionError: a fault")
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in second
    assert "raise ZeroDivisionError" in log.read_text()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv to drop rights")
@pytest.mark.parametrize(
    "words",
    [
        ("--check-data", "{}"),
        (*RUN, "--data", "{}"),
        (*RUN, "--output", "{}/out"),
        (*RUN, "--output", "here", "--weights", "{}/w.pth"),
        ("site", "--output", "{}"),
        ("report", "{}/run"),
    ],
)
def test_a_private_folder_ends_in_a_line(tmp_path: Path, words: tuple[str, ...], tiny_people: dict[str, Path]) -> None:
    private = tmp_path / "private"
    (private / "q").mkdir(parents=True)
    os.chown(private / "q", 65534, 65534)
    os.chown(private, 65534, 65534)
    private.chmod(0o700)
    given = [word.format(private / "q") for word in words]
    given += ["--data", str(tiny_people["sysu"])] if "--output" in given and "--method" in given else []
    process = start(tmp_path, *given, before=UNPRIVILEGED)
    text, _ = process.communicate(timeout=300)
    assert process.returncode in (1, 2), text
    assert "Traceback" not in text
    assert "Permission denied" in text
    assert str(private) in text


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv to drop rights")
def test_a_read_only_checkout_and_home_work(tmp_path: Path) -> None:
    assert kernel_folder(tmp_path) is None
    code = "from usvi_bench.core.host import kernel_folder; from pathlib import Path; print(kernel_folder(Path('.')))"
    locked = tmp_path / "locked"
    locked.mkdir()
    os.chown(locked, 65534, 65534)
    locked.chmod(0o555)
    command = [*UNPRIVILEGED, sys.executable, "-c", code]
    environment = {**os.environ, "HOME": str(locked), "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=locked, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(f"usvi-bench-{os.getuid()}/numba")


def test_a_user_without_a_home_needs_the_cache_variable_only(tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    code = (
        "import pwd, sys\n"
        "def fail(number): raise KeyError(f'uid not found: {number}')\n"
        "pwd.getpwuid = fail\n"
        "from usvi_bench.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("HOME", "USVI_CACHE", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    words = [sys.executable, "-c", code]
    done = subprocess.run([*words, "--list"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run = [*words, *RUN, "--data", "synthetic:size=tiny", "--output", str(tmp_path)]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "set USVI_CACHE" in done.stderr) == (2, True), done.stderr
    environment["USVI_CACHE"] = os.environ["USVI_CACHE"]
    run = [*words, "--method", "untrained", *RUN[2:], "--data", str(tiny_people["sysu"]), "--output", str(tmp_path)]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_processors_are_counted_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpu_count() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cpu_count() == os.cpu_count()
