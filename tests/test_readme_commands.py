"""The commands of README on own images run as they stand, one after another, with trainings of a few steps."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.datasets.own_trees import rows_of, write_picture, write_rows
from usvi_bench.cli.main import main

README = Path(__file__).resolve().parent.parent / "README.md"
SMALL = ["data.height=32", "data.width=16", "train.iterations=2", "engine.threads=1"]
TRAINING = ["--no-report", "--device", "cpu", "--set", *SMALL]


def commands() -> list[list[str]]:
    (block,) = [text for text in re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL) if "embed" in text]
    return [shlex.split(line, comments=True)[2:] for line in block.splitlines()]


def test_the_block_has_every_command_that_uses_a_model() -> None:
    found = [words[0] for words in commands() if not words[0].startswith("-")]
    assert found == ["embed", "search", "cluster", "export", "evaluate"]
    assert sum("--method" in words for words in commands()) == 2
    assert sum("--train-data" in words for words in commands()) == 1


def test_the_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_people: dict[str, Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows_of(Path("people"), range(6), "train")
    write_rows(Path("people/list.csv"), rows_of(Path("people"), range(10, 13), "test", 2))
    write_picture(Path("query.png"), 2, 9, "infrared")
    for words in commands():
        if words[0] == "export" and not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
            continue  # an extra
        assert main([*words, *(TRAINING if "--method" in words else [])]) == 0, capsys.readouterr().err
    assert {"gallery.npz", "clusters.csv", "runs"} <= {path.name for path in Path().iterdir()}
    kinds = sorted(path.parts[1] for path in Path("runs").glob("*_*/*/record.json"))
    assert kinds == ["folder_i2v", "folder_i2v", "sysu_all"]
