"""Open-set section of the report of a run, and the report of a features file."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.reports.fake_run import make_features, make_run, make_split
from usvi_bench.cli.openset import main
from usvi_bench.core.errors import UsageError
from usvi_bench.engine.feature_file import FeatureFile, write_features
from usvi_bench.protocols.folder import EVERY_CAMERA, OTHER_CAMERAS
from usvi_bench.protocols.open_set import Pairs
from usvi_bench.protocols.rules import regdb_masks, sysu_masks
from usvi_bench.reports import open_set_section
from usvi_bench.reports.open_set import open_set
from usvi_bench.reports.page import Report
from usvi_bench.reports.run_files import read_regular_record
from usvi_bench.reports.runs import RecordedRun


def empty_report() -> Report:
    return Report("run", "a run", [], False, "")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    folder = make_run(tmp_path_factory.mktemp("open"), pictures=False)
    return RecordedRun("run", read_regular_record(folder / "record.json"), folder)


def test_a_run_is_reported_from_its_features_under_its_rule(run: RecordedRun) -> None:
    report = empty_report()
    open_set_section.add_open_set(run, report)
    saved = run.evaluation
    assert saved is not None
    assert saved.features is not None
    first, second = (part.astype(np.float64) for part in saved.features)
    masks = sysu_masks(saved.query.identities, saved.gallery.identities, saved.query.cameras, saved.gallery.cameras)
    pairs = Pairs(first @ second.T, masks.positives, ~masks.ignored)
    expected = open_set(pairs, saved.query.identities, saved.gallery.identities)
    content = report.data["open_set"]
    assert content["genuine"] == expected.genuine
    assert content["verification"][0]["values"] == dict(expected.verification[0].values)
    (section,) = report.sections
    queries = section.tables[1]
    assert queries.rows[0].cells[3].value == 100 * expected.identification[0].values["DIR"][0]
    assert queries.rows[2].cells[3].text == "-"


def test_the_rule_of_own_images_is_that_of_the_record(run: RecordedRun) -> None:
    """Gallery images of the query's person and camera are left out only if the gallery of the record does so."""
    saved, result, genuine = run.evaluation, run.record.result, []
    assert saved is not None
    gallery = replace(saved.gallery, cameras=np.full(len(saved.gallery), saved.query.cameras[0]))
    for kind in (EVERY_CAMERA, OTHER_CAMERAS):
        own = replace(result, protocol="folder_i2v", headline={**result.headline, "gallery": kind})
        other = RecordedRun("run", replace(run.record, result=own), run.folder)
        other.__dict__["evaluation"] = replace(saved, gallery=gallery)
        report = empty_report()
        open_set_section.add_open_set(other, report)
        genuine.append(report.data["open_set"]["genuine"])
    same = saved.query.identities[:, None] == saved.gallery.identities
    ignored = same & (saved.query.cameras[:, None] == gallery.cameras)
    assert genuine == [same.sum(), (same & ~ignored).sum()]
    assert ignored.any()


def test_images_of_unknown_people_are_left_out(run: RecordedRun) -> None:
    saved = run.evaluation
    assert saved is not None
    assert saved.features is not None
    people = [table.identities.copy() for table in (saved.query, saved.gallery)]
    for part in people:
        part[::3] = -1
    masks = regdb_masks(*people, *people)
    found = open_set_section.feature_open_set(saved.features, masks, (people[0], people[1]))
    known = [np.flatnonzero(part >= 0) for part in people]
    rest = [part[rows] for part, rows in zip(people, known, strict=True)]
    features = [part[rows] for part, rows in zip(saved.features, known, strict=True)]
    masks = regdb_masks(*rest, *rest)
    expected = open_set_section.feature_open_set((features[0], features[1]), masks, (rest[0], rest[1]))
    assert found.queries == len(rest[0]) < len(people[0])
    assert (found.impostors, found.verification) == (expected.impostors, expected.verification)


def test_a_run_without_features_and_an_unknown_protocol_have_a_note(run: RecordedRun) -> None:
    saved, result = run.evaluation, run.record.result
    assert saved is not None
    for changed, features, words in (
        (result, None, "score it again"),
        (replace(result, protocol="mine"), saved.features, "plug-in"),
    ):
        other = RecordedRun("run", replace(run.record, result=changed), run.folder)
        other.__dict__["evaluation"] = replace(saved, features=features)
        report = empty_report()
        open_set_section.add_open_set(other, report)
        assert not report.sections
        assert words in report.notes[0]


def write_file(path: Path, **changes: object) -> Path:
    split = make_split(path.parent / "data")
    tables = (split.visible, split.infrared)
    content = FeatureFile(
        features=np.concatenate([make_features(table, 1.0, 1) for table in tables]),
        paths=sum((table.paths for table in tables), ()),
        modality=np.repeat(np.uint8([0, 1]), [len(table) for table in tables]),
        cameras=np.concatenate([table.cameras for table in tables]),
        identities=np.concatenate([table.identities for table in tables]),
        about={"schema": 1, "feature": "bn+flip", "similarity": "dot"},
    )
    write_features(path, replace(content, **changes))
    return path


def test_a_features_file_has_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, output = write_file(tmp_path / "f.npz"), tmp_path / "out"
    main([str(file), "--output", str(output)])
    assert capsys.readouterr().out.strip() == str(output / "report.md")
    found = json.loads((output / "report.json").read_text())["data"]["open_set"]
    assert (found["queries"], found["people"], found["genuine"]) == (88, 22, 88 * 4)
    rows = list(csv.DictReader((output / "open_set_pairs.csv").open()))
    assert float(rows[1]["TAR"]) == pytest.approx(100 * found["verification"][1]["values"]["TAR"][0], rel=1e-4)


def test_wrong_options_and_files_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    output = tmp_path / "out"
    unknown = np.full(176, -1, np.int64)
    nobody = write_file(tmp_path / "nobody.npz", identities=unknown)
    nowhere = write_file(tmp_path / "nowhere.npz", cameras=unknown)
    one = write_file(tmp_path / "one.npz", identities=np.zeros(176, np.int64))
    for file, options, words in (
        (nobody, [], "no query image has an identity"),
        (nowhere, ["--rule", "sysu"], "without a camera"),
        (one, [], "of two people"),
        (one, ["--rule", "sisu"], "sysu"),
        (one, ["--query", "thermal"], "infrared"),
    ):
        with pytest.raises(UsageError, match=words):
            main([str(file), "--output", str(output), *options])
    assert not output.exists()


def test_a_file_in_the_place_of_the_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="out is a file, not a folder; choose another --output"):
        main([str(tmp_path / "absent.npz"), "--output", str(tmp_path / "out")])
