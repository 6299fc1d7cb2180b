"""Report section on training: curves of the first fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean

from matplotlib.figure import Figure

from usvi_bench.core.markdown import plain
from usvi_bench.reports import curves
from usvi_bench.reports.curves import Line
from usvi_bench.reports.page import Picture, Report, Section
from usvi_bench.reports.runs import RecordedRun


def training(run: RecordedRun, report: Report) -> None:
    """Add the curves of the first fold, or a note if nothing was trained or the journal is missing."""
    if run.folder is None:
        report.notes.append("Training curves: only the record is available; the journal is in the folder of the run.")
        return
    epochs = run.epochs
    if not epochs:
        report.notes.append("Training curves: nothing was trained.")
        return
    section = Section("training", "Training")
    section.pictures = [*_curves(run, epochs)]
    scores = [line for line in run.journal if line["kind"] == "scores" and line["fold"] == run.folds[0]]
    if scores:
        caption = "Test scores during training, for monitoring only; they do not select weights."
        alt = f"Test mAP and rank-1 at {len(scores)} points of the training."
        draw = partial(curves.scores_figure, scores)
        points = len({line["epoch"] for line in scores})
        foot = (
            f"{run.words}; test images of fold {run.folds[0]}, scored in {points} epochs of stage "
            f"{epochs[-1]['stage']}; seed {run.record.result.seed}"
        )
        section.pictures.append(Picture("scores", "Scores during training", caption, alt, draw, foot, True))
    if not any(epochs[0]["identities"].values()):
        report.notes.append("Label quality: no training image has an identity.")
    elif section.pictures and not any(
        line["quality"].get(name) is not None for line in epochs for name in ("match_precision", "joint_precision")
    ):
        report.notes.append(
            "Precision and recall of cross-modal matches: the method makes no matches, or the run was made "
            "by a version that did not measure them."
        )
    report.sections.append(section)
    series = curves.series_of(epochs)
    report.data["curves"] = {
        "epoch": list(range(1, len(epochs) + 1)),
        "stage": [line["stage"] for line in epochs],
        "series": series,
    }


def _curves(run: RecordedRun, epochs: Sequence[Line]) -> list[Picture]:
    stages = " then ".join(dict.fromkeys(plain(line["stage"]) for line in epochs))
    scope = f"{len(epochs)} epochs, {stages}; stages are numbered, and a dotted line marks the start of a stage."
    if len(run.folds) > 1:
        scope += f" Fold {run.folds[0]} of {', '.join(map(str, run.folds))}."
    last, people = epochs[-1], epochs[0]["identities"]
    shares = {name: last["outliers"][name] / last["images"][name] for name in people}
    known = {name: f" of {count} people" if count else "" for name, count in people.items()}
    ends = ", ".join(f"{last['clusters'][name]} {name} clusters{known[name]}" for name in people)
    labelled, matched = any(people.values()), curves.matched_epochs(epochs)
    cropped = (
        f" Earlier stages make no matches: shown are epochs {matched.start + 1} to {matched.stop}."
        if matched and matched.start
        else ""
    )
    texts: list[tuple[str, str, str, str, Callable[..., Figure], bool]] = [
        (
            "losses",
            "Losses and learning rate",
            "Each loss (mean over the steps of an epoch) and the learning rate.",
            f"Losses of {len(epochs)} epochs; in the last epoch: "
            + ", ".join(f"{name} {value:.2f}" for name, value in last["losses"].items()),
            curves.losses_figure,
            False,
        ),
        (
            "clusters",
            "Clusters",
            f"Clusters in training{' and true number of people' if labelled else ''}; share of outliers (images "
            "without a cluster).",
            f"At the end {ends}; outliers: " + ", ".join(f"{share:.0%} {name}" for name, share in shares.items()),
            curves.clusters_figure,
            labelled,
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
            "Precision: share of the (visible, infrared) image pairs in matched clusters that show one person. Recall: "
            "share of the pairs of one person that are in matched clusters, with outliers included. Correct cluster "
            "matches: share of visible clusters whose partner has the same most frequent person. For joint clusters, "
            f"precision and recall use the pairs within one cluster.{cropped}",
            "Precision and recall of cross-modal matches over the epochs.",
            curves.matches_figure,
            True,
        ),
        (
            "cost",
            "Time and memory",
            f"{_clustering(epochs)} Memory: peak of the process or the GPU so far, and additional memory of "
            "clustering.",
            "Seconds of an epoch by phase, of clustering by step, of a training step, and memory.",
            curves.cost_figure,
            False,
        ),
    ]
    shown = {"quality": labelled, "matches": bool(matched)}
    return [
        Picture(name, title, f"{caption} {scope}", alt, partial(draw, epochs), _foot(run), diagnosis)
        for name, title, caption, alt, draw, diagnosis in texts
        if shown.get(name, True)
    ]


def _clustering(epochs: Sequence[Line]) -> str:
    """Describe the mean seconds of clustering per epoch, by step."""
    costs = [line.get("clustering", {}) for line in epochs]
    steps = [
        f"{name} {fmean(cost[key] for cost in costs if key in cost):.2f} s"
        for key, name in curves.STEPS.items()
        if any(key in cost for cost in costs)
    ]
    text = "The clustering phase of an epoch includes all work that follows from the clusters, such as matching."
    if steps:
        text = f"Clustering, mean over epochs: {', '.join(steps)}. {text}"
    recalls = [cost["recall"] for cost in costs if "recall" in cost]
    if recalls:
        text += f" The neighbour search was approximate: recall {min(recalls):.1%} or more, measured on a sample."
    return text


def _foot(run: RecordedRun) -> str:
    images = run.epochs[0]["images"]
    counts = " and ".join(f"{count} {name}" for name, count in sorted(images.items(), reverse=True))
    return f"{run.words}; n = {counts} images; seed {run.record.result.seed}"
