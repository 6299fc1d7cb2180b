"""``report.md``: the first page to read about a run, with its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure

from engine.files import void, write_atomically
from engine.journal import Journal
from engine.registry import UsageError
from leaderboard.markdown import MISSING, page, percent, table
from leaderboard.record import METRICS, Record, headline_scores, missing_trials, read_record
from leaderboard.table import gallery_words
from reports.curves import Line, clusters_figure, cost_figure, epochs_of, losses_figure, quality_figure, scores_figure
from reports.evaluation import SavedEvaluation, load_evaluation
from reports.ranking import Images, open_image, ranking_caption, ranking_figure
from reports.style import save_png, styled
from reports.tsne import SMALLEST, tsne_caption, tsne_figure

DIAGNOSIS = "**Diagnosis only**: drawn with true identities; it has no influence on training or scores."


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the report; without one, the caption says why."""

    name: str
    title: str
    caption: str
    figure: Figure | None = None


def write_report(run: Path, images: Images | None = None) -> Path:
    """Write ``report/`` in a run's folder from its record, journal and evaluation file.

    Args:
        run: folder of a finished run.
        images: opens a test image for the ranked lists. Default: the image files where the people are synthetic,
            nothing where they are real: pictures of people are shown only if asked for.

    Returns:
        Path of ``report.md``.

    Raises:
        UsageError: no valid record in the folder.
    """
    if not (run / "record.json").exists():
        raise UsageError(f"{run}: no record.json; name the folder of a finished run")
    record = read_record(run / "record.json")
    if images is None and record.result.dataset["synthetic"] is not None:
        images = open_image
    folder = run / "report"
    blocks, drawn = [], set()
    with styled():
        for picture in _pictures(run, record, images):
            blocks.append(f"## {picture.title}")
            if picture.figure is not None:
                save_png(picture.figure, folder / f"{picture.name}.png")
                blocks.append(f"![{picture.title}]({picture.name}.png)")
                drawn.add(picture.name)
            blocks.append(picture.caption)
    text = page(*_head(record), *blocks, *_made(record))
    write_atomically(folder / "report.md", lambda file: void(file.write(text.encode())))
    for old in folder.glob("*.png"):
        if old.stem not in drawn:
            old.unlink()
    return folder / "report.md"


def _head(record: Record) -> Iterator[str]:
    result = record.result
    yield f"# {result.method} on {result.protocol}, seed {result.seed}"
    yield f"Data: {result.dataset['description']} (fingerprint `{result.dataset['fingerprint'][:22]}`)."
    if result.uses_identities:
        yield "**Trained with true identities**: an upper bound, not a competitor."
    kinds = dict.fromkeys((score.model, score.selection) for score in result.scores)
    chance = [percent(result.chance[metric]) if metric in result.chance else MISSING for metric in METRICS]
    yield table(["Percent", *METRICS], [*(_scores(record, *kind) for kind in kinds), ["chance", *chance]])
    lacking = missing_trials(record)
    if lacking:
        yield f"**Incomplete**: headline trials are missing in {', '.join(f'fold {fold}' for fold in lacking)}."
    done = headline_scores(record)
    folds = len({score.fold for score in done})
    kind = result.headline
    yield (
        f"Mean over {_counted(len(done), 'trial')} in {_counted(folds, 'fold')}; one seed, so no spread. "
        f"Protocol: {gallery_words(kind['shots'], kind['gallery'])}. Feature: {kind['feature']}. "
        f"Setting: {result.setting}. Start weights: {result.start_weights['source']}. "
        "Chance: a random ranking under the same protocol."
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _scores(record: Record, model: str, selection: str) -> list[str]:
    headline = record.result.headline
    marks = ["headline"] if (model, selection) == (headline["model"], headline["selection"]) else []
    if selection == "oracle":
        marks.append("best epoch by test score, not a result")
    scores = headline_scores(record, model=model, selection=selection)
    means = [fmean(getattr(score, metric) for score in scores) if scores else None for metric in METRICS]
    cells = [MISSING if mean is None else percent(mean) for mean in means]
    return [f"{model} ({', '.join(marks)})" if marks else model, *cells]


def _pictures(run: Path, record: Record, images: Images | None) -> Iterator[Picture]:
    journal = Journal(run / "journal.jsonl")
    lines = journal.read() if journal.path.exists() else []
    folds = sorted({line["fold"] for line in lines if line["kind"] == "epoch"})
    epochs = epochs_of(lines, folds[0]) if folds else []
    if epochs:
        yield from _training(epochs, f"Fold {folds[0]} of {', '.join(map(str, folds))}." if len(folds) > 1 else "")
    else:
        yield Picture("losses", "Training", "Nothing was trained, so there are no curves.")
    scores = [line for line in lines if line["kind"] == "scores" and line["fold"] == folds[0]]
    if scores:
        caption = f"Test scores taken during training, to watch it; no weights are chosen by them. {DIAGNOSIS}"
        yield Picture("scores", "Scores during training", caption, scores_figure(scores))
    path = run / "evaluation.npz"
    if path.exists():
        yield from _retrieval(load_evaluation(path), images)
    else:
        yield Picture("tsne", "Features and ranked lists", f"Not drawn: the run has no {path.name}.")


def _training(epochs: Sequence[Line], fold: str) -> Iterator[Picture]:
    stages = dict.fromkeys(line["stage"] for line in epochs)
    scope = f"{len(epochs)} epochs, {' then '.join(stages)}. {fold}".strip()
    yield Picture("losses", "Losses", f"Each loss, mean over the steps of an epoch. {scope}", losses_figure(epochs))
    caption = f"Clusters that the epoch trained on, and images left out of them. {scope} {DIAGNOSIS}"
    yield Picture("clusters", "Clusters", caption, clusters_figure(epochs))
    caption = (
        "Clustered images only. ARI: adjusted Rand index, NMI: normalised mutual information, purity: share of images "
        f"whose identity is their cluster's most frequent one. {scope} {DIAGNOSIS}"
    )
    yield Picture("quality", "Label quality", caption, quality_figure(epochs))
    yield Picture("cost", "Time and memory", f"{_clustering(epochs)} {scope}", cost_figure(epochs))


def _clustering(epochs: Sequence[Line]) -> str:
    """What clustering an epoch costs on average, by its steps; nothing where nothing was clustered."""
    names = {"search_seconds": "neighbours", "distance_seconds": "distances", "dbscan_seconds": "DBSCAN"}
    costs = [line.get("clustering", {}) for line in epochs]
    steps = [
        f"{name} {fmean(cost[key] for cost in costs if key in cost):.2f} s"
        for key, name in names.items()
        if any(key in cost for cost in costs)
    ]
    text = "The clustering phase also holds all that is made of the clusters."
    if steps:
        text = f"Clustering, mean of an epoch: {', '.join(steps)}. {text}"
    recalls = [cost["recall"] for cost in costs if "recall" in cost]
    if recalls:
        text += (
            f" Neighbours were searched approximately: of a sample's true ones, {min(recalls):.1%} or more were found."
        )
    return text


def _retrieval(evaluation: SavedEvaluation, images: Images | None) -> Iterator[Picture]:
    if len(evaluation.sample.identities) < SMALLEST:
        caption = f"Not drawn: {len(evaluation.sample.identities)} images of people seen in both modalities."
        yield Picture("tsne", "Features", caption)
    else:
        yield Picture(
            "tsne", "Features", f"{tsne_caption(evaluation.sample)} {DIAGNOSIS}", tsne_figure(evaluation.sample)
        )
    figure, missing = ranking_figure(evaluation, images)
    note = ""
    if images is None:
        note = " Pictures of real people are left out unless asked for: `python -m reports RUN --with-pictures`."
    elif missing:
        note = f" {missing} pictures could not be opened; their tiles show the person's number."
    yield Picture("ranking", "Ranked lists", f"{ranking_caption(evaluation)}{note} {DIAGNOSIS}", figure)


def _made(record: Record) -> Iterator[str]:
    made = record.provenance
    commit = (made["commit"] or "unknown") + (" with uncommitted changes" if made["dirty"] else "")
    seconds = ", ".join(f"{phase} {value:.1f} s" for phase, value in sorted(made["seconds"].items()))
    memory = MISSING if made["peak_memory_mib"] is None else f"{made['peak_memory_mib']:.0f} MiB"
    yield "## Made by"
    device = f"{made['gpu'] or made['cpu']}, {made['threads']} threads"
    yield f"* commit {commit}, finished {made['finished']}\n* {device}\n* time: {seconds}; peak memory: {memory}"
