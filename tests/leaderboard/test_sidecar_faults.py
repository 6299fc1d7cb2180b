"""Results of queries beside a record: those of the run are consistent, all others are named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.leaderboard.queries import evaluate, scored_record, write_beside, write_scored
from tests.leaderboard.records import consistent, make_record
from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record, read_record, write_record
from usvi_bench.leaderboard.__main__ import main as pages
from usvi_bench.leaderboard.add import add_runs
from usvi_bench.leaderboard.bounds import Limits, precision_limits
from usvi_bench.leaderboard.build import FOLDER, load_every_record, refuse_inconsistent
from usvi_bench.leaderboard.consistency import contradictions, faults
from usvi_bench.leaderboard.sidecar_faults import sidecar_faults
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.sidecar import read_sidecar, sidecar_path, write_sidecar

Change = Callable[[QueryScores], QueryScores]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("run") / "record.json"
    write_scored(file)
    return file


def copied(made: Path, folder: Path, **note: Any) -> tuple[Path, Record]:
    """Copy both files to a folder; ``note`` changes the note of the record."""
    record = read_record(made)
    assert record.result.queries is not None
    record = replace(record, result=replace(record.result, queries={**record.result.queries, **note}))  # type: ignore[typeddict-item]
    write_record(folder / made.name, record)
    shutil.copy(sidecar_path(made), folder)
    return folder / made.name, record


def forged(made: Path, folder: Path, change: Change) -> list[str]:
    """List the faults of a record whose file of queries was changed, together with its hash."""
    record = read_record(made)
    note = record.result.queries
    assert note is not None
    folds = read_sidecar(sidecar_path(made), note, record.result.trials)
    file = folder / "record.json"
    new = write_sidecar(sidecar_path(file), {fold: change(scores) for fold, scores in folds.items()}, note["draws"])
    return sidecar_faults(file, replace(record, result=replace(record.result, queries=new)))


def test_the_results_of_a_run_are_consistent(made: Path, tmp_path: Path) -> None:
    record = read_record(made)
    assert faults(record) == []
    assert sidecar_faults(made, record) == []
    assert forged(made, tmp_path, lambda scores: scores) == []


def test_records_without_results_of_queries_are_valid(tmp_path: Path) -> None:
    record = consistent(make_record())
    assert record.result.queries is None
    write_record(tmp_path / "a.json", record)
    assert '"queries"' not in (tmp_path / "a.json").read_text()
    assert sidecar_faults(tmp_path / "a.json", record) == []
    (tmp_path / "a.npz").touch()
    assert sidecar_faults(tmp_path / "a.json", record) == [
        "a.npz: the record names no results of its queries; remove the file"
    ]


def other(**changes: Any) -> Change:
    return lambda scores: replace(scores, **{name: change(getattr(scores, name)) for name, change in changes.items()})


def swapped(scores: QueryScores) -> QueryScores:
    """Exchange two queries with their people: no score changes, but the order does."""
    valid = np.flatnonzero((scores.first_match_rank >= 0).all(axis=0))
    order = np.arange(len(scores.identities))
    order[valid[0]], order[valid[-1]] = valid[-1], valid[0]
    return replace(
        scores,
        average_precision=scores.average_precision[:, order],
        first_match_rank=scores.first_match_rank[:, order],
        identities=scores.identities[order],
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (other(average_precision=lambda a: np.clip(a - 0.01, 0, 1)), "fold 1, trial 0: mAP is"),
        (other(first_match_rank=lambda a: np.where(a == 0, 1, a)), "fold 1, trial 0: R1 is"),
        (other(average_precision=lambda a: np.where(np.isnan(a), a, 1 - a)), "a first match of rank"),
        (other(identities=lambda a: np.roll(a, 1)), "fold 1: queries of other people"),
        (other(identities=lambda a: np.zeros_like(a)), "fold 1: queries of other people"),
        (swapped, "fold 1: queries of other people"),
        (
            other(
                average_precision=lambda a: np.repeat(a, 2, axis=1),
                first_match_rank=lambda a: np.repeat(a, 2, axis=1),
                identities=lambda a: np.repeat(a, 2),
            ),
            "queries, but these people have",
        ),
    ],
    ids=["precision", "rank", "limits", "people", "one person", "order", "more queries"],
)
def test_every_forged_result_is_named(change: Change, fault: str, made: Path, tmp_path: Path) -> None:
    assert any(fault in found for found in forged(made, tmp_path, change))


def test_the_precision_of_a_query_is_bounded_by_its_first_match() -> None:
    """Compare with all rankings of two matches among six images."""
    images, most = 6, 2
    found: dict[int, list[float]] = {}
    for first in range(images):
        for second in range(first + 1, images):
            found.setdefault(first, []).append((1 / (first + 1) + 2 / (second + 1)) / most)
        found.setdefault(first, []).append(1 / (first + 1))
    for rank, values in found.items():
        least, highest = precision_limits(rank, Limits(positives=most, unit=1))
        assert least <= min(values)
        assert highest == pytest.approx(max(values)) or rank == images - 1
        assert highest >= max(values)


@pytest.mark.parametrize(
    ("note", "fault"),
    [
        ({"sha256": "0" * 64}, "its hash is not that of the record"),
        ({"sha256": "../../x"}, "result.queries.sha256: '../../x' is not a SHA-256"),
        ({"draws": "0" * 64}, "result.queries.draws: not the digest of the queries and galleries of these people"),
        ({"draws": ""}, "result.queries.draws: '' is not a SHA-256"),
        ({"size": 7}, "bytes, but the record has 7"),
        ({"size": 2**60}, "is not between 1 and"),
        ({"path": "/etc/passwd"}, "result.queries.path: unknown field"),
    ],
)
def test_every_forged_note_is_named(note: dict[str, Any], fault: str, made: Path, tmp_path: Path) -> None:
    file, record = copied(made, tmp_path, **note)
    (found,) = sidecar_faults(file, record)
    assert fault in found


def test_the_file_of_another_run_is_refused(made: Path, tmp_path: Path) -> None:
    file, record = copied(made, tmp_path)
    write_beside(tmp_path / "other.json", *(lambda e: (scored_record("sclhm", 1, e), e))(evaluate(1.5, 1)))
    (tmp_path / "other.npz").replace(tmp_path / "record.npz")
    (found,) = sidecar_faults(file, record)
    assert "changed, or of another run" in found
    (tmp_path / "record.npz").unlink()
    (found,) = sidecar_faults(file, record)
    assert found.startswith("result.queries: record.npz: no such file")
    ablation = replace(record, provenance={**record.provenance, "ablation": "a: b"})
    assert sidecar_faults(file, ablation) == []


def test_check_names_the_faults_of_the_file(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(made.parent)]) == 0
    file, _ = copied(made, tmp_path)
    sidecar_path(file).write_bytes(b"x")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["check", str(file)])
    assert "result.queries: record.npz: 1 bytes, but the record has" in capsys.readouterr().out


def test_equal_galleries_have_one_digest(made: Path) -> None:
    record = read_record(made)
    assert record.result.queries is not None
    queries = {**record.result.queries, "draws": "0" * 64}
    second = replace(record, result=replace(record.result, seed=1, scores=[], queries=queries))  # type: ignore[arg-type]
    assert "b: result.queries.draws: a has another one for the same galleries" in contradictions(
        {"a": record, "b": second}
    )


def test_a_run_is_added_with_both_files_or_not_at_all(made: Path, tmp_path: Path) -> None:
    records = tmp_path / "records"
    target, queries = add_runs([made.parent], records)
    assert queries == sidecar_path(target)
    assert target == records / "sysu_all/people-0/sclhm-seed0.json"
    assert target.read_bytes() == made.read_bytes()
    assert sidecar_path(target).read_bytes() == sidecar_path(made).read_bytes()
    assert add_runs([made], records, outside=True)[0] == records / "outside/sysu_all/people-0/sclhm-seed0.json"
    shutil.rmtree(records / "outside")
    refuse_inconsistent(load_every_record(records), records)
    (tmp_path / "second").mkdir()
    write_scored(tmp_path / "second" / "record.json", noise=1.0)
    write_scored(tmp_path / "third" / "record.json", "pgm")
    with pytest.raises(UsageError, match="there is another record"):
        add_runs([tmp_path / "third", tmp_path / "second"], records)
    assert not (records / "sysu_all/people-0/pgm-seed0.json").exists()
    sidecar_path(tmp_path / "third" / "record.json").unlink()
    with pytest.raises(UsageError, match="1 fault, so it is not added"):
        add_runs([tmp_path / "third"], records)


def test_the_pages_are_refused_with_a_stray_missing_or_changed_file(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--records={tmp_path}", f"--published={FOLDER / 'published.csv'}", f"--output={tmp_path / 'out'}"]
    target, _ = add_runs([made], tmp_path)
    beside = sidecar_path(target)
    content = beside.read_bytes()
    for change, fault in (
        (
            lambda: beside.with_name("x.npz").write_bytes(content),
            "sysu_all/people-0/x.npz: belongs to no record; remove it",
        ),
        (lambda: beside.write_bytes(content[::-1]), "its hash is not that of the record"),
        (beside.unlink, "no such file, but the record has results of each query"),
    ):
        change()
        assert pages([*words, "--check"]) == 2
        assert fault in capsys.readouterr().err
        beside.with_name("x.npz").unlink(missing_ok=True)
    beside.write_bytes(content)
    assert pages(words) == 0
    assert pages([*words, "--check"]) == 0
    assert pages([*words, "--check", f"--add={made}"]) == 2
