"""Ranked lists and confused pairs, tested by their drawn elements instead of pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.reports.fake_run import EACH, PEOPLE, make_run
from usvi_bench.datasets.base import ImageTable
from usvi_bench.protocols.evaluation_file import SavedEvaluation, load_evaluation
from usvi_bench.reports.confusion import confused_pairs, confusion_figure
from usvi_bench.reports.pictures import Album
from usvi_bench.reports.ranking import (
    BLANK,
    QUANTILES,
    choose_queries,
    open_image,
    ranking_caption,
    ranking_figure,
    worst_queries,
)
from usvi_bench.reports.style import COLUMN, PAGE, RIGHT, WRONG, styled


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedEvaluation:
    return load_evaluation(make_run(tmp_path_factory.mktemp("pictures")) / "evaluation.npz")


@given(st.lists(st.tuples(st.sampled_from([float("nan"), 0.0, 0.25, 0.5, 1.0]), st.integers(0, 6)), max_size=30))
def test_queries_are_at_their_quantiles_and_of_different_people(queries: list[tuple[float, int]]) -> None:
    precision = np.array([value for value, _ in queries], dtype=float)
    people = np.array([person for _, person in queries], dtype=np.int64)
    valid = sorted((i for i, v in enumerate(precision) if v == v), key=lambda i: (-precision[i], i))
    chosen = choose_queries(precision, people)
    assert set(chosen) <= set(QUANTILES)
    if not valid:
        assert chosen == {}
        return
    assert chosen["best"] == valid[0]
    assert valid[-1] in chosen.values()
    taken = {int(people[valid[0]]), int(people[valid[-1]])}
    for name in ("median", "upper quartile", "lower quartile"):
        place = round(QUANTILES[name] * (len(valid) - 1))
        free = [i for i, row in enumerate(valid) if int(people[row]) not in taken]
        assert (name in chosen) == bool(free)
        if free:
            found = valid.index(chosen[name])
            assert found in free
            assert abs(found - place) == min(abs(i - place) for i in free)
            taken.add(int(people[chosen[name]]))


def test_frames_marks_and_texts_follow_the_ranking(saved: SavedEvaluation) -> None:
    chosen = choose_queries(saved.average_precision, saved.query.identities)
    figure = ranking_figure(saved, open_image, chosen)
    (axes,) = figure.axes
    assert all(np.shape(tile.get_array()) != BLANK.shape for tile in axes.images)
    assert len(axes.images) == len(chosen) * 11
    frames = [patch.get_edgecolor()[:3] for patch in axes.patches]
    texts = [text.get_text() for text in axes.texts]
    for line, row in enumerate(chosen.values()):
        matches = saved.matches[row].tolist()
        assert frames[11 * line + 1 : 11 * line + 11] == [RIGHT if match else WRONG for match in matches]
        solid = [axes.patches[11 * line + 1 + rank].get_linestyle() == "-" for rank in range(10)]
        assert solid == matches  # told apart without colour too
        for rank, match in enumerate(matches):
            camera = saved.gallery.cameras[saved.order[row, rank]]
            assert f"{'✓' if match else '✗'} c{camera}\n{saved.scores[row, rank]:.2f}" in texts
        assert any(f"person\n{saved.query.identities[row]}\n" in text for text in texts)


@pytest.mark.parametrize("sought", [False, True])
@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_labels_do_not_reach_the_query(saved: SavedEvaluation, width: float, sought: bool) -> None:
    with styled():
        rows = dict.fromkeys(QUANTILES, 0)
        people = np.full_like(saved.query.identities, 8888)
        table = replace(saved.query, identities=people)
        figure = ranking_figure(replace(saved, query=table), None, rows, sought, width)
        figure.draw_without_rendering()
    (axes,) = figure.axes
    (labels, query) = [text for text in axes.texts if "8888\nAP" in text.get_text()], axes.images[0]
    assert len(labels) == len(rows)
    for label in labels:
        assert label.get_window_extent().x1 < query.get_window_extent().x0


def test_tiles_show_the_ranked_files(saved: SavedEvaluation) -> None:
    opened: list[Path] = []

    def remember(table: ImageTable, row: int) -> np.ndarray:
        opened.append(table.root / table.paths[row])
        return open_image(table, row)

    ranking_figure(saved, remember, choose_queries(saved.average_precision, saved.query.identities))
    expected = []
    for row in choose_queries(saved.average_precision, saved.query.identities).values():
        expected.append(saved.query.root / saved.query.paths[row])
        expected += [saved.gallery.root / saved.gallery.paths[column] for column in saved.order[row]]
    assert opened == expected


def test_people_of_one_picture_are_cut_out(saved: SavedEvaluation, tmp_path: Path) -> None:
    Image.fromarray(np.repeat(np.uint8([0, 255]), 40).repeat(50).reshape(80, 50)).save(tmp_path / "frame.png")
    boxes = np.array([[0, 0, 50, 40], [0, 40, 50, 80], [-1] * 4], np.int32)
    kept = saved.query.take(np.arange(3))
    table = replace(kept, root=tmp_path, paths=("frame.png",) * 3, boxes=boxes)
    assert [int(open_image(table, row).mean().round()) for row in range(3)] == [0, 255, 128]
    sample = replace(
        saved.sample,
        identities=kept.identities,
        infrared=np.full(3, True),
        cameras=kept.cameras,
        paths=table.paths,
        boxes=boxes,
    )
    album = Album(shown=True)
    numbers = [album.add(table, row) for row in range(3)]
    assert numbers == [0, 1, 2]
    shown = replace(saved, query=table, gallery=replace(table, modality="visible"), sample=sample)
    assert album.add_sample(shown) == numbers
    assert album.write(tmp_path / "report") == 0
    copies = [np.asarray(Image.open(tmp_path / "report" / entry["picture"])).mean() for entry in album.entries]
    assert [round(mean / 255, 1) for mean in copies] == [0.0, 1.0, 0.5]


def test_the_query_person_is_shown_last(saved: SavedEvaluation) -> None:
    opened: list[Path] = []

    def remember(table: ImageTable, row: int) -> np.ndarray:
        opened.append(table.root / table.paths[row])
        return open_image(table, row)

    rows = worst_queries(saved)
    figure = ranking_figure(saved, remember, rows, sought=True)
    assert len(opened) == 12 * len(rows) == len(figure.axes[0].images)
    for path, row in zip(opened[11::12], rows.values(), strict=True):
        (column,) = (i for i, name in enumerate(saved.gallery.paths) if saved.gallery.root / name == path)
        assert saved.gallery.identities[column] == saved.query.identities[row]


def test_missing_images_leave_blank_tiles(tmp_path: Path) -> None:
    saved = load_evaluation(make_run(tmp_path, pictures=False) / "evaluation.npz")
    chosen = choose_queries(saved.average_precision, saved.query.identities)
    for images in (open_image, None):
        figure = ranking_figure(saved, images, chosen)
        assert [np.shape(tile.get_array()) for tile in figure.axes[0].images] == [BLANK.shape] * 55


def test_short_lists_have_fewer_tiles(saved: SavedEvaluation) -> None:
    order = saved.order.copy()
    order[:, 4:] = -1
    short = SavedEvaluation(
        saved.query, saved.gallery, order, saved.scores, saved.matches, saved.average_precision, saved.sample
    )
    assert (
        len(
            ranking_figure(short, open_image, choose_queries(short.average_precision, short.query.identities))
            .axes[0]
            .images
        )
        == 5 * 5
    )


def test_ranking_caption_counts(saved: SavedEvaluation) -> None:
    caption = ranking_caption(saved)
    assert f"best of {PEOPLE} visible gallery" in caption
    assert f"The {PEOPLE * EACH} valid queries" in caption


def test_worst_queries_are_of_different_people(saved: SavedEvaluation) -> None:
    rows = list(worst_queries(saved).values())
    precision, people = saved.average_precision, saved.query.identities
    assert len(set(people[rows].tolist())) == len(rows) == 5
    assert precision[rows].tolist() == sorted(precision[rows].tolist())
    lowest = sorted(float(np.nanmin(precision[people == person])) for person in np.unique(people))
    assert precision[rows].tolist() == lowest[:5]


def test_confused_pairs_are_counted_at_rank_1(saved: SavedEvaluation) -> None:
    pairs = confused_pairs(saved)
    counted: dict[tuple[int, int], int] = {}
    for row, person in enumerate(saved.query.identities.tolist()):
        other = int(saved.gallery.identities[saved.order[row, 0]])
        if other != person:
            counted[person, other] = counted.get((person, other), 0) + 1
    assert {(pair.person, pair.other): pair.count for pair in pairs} == counted
    assert [pair.count for pair in pairs] == sorted(counted.values(), reverse=True)
    assert {pair.queries for pair in pairs} == {EACH}
    for pair in pairs:
        assert saved.query.identities[pair.query] == pair.person
        assert saved.gallery.identities[pair.gallery] == pair.other
    figure = confusion_figure(saved, pairs, open_image)
    assert all(np.shape(tile.get_array()) != BLANK.shape for axes in figure.axes for tile in axes.images)
    shown = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert shown == [
        [str(pair.person), f"✗ {pair.other}", f"✓ {pair.person}", f"{pair.count} of {EACH} queries"]
        for pair in pairs[:6]
    ]
    assert {len(axes.images) for axes in figure.axes} == {3}


def test_the_right_image_of_a_confused_query_is_the_best_ranked_one(saved: SavedEvaluation) -> None:
    for pair in confused_pairs(saved):
        right = [column for column in saved.order[pair.query] if saved.gallery.identities[column] == pair.person]
        assert saved.gallery.identities[pair.right] == pair.person
        assert not right or pair.right == right[0]


@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_texts_of_ranked_lists_are_readable_and_inside(saved: SavedEvaluation, width: float) -> None:
    for sought in (False, True):
        figure = ranking_figure(saved, None, worst_queries(saved), sought, width)
        figure.draw_without_rendering()
        for text in figure.axes[0].texts:
            assert text.get_fontsize() >= 6
            box = text.get_window_extent()
            assert box.x0 >= -0.5
            assert box.x1 <= figure.bbox.width + 0.5
