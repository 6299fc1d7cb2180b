"""Runs side by side: curves on one axis, features panel by panel, and how sure their differences are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from engine.registry import UsageError
from leaderboard.record import METRICS, headline_scores
from leaderboard.table import gallery_words
from reports import tsne
from reports.bootstrap import Difference, Unit, paired_difference
from reports.curves import from_zero, series_of
from reports.page import Picture, Report, Section, Table, rounded, write
from reports.pictures import Album, may_be_shown
from reports.report import report_on
from reports.sources import Source
from reports.style import LOOKS, NEUTRAL, SMALL, new_figure, shared_legend, styled

CURVES = {
    "clusters visible": "visible clusters",
    "clusters infrared": "infrared clusters",
    "ARI visible": "visible ARI",
    "ARI infrared": "infrared ARI",
    "match precision": "match precision",
    "match recall": "match recall",
}
"""Series that methods share, by the label of their axis."""
ALL_PAIRS_UP_TO = 5
"""Methods of which every pair is compared; of more, each is compared with the best."""
UNITS: tuple[Unit, ...] = ("query", "person")


@dataclass(frozen=True)
class Group:
    """Runs of one method in one configuration, a seed each."""

    label: str
    runs: list[Source]

    @property
    def seeds(self) -> list[int]:
        """In ascending order."""
        return sorted(run.record.result.seed for run in self.runs)

    def values(self, metric: str) -> list[float]:
        """The headline of each seed, mean over folds and trials; seeds without one are left out."""
        scores = [[getattr(score, metric) for score in headline_scores(run.record)] for run in self.runs]
        return [fmean(values) for values in scores if values]

    @property
    def place(self) -> float:
        """Mean mAP, by which groups are ordered."""
        return fmean(self.values("mAP") or [0.0])


def compare(sources: Sequence[Source], folder: Path, with_pictures: bool) -> Path:
    """Write a report about each run, and one that compares them.

    Runs are compared where protocol, gallery and images are the same; the report has a section for each such set.

    Returns:
        Path of the comparison's ``report.md``.
    """
    shown, why = may_be_shown([source.record for source in sources], with_pictures)
    sets = comparable(sources)
    report = Report("comparison", f"Comparison of {len(sources)} runs", [], shown, why)
    for source in sources:
        report_on(source, folder / source.name, with_pictures)
        report.runs.append(_entry(source))
    album = Album(shown)
    report.data = {"curves": {"runs": {}}, "paired": []}
    with styled():
        for name, groups in sets.items():
            report.sections.append(_section(name, groups, report, album))
        report.summary.append(
            f"{len(sets)} set{'s' if len(sets) > 1 else ''} of runs that share protocol, gallery and images. Methods "
            "are ordered by mean mAP of their seeds."
        )
        album.write(folder)
        report.images = album.entries
        return write(report, folder)


def comparable(sources: Sequence[Source]) -> dict[str, list[Group]]:
    """Runs that may be compared, by a name for them; in each set the methods, best mean mAP first."""
    found: dict[tuple[Any, ...], dict[tuple[str, str], list[Source]]] = {}
    for source in sources:
        result = source.record.result
        kind = result.headline
        key = (result.protocol, result.dataset["fingerprint"], kind["shots"], kind["gallery"], tuple(result.folds))
        found.setdefault(key, {}).setdefault((result.method, result.config_hash), []).append(source)
    sets: dict[str, list[Group]] = {}
    for key, methods in found.items():
        names = [method for method, _ in methods]
        groups = []
        for (method, config), runs in methods.items():
            seeds = [run.record.result.seed for run in runs]
            if len(set(seeds)) < len(seeds):
                raise UsageError(f"{method}, {key[0]}: seeds {seeds}: name each seed of a configuration once")
            groups.append(Group(method if names.count(method) == 1 else f"{method} ({config[:6]})", runs))
        name = key[0] if key[0] not in sets else f"{key[0]}-{len(sets) + 1}"
        sets[name] = sorted(groups, key=lambda group: (-group.place, group.label))
    return sets


def paired(groups: Sequence[Group]) -> Iterator[tuple[Group, Group, str, Unit, Difference]]:
    """Differences between groups whose runs kept their query scores: (baseline, other, metric, unit, difference)."""
    able = [group for group in groups if all(run.queries for run in group.runs)]
    pairs = list(combinations(able, 2)) if len(able) <= ALL_PAIRS_UP_TO else [(able[0], other) for other in able[1:]]
    for better, worse in pairs:
        baseline, other = ([run.queries or {} for run in group.runs] for group in (worse, better))
        for metric in ("mAP", "R1"):
            for unit in UNITS:
                yield worse, better, metric, unit, paired_difference(baseline, other, metric, unit)


def _section(name: str, groups: list[Group], report: Report, album: Album) -> Section:
    result = groups[0].runs[0].record.result
    kind = result.headline
    section = Section(
        name,
        f"{name}: {', '.join(group.label for group in groups)}",
        f"Data: {result.dataset['description']}. Protocol: {gallery_words(kind['shots'], kind['gallery'])}.",
    )
    section.tables.append(_scores(name, groups))
    _differences(name, groups, section, report)
    foot = _scope(name, groups)
    trained = [group for group in groups if all(run.epochs for run in group.runs)]
    for group in trained:
        for run in group.runs:
            series = series_of(run.epochs)
            stages = [line["stage"] for line in run.epochs]
            entry = {"epoch": list(range(1, len(stages) + 1)), "stage": stages, "series": series}
            report.data["curves"]["runs"][run.name] = entry
    if trained:
        caption = (
            "Line: mean over the seeds of a method, band: their range. Grey: true number of people. An epoch counts "
            "from the start of the first stage. Matches are drawn where a method makes any."
        )
        alt = f"Clusters, their agreement with identities, and matches of {', '.join(g.label for g in trained)}."
        figure = overlay_figure(trained)
        images = " and ".join(f"{n} {kind}" for kind, n in sorted(trained[0].runs[0].epochs[0]["images"].items())[::-1])
        section.pictures.append(
            Picture(
                f"curves-{name}", "Training side by side", caption, alt, figure, f"{foot}; n = {images} images", True
            )
        )
    _features(name, groups, section, report, album)
    return section


def _scores(name: str, groups: list[Group]) -> Table:
    rows: list[list[str | int | float | None]] = []
    for group in groups:
        cells: list[str | None] = []
        for metric in METRICS:
            values = [100 * value for value in group.values(metric)]
            spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{fmean(values):.1f}{spread}" if values else None)
        rows.append([group.label, len(group.runs), *cells])
    note = "Percent; mean ± standard deviation over n seeds (ddof 1)."
    return Table(f"scores-{name}", "Scores", ["method", "n", *METRICS], rows, note)


def _differences(name: str, groups: list[Group], section: Section, report: Report) -> None:
    lacking = [run.name for group in groups for run in group.runs if not run.queries]
    if lacking and len(groups) > 1:
        report.notes.append(
            f"{name}: differences with intervals need the scores of every query, which {', '.join(lacking)} did not "
            "keep (no queries.npz); run them again, a finished training is scored anew without training."
        )
    found = list(paired(groups))
    if not found:
        return
    queries = found[0][0].runs[0].queries or {}
    count = sum(int(np.any(scores.ahead >= 0, axis=0).sum()) for scores in queries.values())
    people = sum(len(np.unique(scores.identities)) for scores in queries.values())
    rows: list[list[str | float]] = []
    for worse, better, metric, unit, difference in found:
        low, high = 100 * difference.low, 100 * difference.high
        clear = "yes" if difference.clear else "no"
        rows.append([f"{better.label} - {worse.label}", metric, unit, 100 * difference.difference, low, high, clear])
        report.data["paired"].append(
            {
                "set": name,
                "baseline": worse.label,
                "other": better.label,
                "metric": metric,
                "difference": difference.difference,
                "low": difference.low,
                "high": difference.high,
                "unit": unit,
                "queries": count,
                "seeds": better.seeds,
            }
        )
    note = (
        f"Percentage points; percentile interval of 95 % of a paired bootstrap, 10,000 resamples of {count} queries, "
        f"or of {people} people with all their queries, the safer unit. Seeds are averaged: the interval tells "
        "what other queries would change, not what other seeds would."
    )
    columns = ["difference", "metric", "resampled", "points", "low", "high", "clear of 0"]
    section.tables.append(Table(f"paired-{name}", "Paired differences", columns, rows, note))
    alt = "; ".join(
        f"{row[0]} {row[1]} {row[3]:.1f} ({row[4]:.1f} to {row[5]:.1f})" for row in rows if row[2] == "person"
    )
    figure = differences_figure(found)
    foot = f"{_scope(name, groups)}; n = {count} queries of {people} people; 10,000 resamples of people"
    caption = f"Difference of two methods and its interval, people resampled. {note}"
    section.pictures.append(Picture(f"paired-{name}", "Paired differences", caption, alt, figure, foot))


def overlay_figure(groups: Sequence[Group]) -> Figure:
    """The series of :data:`CURVES` that any run has, a panel each; one look a method."""
    drawn = {group.label: [series_of(run.epochs) for run in group.runs] for group in groups}
    names = [name for name in CURVES if any(name in series for runs in drawn.values() for series in runs)]
    rows = -(-len(names) // 2)
    figure, panels = new_figure(2, rows=rows, height=1.25 * rows + 0.35)
    for axes, name in zip(panels, names, strict=True):
        for (label, runs), look in zip(drawn.items(), _looks(len(drawn)), strict=True):
            longest = max(len(series["learning rate"]) for series in runs) if runs else 0
            values = [series.get(name, np.full(longest, np.nan)) for series in runs]
            values = [np.pad(part, (0, longest - len(part)), constant_values=np.nan) for part in values]
            known = np.isfinite(values).any(axis=0)
            epochs = np.flatnonzero(known) + 1
            part = np.array(values)[:, known]
            axes.plot(epochs, np.nanmean(part, axis=0), label=label, **{**look, "markevery": max(1, longest // 12)})
            axes.fill_between(
                epochs, np.nanmin(part, axis=0), np.nanmax(part, axis=0), color=look["color"], alpha=0.15, lw=0
            )
        if name.startswith("clusters"):
            people = next(iter(drawn.values()))[0][name.replace("clusters", "people")][0]
            axes.axhline(people, color=NEUTRAL, linestyle=(0, (1, 1)), linewidth=0.8)
        axes.set_ylabel(CURVES[name])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        from_zero(axes)
    for axes in panels[-2:]:
        axes.set_xlabel("epoch")
    shared_legend(figure, columns=3)
    return figure


def differences_figure(found: Sequence[tuple[Group, Group, str, Unit, Difference]]) -> Figure:
    """A row a pair, a panel a metric; filled where the interval leaves 0 out."""
    shown = [entry for entry in found if entry[3] == "person"]
    pairs = list(dict.fromkeys(f"{better.label} -\n{worse.label}" for worse, better, *_ in shown))
    figure, panels = new_figure(2, height=0.27 * len(pairs) + 0.5)
    for axes, metric in zip(panels, ("mAP", "R1"), strict=True):
        for place, (_, _, _, _, difference) in enumerate(entry for entry in shown if entry[2] == metric):
            colour = LOOKS[0]["color"] if difference.clear else NEUTRAL
            axes.plot([difference.low, difference.high], [place, place], color=colour, linewidth=1.4)
            fill = colour if difference.clear else "white"
            axes.plot(difference.difference, place, "o", color=colour, markerfacecolor=fill, markersize=4)
        axes.axvline(0, color=NEUTRAL, linewidth=0.8)
        axes.set(ylim=(len(pairs) - 0.5, -0.5), xlabel=f"difference of {metric} (points)")
        axes.set_yticks(range(len(pairs)), pairs if metric == "mAP" else [""] * len(pairs), fontsize=SMALL)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=""))
    return figure


def _features(name: str, groups: list[Group], section: Section, report: Report, album: Album) -> None:
    """The same test images under every method, first seed of each."""
    firsts = {group.label: min(group.runs, key=lambda run: run.record.result.seed) for group in groups}
    found = {label: run.evaluation for label, run in firsts.items() if run.evaluation is not None}
    samples = {label: evaluation.sample.people(tsne.PEOPLE) for label, evaluation in found.items()}
    reference = next(iter(samples.values()), None)
    if reference is None or len(reference.identities) < tsne.SMALLEST:
        report.notes.append(f"{name}: no features to draw, because no run kept its evaluation.npz.")
        return
    same = {
        label: sample
        for label, sample in samples.items()
        if np.array_equal(sample.identities, reference.identities)
        and np.array_equal(sample.infrared, reference.infrared)
    }
    panels = {}
    if reference.before is not None and len(same) > 1:
        panels["starting weights"] = tsne.project(reference.before)
    panels |= {label: tsne.project(sample.features) for label, sample in same.items()}
    figure = tsne.tsne_figure(panels, reference)
    foot = f"{_scope(name, [Group(label, [firsts[label]]) for label in same])}; n = {len(reference.identities)} images"
    caption = f"The same images under every method, first seed of each. {tsne.tsne_caption(reference)}"
    alt = f"t-SNE of the same images: {', '.join(panels)}."
    section.pictures.append(
        Picture(
            f"tsne-{name}",
            "t-SNE side by side",
            caption,
            alt,
            figure,
            f"{foot}; n = {len(reference.identities)} images",
            True,
        )
    )
    evaluation = found[next(iter(same))]
    numbers = album.add_sample(evaluation)
    kept = np.isin(evaluation.sample.identities, np.unique(reference.identities)).tolist()
    report.data.setdefault("tsne_sets", {})[name] = {
        "perplexity": tsne.perplexity(len(reference.identities)),
        "seed": tsne.SEED,
        "rule": tsne.tsne_rule(),
        "images": [number for number, chosen in zip(numbers, kept, strict=True) if chosen],
        "panels": [{"title": title, "x": spots[:, 0], "y": spots[:, 1]} for title, spots in panels.items()],
    }


def _entry(source: Source) -> dict[str, Any]:
    result = source.record.result
    scores = headline_scores(source.record)
    means = {metric: fmean(getattr(s, metric) for s in scores) if scores else None for metric in ("mAP", "R1")}
    named = {"name": source.name, "label": f"{source.label} ({result.protocol})", "folder": source.name}
    return {**named, "method": result.method, "protocol": result.protocol, "seed": result.seed, **rounded(means)}


def _scope(name: str, groups: Sequence[Group]) -> str:
    """What the foot of a figure says about its runs."""
    return f"{name}; " + "; ".join(f"{group.label}: seed{_seeds(group)}" for group in groups)


def _seeds(group: Group) -> str:
    seeds = ", ".join(map(str, group.seeds))
    return f" {seeds}" if len(group.seeds) == 1 else f"s {seeds}"


def _looks(count: int) -> list[dict[str, Any]]:
    return [LOOKS[i % len(LOOKS)] for i in range(count)]
