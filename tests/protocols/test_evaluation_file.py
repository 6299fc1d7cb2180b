"""Evaluation file: it restores the ranking of the protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.fake_run import EACH, make_features, make_ranking, make_split
from usvi_bench.core.errors import DamagedFileError
from usvi_bench.core.sealed import write_sealed
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.evaluation_file import (
    DEPTH,
    IDENTITIES,
    IMAGES,
    SavedEvaluation,
    load_evaluation,
    sample_rows,
    save_evaluation,
)
from usvi_bench.protocols.meeting import Meeting
from usvi_bench.protocols.query_file import load_query_scores, save_query_scores

LABELS = st.lists(st.integers(0, 30), max_size=60).map(lambda values: np.array(values, dtype=np.int64))


def save(tmp_path: Path, gallery: np.ndarray, before: bool = True) -> SavedEvaluation:
    split = make_split(tmp_path)
    features = [make_features(table, 0.3, 1) for table in (split.visible, split.infrared)]
    start = {"before": [-part for part in features]} if before else {}
    save_evaluation(
        tmp_path / "evaluation.npz", make_ranking(split, gallery), split, "infrared", after=features, **start
    )
    return load_evaluation(tmp_path / "evaluation.npz")


def test_ranked_lists_point_at_the_same_images(tmp_path: Path) -> None:
    gallery = np.array([80, 3, 41, 0, 12, 77, 30, 5, 9, 60, 61, 62])  # in no order
    saved, split = save(tmp_path, gallery), make_split(tmp_path)
    ranking = make_ranking(split, gallery)
    assert saved.query.modality == "infrared"
    assert saved.gallery.modality == "visible"
    assert saved.query.paths == split.infrared.paths
    assert saved.gallery.paths == tuple(split.visible.paths[row] for row in gallery)
    assert saved.order.shape == (len(split.infrared), DEPTH)
    for query in range(0, len(split.infrared), 7):
        for rank in range(DEPTH):
            row, column = ranking.order[query, rank], saved.order[query, rank]
            assert saved.gallery.paths[column] == split.visible.paths[row]
            assert saved.gallery.identities[column] == split.visible.identities[row]
            assert saved.gallery.cameras[column] == split.visible.cameras[row]
            assert saved.scores[query, rank] == ranking.scores[query, rank]
            same = split.visible.identities[row] == split.infrared.identities[query]
            assert saved.matches[query, rank] == same
    np.testing.assert_array_equal(saved.average_precision, ranking.average_precision)


def test_boxes_follow_their_images(tmp_path: Path) -> None:
    split, gallery = make_split(tmp_path), np.array([80, 3, 41])
    boxes = np.arange(4 * len(split.visible), dtype=np.int32).reshape(-1, 4)
    split = replace(split, visible=replace(split.visible, boxes=boxes))
    features = [make_features(table, 0.3, 1) for table in (split.visible, split.infrared)]
    save_evaluation(tmp_path / "e.npz", make_ranking(split, gallery), split, "infrared", after=features)
    saved = load_evaluation(tmp_path / "e.npz")
    assert saved.query.boxes is None
    assert saved.gallery.boxes is not None
    assert saved.gallery.boxes.tolist() == boxes[gallery].tolist()
    rows, _ = sample_rows(split.visible.identities, split.infrared.identities)
    sample = saved.sample.people(2)
    assert sample.boxes is not None
    count = int((~sample.infrared).sum())
    assert sample.boxes[~sample.infrared].tolist() == boxes[rows[:count]].tolist()
    assert (sample.boxes[sample.infrared] == -1).all()


def test_short_lists_stay_short(tmp_path: Path) -> None:
    saved = save(tmp_path, np.array([4, 0, 8]))
    assert (saved.order[:, 3:] == -1).all()
    assert (saved.order[:, :3] >= 0).all()
    assert np.isnan(saved.scores[:, 3:]).all()
    assert not saved.matches[:, 3:].any()


def test_visible_queries(tmp_path: Path) -> None:
    split = make_split(tmp_path)
    turned = replace(split, visible=split.infrared, infrared=split.visible)
    ranking = make_ranking(split, np.arange(10))
    features = [make_features(table, 0.3, 1) for table in (split.infrared, split.visible)]
    save_evaluation(tmp_path / "evaluation.npz", ranking, turned, "visible", after=features)
    saved = load_evaluation(tmp_path / "evaluation.npz")
    assert saved.query.paths == turned.visible.paths
    assert saved.gallery.paths == turned.infrared.paths[:10]
    assert saved.sample.before is None


def test_the_sample_holds_the_features_of_its_images(tmp_path: Path) -> None:
    sample = save(tmp_path, np.arange(10)).sample
    split = make_split(tmp_path)
    rows = sample_rows(split.visible.identities, split.infrared.identities)
    for infrared, (table, chosen) in enumerate(zip((split.visible, split.infrared), rows, strict=True)):
        here = sample.infrared == bool(infrared)
        np.testing.assert_array_equal(sample.identities[here], table.identities[chosen])
        np.testing.assert_array_equal(sample.cameras[here], table.cameras[chosen])
        assert [sample.paths[row] for row in np.flatnonzero(here)] == [table.paths[row] for row in chosen]
        np.testing.assert_allclose(sample.features[here], make_features(table, 0.3, 1)[chosen], atol=1e-3)
    assert sample.before is not None
    np.testing.assert_allclose(sample.before, -sample.features, atol=1e-3)
    few = sample.people(3)
    assert set(few.identities.tolist()) == {0, 1, 2}
    assert len(few.paths) == len(few.cameras) == len(few.features) == 3 * 2 * EACH
    assert {path.split("/")[1] for path in few.paths} == {"0000", "0001", "0002"}


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    save(tmp_path, np.arange(10))
    first = (tmp_path / "evaluation.npz").read_bytes()
    save(tmp_path, np.arange(10))
    assert (tmp_path / "evaluation.npz").read_bytes() == first
    assert {path.name for path in tmp_path.iterdir()} == {"evaluation.npz", "synthetic.json"}


@given(LABELS, LABELS)
def test_sample_rule(visible: np.ndarray, infrared: np.ndarray) -> None:
    chosen: list[int] = []
    for person in range(31):
        if person in visible.tolist() and person in infrared.tolist() and len(chosen) < IDENTITIES:
            chosen.append(person)
    for labels, rows in zip((visible, infrared), sample_rows(visible, infrared), strict=True):
        naive = []
        for person in chosen:
            naive += [i for i, label in enumerate(labels.tolist()) if label == person][:IMAGES]
        assert rows.tolist() == naive


def test_people_of_one_modality_only_give_an_empty_sample(tmp_path: Path) -> None:
    split = make_split(tmp_path)
    apart = replace(split, infrared=replace(split.infrared, identities=split.infrared.identities + 1000))
    features = [make_features(table, 0.3, 1) for table in (split.visible, split.infrared)]
    save_evaluation(tmp_path / "e.npz", make_ranking(split, np.arange(9)), apart, "infrared", after=features)
    assert len(load_evaluation(tmp_path / "e.npz").sample.features) == 0


@pytest.mark.parametrize("name", ["visible", "infrared"])
def test_roots_are_kept(tmp_path: Path, name: str) -> None:
    saved = save(tmp_path, np.arange(10))
    table = {"visible": saved.gallery, "infrared": saved.query}[name]
    assert table.root == tmp_path.resolve()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("order", None, "order is not a file in the archive"),
        ("order", np.zeros((2, 2)), "order is float64 of (2, 2)"),
        ("order", np.full((88, 10), 12), "order has rows 12 to 12 of a gallery of 12"),
        ("scores", np.zeros((88, 9)), "scores is float64 of (88, 9)"),
        ("matches", np.zeros((88, 10)), "matches is float64"),
        ("average_precision", np.zeros(3), "average_precision is float64 of (3,)"),
        ("after", np.full((176, 16), np.nan), "after holds NaN or infinite values"),
        ("before", np.zeros((3, 16)), "before is float64 of (3, 16)"),
        ("infrared", np.zeros(176), "infrared is float64"),
        ("identities", np.array([{}], object), "Object arrays cannot be loaded"),
        ("query_paths", np.zeros(88), "query_paths is float64"),
        ("gallery_cameras", np.zeros(3, int), "gallery_cameras is int64 of (3,)"),
        ("query_modality", np.array("thermal"), "query_modality is 'thermal'"),
        ("sample_paths", np.array(["a"]), "sample_paths is <U1 of (1,)"),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(
    tmp_path: Path, name: str, value: np.ndarray | None, message: str
) -> None:
    save(tmp_path, np.arange(12))
    path = tmp_path / "evaluation.npz"
    with np.load(path) as found:
        arrays = {key: found[key] for key in found if key != name}
    if value is not None:
        arrays[name] = value
    write_sealed(path, lambda file: np.savez(file, **arrays))
    with pytest.raises(DamagedFileError) as caught:
        load_evaluation(path)
    assert f"{path} does not have the expected arrays (" in str(caught.value)
    assert message in str(caught.value)
    assert str(caught.value).endswith("score the run again (repeat its command)")


def test_query_scores_of_another_length_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "queries.npz"
    scores = QueryScores(np.zeros((3, 2)), np.zeros((3, 2), int), np.zeros(2, int), ("a", "b"))
    save_query_scores(path, {1: scores})
    assert load_query_scores(path)[1].paths == ("a", "b")
    save_query_scores(path, {1: replace(scores, paths=("a",))})
    with pytest.raises(DamagedFileError, match=r"paths_1 is <U1 of \(1,\)"):
        load_query_scores(path)


@pytest.mark.parametrize("content", [b"text", b"PK\x05\x06" + bytes(18)])
def test_sealed_files_that_are_no_evaluation_are_refused(tmp_path: Path, content: bytes) -> None:
    write_sealed(tmp_path / "evaluation.npz", lambda file: file.write(content) and None)
    with pytest.raises(DamagedFileError, match="does not have the expected arrays"):
        load_evaluation(tmp_path / "evaluation.npz")


def test_the_features_are_those_of_the_queries_and_the_gallery(tmp_path: Path) -> None:
    gallery = np.array([80, 3, 41, 0])
    saved, split = save(tmp_path, gallery), make_split(tmp_path)
    assert saved.features is not None
    np.testing.assert_array_equal(saved.features[0], make_features(split.infrared, 0.3, 1))
    np.testing.assert_array_equal(saved.features[1], make_features(split.visible, 0.3, 1)[gallery])
    path = tmp_path / "evaluation.npz"
    with np.load(path) as arrays:
        content = dict(arrays)
    for wrong in (content["gallery_features"][:, :3], content["gallery_features"] * np.nan):
        write_sealed(path, lambda file, wrong=wrong: np.savez(file, **{**content, "gallery_features": wrong}))
        with pytest.raises(DamagedFileError):
            load_evaluation(path)
    for name in ("query_features", "gallery_features"):
        del content[name]
    write_sealed(path, lambda file: np.savez(file, **content))
    assert load_evaluation(path).features is None


def test_meeting_people_are_counted_over_all_test_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usvi_bench.protocols.evaluation_file.IDENTITIES", 3)
    saved = save(tmp_path, np.arange(12))
    assert len(np.unique(saved.sample.identities)) == 3
    assert saved.meetings["after"] == Meeting(22, 22)  # both modalities have one direction per person
    assert saved.meetings["before"] == Meeting(22, 22)


def test_older_files_count_the_people_of_the_sample(tmp_path: Path) -> None:
    saved = save(tmp_path, np.arange(12), before=False)
    with np.load(tmp_path / "evaluation.npz") as arrays:
        older = {name: arrays[name] for name in arrays.files if not name.startswith("meeting")}
    write_sealed(tmp_path / "evaluation.npz", lambda file: np.savez_compressed(file, **older))
    assert load_evaluation(tmp_path / "evaluation.npz").meetings == saved.meetings
