"""Report sections on retrieval: features, ranked lists, errors and their causes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from usvi_bench.core.formatting import person_name
from usvi_bench.core.table import Table, Value, value_rows
from usvi_bench.protocols.evaluation_file import DEPTH, SavedEvaluation
from usvi_bench.reports import causes, confusion, distances, ranking, tsne
from usvi_bench.reports.page import Picture, Report, Section
from usvi_bench.reports.pictures import Album
from usvi_bench.reports.ranking import Images, open_image
from usvi_bench.reports.runs import RecordedRun

LISTED = 500
"""Maximum number of ranked lists in the JSON, evenly spaced by average precision."""
SHOWN = 10
"""Number of worst queries in the table."""


def retrieval(run: RecordedRun, report: Report, album: Album) -> None:
    """Add features, ranked lists and errors of the first fold, or a note if the run did not store them."""
    evaluation = run.evaluation
    if evaluation is None:
        why = "only the record is available" if run.folder is None else "the run has no evaluation.npz"
        report.notes.append(f"Features, ranked lists and errors: {why}.")
        return
    _compare_scores(run, evaluation, report)
    images = open_image if album.shown else None
    sections = (
        _features(run, evaluation, report, album),
        _lists(run, evaluation, report, album, images),
        _failures(run, evaluation, images, report),
    )
    report.sections += [section for section in sections if section.text or section.pictures or section.tables]
    if run.record.result.dataset["synthetic"] is not None:
        _causes(run, evaluation, report)


def _compare_scores(run: RecordedRun, evaluation: SavedEvaluation, report: Report) -> None:
    """Add a note if the first score of the record is not that of the ranked lists."""
    precision = evaluation.average_precision
    found = float(np.nanmean(precision)) if not np.isnan(precision).all() else 0.0
    first = min(run.record.scores(), key=lambda score: (score.fold, score.trial), default=None)
    if first is not None and abs(first.metrics["mAP"] - found) > 1e-6:
        report.notes.append(
            f"The ranked lists have an mAP of {100 * found:.1f}, but the first trial of the record has "
            f"{100 * first.metrics['mAP']:.1f}: evaluation.npz is of another run. Score the run again."
        )


def _features(run: RecordedRun, evaluation: SavedEvaluation, report: Report, album: Album) -> Section:
    section = Section("features", "Features")
    numbers = album.add_sample(evaluation)
    sample = evaluation.sample.people(tsne.PEOPLE)
    if len(sample.identities) < tsne.SMALLEST:
        report.notes.append(f"Features: only {len(sample.identities)} images of people with both modalities.")
        return section
    panels = tsne.before_and_after(evaluation, sample)
    alt = f"t-SNE of {tsne.tsne_counts(sample)}: " + "; ".join(
        f"{panel.title}, {tsne.meeting_words(panel.meeting)}" if panel.meeting else panel.title for panel in panels
    )
    draw = partial(tsne.tsne_figure, panels, sample)
    foot = _foot(run, tsne.tsne_counts(sample))
    section.pictures.append(Picture("tsne", "t-SNE", tsne.tsne_caption(sample), alt, draw, foot, True))
    chosen = np.isin(evaluation.sample.identities, np.unique(sample.identities))
    images = [number for number, kept in zip(numbers, chosen.tolist(), strict=True) if kept]
    report.data["tsne"] = tsne.tsne_data(panels, images)
    found = distances.all_distances(evaluation.sample)
    alt = "Distances of pairs of one person and of different people; overlap " + ", ".join(
        f"{each.kind} {each.when} {each.overlap:.3f}" for each in found
    )
    caption = distances.distances_caption(evaluation.sample)
    draw = partial(distances.distances_figure, found)
    foot = _foot(run, distances.distances_counts(evaluation.sample))
    section.pictures.append(Picture("distances", "Distances", caption, alt, draw, foot, True))
    edges = distances.edges_of(found)
    report.data["distances"] = {
        "edges": edges,
        "series": [
            {
                "name": each.kind,
                "same": same,
                "when": each.when,
                "pairs": len(part),
                "density": distances.density(part, edges),
            }
            for each in found
            for same, part in ((True, each.same), (False, each.different))
        ],
    }
    return section


def _lists(
    run: RecordedRun, evaluation: SavedEvaluation, report: Report, album: Album, images: Images | None
) -> Section:
    section = Section("ranking", "Ranked lists", "" if album.shown else report.pictures_why)
    precision = evaluation.average_precision
    if images is not None:
        chosen = ranking.choose_queries(precision, evaluation.query.identities)
        for name, title, caption, rows in (
            ("ranking", "Ranked lists", ranking.ranking_caption(evaluation), chosen),
            ("worst", "Worst queries", ranking.worst_caption(evaluation), ranking.worst_queries(evaluation)),
        ):
            draw = partial(ranking.ranking_figure, evaluation, images, rows, name == "worst")
            foot = _foot(run, f"{len(rows)} of {_queries(evaluation)}, {_gallery(evaluation)}")
            rights = [int(evaluation.matches[row].sum()) for row in rows.values()]
            alt = f"{len(rows)} queries with their {DEPTH} best images; right ones: {', '.join(map(str, rights))}."
            section.pictures.append(Picture(name, title, caption, alt, draw, foot, True))
    order = ranking.by_precision(precision)
    worst = [_query_row(evaluation, row) for row in order[::-1][:SHOWN].tolist()]
    columns = ["query", "person", "camera", "AP (%)", "person at rank 1", "right in the first 10"]
    notes = ["Sorted by average precision, lowest first."]
    section.tables.append(Table("Worst queries", columns, value_rows(worst), notes=notes, name="worst"))
    if len(order) > LISTED:
        order = order[np.linspace(0, len(order) - 1, LISTED).round().astype(int)]
    report.data["rankings"] = {
        "rule": f"valid queries by average precision, best first; at most {LISTED}, evenly spaced; first trial",
        "depth": DEPTH,
        "queries": [_ranked(evaluation, row, album) for row in order.tolist()],
    }
    return section


def _ranked(evaluation: SavedEvaluation, row: int, album: Album) -> dict[str, Any]:
    ranked = [
        {"image": album.add(evaluation.gallery, column), "score": score, "right": bool(right)}
        for column, score, right in zip(
            evaluation.order[row].tolist(), evaluation.scores[row].tolist(), evaluation.matches[row], strict=True
        )
        if column >= 0
    ]
    return {"image": album.add(evaluation.query, row), "ap": float(evaluation.average_precision[row]), "ranked": ranked}


def _query_row(evaluation: SavedEvaluation, row: int) -> list[Value]:
    first = evaluation.order[row, 0]
    return [
        evaluation.query.paths[row],
        int(evaluation.query.identities[row]),
        int(evaluation.query.cameras[row]),
        100 * float(evaluation.average_precision[row]),
        person_name(int(evaluation.gallery.identities[first])) if first >= 0 else None,
        int(evaluation.matches[row].sum()),
    ]


def _failures(run: RecordedRun, evaluation: SavedEvaluation, images: Images | None, report: Report) -> Section:
    section = Section("confusion", "Confused pairs", "" if images else report.pictures_why)
    pairs = confusion.confused_pairs(evaluation)
    if not pairs:
        report.notes.append("Confused pairs: every valid query has the right person at rank 1.")
        return section
    rows = [[pair.person, person_name(pair.other), pair.count, pair.queries] for pair in pairs[: confusion.SHOWN]]
    columns = ["person of the query", "person at rank 1", "queries", "of"]
    caption = confusion.confusion_caption(evaluation, pairs)
    notes = ["Counted over valid queries."]
    section.tables.append(Table("Most confused pairs", columns, value_rows(rows), notes=notes, name="pairs"))
    if images is not None:
        shown = pairs[: confusion.SHOWN]
        alt = "; ".join(
            f"person {p.person} confused with {person_name(p.other)} in {p.count} of {p.queries} queries" for p in shown
        )
        foot = _foot(
            run, f"{len(shown)} of {len(pairs)} confused pairs, {_queries(evaluation)}, {_gallery(evaluation)}"
        )
        draw = partial(confusion.confusion_figure, evaluation, shown, images)
        section.pictures.append(Picture("confusion", "Most confused pairs", caption, alt, draw, foot, True))
    return section


def _causes(run: RecordedRun, evaluation: SavedEvaluation, report: Report) -> None:
    truth = causes.read_truth(evaluation)
    if truth is None:
        report.notes.append(f"Error by cause: {Path(evaluation.query.root).name} has no {causes.GROUND_TRUTH}.")
        return
    found = causes.levels(evaluation, truth)
    section = Section("causes", "Error by cause")
    if found:
        caption = (
            "Share of valid queries with a wrong person at rank 1, by ground truth of the generator: camera; visible "
            "side (front: walking within 45° of the direction to the camera; back: of the opposite direction); "
            "occlusion; whether another person in the gallery has the same kind of top, bottom and pattern. Causes "
            "with a single level are omitted. Line: 95 % interval over people; dashed: all valid queries. First trial."
        )
        alt = "Error at rank 1: " + ", ".join(f"{level.level} {level.error:.0%}" for level in found)
        draw, foot = partial(causes.causes_figure, found), _foot(run, f"n = {_queries(evaluation)}")
        section.pictures.append(Picture("causes", "Error by cause", caption, alt, draw, foot, True))
        rows: list[list[Value]] = [
            [x.cause, x.level, x.queries, x.people, 100 * x.error, 100 * x.low, 100 * x.high, 100 * x.average_precision]
            for x in found
        ]
        columns = ["cause", "level", "queries", "people", "error at R1", "low", "high", "mAP"]
        notes = ["Percent; 95 % interval over people. First trial only, so Rank-1 differs from the mean over trials."]
        section.tables.append(Table("Error by cause", columns, value_rows(rows), words=2, notes=notes, name="causes"))
    shared, wrong, people = causes.traits(evaluation, truth)
    if shared:
        caption = (
            f"Traits that the wrong person at rank 1 shares with the query's person, over {wrong} queries, compared "
            "with a random wrong gallery image (grey). Line: 95 % interval over people. A trait far to the right of "
            "its grey point is a likely cause of confusion. Colours with a CIELAB distance of at most "
            f"{causes.ALIKE:.0f} count as equal (about 2 is just visible); other traits are compared by kind."
        )
        alt = ", ".join(f"{t.name}: {t.confused:.0%}, random {t.expected:.0%}" for t in shared)
        draw = partial(causes.traits_figure, shared)
        foot = _foot(
            run, f"n = {wrong} {evaluation.query.modality} queries of {people} people with a wrong person at rank 1"
        )
        section.pictures.append(Picture("traits", "Traits shared by confused people", caption, alt, draw, foot, True))
    report.sections.append(section)


def _foot(run: RecordedRun, counts: str) -> str:
    return f"{run.words}; {counts}; seed {run.record.result.seed}"


def _queries(evaluation: SavedEvaluation) -> str:
    """Count the valid queries and their people, in words."""
    valid = ~np.isnan(evaluation.average_precision)
    people = len(np.unique(evaluation.query.identities[valid]))
    return f"{int(valid.sum())} valid {evaluation.query.modality} queries of {people} people"


def _gallery(evaluation: SavedEvaluation) -> str:
    people = len(np.unique(evaluation.gallery.identities))
    return f"gallery of {len(evaluation.gallery)} {evaluation.gallery.modality} images of {people} people"
