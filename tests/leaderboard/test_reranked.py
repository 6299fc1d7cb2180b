"""Re-ranked scores in records and tables: shown beside the others, never ranked, never bold, never the headline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.leaderboard.records import consistent, make_record
from usvi_bench.core.metrics import METRICS, RERANKED
from usvi_bench.core.record import Record
from usvi_bench.core.result import Score
from usvi_bench.core.table import to_markdown
from usvi_bench.leaderboard.board import RERANKED_COLUMNS, board_table
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.reports.run_scores import run_scores


def reranked(record: Record, gain: float = 0.0, option: bool = True) -> Record:
    """Copy a record with a re-ranked score beside each score."""
    scores = [
        replace(
            score,
            feature=f"{score.feature}{RERANKED}",
            metrics={name: min(value + gain, 1.0) for name, value in score.metrics.items()},
        )
        for score in record.result.scores
        if score.selection == "last"
    ]
    options = {"settings": {"engine.rerank": "true"}, "schedule": None}
    made = {**record.provenance, **({"overrides": options} if option else {})}
    result = replace(record.result, scores=[*record.result.scores, *scores])
    return replace(record, result=result, provenance=made)  # type: ignore[arg-type]


def test_a_record_with_re_ranked_scores_is_consistent() -> None:
    for method in ("sclhm", "untrained"):
        plain = consistent(make_record(method))
        record = reranked(plain)
        assert faults(record) == []
        assert record.means() == plain.means()
        assert record.complete


def changed(change: Callable[[Score], Score]) -> Record:
    record = reranked(consistent(make_record("sclhm")))
    scores = [change(score) if score.feature.endswith(RERANKED) else score for score in record.result.scores]
    return replace(record, result=replace(record.result, scores=scores))


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (
            changed(lambda s: replace(s, feature="bn+flip+rerank(30,6,.3)")),
            "'bn+flip+rerank(30,6,.3)', but the headline",
        ),
        (changed(lambda s: replace(s, feature=f"bn{RERANKED}")), "but the headline has 'bn+flip'"),
        (changed(lambda s: replace(s, shots=10)), "shots: 10, but the headline has 1"),
        (changed(lambda s: replace(s, selection="oracle")), "which engine.rerank=True does not give"),
        (changed(lambda s: replace(s, model="student")), "re-ranked scores of student"),
        (changed(lambda s: replace(s, trial=s.trial + 1)), "teacher, re-ranked (last) has the trials"),
        (changed(lambda s: replace(s, metrics={**s.metrics, "R1": 1.0, "R5": 0.5})), "R5"),
        (reranked(consistent(make_record("sclhm")), option=False), "which engine.rerank=False does not give"),
        (
            replace(
                consistent(make_record("sclhm")),
                provenance=reranked(consistent(make_record("sclhm"))).provenance,
            ),
            "no re-ranked scores of teacher (last), but engine.rerank is true",
        ),
    ],
)
def test_impossible_kinds_are_found(record: Record, fault: str) -> None:
    assert any(fault in found for found in faults(record)), faults(record)


def test_a_re_ranked_headline_is_refused() -> None:
    record = reranked(consistent(make_record("sclhm")))
    headline = {**record.result.headline, "feature": f"bn+flip{RERANKED}"}
    wrong = replace(record, result=replace(record.result, headline=headline))  # type: ignore[arg-type]
    assert any("every run scores bn+flip" in fault for fault in faults(wrong))


def test_a_table_shows_them_in_a_column_and_ranks_by_the_others() -> None:
    records = {
        **{f"a{seed}": make_record("adca", seed, [0.40 + 0.001 * seed]) for seed in range(3)},
        **{f"p{seed}": reranked(make_record("pgm", seed, [0.30 + 0.002 * seed]), 0.5) for seed in range(3)},
    }
    (scores,) = score_tables(records)
    table = board_table(scores, [])
    assert [row.label.split()[0] for row in scores.rows][:2] == ["adca", "pgm"], "ranked by plain mAP"
    first, second = (list(table.columns).index(name) for name in RERANKED_COLUMNS)
    adca, pgm, *_ = table.rows
    assert adca.cells[first].text == "-"
    assert pgm.cells[second].value == pytest.approx(scores.rows[1].values["mAP"].mean() + 0.5)
    assert not any(row.cells[column].bold for row in table.rows for column in (first, second))
    assert adca.cells[2 + METRICS.index("mAP")].bold
    assert "uses all queries at once" in " ".join(table.notes)
    plain = score_tables({name: record for name, record in records.items() if name.startswith("a")})[0]
    assert not set(RERANKED_COLUMNS) & set(board_table(plain, []).columns)


def test_the_page_of_a_run_shows_them_in_a_column() -> None:
    plain = make_record("pgm", 0, [0.3])
    table = run_scores(reranked(plain, 0.25))
    assert list(table.columns[-2:]) == list(RERANKED_COLUMNS)
    assert table.rows[0].cells[-1].value == pytest.approx(100 * (plain.means()["mAP"] + 0.25))
    assert table.rows[-1].cells[-1].text == "-"
    assert len(table.rows) == len(run_scores(plain).rows)
    assert "uses all queries at once" in to_markdown(table) + " ".join(table.notes)
    assert not set(RERANKED_COLUMNS) & set(run_scores(plain).columns)
