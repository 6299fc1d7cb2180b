"""Comparison of a run with the leaderboard: equal to that of the runs' own evaluations, and every refusal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.leaderboard.queries import evaluate, scored_record, write_beside
from usvi_bench.cli.report import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record, read_record, write_record
from usvi_bench.protocols.base import Evaluation, QueryScores
from usvi_bench.protocols.query_file import save_query_scores
from usvi_bench.protocols.sidecar import ROUNDING, read_sidecar, sidecar_path
from usvi_bench.reports.board_runs import board_runs
from usvi_bench.reports.bootstrap import paired_difference
from usvi_bench.reports.groups import UNITS, Group, able_groups, comparable, compared_groups, difference_of
from usvi_bench.reports.runs import RecordedRun, find_recorded_runs

ROWS = {"pgm": (0, 1), "cluster_contrast": (0,), "adca": (0, 1)}
OLD = "adca"
"""Method whose records have no results of their queries."""


def seed_of(method: str, seed: int) -> int:
    return 10 * [*ROWS, "sclhm"].index(method) + seed


def evaluation_of(method: str, seed: int) -> Evaluation:
    return evaluate(1.2 if method == "pgm" else 1.6, seed_of(method, seed))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a leaderboard of three methods, one of them with older records."""
    folder = tmp_path_factory.mktemp("leaderboard")
    for method, seeds in ROWS.items():
        for seed in seeds:
            file, evaluation = (
                folder / "records" / "sysu_all" / f"{method}-seed{seed}.json",
                evaluation_of(method, seed),
            )
            record = scored_record(method, seed, evaluation)
            if method == OLD:
                write_record(file, record)
            else:
                write_beside(file, record, evaluation)
    return folder


def write_mine(folder: Path, method: str = "sclhm", seed: int = 0, **changes: Any) -> Path:
    """Make the folder of a finished run, with all results of its queries."""
    evaluation = evaluation_of(method, seed)
    record = scored_record(method, seed, evaluation)
    write_beside(folder / "record.json", replace(record, result=replace(record.result, **changes)), evaluation)
    save_query_scores(folder / "queries.npz", {1: evaluation.queries})
    return folder


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mine(tmp_path_factory.mktemp("mine") / "sclhm-seed0")


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    main(["--compare", *map(str, words)])
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("metric", ["mAP", "R1"])
@pytest.mark.parametrize("unit", UNITS)
def test_a_comparison_equals_that_of_the_runs_own_evaluations(metric: str, unit: Any, board: Path, mine: Path) -> None:
    """The results beside a record are rounded to float16, so mAP differs by at most the rounding; R1 does not."""
    (own,) = find_recorded_runs([mine])
    groups = compared_groups([own, *board_runs("pgm", own, board, {own.name})])
    assert [(group.label, group.seeds) for group in groups] == [("pgm (leaderboard)", [0, 1]), ("sclhm", [0])]
    found = difference_of(groups[1], groups[0], metric, unit)
    first = [{1: evaluation_of("sclhm", 0).queries}]
    second = [{1: evaluation_of("pgm", seed).queries} for seed in ROWS["pgm"]]
    right = paired_difference(first, second, metric, unit)
    for name in ("difference", "low", "high"):
        gap = abs(getattr(found, name) - getattr(right, name))
        assert gap <= (ROUNDING if metric == "mAP" else 1e-12), name
    assert found.clear == right.clear


@pytest.mark.parametrize("unit", UNITS)
def test_rounding_moves_an_interval_by_at_most_the_rounding_of_both_runs(unit: Any) -> None:
    """The worst case: all values are in the middle between two numbers of float16, and are rounded the same way."""
    draw = np.random.default_rng(0)
    count = 400
    people = np.arange(count) // 4
    grid = 0.5 + draw.integers(0, 1000, (2, 1, count)) * 2.0**-11
    values = grid + np.array([0.499, -0.499])[:, None, None] * 2.0**-11
    exact = [QueryScores(v, np.zeros((1, count), np.int64), people, ()) for v in values]
    rounded = [replace(s, average_precision=s.average_precision.astype(np.float16).astype(float)) for s in exact]
    right, found = (paired_difference([{1: a}], [{1: b}], "mAP", unit, resamples=500) for a, b in (exact, rounded))
    for name in ("difference", "low", "high"):
        assert 1.9 * ROUNDING < abs(getattr(found, name) - getattr(right, name)) <= 2 * ROUNDING


def test_the_command_prints_the_differences(board: Path, mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, mine, "leaderboard:pgm", "--leaderboard", board)
    assert len(lines) == 5
    assert lines[0].startswith("mAP of pgm (leaderboard) - sclhm: +")
    assert all("resampled" in line for line in lines[:4])
    assert "Seeds are averaged" in lines[4]
    assert "The seeds differ (sclhm: 0; pgm (leaderboard): 0, 1)" in lines[4]
    assert not [*mine.glob("report*")]
    file = board / "records" / "sysu_all" / "cluster_contrast-seed0.json"
    assert len(printed(capsys, file, "leaderboard:pgm", mine, "--leaderboard", board)) == 13


def test_a_repeated_run_is_compared_with_the_records_of_its_own_method(
    board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, write_mine(tmp_path / "mine", "pgm"), "leaderboard:pgm", "--leaderboard", board)
    assert any(
        ("pgm (leaderboard)" in line and "- pgm:" in line) or "pgm - pgm (leaderboard)" in line for line in lines
    )


def test_the_page_of_a_comparison_has_the_rows_of_the_leaderboard(
    board: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usvi_bench.reports.comparison.report_on", lambda *_: None)
    main([str(mine), "leaderboard:pgm", "--leaderboard", str(board), "--output", str(tmp_path)])
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["title"] == "Comparison of 3 runs"
    assert [run["name"] for run in content["runs"]] == ["sclhm-seed0", "leaderboard-pgm-seed0", "leaderboard-pgm-seed1"]
    assert {entry["other"] for entry in content["data"]["paired"]} == {"pgm (leaderboard)"}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("pgn", "leaderboard:pgn: no such row on these images: did you mean pgm"),
        ("", "known: adca, cluster_contrast, pgm"),
        ("../pgm", "no such row"),
        (
            OLD,
            "made before the results of each query.*compare with leaderboard:cluster_contrast, leaderboard:pgm",
        ),
        (OLD, "run.py --method adca --protocol sysu_all --seed 0"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(row: str, fault: str, board: Path, mine: Path) -> None:
    with pytest.raises(UsageError, match=fault):
        main(["--compare", str(mine), f"leaderboard:{row}", "--leaderboard", str(board)])


def test_other_images_protocols_and_folders_are_refused(board: Path, mine: Path, tmp_path: Path) -> None:
    (own,) = find_recorded_runs([mine])
    data = {**own.record.result.dataset, "fingerprint": f"synthetic-{'0' * 16}"}
    later = {**data, "synthetic": {**data["synthetic"], "generator_version": 99}}
    for changes, fault in (
        ({"dataset": data}, "sclhm-seed0: the leaderboard has no record of its images"),
        ({"dataset": later}, "these people are of generator version 99, those of the records of "),
        ({"protocol": "sysu_indoor"}, r"no record with its protocol \(sysu_indoor, seeded gallery\)"),
    ):
        record = replace(own.record, result=replace(own.record.result, **changes))  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=fault):
            board_runs("pgm", replace(own, record=record), board, set())
    with pytest.raises(UsageError, match=r"needs the records of a leaderboard.*with --leaderboard DIR"):
        board_runs("pgm", own, tmp_path, set())
    with pytest.raises(UsageError, match="give a run or a record to compare with"):
        main(["--compare", "leaderboard:pgm"])


def test_the_whole_name_chooses_between_rows_of_a_method(board: Path, mine: Path, tmp_path: Path) -> None:
    (own,) = find_recorded_runs([mine])
    file = tmp_path / "records" / "a.json"
    for number, eps in enumerate((0.5, 0.6)):
        record = read_record(board / "records" / "sysu_all" / "pgm-seed0.json")
        method = {**record.result.config["method"], "eps": eps}
        result = replace(record.result, config={**record.result.config, "method": method})
        result = replace(result, config_hash=replace(record, result=result).expected_hash())
        target = file.with_stem(str(number))
        write_record(target, replace(record, result=result))
        sidecar_path(target).write_bytes(sidecar_path(board / "records" / "sysu_all" / "pgm-seed0.json").read_bytes())
    with pytest.raises(UsageError, match=r"2 rows have this name: 'pgm \(eps=0.5\)'.*give the whole name"):
        board_runs("pgm", own, tmp_path, set())
    (run,) = board_runs("pgm (eps=0.6)", own, tmp_path, set())
    assert run.record.result.config["method"]["eps"] == 0.6
    paper = replace(own, record=replace(own.record, result=replace(own.record.result, setting="paper")))
    (run,) = board_runs("pgm (eps=0.5)", paper, tmp_path, set())
    assert run.record.result.setting == "shared"


def changed(run: RecordedRun, **changes: Any) -> RecordedRun:
    return replace(run, record=replace(run.record, result=replace(run.record.result, **changes)), name="changed")


def test_runs_that_differ_are_not_compared(board: Path, mine: Path) -> None:
    (own,) = find_recorded_runs([mine])
    board_run, _ = board_runs("pgm", own, board, set())
    data = {**own.record.result.dataset, "fingerprint": "synthetic-0"}
    with pytest.raises(UsageError, match=r"cannot be compared: fingerprint synthetic-f+ and synthetic-0"):
        compared_groups([own, changed(own, dataset=data)])
    with pytest.raises(UsageError, match="cannot be compared: protocol sysu_all and sysu_indoor"):
        compared_groups([own, changed(own, protocol="sysu_indoor")])
    with pytest.raises(UsageError, match="all runs are seeds of one row"):
        compared_groups([own, changed(own, seed=1)])
    note = own.record.result.queries
    assert note is not None
    drawn = changed(own, queries={**note, "draws": "0" * 64})
    with pytest.raises(UsageError, match="their queries, galleries or scored folds differ"):
        difference_of(Group("a", [drawn]), Group("b", [board_run]), "mAP", "query")
    old = changed(own, queries=None)  # its queries.npz has no digest of the galleries
    with pytest.raises(UsageError, match="changed: no results of each query, or an older record"):
        compared_groups([old, board_run])
    assert len(compared_groups([old, changed(own, config_hash="0")])) == 2  # their queries have paths
    (groups,) = comparable([old, board_run]).values()
    assert able_groups(groups) == [group for group in groups if group.runs == [board_run]]


def test_people_of_other_queries_are_refused(board: Path, mine: Path) -> None:
    (own,) = find_recorded_runs([mine])
    (scores,) = (own.queries or {}).values()
    moved = replace(scores, identities=np.roll(scores.identities, 1))
    with pytest.raises(ValueError, match="queries or galleries differ"):
        paired_difference([{1: scores}], [{1: moved}], "mAP", "person")


def test_a_damaged_file_of_a_row_is_refused(board: Path, mine: Path, tmp_path: Path) -> None:
    (own,) = find_recorded_runs([mine])
    source = board / "records" / "sysu_all" / "pgm-seed0.json"
    target = tmp_path / "records" / "pgm-seed0.json"
    target.parent.mkdir()
    target.write_bytes(source.read_bytes())
    sidecar_path(target).write_bytes(sidecar_path(source).read_bytes()[::-1])
    with pytest.raises(UsageError, match="its hash is not that of the record"):
        board_runs("pgm", own, tmp_path, set())


def test_a_record_with_results_of_its_queries_is_compared_without_a_folder(board: Path) -> None:
    file = board / "records" / "sysu_all" / "pgm-seed0.json"
    (run,) = find_recorded_runs([file])
    record: Record = read_record(file)
    note = record.result.queries
    assert note is not None
    (scores,) = (run.queries or {}).values()
    (right,) = read_sidecar(sidecar_path(file), note, record.result.trials).values()
    assert np.array_equal(scores.first_match_rank, right.first_match_rank)
    (old,) = find_recorded_runs([file.with_name("adca-seed0.json")])
    assert old.queries is None
    assert old.draws is None
