"""t-SNE of features: do the visible and infrared images of a person meet?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from usvi_bench.protocols.evaluation_file import IMAGES, Sample, SavedEvaluation
from usvi_bench.protocols.meeting import Meeting
from usvi_bench.reports.style import COLUMN, MARKERS, NEUTRAL, SMALL, new_figure

COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc0066", "#56b4e9"),
    *("#a63c00", "#7b3ff2", "#8fc400", "#1a1a1a", "#f58ac0"),
)
"""Colours of people, each clearly different from all others and from white."""
PEOPLE = len(COLOURS)
"""Number of identities in a figure."""
PERPLEXITY = 20.0
"""Perplexity, close to the number of images per identity in the sample."""
SEED = 0
SMALLEST = 8
"""Minimum number of images for a figure."""
_STRIP = 0.13
"""Height of the strips for the texts of a panel, above and below the map, as shares of the map."""

Positions = NDArray[np.float32]
Places = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Panel:
    """Panel of the figure.

    Attributes:
        title: method or time.
        positions: ``[S, 2]`` of the images of the sample.
        meeting: people whose modalities meet in the feature space, out of all people; None if unknown.
    """

    title: str
    positions: Positions
    meeting: Meeting | None


def project(features: NDArray[np.float32]) -> Positions:
    """Project at least 3 features ``[S, D]`` to positions ``[S, 2]``; deterministic on one machine."""
    if not np.ptp(features, axis=0).any():  # a collapsed encoder; scikit-learn would crash
        return np.zeros((len(features), 2), np.float32)
    model = TSNE(init="pca", perplexity=perplexity(len(features)), random_state=SEED, n_jobs=1)
    positions: Positions = model.fit_transform(features)
    return positions


def perplexity(images: int) -> float:
    """Return :data:`PERPLEXITY`, or a lower value for small samples."""
    return min(PERPLEXITY, (images - 1) / 3)


def before_and_after(evaluation: SavedEvaluation, sample: Sample) -> list[Panel]:
    """Project the sample before training (if features are stored) and after it."""
    parts = (("before", sample.before), ("after", sample.features))
    return [
        Panel(f"{name} training", project(features), evaluation.meetings.get(name))
        for name, features in parts
        if features is not None
    ]


def tsne_figure(panels: Sequence[Panel], sample: Sample, width: float = COLUMN) -> Figure:
    """Draw panels of the same sample, at most two per row in one column of a paper, four in two columns."""
    wide = width > COLUMN
    columns = min(len(panels), 4 if wide and len(panels) != 3 else 3 if wide else 2)
    rows = -(-len(panels) // columns)
    tall = _height([panel.positions for panel in panels])
    height = rows * ((width / columns - 0.06) * tall + 0.06) + 0.34
    figure, axes = new_figure(columns, height=height, rows=rows, width=width)
    scale = 1.4 if wide and columns < 4 else 1.0
    for place, panel in zip(axes, panels, strict=False):
        _draw(place, panel, sample, scale)
        _frame(place, panel.positions, tall)
    for place in axes[len(panels) :]:
        place.remove()
    keys: list[dict[str, Any]] = [{"marker": marker, "ls": "", "label": name} for name, marker in MARKERS.items()]
    keys.append({"linewidth": 1.0, "label": "centre to centre of a person"})
    figure.legend(handles=[Line2D([], [], color=NEUTRAL, **key) for key in keys], loc="outside lower center", ncols=3)
    figure.draw_without_rendering()  # the labels need the sizes of the panels
    for place, panel in zip(axes, panels, strict=False):
        _label(place, panel, sample, scale)
    return figure


def tsne_rule() -> str:
    """Describe the rule for choosing people and images."""
    return (
        f"at most {PEOPLE} identities, the first in ascending order that have both modalities, each with its first "
        f"{IMAGES} images per modality"
    )


def tsne_counts(sample: Sample) -> str:
    """Return the numbers of drawn people and images."""
    infrared = int(sample.infrared.sum())
    people, visible = len(np.unique(sample.identities)), len(sample.infrared) - infrared
    return f"{people} people, {visible} visible and {infrared} infrared images"


def tsne_caption(sample: Sample) -> str:
    """Return the caption, with all parameters of the figure."""
    return (
        f"t-SNE of test features of {tsne_counts(sample)}: {tsne_rule()}. "
        f"Perplexity {perplexity(len(sample.infrared)):g}, PCA start, seed {SEED}. Colour and number: true identity; "
        "marker: modality. A line joins the centres of a person's visible and infrared images on the map. *Meet*: "
        "people whose visible and infrared mean features are mutual nearest neighbours by cosine similarity in the "
        "feature space, out of all people with both modalities. Axes have no unit; distances between separate groups "
        "are not meaningful."
    )


def tsne_data(panels: Sequence[Panel], images: Sequence[int]) -> dict[str, Any]:
    """Return the data of the figure; ``images`` are the numbers of the images of the sample."""
    return {
        "perplexity": perplexity(len(images)),
        "seed": SEED,
        "rule": tsne_rule(),
        "images": list(images),
        "panels": [
            {
                "title": panel.title,
                "x": panel.positions[:, 0],
                "y": panel.positions[:, 1],
                "people": panel.meeting.people if panel.meeting else None,
                "met": panel.meeting.met if panel.meeting else None,
            }
            for panel in panels
        ],
    }


def meeting_words(meeting: Meeting) -> str:
    """Describe a meeting, as in a panel.

    >>> meeting_words(Meeting(40, 12))
    'meet: 12 of 40 people (30 %)'
    """
    share = f" ({100 * meeting.met / meeting.people:.0f} %)" if meeting.people else ""
    return f"meet: {meeting.met} of {meeting.people} people{share}"


def _people(panel: Panel, sample: Sample) -> Iterator[tuple[str, str, dict[str, Positions]]]:
    """Yield the number and the colour of each person, with the positions of the images of each modality."""
    sides: Mapping[str, NDArray[np.bool_]] = {"visible": ~sample.infrared, "infrared": sample.infrared}
    for person, colour in zip(np.unique(sample.identities), COLOURS, strict=False):
        own = sample.identities == person
        yield str(person), colour, {name: panel.positions[own & side] for name, side in sides.items()}


def _draw(axes: Axes, panel: Panel, sample: Sample, scale: float) -> None:
    for _, colour, images in _people(panel, sample):
        centres = [points.mean(axis=0) for points in images.values()]
        axes.plot(*np.transpose(centres), color=colour, linewidth=1.0 * scale, zorder=1)
        for name, points in images.items():
            look: dict[str, Any] = {"color": [colour], "edgecolors": "white", "linewidths": 0.2, "alpha": 0.9}
            x, y = points.T
            axes.scatter(x, y, s=7 * scale**2, marker=MARKERS[name], zorder=2, **look)
    words: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 7 * min(scale, 1.15)}
    axes.text(0.03, 0.985, panel.title, va="top", weight="bold", **words)
    if panel.meeting is not None:
        axes.text(0.03, 0.015, meeting_words(panel.meeting), va="bottom", **words)


def _label(axes: Axes, panel: Panel, sample: Sample, scale: float) -> None:
    """Write the number of each person at both ends of its line."""
    people = [
        (number, colour, np.array([points.mean(axis=0) for points in images.values()]))
        for number, colour, images in _people(panel, sample)
    ]
    labels = [(number, colour, centre) for number, colour, centres in people for centre in centres]
    away = np.concatenate([centres - centres[::-1] for *_, centres in people])
    size = SMALL * min(scale, 1.2)
    boxes = size * np.array([(0.7 * len(number), 0.9) for number, *_ in labels])
    ends = axes.transData.transform([centre for *_, centre in labels]) * 72 / axes.figure.dpi
    places = label_places(ends, away, boxes, 6.5 * scale)
    for (number, colour, centre), offset in zip(labels, places - ends, strict=True):
        look: dict[str, Any] = {"fontsize": size, "ha": "center", "va": "center", "weight": "bold", "zorder": 3}
        text = axes.annotate(number, centre, tuple(offset), textcoords="offset points", color=colour, **look)
        text.set_path_effects([withStroke(linewidth=1.6, foreground="white")])


def label_places(ends: Places, away: NDArray[np.floating], boxes: Places, distance: float) -> Places:
    """Place a label beside each end of a line, one after another, where it covers least of the labels before it.

    Args:
        ends: ``[N, 2]`` ends of lines.
        away: ``[N, 2]`` preferred direction of each label; it turns from this direction as little as possible.
        boxes: ``[N, 2]`` width and height of the labels.
        distance: from an end to the centre of its label.

    Returns:
        ``[N, 2]`` centres of the labels, in the unit of the ends.
    """
    places = np.zeros_like(ends)
    for at, (end, box) in enumerate(zip(ends, boxes, strict=True)):
        angles = np.arctan2(*away[at][::-1]) + np.pi / 4 * np.array([0, 1, -1, 2, -2, 3, -3, 4])
        tried = end + distance * np.transpose([np.cos(angles), np.sin(angles)])
        shared = (box + boxes[:at]) / 2 - abs(tried[:, None] - places[:at])
        places[at] = tried[shared.clip(0).prod(axis=2).sum(axis=1).argmin()]  # the first of equal ones
    return places


def _height(maps: Sequence[Positions]) -> float:
    """Return the height of the panels as a share of their width: room for every map and for its texts."""
    sizes = [np.ptp(points, axis=0) for points in maps]
    return 2 * _STRIP + float(np.clip(max(high / max(wide, 1e-6) for wide, high in sizes), 0.6, 1))


def _frame(axes: Axes, points: Positions, tall: float) -> None:
    """Draw the frame around a map, with a strip for texts above and below it; both axes have one scale."""
    low, high = points.min(axis=0), points.max(axis=0)
    wide = float(max(high[0] - low[0], (high[1] - low[1]) / (tall - 2 * _STRIP), 1e-6))
    x, y = (low + high) / 2
    half = 0.58 * wide
    axes.set(xlim=(x - half, x + half), ylim=(y - half * tall, y + half * tall), xticks=[], yticks=[])
    axes.set_box_aspect(tall)
    axes.spines[:].set_visible(True)
