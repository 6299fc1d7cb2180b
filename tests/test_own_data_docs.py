"""The examples of ``docs/own_data.md`` run as they stand, one after another."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from usvi_bench.cli.main import main
from usvi_bench.core.record import read_record
from usvi_bench.datasets.grey_depth import PERCENTILES
from usvi_bench.datasets.own_images import MODALITY_WORDS, SPLITS
from usvi_bench.datasets.own_table import COLUMNS
from usvi_bench.leaderboard.consistency import faults

PAGE = Path(__file__).resolve().parent.parent / "docs" / "own_data.md"
SMALL = ["--no-report", "--device", "cpu"]
SETTINGS = ["data.height=32", "data.width=16", "train.iterations=2", "engine.threads=1"]


def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_people: dict[str, Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    statuses = []
    for language, block in re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if language == "python":
            exec(compile(block, str(PAGE), "exec"), names)
            continue
        for line in block.splitlines():
            words = shlex.split(line.replace("synthetic:size=tiny", str(tiny_people["sysu"])))
            assert words[:2] == ["python", "run.py"]
            train = "--method" in words
            given = [*words[2:], *(SMALL if train else []), *(["--set", *SETTINGS] if train else [])]
            statuses.append(main(given))
    assert statuses == [0, 0, 0, 0], capsys.readouterr().err
    out = capsys.readouterr().out
    assert "visible: 0 people, 24 images of unknown people; 2 cameras: 0 (12), 1 (12)" in out
    assert "training without scores" in out
    records = [read_record(path) for path in Path("runs/folder_i2v").glob("*/record.json")]
    assert sorted((record.complete, record.result.trained_on is not None) for record in records) == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert [fault for record in records for fault in faults(record)] == []


def test_the_page_has_the_words_and_numbers_of_the_code() -> None:
    text = PAGE.read_text()
    assert all(f"`{name}`" in text for name in (*COLUMNS, *SPLITS, *MODALITY_WORDS))
    assert "percentiles {} and {}".format(*PERCENTILES) in " ".join(text.split())
