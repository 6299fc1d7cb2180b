"""Consistent records, and every contradiction that is found."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.records import consistent, make_record, with_metric
from tests.reports.fake_run import epoch_line
from usvi_bench.cli.main import main
from usvi_bench.components.encoder.registered import network_class
from usvi_bench.core.errors import DamagedFileError, UsageError
from usvi_bench.core.journal import Journal
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record, _parse_record, write_record
from usvi_bench.core.typed import convert
from usvi_bench.engine.start_weights import SHIPPED, check_disjoint
from usvi_bench.leaderboard.consistency import contradictions, faults
from usvi_bench.reports.runs import find_recorded_runs

Change = Callable[[Record], Record]


def result(**changes: Any) -> Change:
    return lambda record: replace(record, result=replace(record.result, **changes))


def data(**changes: Any) -> Change:
    return lambda record: replace(record, result=replace(record.result, dataset={**record.result.dataset, **changes}))


def place(**changes: Any) -> Change:
    return lambda record: replace(record, provenance={**record.provenance, **changes})


def headline(**changes: Any) -> Change:
    return lambda record: replace(record, result=replace(record.result, headline={**record.result.headline, **changes}))


def every_score(**changes: Any) -> Change:
    return lambda record: replace(
        record, result=replace(record.result, scores=[replace(score, **changes) for score in record.result.scores])
    )


def one_score(**changes: Any) -> Change:
    def change(record: Record) -> Record:
        first, *others = record.result.scores
        return replace(record, result=replace(record.result, scores=[replace(first, **changes), *others]))

    return change


def settings(group: str, **changes: Any) -> Change:
    def change(record: Record) -> Record:
        config = record.result.config
        return replace(record, result=replace(record.result, config={**config, group: config.get(group, {}) | changes}))

    return change


def people(**changes: Any) -> Change:
    return lambda record: data(synthetic={**(record.result.dataset["synthetic"] or {}), **changes})(record)


def make_people() -> dict[str, Any]:
    return consistent(make_record("sclhm")).result.dataset["synthetic"] or {}


def stages(**changes: Any) -> list[dict[str, Any]]:
    """Return the stages of a consistent record, with changed starts."""
    return [
        {**stage, "starts": [{**start, **changes} for start in stage["starts"]]}
        for stage in consistent(make_record("sclhm")).provenance["stages"]
    ]


def overrides(settings: dict[str, Any], schedule: str | None = None) -> Change:
    return place(overrides={"settings": settings, "schedule": schedule})


def plugin(twice: bool = False, **changes: Any) -> Change:
    entry = {"name": "mine.py", "sha256": "a" * 64, "origin": "import", "parts": [], **changes}
    return place(plugins=[entry] * (1 + twice))


def convert_record(record: Record) -> Record:
    """Return a record as it is read from a file."""
    parsed: Record = _parse_record(asdict(record), "record")
    return parsed


def rehashed(record: Record) -> Record:
    """Copy a record with the hash of its settings, as an attacker would."""
    return replace(record, result=replace(record.result, config_hash=record.expected_hash()))


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
        (place(journal={"length": -5, "chain": ""}), "provenance.journal: -5 bytes"),
        (place(journal={"length": 5, "chain": "x"}), "provenance.journal: 5 bytes and 'x'"),
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
        (score(mINP=1.0, mAP=0.0), "mAP 0 is below 0.625, the least for its CMC and mINP"),
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


SPEC = make_people()["spec"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        # kinds, folds and trials
        (result(scores=[]), "result.scores: fold 1 of teacher (last) is missing"),
        (headline(feature="raw"), "result.headline.feature: 'raw', but every run scores bn+flip"),
        (headline(shots=10), "result.headline.shots: 10, but the settings have 1"),
        (headline(gallery="official"), "result.headline.gallery: 'official', but the settings have 'seeded'"),
        (every_score(model="student"), "result.scores: fold 1 of teacher (last) is missing"),
        (every_score(model="oracle"), "result.scores: sclhm has no model 'oracle'"),
        (every_score(selection="oracle"), "selection 'oracle', but evaluate_every is 0"),
        (every_score(shots=10), "result.scores[0].shots: 10, but the headline has 1"),
        (every_score(fold=7), "result.scores: fold 7 of teacher (last) was not to be scored"),
        (result(folds=[7]), "result.folds: [7], but these images have [1]"),
        (one_score(trial=99), "fold 1 of teacher (last) has the trials 1, 2, 3, 4, 5, 6, 7, 8, 9, 99, not 10"),
        (one_score(trial=1), "fold 1 of teacher (last) has the trials 1, 1, 2, 3"),
        (result(trials=10**12), "has the trials 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, not 1000000000000"),
        (result(trials=3), "has the trials 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, not 3"),
        (settings("data", folds=[2]), "result.config.data.folds: [2], but the data set has [1]"),
        (settings("protocol", gallery="official"), "'official', but synthetic people have seeded galleries only"),
        # metrics
        (score(R1=0.0, mAP=1.0, mINP=1.0), "the most for its CMC"),
        (score(R1=0.0, R5=0.0, R10=0.0, R20=0.0), "the most for its CMC"),
        (score(mAP=0.001, mINP=0.0), "the least for its CMC and mINP"),
        (score(R1=0.1234567), "Rank-k of fold 1 are not shares of"),
        (score(mine=0.5), "result.scores[0].metrics: unknown metric 'mine', and no plug-in of the record has it"),
        (score(mAP=float("nan")), "a value is not between 0 and 1"),
        # chance
        (result(chance=dict.fromkeys(METRICS, 0.0)), "result.chance.R1: 0.0, but these people have 0.1"),
        (result(chance=dict.fromkeys(METRICS, 0.9)), "result.chance.R1: 0.9, but these people have 0.1"),
        # seed and configuration
        (result(seed=-1), "result.seed: -1 is negative"),
        (result(seed=7), "provenance.stages: the keys are not those of these settings, data, folds, seed"),
        (settings("train", lr=0.5), "provenance.stages: the keys are not those"),
        (settings("train", epochs=1), "provenance.stages: the keys are not those"),
        (settings("train", lr="0.002"), "result.config.train.lr: '0.002', which a run writes as 0.002"),
        (settings("train", epochs=0), "result.config: train.epochs=0 must be from 1 to 100,000"),
        (settings("train", epoch=3), "result.config: unknown setting 'train.epoch'"),
        (settings("train", instances=8), "provenance.global_batch: 64, but the settings have 128"),
        (settings("encoder", bn_groups=2), "provenance.batch_norm: 'groups=1', but the settings have groups=2"),
        (settings("protocol", shots=10), "result.headline.shots: 1, but the settings have 10"),
        (settings("extra", seed=9), "result.config.extra: not a group of settings"),
        (settings("method", eps=5.0), "result.config: method.eps=5.0"),
        (result(setting="schedules"), "result.setting: 'schedules' is not a setting of synthetic_sysu"),
        (result(setting="mine"), "result.setting: 'mine' is not a setting of synthetic_sysu"),
        # data
        (data(description="SYSU-MM01, the published images"), "but the data are 'synthetic people in the layout of"),
        (data(name="mine"), "result.dataset.name: unknown data set 'mine'"),
        (people(images=9), "result.dataset.synthetic.images: 9, but these people have"),
        (people(bytes="0"), "result.dataset.synthetic.bytes: '0' is not a SHA-256"),
        (people(bytes="b" * 64), "result.dataset.synthetic.bytes: other images than everywhere else"),
        (people(layout="regdb"), "result.dataset.synthetic.layout: 'regdb', but the data set is sysu"),
        (people(generator_version=99), "result.dataset.synthetic.generator_version: 99 is not a version"),
        (people(spec={**SPEC, "pose": 2.0}), "synthetic: pose=2.0 is out of range"),
        (people(spec={**SPEC, "poses": 1.0}), "result.dataset.synthetic.spec: not a specification of people"),
        (people(spec={**SPEC, "seed": "0"}), "result.dataset.synthetic.spec:"),
        (people(spec={**SPEC, "size": "small"}), "result.chance.R1:"),
        (people(more=1), "result.dataset.synthetic: has the entries"),
        (result(protocol="mine"), "result.protocol: unknown protocol 'mine', and no plug-in of the record has it"),
        # weights
        (result(start_weights={"source": "random", "sha256": "0" * 64}), "result.start_weights: random with the hash"),
        (result(start_weights={"source": "x", "sha256": None}), "result.start_weights: x with the hash None"),
        (result(start_weights={"source": "x", "sha256": "19c8e357"}), "'19c8e357' is not a SHA-256"),
        (
            result(start_weights={"source": "resnet50.pth", "sha256": "19c8e357" + "0" * 56}),
            "is a file of resnet50, but the encoder is small",
        ),
        # provenance
        (place(finished="2026-01-01T00:00:00+00:00", stages=stages(started="2026-01-01T02:00:00+00:00")), "is before"),
        (place(stages=stages(started="2019-01-01T00:00:00+00:00")), "has no possible dates of its starts"),
        (place(stages=stages(dirty=True)), "provenance.dirty: false, but a stage started from a tree"),
        (place(stages=[]), "provenance.stages: no stage, but sclhm has cluster_contrast on fold 1, sclhm on fold 1"),
        (place(commit=None), "provenance.dirty: false, but the commit is unknown"),
        (place(seconds=dict.fromkeys(("embed", "cluster", "train", "evaluate"), 5e4)), "passed since the first start"),
        (place(seconds={"evaluate": 1.0}), "provenance.seconds: has the phases evaluate, not cluster, embed"),
        (place(seconds=dict.fromkeys(("embed", "cluster", "train", "evaluate"), 0.0)), "a phase took no time"),
        (place(seconds=dict.fromkeys(("embed", "cluster", "train", "evaluate", "x"), 1.0)), "has the phases"),
        (place(global_batch=96), "provenance.global_batch: 96, but the settings have 64"),
        (place(batch_norm="per_gpu"), "provenance.batch_norm: 'per_gpu', but the settings have groups=1"),
        (place(environment={}), "provenance.environment.python: missing"),
        (place(cpu=" "), "provenance.cpu: empty"),
        (place(peak_memory_mib=-5.0), "provenance.peak_memory_mib: -5.0 is not positive"),
        (place(environment={**dict.fromkeys(("python", "system", "torch"), "1"), "numpy": "../x"}), "is not a version"),
        (place(stages=stages(commit="HEAD")), "provenance.stages[0].starts: commit: 'HEAD' is not a commit"),
        (place(stages=stages(threads=0)), "provenance.stages[0].starts: threads: 0 is not positive"),
        (settings("encoder", name="mine"), "result.config.encoder.name: unknown encoder 'mine', and no plug-in"),
        (settings("train", lr_schedule="mine"), "unknown learning-rate schedule 'mine', and no plug-in"),
        (headline(more=1), "result.headline.more: unknown field"),
        (data(more=1), "result.dataset.more: unknown field"),
        (people(spec=None), "result.dataset.synthetic.spec: not a specification of people"),
        (result(start_weights={"source": "../x", "sha256": None}), "'../x' is not the name of a file"),
        (overrides({"train.lr": "0.5"}), "provenance.overrides.settings.train.lr: '0.5', but the run had 0.002"),
        (overrides({"engine.threads": "9"}), "provenance.overrides.settings.engine.threads: '9', but the run had 2"),
        (overrides({"train.none": 1}), "provenance.overrides.settings.train.none: not a setting of the run"),
        (overrides({}, schedule="../x"), "provenance.overrides.schedule: '../x' is not a schedule"),
        # plug-ins
        (plugin(sha256="1f6a"), "provenance.plugins[0].sha256: '1f6a' is not a SHA-256"),
        (plugin(sha256=None), "provenance.plugins[0].sha256: missing"),
        (plugin(name="../mine.py"), "provenance.plugins[0].name: '../mine.py' is neither"),
        (plugin(parts=["method sclhm"]), "provenance.plugins[0].parts: the method sclhm belongs to the suite"),
        (plugin(parts=["model x"]), "provenance.plugins[0].parts: 'model x' is not a kind and a name"),
        (plugin(parts=["method x", "method x"]), "provenance.plugins[0].parts: a part is named twice"),
        (plugin(twice=True), "provenance.plugins[1]: a second entry of 'mine.py'"),
    ],
)
def test_every_derived_field_is_checked(change: Change, fault: str) -> None:
    found = faults(rehashed(change(consistent(make_record("sclhm")))))
    assert [line for line in found if fault in line], found


FREE = {"scores", "source", "check_counts"}
"""Entries of a result of synthetic people that nothing else in the record implies to the last digit."""


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the path and the value of every leaf of plain data."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield from leaves(value, (*path, key))
    if not isinstance(tree, (dict, list)):
        yield path, tree


def test_every_leaf_of_a_result_is_implied_by_others() -> None:
    """An attacker changes one value, and computes digest and hash again."""
    record = consistent(make_record("sclhm"))
    tried = set()
    for path, value in leaves(asdict(record.result)):
        if FREE & set(path) or path == ("config_hash",):
            continue
        content = asdict(record)
        place = content["result"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = {bool: not value, int: 7, float: 0.123, str: f"{value}x"}.get(type(value), "x")
        try:
            changed: Record = convert(Record, content, "")
            found = faults(rehashed(changed))
        except (ValueError, UsageError):
            found = ["refused on reading"]
        assert found, path
        tried.add(path)
    assert len(tried) > 80


@pytest.mark.parametrize(
    "change",
    [
        overrides({"train.lr": "0.002", "engine.threads": 2, "method.amu": "True", "data.folds": ""}, "quick"),
        overrides({"method.sscl_on": "visible,infrared,hybrid", "method.warmup_epochs": "none", "encoder.bn": "sync"}),
        plugin(),
        plugin(parts=["encoder mine", "metric R15"]),
        place(stages=stages(more=1)),
    ],
)
def test_what_runs_write_is_accepted(change: Change) -> None:
    assert faults(change(consistent(make_record("sclhm")))) == []


@pytest.mark.parametrize("real", [False, True])
def test_copies_of_one_trial_are_found(real: bool) -> None:
    record = consistent(make_record("sclhm", real=real))
    metrics = record.result.scores[0].metrics
    assert faults(record) == []
    (fault,) = faults(every_score(metrics=metrics)(record))
    assert fault.startswith("result.scores: all 10 trials of teacher (last) are equal in every digit, but they have 10")
    assert faults(every_score(metrics=dict.fromkeys(metrics, 1.0))(record)) == []


def test_a_plugin_that_is_not_used_does_not_excuse_other_keys() -> None:
    record = plugin(parts=["metric R15"])(consistent(make_record("sclhm")))
    (fault,) = faults(result(seed=7)(record))
    assert fault.startswith("provenance.stages: the keys are not those of these settings")


def test_a_real_data_set_is_held_to_its_published_counts() -> None:
    record = consistent(make_record("hil", real=True))
    assert faults(record) == []
    chance = result(chance=dict.fromkeys(METRICS, 0.5))(record)
    assert "result.chance.R1: 0.5 is too high for the published test set" in faults(chance)
    odd = every_score(metrics={**record.scores()[0].metrics, "R1": 0.1234567})(record)
    assert "result.scores: Rank-k of fold 1 are not shares of at most 3803 queries" in faults(odd)
    unchecked = settings("data", check_counts=False)(record)
    assert [line for line in faults(unchecked) if "not checked against the published counts" in line]


def test_contradictions_between_records_are_found() -> None:
    one, two = (consistent(make_record("hil", seed)) for seed in (0, 1))
    assert list(contradictions({"a": one, "b": two})) == []
    copied = result(seed=5)(one)
    assert list(contradictions({"a": one, "b": copied})) == [
        "b: result.scores: equal to those of a in every digit",
    ]
    reversed_copy = result(seed=5, scores=one.result.scores[::-1])(one)
    assert list(contradictions({"a": one, "b": reversed_copy})) == [
        "b: result.scores: equal to those of a in every digit",
    ]
    other = data(fingerprint="synthetic-" + "0" * 16)(two)
    assert list(contradictions({"a": one, "b": other})) == [
        "b: result.dataset.fingerprint: a has another one for the same people"
    ]
    assert "b: result.dataset.synthetic: a has other people with the same fingerprint" in list(
        contradictions({"a": one, "b": people(images=9)(two)})
    )
    assert "b: result.chance: a has another one for the same galleries" in list(
        contradictions({"a": one, "b": result(chance=dict.fromkeys(METRICS, 0.2))(two)})
    )
    bounds = [consistent(make_record("untrained", seed)) for seed in (0, 1)]
    assert list(contradictions(dict(zip("ab", bounds, strict=True)))) == []


@pytest.mark.parametrize(("change", "wrong"), [(1.0, False), (0.9, True)])
def test_the_best_epoch_does_not_score_below_the_last_one(change: float, wrong: bool) -> None:
    record = consistent(make_record("sclhm"))
    best = [replace(score, selection="oracle") for score in record.result.scores]
    scores = [with_metric(score, mAP=score.metrics["mAP"] * change) for score in best]
    found = faults(result(scores=[*record.result.scores, *scores])(record))
    assert any(line.startswith("result.scores: teacher (oracle) has mAP") for line in found) == wrong


@pytest.mark.parametrize("every", [None, False, -1, 1.5, "1"])
def test_evaluate_every_has_one_spelling(every: object) -> None:
    record = consistent(make_record("sclhm"))
    odd = rehashed(result(config={**record.result.config, "evaluate_every": every})(record))
    assert [line for line in faults(odd) if "evaluate_every=" in line]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *((settings("data", folds=folds), "config.data.folds: expected a list of") for folds in (1, "1", ["a", 1], {})),
        (settings("encoder", name=["small"]), "config.encoder.name: expected text"),
        (people(layout=["a"]), "dataset.synthetic.layout: expected text"),
    ],
)
def test_values_of_another_type_are_refused_when_a_record_is_read(change: Change, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        convert_record(change(consistent(make_record("sclhm"))))


def test_a_real_record_has_the_published_folds() -> None:
    record = result(folds=[1, 2])(consistent(make_record("hil", real=True)))
    assert "result.folds: [1, 2], but these images have [1]" in faults(record)
    unchecked = settings("data", check_counts=False)(record)
    assert not [line for line in faults(unchecked) if line.startswith("result.folds")]


def test_a_record_of_an_earlier_version_of_the_generator_has_its_folds() -> None:
    record = consistent(make_record("hil"))
    note = {**record.result.dataset["synthetic"], "generator_version": 1}  # type: ignore[dict-item]
    older = result(dataset={**record.result.dataset, "synthetic": note}, folds=[1, 2])(record)
    assert "result.folds: [1, 2], but these images have [1]" in faults(older)


def test_a_record_of_one_fold_is_consistent_and_incomplete() -> None:
    """The folds of the settings are those that have scores."""
    record = consistent(make_record("hil", real=True))
    regdb = result(folds=[1, 2])(settings("data", folds=[1])(record))
    assert not [line for line in faults(regdb) if "result.scores: fold" in line]
    assert not regdb.complete


def public_digits(encoder: str) -> tuple[str, ...]:
    file = network_class(encoder).public_file
    assert file is not None
    return file.digits


@pytest.mark.parametrize(
    ("encoder", "digits"),
    [
        *((encoder, digits) for encoder in ("resnet50", "vit_s16", "vit_b16") for digits in public_digits(encoder)),
        ("resnet50", "11ad3fa6"),
    ],
)
def test_a_public_file_of_weights_is_known_for_its_encoder(encoder: str, digits: str) -> None:
    weights = {"source": f"{encoder}-{digits}.pth", "sha256": digits + "0" * 56}
    record = settings("encoder", name=encoder)(result(start_weights=weights)(consistent(make_record())))
    assert not [line for line in faults(record) if "start_weights" in line]
    other = settings("encoder", name="small")(record)
    assert [line for line in faults(other) if f"is a file of {encoder}, but the encoder is small" in line]


def test_shipped_weights_fit_their_encoder_and_other_people() -> None:
    note = json.loads((SHIPPED / "small16.json").read_text())
    record = result(start_weights={"source": "renamed.safetensors", "sha256": note["sha256"]})(
        consistent(make_record())
    )
    assert not [line for line in faults(record) if "start_weights" in line]
    narrow = settings("encoder", width=8)(record)
    assert "result.start_weights: small16.safetensors does not fit the encoder small8" in faults(narrow)
    seen = people(spec={**SPEC, "seed": 9000})(record)
    assert [line for line in faults(seen) if "was trained on synthetic people of seed 9000" in line]


def test_a_setting_of_papers_belongs_to_the_methods_that_have_one() -> None:
    record = result(setting="paper")(consistent(make_record("untrained")))
    assert "result.setting: untrained has no paper setting for synthetic_sysu" in faults(record)


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


def test_the_command_compares_the_journal_with_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = dict.fromkeys(("embed", "cluster", "train"), 15.0)
    journal = Journal(tmp_path / "journal.jsonl")
    journal.replace([epoch_line(i, seconds=times) for i in range(2)])
    record = place(journal=journal.mark._asdict())(consistent(make_record()))
    write_record(tmp_path / "record.json", record)
    assert main(["check", str(tmp_path)]) == 0
    journal.append(epoch_line(2, seconds=times))
    with pytest.raises(SystemExit):
        main(["check", str(tmp_path)])
    assert "provenance.journal: " in capsys.readouterr().out
    longer = place(journal=journal.mark._asdict())(record)
    write_record(tmp_path / "record.json", longer)
    with pytest.raises(SystemExit):
        main(["check", str(tmp_path)])
    assert "provenance.seconds.train: 30.0, but the epochs of the journal took 45.0" in capsys.readouterr().out
    (run,) = find_recorded_runs([tmp_path])
    assert len(run.journal) == 3
    write_record(tmp_path / "record.json", record)
    (run,) = find_recorded_runs([tmp_path])
    with pytest.raises(DamagedFileError, match="has lines that its run did not write"):
        _ = run.journal


def test_a_journal_without_times_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.replace([{"kind": "epoch"}])
    write_record(tmp_path / "record.json", place(journal=journal.mark._asdict())(consistent(make_record())))
    with pytest.raises(SystemExit):
        main(["check", str(tmp_path)])
    assert "provenance.journal: " in capsys.readouterr().out


def test_the_file_of_a_plugin_may_have_a_space_in_its_name() -> None:
    record = plugin(name="my method.py", parts=["method x"])(consistent(make_record("sclhm")))
    assert not [line for line in faults(record) if "plugins[0].name" in line]


@pytest.mark.parametrize("field", ["folds", "config.data.folds"])
def test_many_folds_are_refused_at_once(field: str) -> None:
    change = result(folds=[*range(1, 102)]) if field == "folds" else settings("data", folds=[*range(1, 102)])
    with pytest.raises(UsageError, match=rf"result\.{field}: 101 folds are more than 100"):
        convert_record(change(consistent(make_record("sclhm"))))


def test_the_command_prints_one_line_for_a_fault_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, change in {
        "a": result(method="x\nrecord.json: consistent"),
        "b\x1b[2J": result(setting="x" * 3000),
        "c": overrides({}, "x" * 3000),
    }.items():
        write_record(tmp_path / f"{name}.json", change(consistent(make_record("sclhm"))))
    with pytest.raises(SystemExit):
        main(["check", *map(str, sorted(tmp_path.iterdir()))])
    lines = capsys.readouterr().out.splitlines()
    assert sum(not line.startswith("  ") for line in lines) == 3
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("errors", ["strict", "closed"])
def test_the_command_prints_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: str) -> None:
    path = tmp_path / os.fsdecode(b"\xe9.json")
    write_record(path, consistent(make_record("sclhm")))
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict")
    monkeypatch.setattr(sys, "stdout", out if errors == "strict" else None)
    assert main(["check", str(path)]) == 0
    if errors == "strict":
        assert out.buffer.getvalue().endswith(b"\\udce9.json: consistent\n")  # type: ignore[attr-defined]


def test_a_wrong_note_of_weights_is_named(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    for note in ({}, {"recipe": []}, {"recipe": {"people": 5}}, {"recipe": {"people": [5]}}):
        weights.with_suffix(".json").write_text(json.dumps({"sha256": "a" * 64, **note}))
        with pytest.raises(UsageError, match=r"w\.json: not the note of w\.safetensors .*; remove it"):
            check_disjoint(weights, "a" * 64, {"spec": {"seed": 0}})
