"""Resuming: a killed and resumed run equals an uninterrupted one bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
EPOCHS = 3


def command(output: Path, data: Path) -> list[str]:
    settings = ["train.iterations=4", "train.visible_clusters=2", "train.infrared_clusters=2", "encoder.width=8"]
    settings += [
        f"train.epochs={EPOCHS}",
        "method.k1=6",
        "method.eps=0.5",
        "method.warmup_epochs=1",
        "engine.threads=1",
    ]
    base = ["--method", "sclhm", "--protocol", "sysu_all", "--data", str(data), "--output", str(output)]
    return [sys.executable, str(ROOT / "run.py"), *base, "--no-report", "--set", *settings]


def run(arguments: list[str]) -> None:
    subprocess.run(arguments, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def kill_during_epoch(arguments: list[str], output: Path, epochs: int, delay: float) -> None:
    """Start a run and kill it ``delay`` seconds after its last stage has saved ``epochs`` epochs."""
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(output.glob(f"stages/sclhm-*/epoch_{epochs:04d}.pt")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()


def result(output: Path) -> str:
    (path,) = output.glob("sysu_all/*/record.json")
    return json.dumps(json.loads(path.read_text())["result"], sort_keys=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tiny_people: dict[str, Path]) -> Path:
    output = tmp_path_factory.mktemp("whole")
    run(command(output, tiny_people["sysu"]))
    return output


@pytest.mark.parametrize(("epochs", "delay"), [(1, 0.0), (2, 0.15)])
def test_a_killed_run_resumes_to_the_same_result(
    epochs: int, delay: float, uninterrupted: Path, tiny_people: dict[str, Path], tmp_path: Path
) -> None:
    arguments = command(tmp_path, tiny_people["sysu"])
    kill_during_epoch(arguments, tmp_path, epochs, delay)
    refused = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    (journal,) = tmp_path.glob("stages/sclhm-*/journal.jsonl")
    with journal.open("a") as file:
        file.write('{"epoch": 1, "torn')
    run([*arguments, "--resume"])
    assert result(tmp_path) == result(uninterrupted)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(EPOCHS))


def test_a_disk_that_fills_up_keeps_what_was_saved(
    tiny_people: dict[str, Path], tmp_path: Path, uninterrupted: Path
) -> None:
    arguments = command(tmp_path, tiny_people["sysu"])
    limit = 200 * 2**10  # the journal fits, a checkpoint of the network does not
    script = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
    script += f"sys.argv = {arguments[1:]!r}; import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    failed = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1, failed.stderr
    assert "free some space" in failed.stderr
    assert "Traceback" not in failed.stderr
    run([*arguments, "--resume"])
    assert result(tmp_path) == result(uninterrupted)


def test_checkpoints_in_the_folder_of_a_run_are_links(uninterrupted: Path) -> None:
    linked = sorted(uninterrupted.glob("sysu_all/*/checkpoints/*.pt"))
    trained = sorted(uninterrupted.glob("stages/*/epoch_*.pt"))
    assert linked
    assert {path.stat().st_ino for path in linked} == {path.stat().st_ino for path in trained}
