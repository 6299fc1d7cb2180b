"""``doctor``: findings of a machine and of a training, with a remedy where a run would fail."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from usvi_bench.cli.main import main
from usvi_bench.engine import doctor, doctor_training
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.memory_estimate import step_memory

TRAINING = ["--method", "pgm", "--protocol", "sysu_all", "--device", "cpu"]
ROOT = Path(__file__).resolve().parents[2]


def examined(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, dict[str, str]], bool]:
    """Return the findings by topic, and whether the command ended with status 0."""
    try:
        status: Any = main(["doctor", "--json", *words])
    except SystemExit as error:
        status = error.code
    content = json.loads(capsys.readouterr().out)
    assert status == (0 if content["ready"] else 1)
    return {finding["topic"]: finding for finding in content["findings"]}, content["ready"]


def test_a_machine_that_is_ready(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    findings, ready = examined(capsys, "--device", "cpu", "--output", str(tmp_path / "new" / "runs"))
    assert ready
    assert not any(finding["remedy"] for finding in findings.values())
    assert f"torch {torch.__version__}" in findings["versions"]["text"]
    assert findings["SYSU-MM01"]["text"] == "not found; synthetic people take its place"
    assert not (tmp_path / "new").exists(), "nothing is left behind"
    assert main(["doctor", "--device", "cpu", "--output", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "ready"
    assert f"runs: {tmp_path}, " in "\n".join(lines)


def test_data_and_folders_that_do_not_work(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("USVI_DATA", "/nowhere")
    findings, ready = examined(capsys, "--device", "cpu", "--output", str(tmp_path / "file" / "runs"))
    assert not ready
    assert findings["runs"]["remedy"] == "choose another --output"
    assert findings["RegDB"]["text"] == "USVI_DATA=/nowhere is not a folder"
    assert findings["RegDB"]["remedy"] == "correct it, or unset it to use synthetic people"
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free=doctor.LEAST_DISK - 1))
    findings, _ = examined(capsys, "--device", "cpu", "--output", str(tmp_path))
    assert findings["runs"]["remedy"] == "free some space, or choose another --output"
    assert findings["cache"]["remedy"].endswith("set USVI_CACHE to another folder")


def test_damaged_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in doctor.SHIPPED.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(doctor, "SHIPPED", tmp_path)
    assert examined(capsys, "--device", "cpu")[1]
    weights = tmp_path / "small16.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    findings, ready = examined(capsys, "--device", "cpu")
    assert not ready
    assert findings["weights"]["remedy"].startswith("restore the file")
    weights.with_suffix(".json").unlink()
    findings, ready = examined(capsys, "--device", "cpu")
    assert not ready
    assert "cannot be read" in findings["weights"]["text"]


def test_a_gpu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gib, capability = 2**30, (9, 0)
    replaced = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "mem_get_info": lambda *_: (gib // 10, 80 * gib),
        "get_device_name": lambda *_: "Some GPU",
        "get_device_capability": lambda *_: capability,
    }
    for name, value in replaced.items():
        monkeypatch.setattr(torch.cuda, name, value)
    words = ["--method", "pgm", "--protocol", "sysu_all", "--set", "train.instances=16", "train.precision=bf16"]
    findings, ready = examined(capsys, *words)
    text = "Some GPU, 0.1 of 80.0 GiB free, compute capability 9.0, precisions fp32, tf32, bf16, fp16"
    assert findings["GPU 0"]["text"] == text
    assert findings["device"]["text"] == "cuda; TF32: off; train.precision=tf32 allows it"
    assert not ready
    assert findings["memory"]["remedy"] == (
        "lower --set train.instances (now 16) to at most 9; this leaves the setting 'shared'"
    )
    capability = (7, 5)
    findings, _ = examined(capsys, *words)
    assert findings["training"]["remedy"] == "use train.precision=fp16 or fp32"


def test_a_training(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    findings, ready = examined(capsys, *TRAINING)
    assert ready
    assert findings["start"]["text"] == "small16.safetensors"
    wanted = "pgm, encoder small, images of 128 x 64, batch of 8 + 8 clusters x 4 images, precision fp32, channels_last"
    assert findings["training"]["text"] == wanted
    monkeypatch.setattr(doctor_training, "memory_available", lambda: 2**20)
    findings, ready = examined(capsys, *TRAINING)
    assert not ready
    assert findings["memory"]["remedy"] == (
        "no value of train.instances (now 4) fits: use a larger GPU, or set train.precision=bf16; "
        "this leaves the setting 'shared'"
    )
    for words, text, remedy in (
        (["--set", "train.precision=tf32"], "tf32 needs a GPU", "use train.precision=fp32"),
        (["--method", "pgn"], "unknown method 'pgn': did you mean pgm or", "correct it"),
    ):
        findings, ready = examined(capsys, *TRAINING, *words)
        assert not ready
        assert text in findings["training"]["text"]
        assert findings["training"]["remedy"] == remedy


def test_the_largest_value_that_fits_does_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config("pgm", "sysu_all", profile="synthetic_sysu")
    free = (step_memory(config).total * 2) // 3
    monkeypatch.setattr(doctor_training, "memory_available", lambda: free)
    findings, _ = examined(capsys, *TRAINING)
    found = re.match(r"lower --set train.instances \(now 4\) to at most (\d)", findings["memory"]["remedy"])
    assert found is not None
    totals = [
        step_memory(replace(config, train=replace(config.train, instances=int(found[1]) + more))).total
        for more in (0, 1)
    ]
    assert totals[0] <= free < totals[1]


def test_the_memory_of_each_of_several_processes(capsys: pytest.CaptureFixture[str]) -> None:
    findings, _ = examined(capsys, *TRAINING, "--processes", "2")
    config = load_config("pgm", "sysu_all", profile="synthetic_sysu")
    assert f"in each of 2 processes for {step_memory(config, 2).images} images" in findings["memory"]["text"]
    for words, message in (
        (["--gpus", "2"], "did you mean --processes 2?"),
        (["--processes", "0"], "--processes 0: give a number of 1 or more"),
        (["--processes", "2"], "--processes belongs to a training"),
        (["--resume"], "unrecognized arguments: --resume"),
        (["--contact-sheet", "x.png"], "unrecognized arguments"),
    ):
        assert main(["doctor", *words]) == 2
        assert message in capsys.readouterr().err


def test_the_weights_of_teachers_are_part_of_the_memory() -> None:
    weights = [
        step_memory(load_config(name, "sysu_all", profile="synthetic_sysu")).parameters for name in ("pgm", "sclhm")
    ]
    assert weights[1] * 4 == weights[0] * 5


def test_the_images_of_a_training_on_other_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    findings, ready = examined(capsys, *TRAINING, "--train-data", "synthetic:seed=3")
    assert ready
    assert findings["trained on"]["text"] == "synthetic:seed=3"
    findings, ready = examined(capsys, *TRAINING, "--donors", "synthetic:seed=3", "--set", "data.foreign=0.5")
    assert ready
    assert findings["donors"]["text"] == "synthetic:seed=3"
    for words, message in (
        (["--train-data", str(tmp_path / "absent")], "absent"),
        (["--donors", "synthetic"], "--donors: state the share of people to replace"),
    ):
        findings, ready = examined(capsys, *TRAINING, *words)
        assert not ready
        assert message in findings["training"]["text"]


def test_a_named_folder_is_the_only_data_set(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_people: dict[str, Path]
) -> None:
    real = tmp_path / "SYSU-MM01"
    shutil.copytree(tiny_people["sysu"], real, ignore=shutil.ignore_patterns("synthetic.json"))
    words = ["--data", str(real), "--weights", "random", "--set", "data.check_counts=false", "train.instances=1"]
    findings, _ = examined(capsys, *TRAINING, *words)
    assert "SYSU-MM01" not in findings
    assert findings["images"]["text"].startswith(f"{real}, not checked against the published counts")


def test_one_of_two_options_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--method", "pgm"]) == 2
    assert "--protocol is missing" in capsys.readouterr().err


def test_an_option_of_a_training_is_not_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--data", "/absent"], ["--set", "train.precision=tf32"], ["--weights", "absent.pth"]):
        assert main(["doctor", *words]) == 2
        assert f"{words[0]} belongs to a training; give --method and --protocol too" in capsys.readouterr().err


STEPS = """
import sys
import torch
from usvi_bench.core.process_memory import peak_rise
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.memory_estimate import step_memory
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.methods.base import Method, MethodConfig

torch.set_num_threads(1)
cpu = torch.device("cpu")
config = load_config("cluster_contrast", "sysu_all", profile="synthetic_sysu", settings={"train.instances": 6})


def train(images):
    encoder = config.new_encoder(0).train()
    optimiser = Optimiser(Method(MethodConfig(), encoder), config.train, 1, cpu)
    batch = torch.randn(images, 3, config.data.height, config.data.width)
    optimiser({"loss": encoder(batch, batch).square().mean()})


train(2)  # imports and pools
for _ in range(3):
    with peak_rise(cpu) as rise:
        train(step_memory(config).images // 2)
    print(*rise)
"""


def test_the_estimate_is_near_the_measured_memory() -> None:
    """The steps run in a new process: the memory that earlier tests freed and kept would change the measured rise."""
    config = load_config("cluster_contrast", "sysu_all", profile="synthetic_sysu", settings={"train.instances": 6})
    estimate = step_memory(config)
    assert estimate.images == 6 * (8 * 2 + 8)
    assert step_memory(config, processes=2).images == estimate.images // 2
    done = subprocess.run([sys.executable, "-c", STEPS], cwd=ROOT, capture_output=True, text=True, check=True)
    if rises := [float(rise) for rise in done.stdout.split()]:
        assert 0.75 < min(rises) * 2**20 / estimate.total < 1.6
