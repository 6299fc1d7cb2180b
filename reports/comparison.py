"""Comparison of runs: training curves, features, and differences with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from glob import escape
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_text
from usvi_bench.core.markdown import plain
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.table import Table, Value, percent_cell, to_csv, to_latex, value_rows
from usvi_bench.leaderboard.score_table import gallery_words
from usvi_bench.reports import tsne
from usvi_bench.reports.cmc import cmc_picture
from usvi_bench.reports.curves import series_of
from usvi_bench.reports.groups import Group, able_groups, comparable, paired, scope
from usvi_bench.reports.output import REPORT, remove_link, remove_old
from usvi_bench.reports.page import Picture, Report, Section, rounded, write
from usvi_bench.reports.paired_table import counts, paired_note, paired_table
from usvi_bench.reports.pictures import Album, may_be_shown
from usvi_bench.reports.report import report_on
from usvi_bench.reports.results_plot import results_picture
from usvi_bench.reports.runs import RECORD, RecordedRun
from usvi_bench.reports.side_by_side import differences_figure, overlay_figure
from usvi_bench.reports.style import LITERAL, styled


def compare(runs: Sequence[RecordedRun], folder: Path, with_pictures: bool) -> Path:
    """Write a report about each run, and one that compares the runs.

    Runs with equal protocol, gallery and images are compared. The report has a section for each such set.

    Returns:
        Path of the comparison's ``report.md``.

    Raises:
        UsageError: a file of a run is damaged, or the folder is or has a run itself; nothing is written.
    """
    for run in runs:
        if run.folder is not None and run.folder.resolve() in (folder.resolve(), (folder / run.name).resolve()):
            raise UsageError(
                f"--output {folder}: the report would be written into the run {run.folder}; choose another"
            )
    for run in runs:  # before anything is drawn or removed
        run.read()
    shown, why = may_be_shown(runs, with_pictures)
    sets = comparable(runs)
    report = Report("comparison", f"Comparison of {len(runs)} runs", [], shown, why)
    _forget(folder, {run.name for run in runs})
    for run in runs:
        report_on(run, remove_link(folder / run.name), with_pictures)
        report.runs.append(_entry(run))
    album = Album(shown)
    report.data = {"curves": {"runs": {}}, "paired": []}
    with styled(LITERAL):
        for name, groups in sets.items():
            report.sections.append(_section(name, groups, report, album))
        report.summary.append(
            f"{len(sets)} set{'s' if len(sets) > 1 else ''} of runs that share protocol, gallery and images. Methods "
            "are ordered by mean mAP of their seeds."
        )
        album.write(folder)
        report.images = album.entries
        for kind in ("csv", "tex"):
            remove_old(folder, f"scores-*.{kind}", ())
        path = write(report, folder)
    for name, groups in sets.items():
        write_text(folder / f"scores-{name}.csv", to_csv(_numbers(groups)))
        comment = f"{name}; percent; mean and sample sd over n seeds"
        write_text(folder / f"scores-{name}.tex", to_latex(_scores(name, groups), comment))
    return path


def _forget(folder: Path, names: set[str]) -> None:
    """Remove reports of an earlier comparison, because they may have pictures that must not be shown now."""
    for old in [*folder.glob(f"*/{REPORT}")]:
        if not old.parent.is_symlink() and not (old.parent / RECORD).exists():  # a run is not a report
            remove_old(folder, escape(old.parent.name), names)


def _section(name: str, groups: list[Group], report: Report, album: Album) -> Section:
    result = groups[0].runs[0].record.result
    kind = result.headline
    section = Section(
        name,
        f"{name}: {', '.join(group.label for group in groups)}",
        f"Data: {plain(result.dataset['description'])}. "
        f"Protocol: {plain(gallery_words(kind['shots'], kind['gallery']))}.",
    )
    section.tables.append(_scores(name, groups))
    section.pictures += filter(None, [results_picture(name, groups), cmc_picture(name, groups)])
    _differences(name, groups, section, report)
    trained = [group for group in groups if all(run.epochs for run in group.runs)]
    for group in trained:
        for run in group.runs:
            series = series_of(run.epochs)
            stages = [line["stage"] for line in run.epochs]
            entry = {"epoch": list(range(1, len(stages) + 1)), "stage": stages, "series": series}
            report.data["curves"]["runs"][run.name] = entry
    if trained:
        caption = (
            "Line: mean over the seeds of a method; band: their range; grey: true number of people. Epochs are counted "
            "from the start of the first stage. Matches are shown for methods that make any. A dotted line marks the "
            "start of a stage; stages are not marked if they start at different epochs."
        )
        alt = f"Clusters, their agreement with identities, and matches of {', '.join(g.label for g in trained)}."
        images = " and ".join(f"{n} {kind}" for kind, n in sorted(trained[0].runs[0].epochs[0]["images"].items())[::-1])
        foot = f"{scope(name, trained)}; n = {images} training images"
        draw = partial(overlay_figure, trained)
        section.pictures.append(Picture(f"curves-{name}", "Training side by side", caption, alt, draw, foot, True))
    _features(name, groups, section, report, album)
    return section


def _scores(name: str, groups: list[Group]) -> Table:
    rows: list[list[Value]] = []
    for group in groups:
        cells: list[str | None] = []
        for metric in METRICS:
            values = group.values(metric)
            sd = stdev(values) if len(values) > 1 else None
            cells.append(percent_cell(fmean(values), sd).text if values else None)
        rows.append([group.label, len(group.runs), *cells])
    note = f"Percent; mean ± standard deviation over n seeds (ddof 1). Files: scores-{name}.csv, scores-{name}.tex."
    return Table("Scores", ["method", "n", *METRICS], value_rows(rows), notes=[note], name=f"scores-{name}")


def _numbers(groups: list[Group]) -> Table:
    """Return means and sample standard deviations over seeds, as fractions in full precision."""
    columns = ["method", "n", *(f"{metric} {what}" for metric in METRICS for what in ("mean", "sd"))]
    rows: list[list[Value]] = []
    for group in groups:
        row: list[Value] = [group.label, len(group.runs)]
        for values in map(group.values, METRICS):
            row += [fmean(values) if values else None, stdev(values) if len(values) > 1 else None]
        rows.append(row)
    return Table("Scores", columns, value_rows(rows))


def _differences(name: str, groups: list[Group], section: Section, report: Report) -> None:
    able = able_groups(groups)
    lacking = [
        run.name for group in groups if group not in able for run in group.runs if not (run.queries and run.draws)
    ]
    if lacking and len(groups) > 1:
        report.notes.append(
            f"{plain(name)}: differences with intervals need the scores of all queries, which "
            f"{plain(', '.join(lacking))} did not "
            "store (no queries.npz, or an older record). The same command of a run stores them; it trains again unless "
            "the finished training is in the output folder."
        )
    found = list(paired(groups))
    if not found:
        return
    queries, people = counts(found)
    for worse, better, metric, unit, difference in found:
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
                "queries": queries,
                "seeds": better.seeds,
            }
        )
    section.tables.append(paired_table(found, name))
    alt = "; ".join(
        f"{better.label} - {worse.label} {metric} {100 * gap.difference:.1f} "
        f"({100 * gap.low:.1f} to {100 * gap.high:.1f})"
        for worse, better, metric, unit, gap in found
        if unit == "person"
    )
    shown = [group for group in groups if any(group in entry[:2] for entry in found)]
    foot = f"{scope(name, shown)}; n = {queries} queries of {people} people; 10,000 resamples of people"
    caption = f"Difference of two methods with its interval over people. {paired_note(found)}"
    section.pictures.append(
        Picture(f"paired-{name}", "Paired differences", caption, alt, partial(differences_figure, found), foot)
    )


def _features(name: str, groups: list[Group], section: Section, report: Report, album: Album) -> None:
    """Add t-SNE of the same test images for each method, with its first seed."""
    firsts = {group.label: min(group.runs, key=lambda run: run.record.result.seed) for group in groups}
    found = {label: run.evaluation for label, run in firsts.items() if run.evaluation is not None}
    samples = {label: evaluation.sample.people(tsne.PEOPLE) for label, evaluation in found.items()}
    reference = next(iter(samples.values()), None)
    if reference is None or len(reference.identities) < tsne.SMALLEST:
        why = (
            "because the first seed of no method has an evaluation.npz"
            if reference is None
            else f"only {len(reference.identities)} images of people with both modalities"
        )
        report.notes.append(f"{plain(name)}: no features to draw, {why}.")
        return
    same = {
        label: sample
        for label, sample in samples.items()
        if np.array_equal(sample.identities, reference.identities)
        and np.array_equal(sample.infrared, reference.infrared)
    }
    panels = [
        tsne.Panel(label, tsne.project(sample.features), found[label].meetings.get("after"))
        for label, sample in same.items()
    ]
    if reference.before is not None and len(same) > 1 and "untrained" not in same:
        start = found[next(iter(same))].meetings.get("before")
        panels.insert(0, tsne.Panel("starting weights", tsne.project(reference.before), start))
    counts = tsne.tsne_counts(reference)
    foot = f"{scope(name, [Group(label, [firsts[label]]) for label in same])}; {counts}"
    caption = f"The same images for each method, with its first seed. {tsne.tsne_caption(reference)}"
    alt = f"t-SNE of the same images: {', '.join(panel.title for panel in panels)}."
    draw = partial(tsne.tsne_figure, panels, reference)
    section.pictures.append(Picture(f"tsne-{name}", "t-SNE side by side", caption, alt, draw, foot, True))
    evaluation = found[next(iter(same))]
    numbers = album.add_sample(evaluation)
    kept = np.isin(evaluation.sample.identities, np.unique(reference.identities)).tolist()
    images = [number for number, chosen in zip(numbers, kept, strict=True) if chosen]
    report.data.setdefault("tsne_sets", {})[name] = tsne.tsne_data(panels, images)


def _entry(run: RecordedRun) -> dict[str, Any]:
    result = run.record.result
    found = run.record.means()
    means = {metric: found.get(metric) for metric in ("mAP", "R1")}
    named = {"name": run.name, "label": f"{run.label} ({result.protocol})", "folder": run.name}
    return {**named, "method": result.method, "protocol": result.protocol, "seed": result.seed, **rounded(means)}
