"""External models: consistent records, every contradiction, a table of their own, and no way into other tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.external import make_external, rehashed
from tests.leaderboard.records import consistent, make_record
from tests.leaderboard.test_consistency import leaves
from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import RERANKED
from usvi_bench.core.record import Record, read_record, write_record
from usvi_bench.core.registry import METHODS
from usvi_bench.core.settings import digest
from usvi_bench.core.typed import convert
from usvi_bench.engine.recorded_experiment import recorded_experiment
from usvi_bench.leaderboard.__main__ import make_pages
from usvi_bench.leaderboard.board import RERANKED_COLUMNS, RERANKED_NOTE
from usvi_bench.leaderboard.build import build
from usvi_bench.leaderboard.consistency import contradictions, faults
from usvi_bench.leaderboard.external_table import external_tables, trained
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.reports.runs import find_recorded_runs
from usvi_bench.reports.site.find_runs import find_runs

Content = dict[str, Any]
FREE = {"claims", "height", "width", "bn_groups", "check_counts", "metrics", "fingerprint", "bytes"}
"""Entries that nothing else in the record implies to the last digit."""


@pytest.mark.parametrize("features", [False, True])
def test_the_record_of_a_scoring_is_consistent(features: bool, tmp_path: Path) -> None:
    record = make_external(features=features)
    assert faults(record) == []
    write_record(tmp_path / "r.json", record)
    assert read_record(tmp_path / "r.json") == record
    assert list(contradictions({"a": record, "b": consistent(make_record("sclhm"))})) == []


@pytest.mark.parametrize("features", [False, True])
def test_every_leaf_of_its_result_is_implied_by_others(features: bool) -> None:
    record, tried = make_external(features=features), set()
    for path, value in leaves(asdict(record.result)):
        if FREE & set(path) or path == ("config_hash",) or (path[0] == "scores" and path[1] > 1):
            continue
        content = asdict(record)
        place = content["result"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = {bool: lambda v: not v, int: lambda v: v + 7, str: lambda v: f"{v}x"}.get(
            type(value), lambda _: "x"
        )(value)
        assert faults_of(content), path
        tried.add(path)
    assert len(tried) > (45 if features else 50)


def faults_of(content: Content) -> list[str]:
    """Return the faults that reading and checking find, with digest and hash as an attacker would compute them."""
    from usvi_bench.core.record import _parse_record

    try:
        record: Record = convert(Record, content, "")
        plain = asdict(rehashed(record))
        return faults(_parse_record(plain, "r.json"))
    except (ValueError, UsageError) as error:
        return [str(error)]


def _as_training(method: str) -> Callable[[Content, Content], None]:
    def change(content: Content, other: Content) -> None:
        result, model = content["result"], other["result"]["headline"]["model"]
        result |= {"method": method, "setting": "shared", "external": None, "config": other["result"]["config"]}
        for kind in (result["headline"], *result["scores"]):
            kind |= {"selection": "last", "feature": "bn+flip", "model": model}
        names = ("stages", "global_batch", "batch_norm", "seconds", "overrides")
        content["provenance"] |= {name: other["provenance"][name] for name in names if name in other["provenance"]}

    return change


def _without_entry(content: Content, _: Content) -> None:
    content["result"]["external"] = None


def _other_method(content: Content, _: Content) -> None:
    content["result"]["method"] = "pgm"


def _selection(content: Content, _: Content) -> None:
    content["result"]["headline"]["selection"] = "last"


def _stages(content: Content, other: Content) -> None:
    content["provenance"]["stages"] = other["provenance"]["stages"]


def _settings_of_a_training(content: Content, other: Content) -> None:
    content["result"]["config"]["method"] = other["result"]["config"]["method"]


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("method", ["pgm", "untrained"])
@pytest.mark.parametrize(
    "change", [_as_training, _without_entry, _other_method, _selection, _stages, _settings_of_a_training]
)
def test_an_external_record_cannot_pass_for_a_trained_one(change: Any, method: str, features: bool) -> None:
    content, other = asdict(make_external(features=features)), asdict(consistent(make_record(method)))
    (change(method) if change is _as_training else change)(content, other)
    if change is not _stages or other["provenance"]["stages"]:
        assert faults_of(content)


def test_released_weights_are_no_starting_weights_of_a_record() -> None:
    content = asdict(make_external())
    _as_training("untrained")(content, asdict(consistent(make_record("untrained"))))
    assert [fault for fault in faults_of(content) if "neither a file of this suite nor a public file" in fault]


@pytest.mark.parametrize("method", ["pgm", "pclhd", "untrained"])
@pytest.mark.parametrize("kept", ["config", "stages", "selection", "setting", "weights", "nothing"])
def test_a_trained_record_cannot_pass_for_an_external_one(method: str, kept: str) -> None:
    """The entries of a training are replaced by those of an external record but for one."""
    content, external = asdict(consistent(make_record(method))), asdict(make_external())
    result, wanted = content["result"], external["result"]
    scores = result["scores"]
    result |= {"method": "external", "external": wanted["external"]}
    if kept != "config":
        result["config"] = wanted["config"]
    if kept != "setting":
        result["setting"] = "external"
    if kept != "weights":
        result["start_weights"] = wanted["start_weights"]
    if kept != "selection":
        for kind in (result["headline"], *scores):
            kind |= {name: wanted["headline"][name] for name in ("model", "selection", "feature")}
    made = external["provenance"] if kept != "stages" else {**external["provenance"], "stages": []}
    content["provenance"] = made
    assert bool(faults_of(content)) == (kept != "nothing"), "the last one is an invented record of an external model"


def test_no_method_can_have_the_name() -> None:
    with pytest.raises(UsageError, match="the name 'external' of a method has another meaning in records"):
        METHODS.register("external")


def test_external_models_have_a_table_of_their_own() -> None:
    records = {
        "a.json": consistent(make_record("pgm")),
        "b.json": make_external(rate=0.9),
        "c.json": make_external("the | <b>best</b>\x1b", "b", features=True),
    }
    (table,) = score_tables(records)
    assert {row.method for row in table.rows} == {"pgm", ""}
    assert trained(records).keys() == {"a.json"}
    (own,) = external_tables(records)
    assert [row.cells[0].text for row in own.rows] == [
        "PGM @ed4a7df @aaaaaaaa",
        "the | <b>best</b>\x1b @bbbbbbbb",
        "chance",
    ]
    assert all(row.quiet for row in own.rows)
    assert not any(cell.bold for row in own.rows for cell in row.cells)
    page = build(records)
    before, _, after = page.partition("## External models, not ranked")
    assert "aaaaaaaa" not in before
    assert "[record](records/b.json)" in after
    assert r"the \| \<b>best\</b>" in after
    assert "\x1b" not in page
    assert build({name: records[name] for name in ("c.json", "b.json", "a.json")}) == page
    assert "External" not in build({"a.json": records["a.json"]})


def test_pages_are_made_of_external_records_alone(tmp_path: Path) -> None:
    write_record(tmp_path / "records/a.json", make_external())
    pages = make_pages(tmp_path / "records", [], tmp_path)
    assert "## External models" in pages["LEADERBOARD.md"]
    assert "external" in pages["RECORDS.md"]
    write_record(tmp_path / "records/b.json", make_external("another claim"))
    with pytest.raises(UsageError, match=r"a\.json and b\.json: both are of the same network, with equal settings"):
        make_pages(tmp_path / "records", [], tmp_path)


def test_one_fold_of_several_is_shown_with_its_number() -> None:
    record = make_external()
    some = replace(record, result=replace(record.result, folds=[1, 2], config={**record.result.config}))
    (table,) = external_tables({"a": some})
    assert table.rows[0].cells[5].text == "1 of 2"


def test_it_is_neither_reported_nor_compared_nor_repeated(tmp_path: Path) -> None:
    write_record(tmp_path / "runs/x/record.json", make_external())
    with pytest.raises(UsageError, match=r"external model, which has no report and is not compared.*PUBLISHED\.md"):
        find_recorded_runs([tmp_path / "runs"])
    assert find_runs({}, tmp_path / "runs", tmp_path) == []
    write_record(tmp_path / "runs/y/record.json", make_record("hil"))
    assert [run.name for run in find_recorded_runs([tmp_path / "runs"])] == ["y"]
    with pytest.raises(UsageError, match="score its file again with 'evaluate'"):
        recorded_experiment(make_external())


def test_a_changed_claim_is_noticed_by_the_digest(tmp_path: Path) -> None:
    write_record(tmp_path / "r.json", make_external())
    content = json.loads((tmp_path / "r.json").read_text())
    content["result"]["external"]["claims"] = "mine"
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="changed since it was written"):
        read_record(tmp_path / "r.json")
    del content["digest"]
    (tmp_path / "r.json").write_text(json.dumps({**content, "digest": digest(content)}))
    assert faults(read_record(tmp_path / "r.json")) == [], "a claim is the word of its author"


def test_re_ranked_scores_of_external_models_are_a_column_of_their_own() -> None:
    plain, other = make_external(), make_external("other", "b")
    again = [replace(score, feature=f"{score.feature}{RERANKED}") for score in plain.result.scores]
    again = [replace(score, metrics={**score.metrics, "mAP": 0.75}) for score in again]
    record = replace(plain, result=replace(plain.result, scores=[*plain.result.scores, *again]))
    (without,) = external_tables({"a.json": plain, "b.json": other})
    (table,) = external_tables({"a.json": record, "b.json": other})
    assert not set(RERANKED_COLUMNS) & set(without.columns)
    column = list(table.columns).index("re-ranked mAP")
    assert [row.cells[column].text for row in table.rows] == ["75.0", "-", "-"]
    assert {len(row.cells) for row in table.rows} == {len(table.columns)}
    assert RERANKED_NOTE in table.notes
