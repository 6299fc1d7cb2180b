"""Addition of runs: what is refused, and what is printed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.leaderboard.records import consistent, make_record
from usvi_bench.core.record import Record, write_record
from usvi_bench.leaderboard.__main__ import main
from usvi_bench.leaderboard.add import record_name
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.leaderboard.derived import data_sentence


@pytest.mark.parametrize(("real", "images"), [(True, "the published SYSU-MM01"), (False, "the generated people")])
def test_images_that_were_not_checked_are_not_added(
    real: bool, images: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(tmp_path / "run" / "record.json", unchecked(consistent(make_record("hil", real=real))))
    assert main([*words(tmp_path), "--add", str(tmp_path / "run"), "--outside"]) == 2
    error = capsys.readouterr().err
    assert f"not added: result.config.data.check_counts: false, so the images may be others than {images}" in error
    assert "run again without data.check_counts=false" in error
    assert not list((tmp_path / "records").rglob("*.json"))


def test_every_written_file_and_the_next_step_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(tmp_path / "run" / "record.json", consistent(make_record("hil")))
    assert main([*words(tmp_path), "--add", str(tmp_path / "run"), "--outside"]) == 0
    *printed, following, waits = capsys.readouterr().out.splitlines()
    written = [path for folder in ("records", "out") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert sorted(printed) == sorted(map(str, written))
    assert len(written) == 6
    assert following.startswith("next: make leaderboard")
    assert "waits for a repeat" in waits


@pytest.mark.parametrize(
    ("seed", "knobs", "form", "expected"),
    [
        (1000, {}, "repaired", "sysu_all/hil-seed1.json"),
        (7, {}, "repaired", "sysu_all/people-7/hil-seed1.json"),
        (7, {"pose": 0.5, "boxes": 1.0}, "released", "sysu_all/people-7/boxes-1/pose-0.5/released/hil-seed1.json"),
    ],
)
def test_what_is_unusual_names_the_folders(seed: int, knobs: dict[str, float], form: str, expected: str) -> None:
    record = make_record("hil", 1, config={"method": {"form": form}})
    data = {**record.result.dataset, "synthetic": {"spec": {"seed": seed}}, "knobs": knobs}
    assert record_name(replace(record, result=replace(record.result, dataset=data))) == expected  # type: ignore[arg-type]


def words(folder: Path) -> list[str]:
    (folder / "records").mkdir(exist_ok=True)
    published = FOLDER / "published.csv"
    return [f"--records={folder / 'records'}", f"--published={published}", f"--output={folder / 'out'}"]


def unchecked(record: Record) -> Record:
    """Copy a record as a run with data.check_counts=false would have written it."""
    result = record.result
    result = replace(result, config={**result.config, "data": {**result.config["data"], "check_counts": False}})
    result = replace(result, dataset={**result.dataset, "description": data_sentence(result)})
    made = replace(record, result=result)
    return replace(made, result=replace(result, config_hash=made.expected_hash()))
