"""The chapter on how a run trained: curves of its first fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from usvi_bench.reports import curves
from usvi_bench.reports.curves import Line
from usvi_bench.reports.page import Picture, Report, Section
from usvi_bench.reports.runs import RecordedRun


def training(run: RecordedRun, report: Report) -> None:
    """Curves of the first fold; a note where nothing was trained or the journal is not there."""
    if run.folder is None:
        report.notes.append("Training curves: only the record is here; they are in the journal of the run's folder.")
        return
    epochs = run.epochs
    if not epochs:
        report.notes.append("Training curves: nothing was trained.")
        return
    section = Section("training", "Training")
    section.pictures = [*_curves(run, epochs)]
    scores = [line for line in run.journal if line["kind"] == "scores" and line["fold"] == run.folds[0]]
    if scores:
        caption = "Test scores taken during training, to watch it; no weights are chosen by them."
        alt = f"Test mAP and Rank-1 at {len(scores)} points of the training."
        figure = curves.scores_figure(scores)
        section.pictures.append(Picture("scores", "Scores during training", caption, alt, figure, _foot(run), True))
    if section.pictures and not any(
        line["quality"].get(name) is not None for line in epochs for name in ("match_precision", "joint_precision")
    ):
        report.notes.append(
            "Precision and recall of cross-modal matches: the method matches nothing across modalities, or the run is "
            "of a version that did not measure them."
        )
    report.sections.append(section)
    series = curves.series_of(epochs)
    report.data["curves"] = {
        "epoch": list(range(1, len(epochs) + 1)),
        "stage": [line["stage"] for line in epochs],
        "series": series,
    }


def _curves(run: RecordedRun, epochs: Sequence[Line]) -> list[Picture]:
    stages = " then ".join(dict.fromkeys(line["stage"] for line in epochs))
    scope = f"{len(epochs)} epochs, {stages}; a dotted line begins a stage."
    if len(run.folds) > 1:
        scope += f" Fold {run.folds[0]} of {', '.join(map(str, run.folds))}."
    last, people = epochs[-1], epochs[0]["identities"]
    shares = {name: last["outliers"][name] / last["images"][name] for name in people}
    ends = ", ".join(f"{last['clusters'][name]} {name} clusters of {people[name]} people" for name in people)
    texts: list[tuple[str, str, str, str, Callable[[Sequence[Line]], Figure | None], bool]] = [
        (
            "losses",
            "Losses and learning rate",
            "Each loss, mean over the steps of an epoch, and the learning rate of the epoch.",
            f"Losses of {len(epochs)} epochs; the last: "
            + ", ".join(f"{name} {value:.2f}" for name, value in last["losses"].items()),
            curves.losses_figure,
            False,
        ),
        (
            "clusters",
            "Clusters",
            "Clusters that the epoch trained on beside the true number of people, and images left out of them.",
            f"At the end {ends}; left out are " + ", ".join(f"{share:.0%} {name}" for name, share in shares.items()),
            curves.clusters_figure,
            True,
        ),
        (
            "quality",
            "Label quality",
            "Clustered images only. ARI: adjusted Rand index, NMI: normalised mutual information, purity: share of "
            "images whose identity is their cluster's most frequent one.",
            "Agreement of clusters with identities in both modalities over the epochs.",
            curves.quality_figure,
            True,
        ),
        (
            "matches",
            "Cross-modal matches",
            "Precision: share of the (visible, infrared) image pairs in matched clusters that show one person; recall: "
            "share of one person's pairs that are in matched clusters, images in no cluster included; clusters matched "
            "right: share of visible clusters whose partner has the same most frequent person. Of joint clusters: the "
            "same of pairs that share one.",
            "Precision and recall of cross-modal matches over the epochs.",
            curves.matches_figure,
            True,
        ),
        (
            "cost",
            "Time and memory",
            f"{_clustering(epochs)} Memory: highest of the process or the GPU so far, and what clustering took for "
            "itself.",
            "Seconds of an epoch by phase, of clustering by step, of a training step, and memory.",
            curves.cost_figure,
            False,
        ),
    ]
    pictures = []
    for name, title, caption, alt, draw, diagnosis in texts:
        figure = draw(epochs)
        if figure is not None:
            pictures.append(Picture(name, title, f"{caption} {scope}", alt, figure, _foot(run), diagnosis))
    return pictures


def _clustering(epochs: Sequence[Line]) -> str:
    """What clustering an epoch costs on average, by its steps; nothing where nothing was clustered."""
    costs = [line.get("clustering", {}) for line in epochs]
    steps = [
        f"{name} {fmean(cost[key] for cost in costs if key in cost):.2f} s"
        for key, name in curves.STEPS.items()
        if any(key in cost for cost in costs)
    ]
    text = "The clustering phase of an epoch also holds all that is made of the clusters."
    if steps:
        text = f"Clustering, mean of an epoch: {', '.join(steps)}. {text}"
    recalls = [cost["recall"] for cost in costs if "recall" in cost]
    if recalls:
        text += (
            f" Neighbours were searched approximately: of a sample's true ones, {min(recalls):.1%} or more were found."
        )
    return text


def _foot(run: RecordedRun) -> str:
    images = run.epochs[0]["images"]
    counts = " and ".join(f"{count} {name}" for name, count in sorted(images.items(), reverse=True))
    return f"{run.words}; n = {counts} images; seed {run.record.result.seed}"
