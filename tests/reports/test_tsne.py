"""t-SNE, tested by its drawn elements instead of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.reports.fake_run import make_run
from usvi_bench.protocols.evaluation_file import Sample, SavedEvaluation, load_evaluation
from usvi_bench.protocols.meeting import Meeting
from usvi_bench.reports.colours import difference
from usvi_bench.reports.style import COLUMN, PAGE, stamp, styled
from usvi_bench.reports.tsne import (
    COLOURS,
    PEOPLE,
    Panel,
    before_and_after,
    label_places,
    meeting_words,
    perplexity,
    project,
    tsne_caption,
    tsne_data,
    tsne_figure,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedEvaluation:
    return load_evaluation(make_run(tmp_path_factory.mktemp("tsne"), pictures=False) / "evaluation.npz")


def small_sample() -> Sample:
    features = np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32)
    people, infrared = np.repeat(np.arange(3), 8), np.tile([False, True], 12)
    return Sample(features, None, people, infrared, np.empty(0, np.int64), ())


def small_panels(count: int = 1, title: str = "after training") -> list[Panel]:
    return [Panel(title, project(small_sample().features), Meeting(40, 12))] * count


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
    (axes,) = tsne_figure(small_panels(), small_sample()).axes
    groups = axes.collections
    assert [len(group.get_offsets()) for group in groups] == [4] * 6
    colours = [to_hex(group.get_facecolor()[0][:3]) for group in groups]
    assert colours[0::2] == colours[1::2] == list(COLOURS[:3])
    shapes = [len(group.get_paths()[0].vertices) for group in groups]
    assert shapes[0::2] == [shapes[0]] * 3
    assert shapes[1::2] == [shapes[1]] * 3
    assert shapes[0] != shapes[1]


def test_labels_avoid_each_other() -> None:
    ends = np.array([[0, 0], [1, 0], [0, 1], [40, 40]], float)
    away, boxes = (np.tile(np.array([row], float), (4, 1)) for row in ((1, 0), (8, 6)))
    places = label_places(ends, away, boxes, 7)
    np.testing.assert_allclose(np.linalg.norm(places - ends, axis=1), 7, rtol=1e-5)
    np.testing.assert_allclose(places[[0, 3]] - ends[[0, 3]], [[7, 0], [7, 0]], atol=1e-5)
    for one in range(4):
        for other in range(one):
            assert (abs(places[one] - places[other]) >= (8, 6)).any()
    assert (np.linalg.norm(places[:3] - places[0], axis=1) < 20).all()


def test_a_line_joins_the_centres_and_both_ends_have_the_number() -> None:
    sample, (panel,) = small_sample(), small_panels()
    (axes,) = tsne_figure([panel], sample).axes
    for person, line in enumerate(axes.get_lines()):
        own = sample.identities == person
        ends = [panel.positions[own & side].mean(axis=0) for side in (~sample.infrared, sample.infrared)]
        np.testing.assert_allclose(np.transpose(line.get_data()), ends, rtol=1e-6)
        numbered = [text.xy for text in axes.texts if text.get_text() == str(person)]
        np.testing.assert_allclose(numbered, ends, rtol=1e-6)
    assert len(axes.get_lines()) == 3


def test_colours_are_clearly_different() -> None:
    apart = difference(np.array([*COLOURS, "#ffffff"]), np.array([*COLOURS, "#ffffff"]))
    assert apart[~np.eye(len(apart), dtype=bool)].min() > 25
    assert len(COLOURS) == PEOPLE == 10


def test_panels_before_and_after_state_who_meets_among_all_people(saved: SavedEvaluation) -> None:
    sample = saved.sample.people(PEOPLE)
    panels = before_and_after(saved, sample)
    assert [panel.title for panel in panels] == ["before training", "after training"]
    assert [panel.meeting for panel in panels] == [saved.meetings["before"], saved.meetings["after"]]
    assert saved.meetings["after"] == Meeting(22, 22)
    for axes, panel in zip(tsne_figure(panels, sample).axes, panels, strict=True):
        texts = [text.get_text() for text in axes.texts]
        assert texts[0] == panel.title
        assert texts[1] == meeting_words(panel.meeting)
    data = tsne_data(panels, range(len(sample.identities)))
    assert [(panel["people"], panel["met"]) for panel in data["panels"]][1] == (22, 22)


@pytest.mark.parametrize("width", [COLUMN, PAGE])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_titles_lie_inside_the_frames(width: float, count: int) -> None:
    with styled():
        figure = tsne_figure(small_panels(count, "cluster_contrast"), small_sample(), width)
        stamp(figure, "10 people")
        figure.draw_without_rendering()
        frames = [axes.get_window_extent() for axes in figure.axes]
        assert len(frames) == count
        for axes, frame in zip(figure.axes, frames, strict=True):
            for text in axes.texts[:2]:
                box = text.get_window_extent()
                assert frame.x0 <= box.x0 < box.x1 <= frame.x1
                assert frame.y0 <= box.y0 < box.y1 <= frame.y1
            assert 0 <= frame.x0 < frame.x1 <= figure.bbox.width
            assert 0 <= frame.y0 < frame.y1 <= figure.bbox.height
        points = [axes.transData.transform(small_panels()[0].positions) for axes in figure.axes]
        for place, axes in zip(points, figure.axes, strict=True):  # no point lies under a text
            above, below = (text.get_window_extent() for text in axes.texts[:2])
            assert below.y1 < place[:, 1].min()
            assert place[:, 1].max() < above.y0


def test_equal_features_are_one_point() -> None:
    """An encoder that gives every image the same feature has a map too."""
    assert not project(np.full((12, 4), 0.5, np.float32)).any()


def test_tsne_caption_states_all_choices() -> None:
    caption = tsne_caption(small_sample())
    for words in (
        "3 people, 12 visible and 12 infrared images",
        "Perplexity 7.66667",
        "PCA start, seed 0",
        "at most 10 identities, the first in ascending order",
        "mutual nearest neighbours",
    ):
        assert words in caption
