"""t-SNE and ranked lists, tested by their drawn elements instead of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.fake_run import EACH, PEOPLE, make_run
from usvi_bench.protocols.evaluation_file import Sample, SavedEvaluation, load_evaluation
from usvi_bench.reports.confusion import confused_pairs, confusion_figure
from usvi_bench.reports.ranking import (
    QUANTILES,
    choose_queries,
    open_image,
    ranking_caption,
    ranking_figure,
    worst_queries,
)
from usvi_bench.reports.style import RIGHT, WRONG
from usvi_bench.reports.tsne import before_and_after, identity_colours, perplexity, project, tsne_caption, tsne_figure


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedEvaluation:
    return load_evaluation(make_run(tmp_path_factory.mktemp("pictures")) / "evaluation.npz")


def small_sample(before: bool = False) -> Sample:
    features = np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32)
    people, infrared = np.repeat(np.arange(3), 8), np.tile([False, True], 12)
    return Sample(features, features if before else None, people, infrared, np.empty(0, np.int64), ())


def test_projection_is_deterministic_and_leaves_the_global_generator_alone() -> None:
    features = np.random.default_rng(0).normal(size=(30, 600)).astype(np.float32)  # wide: the PCA start draws numbers
    state = np.random.get_state()[1].copy()
    first = project(features)
    assert first.shape == (30, 2)
    np.testing.assert_array_equal(first, project(features))
    np.testing.assert_array_equal(state, np.random.get_state()[1])


def test_perplexity_is_below_the_number_of_images() -> None:
    assert perplexity(480) == 20
    for images in range(8, 100):
        assert 0 < perplexity(images) < images


def test_colour_is_the_person_and_marker_the_modality() -> None:
    sample = small_sample()
    figure = tsne_figure(before_and_after(sample), sample)
    (axes,) = figure.axes
    groups = axes.collections
    assert len(groups) == 3 * 2
    assert sum(len(group.get_offsets()) for group in groups) == 24
    colours = [tuple(group.get_facecolor()[0][:3]) for group in groups]
    assert colours[0::2] == colours[1::2]
    assert len(set(colours)) == 3
    shapes = [len(group.get_paths()[0].vertices) for group in groups]
    assert shapes[0::2] == [shapes[0]] * 3
    assert shapes[1::2] == [shapes[1]] * 3
    assert shapes[0] != shapes[1]
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2"]


def test_before_and_after_are_two_panels() -> None:
    sample = small_sample(before=True)
    titles = [axes.get_title() for axes in tsne_figure(before_and_after(sample), sample).axes]
    assert titles == ["before training", "after training"]


def test_twenty_people_have_twenty_colours() -> None:
    assert len(set(identity_colours(20))) == 20


def test_equal_features_are_one_point() -> None:
    """An encoder that gives every image the same feature has a map too."""
    assert not project(np.full((12, 4), 0.5, np.float32)).any()


def test_tsne_caption_states_all_choices() -> None:
    caption = tsne_caption(small_sample())
    for words in (
        "3 people",
        "12 visible and 12 infrared",
        "Perplexity 7.66667",
        "PCA start, seed 0",
        "first 20 identities",
    ):
        assert words in caption


@given(st.lists(st.one_of(st.just(float("nan")), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=30))
def test_queries_are_at_their_quantiles(values: list[float]) -> None:
    precision = np.array(values, dtype=float)
    valid = sorted((i for i, v in enumerate(values) if v == v), key=lambda i: (-values[i], i))
    chosen = choose_queries(precision)
    assert len(set(chosen.values())) == len(chosen)
    assert set(chosen) <= set(QUANTILES)
    if not valid:
        assert chosen == {}
        return
    assert chosen["best"] == valid[0]
    assert valid[-1] in chosen.values()
    for name, row in chosen.items():
        assert row == valid[round(QUANTILES[name] * (len(valid) - 1))]


def test_frames_marks_and_texts_follow_the_ranking(saved: SavedEvaluation) -> None:
    chosen = choose_queries(saved.average_precision)
    figure, missing = ranking_figure(saved, open_image, chosen)
    (axes,) = figure.axes
    assert missing == 0
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
        assert any(f"person {saved.query.identities[row]}\n" in text for text in texts)


def test_tiles_show_the_ranked_files(saved: SavedEvaluation) -> None:
    opened: list[Path] = []

    def remember(path: Path) -> np.ndarray:
        opened.append(path)
        return open_image(path)

    ranking_figure(saved, remember, choose_queries(saved.average_precision))
    expected = []
    for row in choose_queries(saved.average_precision).values():
        expected.append(saved.query.root / saved.query.paths[row])
        expected += [saved.gallery.root / saved.gallery.paths[column] for column in saved.order[row]]
    assert opened == expected


def test_the_query_person_is_shown_last(saved: SavedEvaluation) -> None:
    opened: list[Path] = []

    def remember(path: Path) -> np.ndarray:
        opened.append(path)
        return open_image(path)

    rows = worst_queries(saved)
    figure, _ = ranking_figure(saved, remember, rows, sought=True)
    assert len(opened) == 12 * len(rows) == len(figure.axes[0].images)
    for path, row in zip(opened[11::12], rows.values(), strict=True):
        (column,) = (i for i, name in enumerate(saved.gallery.paths) if saved.gallery.root / name == path)
        assert saved.gallery.identities[column] == saved.query.identities[row]


def test_missing_images_leave_blank_tiles(tmp_path: Path) -> None:
    saved = load_evaluation(make_run(tmp_path, pictures=False) / "evaluation.npz")
    chosen = choose_queries(saved.average_precision)
    figure, missing = ranking_figure(saved, open_image, chosen)
    assert missing == len(figure.axes[0].images) == 55
    assert ranking_figure(saved, None, chosen)[1] == 55


def test_short_lists_have_fewer_tiles(saved: SavedEvaluation) -> None:
    order = saved.order.copy()
    order[:, 4:] = -1
    short = SavedEvaluation(
        saved.query, saved.gallery, order, saved.scores, saved.matches, saved.average_precision, saved.sample
    )
    assert len(ranking_figure(short, open_image, choose_queries(short.average_precision))[0].axes[0].images) == 5 * 5


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
    figure, missing = confusion_figure(saved, pairs, open_image)
    assert missing == 0
    shown = [axes.texts[1].get_text() for axes in figure.axes if axes.images]
    assert shown == [f"✗ {pair.other}" for pair in pairs[:8]]
