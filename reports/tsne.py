"""t-SNE of features: colour and number are the person, the marker is the modality."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from seaborn import color_palette, desaturate
from sklearn.manifold import TSNE

from usvi_bench.protocols.evaluation_file import IMAGES, Sample
from usvi_bench.reports.style import MARKERS, NEUTRAL, SMALL, WIDTH, new_figure

PEOPLE = 20
"""Number of identities in a figure."""
PERPLEXITY = 20.0
"""Perplexity, close to the number of images per identity in the sample."""
SEED = 0
SMALLEST = 8
"""Minimum number of images for a figure."""

Positions = NDArray[np.float32]


def project(features: NDArray[np.float32], seed: int = SEED) -> Positions:
    """Project at least 3 features ``[S, D]`` to positions ``[S, 2]``; deterministic on one machine."""
    if not np.ptp(features, axis=0).any():  # a collapsed encoder; scikit-learn would crash
        return np.zeros((len(features), 2), np.float32)
    model = TSNE(init="pca", perplexity=perplexity(len(features)), random_state=seed, n_jobs=1)
    positions: Positions = model.fit_transform(features)
    return positions


def perplexity(images: int) -> float:
    """Return :data:`PERPLEXITY`, or a lower value for small samples."""
    return min(PERPLEXITY, (images - 1) / 3)


def before_and_after(sample: Sample) -> dict[str, Positions]:
    """Project the sample before training (if features are stored) and after it, by title."""
    parts = {"before training": sample.before, "after training": sample.features}
    return {title: project(features) for title, features in parts.items() if features is not None}


def tsne_figure(panels: Mapping[str, Positions], sample: Sample) -> Figure:
    """Draw panels by title, two per row, each with positions ``[S, 2]`` of the same sample."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = new_figure(columns, height=rows * (WIDTH / columns + 0.12) + 0.2, rows=rows)
    for panel, (title, positions) in zip(axes, panels.items(), strict=False):
        _scatter(panel, positions, sample)
        panel.set_title(title)
    for panel in axes[len(panels) :]:
        panel.axis("off")
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=NEUTRAL, label=name) for name, marker in MARKERS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def tsne_rule() -> str:
    """Describe the rule for choosing people and images."""
    return (
        f"the first {PEOPLE} identities, in ascending order, with both modalities, each with its first "
        f"{IMAGES} images per modality"
    )


def tsne_caption(sample: Sample) -> str:
    """Return the caption, with all parameters of the figure."""
    people, images, infrared = len(np.unique(sample.identities)), len(sample.infrared), int(sample.infrared.sum())
    return (
        f"t-SNE of test features of {people} people ({images - infrared} visible and {infrared} infrared images): "
        f"{tsne_rule()}. "
        f"Perplexity {perplexity(images):g}, PCA start, seed {SEED}. Colour and number: true identity; "
        "marker: modality. Axes have no unit; distances between separate groups are not meaningful."
    )


def identity_colours(count: int) -> list[tuple[float, float, float]]:
    """Return ten colour-blind-safe colours, then darker ones; numbers in the figure identify all people."""
    bright = color_palette("colorblind")
    colours = bright + [tuple(0.6 * part for part in desaturate(colour, 0.8)) for colour in bright]
    return [colours[i % len(colours)] for i in range(count)]


def _scatter(axes: Axes, positions: Positions, sample: Sample) -> None:
    people = np.unique(sample.identities)
    for person, colour in zip(people, identity_colours(len(people)), strict=True):
        own = sample.identities == person
        for marker, chosen in zip(MARKERS.values(), (~sample.infrared, sample.infrared), strict=True):
            x, y = positions[own & chosen].T
            axes.scatter(x, y, s=7, marker=marker, color=[colour], alpha=0.85, linewidths=0.2, edgecolors="white")
    for person in people:
        points = positions[sample.identities == person]
        middle = points[np.argmin(np.linalg.norm(points - np.median(points, axis=0), axis=1))]
        text = axes.annotate(str(person), middle, (0, 2), textcoords="offset points", fontsize=SMALL, ha="center")
        text.set_path_effects([withStroke(linewidth=1.2, foreground="white")])
    axes.set(xticks=[], yticks=[])
    axes.set_box_aspect(1)
    axes.spines[:].set_visible(True)
