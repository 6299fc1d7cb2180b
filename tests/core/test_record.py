"""Schema of a record: exact round trips, and errors that name file and field."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.leaderboard.records import make_record, make_score
from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import SCHEMA, read_record, write_record
from usvi_bench.core.result import Score
from usvi_bench.core.sealed import write_sealed_json

FRACTIONS = st.floats(0, 1, allow_nan=False)


def test_round_trip_and_bytes(tmp_path: Path) -> None:
    record = make_record(means=[1 / 3, 0.1 + 0.2])
    write_record(tmp_path / "a.json", record)
    write_record(tmp_path / "b.json", read_record(tmp_path / "a.json"))
    assert read_record(tmp_path / "a.json") == record
    text = (tmp_path / "a.json").read_text()
    assert text == (tmp_path / "b.json").read_text()
    assert text.endswith("}\n")
    assert text.startswith('{\n "digest"')  # sorted keys, indented by one
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "b.json"]


@given(st.lists(FRACTIONS, min_size=6, max_size=6))
def test_metrics_keep_full_precision(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("record") / "record.json"
    score = replace(make_score(0.5), metrics=dict(zip(METRICS, values, strict=True)))
    write_record(path, make_record(scores=[score]))
    assert read_record(path).result.scores == [score]


def test_whole_numbers_are_read_as_floats(tmp_path: Path) -> None:
    content = asdict(make_record())
    content["result"]["scores"][0]["metrics"]["R1"] = 1
    path = tmp_path / "record.json"
    write_sealed_json(path, content)
    assert isinstance(read_record(path).result.scores[0].metrics["R1"], float)


def test_provenance_may_grow(tmp_path: Path) -> None:
    write_record(tmp_path / "r.json", make_record(provenance={"world_size": 2}))
    assert read_record(tmp_path / "r.json").provenance["world_size"] == 2


def change(content: dict[str, Any], where: str, value: Any) -> None:
    """Set a field by its dotted path; the word DELETE removes it."""
    *parents, last = where.split(".")
    node: Any = content
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node[name]
    if value == "DELETE":
        del node[last]
    else:
        node[last] = value


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("schema", "DELETE", "schema: expected a version number, found None"),
        ("schema", "1", "schema: expected a version number, found '1'"),
        ("schema", 0, "schema: expected a version number, found 0"),
        ("schema", SCHEMA - 1, f"schema: version {SCHEMA - 1} is older than {SCHEMA} and no longer read"),
        ("schema", SCHEMA + 1, f"schema: version {SCHEMA + 1} is newer than {SCHEMA}; update"),
        ("result", "DELETE", "result: missing"),
        ("result.seed", "DELETE", "result.seed: missing"),
        ("result.seed", "0", "result.seed: expected a whole number, found '0'"),
        ("result.seed", True, "result.seed: expected a whole number, found True"),
        ("result.sede", 0, "result.sede: unknown field, did you mean seed"),
        ("result.finished", "now", "result.finished: unknown field"),
        ("result.dataset.fingerprint", "DELETE", "result.dataset.fingerprint: missing"),
        ("result.dataset.synthetic", "small", "result.dataset.synthetic: expected a mapping, found 'small'"),
        ("result.dataset.knobs", "DELETE", "result.dataset.knobs: missing"),
        ("result.dataset.knobs", {"pose": "0.5"}, "result.dataset.knobs.pose: expected a number, found '0.5'"),
        (
            "result.dataset.knobs",
            {"pose": 0.5},
            "result.dataset.knobs.pose: 0.5 is not in result.dataset.synthetic.spec",
        ),
        ("result.headline.shots", "single", "result.headline.shots: expected a whole number, found 'single'"),
        ("result.start_weights.sha256", 7, "result.start_weights.sha256: expected text, found 7"),
        ("result.dataset.synthetic.spec", [1], "result.dataset.synthetic.spec: expected a mapping, found [1]"),
        ("result.config", {}, "result.config.method: missing"),
        ("result.format", 99, "settings of format 99 are unknown to this version"),
        ("result.config.method", [None], "result.config.method: expected a mapping, found [None]"),
        ("result.chance.mAP", 10**400, "does not fit 64 bits"),
        ("result.uses_identities", 0, "result.uses_identities: expected true or false, found 0"),
        ("result.folds", 1, "result.folds: expected a list, found 1"),
        ("result.folds", [1, "2"], "result.folds[1]: expected a whole number, found '2'"),
        ("result.folds", [], "result.folds: [] with result.trials 2: nothing would be scored"),
        ("result.folds", [1, 1], "result.folds: [1, 1] names a fold twice"),
        ("result.scores.1.trial", -5, "result.scores[1].trial: -5 is below 0"),
        ("result.config.method.eps", float("inf"), "Infinity is not a JSON number"),
        ("result.trials", 0, "result.trials 0: nothing would be scored"),
        ("result.trials", 1, "result.scores[1].trial: more than the 1 trials of fold 1"),
        ("result.chance.MAP", 0.1, "result.chance.MAP: unknown metric, did you mean mAP"),
        ("result.scores.1.metrics.mAP", "DELETE", "result.scores[1].metrics.mAP: missing"),
        ("result.scores.1.metrics.mAP", None, "result.scores[1].metrics.mAP: expected a number, found None"),
        ("result.scores.1.metrics.mAP", float("nan"), "NaN is not a JSON number"),
        ("result.scores.1.metrics.mAP", 51.3, "result.scores[1].metrics.mAP: 51.3 is not a fraction in [0, 1]"),
        ("result.scores.1.fold", 2, "result.scores[1].fold: 2 is not among result.folds [1]"),
        ("result.scores.1.trial", 0, "result.scores[1].trial: a second score of trial 0 of fold 1"),
        ("provenance.seconds", {"train": "long"}, "provenance.seconds.train: expected a number, found 'long'"),
        ("provenance.dirty", "DELETE", "provenance.dirty: missing"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, where: str, value: Any, message: str) -> None:
    content = copy.deepcopy(asdict(make_record()))
    change(content, where, value)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError) as caught:
        read_record(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"model": "x"}', "\xff", "[" * 100_000, '{"schema": "\\ud800"}'])
def test_not_a_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"other\.json: (not a readable record|schema)"):
        read_record(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json: not a readable record"):
        read_record(tmp_path / "none.json")


def test_an_invalid_record_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a fraction"):
        write_record(tmp_path / "record.json", make_record(means=[51.3]))
    assert not list(tmp_path.iterdir())


def test_headline_scores_leave_out_other_kinds() -> None:
    mine = make_score(0.4)
    others = [
        make_score(0.9, model="teacher"),
        make_score(0.9, selection="oracle"),
        make_score(0.9, shots=10),
        make_score(0.9, gallery="official"),
        make_score(0.9, feature="gem"),
    ]
    record = make_record(scores=[*others, mine], trials=1)
    assert record.scores() == [mine]
    assert record.scores(model="teacher") == [others[0]]
    assert record.scores(selection="oracle") == [others[1]]


def scored(done: list[tuple[int, int]]) -> list[Score]:
    return [make_score(0.5, fold=fold, trial=trial) for fold, trial in done]


def test_complete_only_with_every_trial_of_every_fold() -> None:
    all_trials = [(fold, trial) for fold in (1, 2) for trial in range(3)]
    whole = make_record(folds=[1, 2], trials=3, scores=scored(all_trials))
    assert whole.complete
    for left_out in all_trials:
        some = [pair for pair in all_trials if pair != left_out]
        part = make_record(folds=[1, 2], trials=3, scores=scored(some))
        assert not part.complete
        assert part.missing_trials == {left_out[0]: 1}
    oracle_only = [make_score(0.5, fold=f, trial=t, selection="oracle") for f, t in all_trials]
    assert make_record(folds=[1, 2], trials=3, scores=oracle_only).missing_trials == {1: 3, 2: 3}
