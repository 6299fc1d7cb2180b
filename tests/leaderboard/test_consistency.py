"""Consistent records, and every contradiction that is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.records import consistent, make_record, with_metric
from usvi_bench.cli.main import main
from usvi_bench.core.record import Record, write_record
from usvi_bench.leaderboard.consistency import faults

Change = Callable[[Record], Record]


def result(**changes: Any) -> Change:
    return lambda record: replace(record, result=replace(record.result, **changes))


def data(**changes: Any) -> Change:
    return lambda record: replace(record, result=replace(record.result, dataset={**record.result.dataset, **changes}))


def place(**changes: Any) -> Change:
    return lambda record: replace(record, provenance={**record.provenance, **changes})


def score(**metrics: float) -> Change:
    def change(record: Record) -> Record:
        first, *others = record.result.scores
        return replace(record, result=replace(record.result, scores=[with_metric(first, **metrics), *others]))

    return change


def test_a_record_of_a_run_is_consistent() -> None:
    for method in ("sclhm", "supervised", "untrained"):
        assert faults(consistent(make_record(method))) == []
    assert faults(consistent(make_record("hil", real=True))) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (result(method="../sclhm"), "'../sclhm' is not a valid name"),
        (result(setting="a b"), "result.setting: 'a b'"),
        (result(config_hash="0" * 64), "result.config_hash: not the hash"),
        (result(uses_identities=True), "result.uses_identities: True, but sclhm has False"),
        (result(method="supervised", uses_identities=False), "result.uses_identities: False, but supervised has True"),
        (result(headline={**make_record().result.headline, "model": "student"}), "but sclhm has teacher"),
        (
            result(headline={**make_record().result.headline, "model": "teacher", "selection": "oracle"}),
            "result.headline.selection: oracle; a headline is scored after the last epoch",
        ),
        (data(synthetic=None), "is not the form of real images"),
        (data(fingerprint="f" * 16), "is not the form of synthetic images"),
        (data(fingerprint=""), "is not the form of synthetic images"),
        (data(knobs={"pose": 1.0}), "result.dataset.knobs: {'pose': 1.0}, but the generated people have {}"),
        (
            data(synthetic={"generator_version": 4, "spec": {"pose": 0.5}}),
            "result.dataset.knobs: {}, but the generated people have {'pose': 0.5}",
        ),
        (data(name="regdb"), "result.dataset.name: regdb, but sysu_all scores sysu"),
        (result(trials=1), "result.trials: 1, but sysu_all has 10"),
        (result(start_weights={"source": "x", "sha256": "0" * 64}), "neither a file of this suite nor a public file"),
        (score(R1=0.9), "result.scores[0].metrics: R1, R5, R10, R20 do not increase"),
        (result(chance={"R1": 0.1}), "result.chance: R5 is missing"),
        (
            result(chance={**dict.fromkeys(("R1", "R5", "R10", "R20", "mINP"), 0.1), "mAP": 1.1}),
            "result.chance: a value is not between 0 and 1",
        ),
        (score(mINP=1.0, mAP=0.0), "mINP of teacher (last) is above its mAP"),
        (place(finished="2099-01-01T00:00:00+00:00"), "is not a possible date"),
        (place(finished="2019-01-01T00:00:00+00:00"), "is not a possible date"),
        (place(finished="2026-05-05T00:00:00"), "is not a possible date"),
        (place(finished="yesterday"), "'yesterday' is not a possible date"),
        (place(seconds={"train": -1.0}), "provenance.seconds.train: -1.0 is not a duration"),
        (place(seconds={"train": float("inf")}), "provenance.seconds.train: inf is not a duration"),
        (place(threads=0), "provenance.threads: 0 is not positive"),
        (place(commit="HEAD"), "provenance.commit: 'HEAD' is not a commit"),
        (place(ablation="x: y"), "belongs to an ablation (x: y)"),
        (result(method="mine"), "unknown method 'mine', and the record lists no plug-in"),
    ],
)
def test_every_contradiction_is_found(change: Change, fault: str) -> None:
    found = faults(change(consistent(make_record("sclhm"))))
    assert [line for line in found if fault in line], found


def test_a_public_file_of_weights_is_known() -> None:
    weights = {"source": "resnet50-19c8e357.pth", "sha256": "19c8e357" + "0" * 56}
    assert not [line for line in faults(result(start_weights=weights)(consistent(make_record()))) if "weights" in line]


def test_the_command_checks_files_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(tmp_path / "run" / "record.json", consistent(make_record()))
    assert main(["check", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run' / 'record.json'}: consistent\n"
    (tmp_path / "cut.json").write_text((tmp_path / "run" / "record.json").read_text()[:-40])
    record = consistent(make_record("hil"))
    write_record(tmp_path / "bad.json", result(trials=1, scores=record.result.scores[:1])(record))
    with pytest.raises(SystemExit) as stop:
        main(["check", str(tmp_path / "bad.json"), str(tmp_path / "cut.json")])
    assert stop.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tmp_path / 'bad.json'}: 1 fault"
    assert lines[1] == "  result.trials: 1, but sysu_all has 10"
    assert lines[2] == f"{tmp_path / 'cut.json'}: 1 fault"
    assert lines[3].startswith("  not a readable record (")
    assert main(["check", str(tmp_path / "none.json")]) == 2
    assert "no such file; give a record.json or the folder of a run" in capsys.readouterr().err
