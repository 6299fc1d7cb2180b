"""Odd commands, environments and grids end with a line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from submitit.core.job_environment import SignalHandler

from usvi_bench.cli.main import main
from usvi_bench.core import options
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.errors import UsageError
from usvi_bench.engine.refuse_exit import refuse_exit

ROOT = Path(__file__).resolve().parents[2]
ABLATION = ["ablation", "--method", "cluster_contrast", "--protocol", "sysu_all", "--data", "synthetic:size=tiny"]


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE=x"),
        ({"WORLD_SIZE": "2", "RANK": "x"}, "RANK=x"),
        ({"WORLD_SIZE": "2", "RANK": "-1"}, "RANK=-1"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK=2 must be a whole number from 0 to 1"),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1.5"}, "LOCAL_RANK=1.5"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0"),
        ({"WORLD_SIZE": "-3"}, "WORLD_SIZE=-3"),
        ({"WORLD_SIZE": "2\n"}, "WORLD_SIZE='2\\n'"),
        ({"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE="),
        ({"WORLD_SIZE": "2", "MASTER_PORT": "port"}, "MASTER_PORT=port"),
        ({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "0"}, "LOCAL_WORLD_SIZE=0"),
        ({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "3"}, "LOCAL_WORLD_SIZE=3"),
        ({"WORLD_SIZE": "\u0662"}, "WORLD_SIZE=\u0662"),
    ],
)
def test_an_odd_environment_is_named(
    variables: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = {"RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    for variable, value in {**usual, **variables}.items():
        monkeypatch.setenv(variable, value)
    assert main(["--method", "untrained", "--protocol", "sysu_all"]) == 2
    line = only_line(capsys)
    assert name in line
    assert "unset it for a single process" in line


def test_a_lone_rank_is_a_single_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "x")
    assert process_info().world_size == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.py", "import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("a.py", "import sys\nsys.exit()\n", "SystemExit"),
        ("a.py", "rows = {1: {}, 'b': {}}", "row 1: give it a name in quotes, in one line"),
        ("a.py", "rows = {'a\\nb': {}}", "row 'a\\nb': give it a name"),
        ("a.py", "rows = {'a': 3}", "row 'a' holds no settings; write rows = {"),
        ("a.toml", "rows = 3", 'no rows in the form of docs/ablations.md; write rows = { "name of the row" = {'),
        ("a.toml", "[rows]\na = { method.eps = inf }", "method.eps=inf: expected a finite number"),
        ("a.toml", "[rows]\na = { method.eps = 1979-05-27 }", "method.eps=1979-05-27: expected a number"),
        ("a.toml", "[rows]\na = { method.eps = [[1]] }", "method.eps=[1]: expected a number"),
        ("a.toml", "[rows]\na = { filename = 'x' }", "unknown setting 'filename'"),
        ("a.toml", "[rows", "TOMLDecodeError"),
        ("a.py", "filename = 'x'\nrows = {'a': {}}", "the name 'filename' is reserved in such a file"),
        ("a.py", "_base_ = 'a.py'\nrows = {'a': {}}", "its _base_ leads back to a.py; remove that line"),
        ("a.py", "rows = {'a': {3: 4}}", "a name of a setting is no text"),
        ("a.py", "rows = {", "correct the file"),
        ("a.py", "text = 'x'\nrows = {'a': {}}", "the name 'text' is reserved in such a file"),
        ("a.yaml", "rows:", "its name must end in .toml, .json, .py"),
    ],
)
def test_an_odd_grid_ends_with_a_line(
    name: str, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    words = [*ABLATION, "--grid", str(tmp_path / name), "--dry-run", "--output", str(tmp_path / "runs")]
    assert main([*words, "--set", "method.k1=6", "encoder.width=8"]) == 2
    assert message in only_line(capsys)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sbatch", "account=me\n#SBATCH --wrap=id"], "--sbatch account='me\\n"),
        (["--sbatch", "a\nb=me"], "give it as name=value"),
        (["--sbatch", "account"], "give it as name=value"),
        (["--seeds", "1000000000"], "--seeds 1000000000 must be from 1 to 10000"),
        (["--jobs", "-1"], "--jobs -1 must be from 1 to 1024"),
        (["--time", "0"], "--time 0 must be from 1 to 525600"),
        (["--gpus", "-2"], "--gpus -2 must be from 1 to"),
        (["--partition", "gpu\nrm"], "--partition='gpu\\nrm': give it in one line"),
    ],
)
def test_an_odd_option_ends_with_a_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ABLATION, "--launcher", "slurm", *words]) == 2
    assert message in only_line(capsys)


def test_an_error_in_a_plug_in_names_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def label():\n    return [][1]\n")
    code: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), code)
    with pytest.raises(IndexError), refuse_exit():
        code["label"]()
    monkeypatch.setattr("usvi_bench.engine.refuse_exit.plugin_roots", lambda: {file})
    message = r"mine\.py, line 2: IndexError: list index out of range; correct the plug-in"
    with pytest.raises(UsageError, match=message), refuse_exit():
        code["label"]()


def test_an_exit_in_the_code_of_a_run_is_an_error_with_its_place() -> None:
    message = r"test_odd_commands\.py, line \d+: SystemExit \(3\): this code must raise"
    with pytest.raises(UsageError, match=message), refuse_exit():
        sys.exit(3)
    with pytest.raises(KeyboardInterrupt), refuse_exit():
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), refuse_exit():
        raise ZeroDivisionError


@pytest.mark.parametrize("words", [["--method", "pgm", "--protocol", "sysu_all", ""], ["settings", "pgm", ""]])
def test_an_empty_argument_is_an_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "an argument is empty" in only_line(capsys)


def test_the_exit_by_which_submitit_requeues_a_job_passes() -> None:
    with pytest.raises(SystemExit), refuse_exit():
        SignalHandler(Mock(), Mock(), Mock())._exit()


@pytest.mark.parametrize(
    ("argument", "installed", "expected"),
    [
        ("/a/run.py", False, "python /a/run.py report 'a b'"),
        ("/a/usvi-bench", True, "usvi-bench report 'a b'"),
        ("/a/__main__.py", True, "python -m usvi_bench report 'a b'"),
        ("/a/ipykernel_launcher.py", True, "usvi-bench report 'a b'"),
        ("/a/ipykernel_launcher.py", False, "python run.py report 'a b'"),
    ],
)
def test_commands_in_messages_can_be_copied(
    argument: str, installed: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [argument])
    monkeypatch.setattr(options, "is_installed", lambda: installed)
    monkeypatch.setattr(options.shutil, "which", lambda name: f"{Path(sys.executable).parent}/{name}")
    assert options.command("report", "a b") == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("run.py", ".venv/bin/python run.py site"),
        ("/b/.venv/bin/usvi-bench", "/b/.venv/bin/usvi-bench site"),
        ("/a/__main__.py", ".venv/bin/python -m usvi_bench site"),
    ],
)
def test_commands_work_without_an_activated_environment(
    argument: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [argument])
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    monkeypatch.setattr(options.shutil, "which", {"python": "/usr/bin/python"}.get)
    assert options.command("site") == expected
    monkeypatch.setattr(sys, "executable", "/c/bin/python")
    assert options.command("site") == expected.replace(".venv/bin/python", "/c/bin/python")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_grid_names_the_command_that_continues_it(
    number: signal.Signals,
    status: int,
    tmp_path: Path,
    tiny_people: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('[rows]\n"one" = {}\n"two" = { method.eps = 0.5 }\n')
    words = ["ablation", "--method", "cluster_contrast", "--protocol", "sysu_all", "--grid", "mine.toml", "--jobs", "2"]
    words += ["--seeds", "1", "--data", str(tiny_people["sysu"]), "--device", "cpu", "--set", "train.epochs=500"]
    words += ["data.height=64", "data.width=32", "method.k1=6", "train.iterations=2", "encoder.width=8"]
    command = [sys.executable, str(ROOT / "run.py"), *words]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup or a shell may have it ignored
    ) as process:
        deadline = time.monotonic() + 200
        while not list(tmp_path.glob("runs/ablations/*/jobs/*/.lock")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, error = process.communicate(timeout=120)
    assert process.returncode == status
    (line,) = error.splitlines()
    begin = (
        f"interrupted; finished jobs and epochs are kept. To continue: {options.interpreter()} {ROOT}/run.py ablation "
    )
    assert line.startswith(begin)
    assert line.endswith("--set " + " ".join(words[words.index("--set") + 1 :]))
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, "no job is left"
        time.sleep(0.2)


def test_two_tasks_in_one_command_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--list", "--check-data", str(tmp_path)]) == 2
    assert "--check-data: not allowed with argument --list" in only_line(capsys)


def test_links_and_folders_are_named_as_such(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert main(["report", str(tmp_path / "loop")]) == 2
    assert only_line(capsys).endswith("this is a link that leads to no file; restore its target, or name another file")
