"""The chapters on what a run retrieves: features, ranked lists, where it fails and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from usvi_bench.core.table import Table, Value, value_rows
from usvi_bench.protocols.evaluation_file import DEPTH, SavedEvaluation
from usvi_bench.reports import causes, confusion, distances, ranking, tsne
from usvi_bench.reports.page import Picture, Report, Section
from usvi_bench.reports.pictures import Album
from usvi_bench.reports.ranking import Images, open_image
from usvi_bench.reports.runs import RecordedRun

LISTED = 500
"""Ranked lists in the JSON; of more queries, as many that are evenly spaced by average precision."""
SHOWN = 10
"""Worst queries in the table."""


def retrieval(run: RecordedRun, report: Report, album: Album) -> None:
    """Features, ranked lists and failures of the first fold; a note where the run kept none."""
    evaluation = run.evaluation
    if evaluation is None:
        why = "only the record is here" if run.folder is None else "the run has no evaluation.npz"
        report.notes.append(f"Features, ranked lists and failures: {why}.")
        return
    images = open_image if album.shown else None
    foot = _test_foot(run, evaluation)
    report.sections += [
        _features(evaluation, report, album, foot),
        _lists(evaluation, report, album, images, foot),
        _failures(evaluation, images, foot, report),
    ]
    if run.record.result.dataset["synthetic"] is not None:
        _causes(evaluation, report, foot)


def _features(evaluation: SavedEvaluation, report: Report, album: Album, foot: str) -> Section:
    section = Section("features", "Features")
    numbers = album.add_sample(evaluation)
    sample = evaluation.sample.people(tsne.PEOPLE)
    if len(sample.identities) < tsne.SMALLEST:
        report.notes.append(f"Features: only {len(sample.identities)} images of people seen in both modalities.")
        return section
    panels = tsne.before_and_after(sample)
    figure = tsne.tsne_figure(panels, sample)
    alt = f"t-SNE of {len(sample.identities)} test images of {len(np.unique(sample.identities))} people: " + ", ".join(
        panels
    )
    section.pictures.append(Picture("tsne", "t-SNE", tsne.tsne_caption(sample), alt, figure, foot, True))
    chosen = np.isin(evaluation.sample.identities, np.unique(sample.identities))
    report.data["tsne"] = {
        "perplexity": tsne.perplexity(len(sample.identities)),
        "seed": tsne.SEED,
        "rule": tsne.tsne_rule(),
        "images": [number for number, kept in zip(numbers, chosen.tolist(), strict=True) if kept],
        "panels": [{"title": title, "x": spots[:, 0], "y": spots[:, 1]} for title, spots in panels.items()],
    }
    found = distances.all_distances(evaluation.sample)
    alt = "Distances of pairs of one person and of different people; overlap " + ", ".join(
        f"{each.kind} {each.when} {each.overlap:.3f}" for each in found
    )
    caption = distances.distances_caption(evaluation.sample)
    figure = distances.distances_figure(found)
    section.pictures.append(Picture("distances", "Distances", caption, alt, figure, foot, True))
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


def _lists(evaluation: SavedEvaluation, report: Report, album: Album, images: Images | None, foot: str) -> Section:
    section = Section("ranking", "Ranked lists", "" if album.shown else report.pictures_why)
    precision = evaluation.average_precision
    if images is not None:
        for name, title, caption, rows in (
            ("ranking", "Ranked lists", ranking.ranking_caption(evaluation), ranking.choose_queries(precision)),
            ("worst", "Worst queries", ranking.worst_caption(evaluation), ranking.worst_queries(evaluation)),
        ):
            figure, _ = ranking.ranking_figure(evaluation, images, rows, sought=name == "worst")
            rights = [int(evaluation.matches[row].sum()) for row in rows.values()]
            alt = f"{len(rows)} queries with their {DEPTH} best images; right ones: {', '.join(map(str, rights))}."
            section.pictures.append(Picture(name, title, caption, alt, figure, foot, True))
    order = ranking.by_precision(precision)
    worst = [_query_row(evaluation, row) for row in order[::-1][:SHOWN].tolist()]
    columns = ["query", "person", "camera", "AP (%)", "first place: person", "right in the first 10"]
    notes = ["Lowest average precision, the worst first."]
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
        int(evaluation.gallery.identities[first]) if first >= 0 else None,
        int(evaluation.matches[row].sum()),
    ]


def _failures(evaluation: SavedEvaluation, images: Images | None, foot: str, report: Report) -> Section:
    section = Section("confusion", "Confused pairs", "" if images else report.pictures_why)
    pairs = confusion.confused_pairs(evaluation)
    if not pairs:
        report.notes.append("Confused pairs: every valid query has the right person in first place.")
        return section
    rows = [[pair.person, pair.other, pair.count, pair.queries] for pair in pairs[: confusion.SHOWN]]
    columns = ["person of the query", "person in first place", "queries", "of"]
    caption = confusion.confusion_caption(evaluation, pairs)
    notes = ["Counted over valid queries."]
    section.tables.append(Table("Most confused pairs", columns, value_rows(rows), notes=notes, name="pairs"))
    if images is not None:
        figure, _ = confusion.confusion_figure(evaluation, pairs, images)
        alt = "; ".join(f"person {p.person} taken for {p.other} in {p.count} of {p.queries} queries" for p in pairs[:8])
        section.pictures.append(Picture("confusion", "Most confused pairs", caption, alt, figure, foot, True))
    return section


def _causes(evaluation: SavedEvaluation, report: Report, foot: str) -> None:
    truth = causes.read_truth(evaluation)
    if truth is None:
        report.notes.append(
            f"Error by cause: no {causes.GROUND_TRUTH} of these images in {Path(evaluation.query.root).name}."
        )
        return
    found = causes.levels(evaluation, truth)
    section = Section("causes", "Error by cause")
    if found:
        caption = (
            "Share of valid queries whose first place is a wrong person, by what the generator knows of the query: "
            "its camera; the side it shows (front: walks within 45° towards the camera, back: away); whether something "
            "is in front of the person; whether somebody else in the gallery wears the same kind of top, bottom and "
            "pattern. Causes that all queries share are left out. Line: 95 % interval, people resampled. First trial."
        )
        alt = "Error at Rank-1: " + ", ".join(f"{level.level} {level.error:.0%}" for level in found)
        figure = causes.causes_figure(found)
        section.pictures.append(Picture("causes", "Error by cause", caption, alt, figure, foot, True))
        rows: list[list[Value]] = [
            [x.cause, x.level, x.queries, x.people, 100 * x.error, 100 * x.low, 100 * x.high, 100 * x.average_precision]
            for x in found
        ]
        columns = ["cause", "level", "queries", "people", "error at R1", "low", "high", "mAP"]
        notes = ["Percent; interval of 95 % over people."]
        section.tables.append(Table("Error by cause", columns, value_rows(rows), words=2, notes=notes, name="causes"))
    shared, wrong = causes.traits(evaluation, truth)
    if shared:
        caption = (
            f"What the wrong person in first place has in common with the query's person, over {wrong} queries with a "
            "wrong first place, beside what a wrong gallery image picked at random would share: far right of the grey "
            f"point, the trait misleads. Colours at most {causes.ALIKE:.0f} apart in CIELAB count as the same (about 2 "
            "is just visible); all else is compared by kind."
        )
        alt = ", ".join(f"{t.name}: {t.confused:.0%}, at random {t.expected:.0%}" for t in shared)
        figure = causes.traits_figure(shared)
        section.pictures.append(Picture("traits", "What wrong first places share", caption, alt, figure, foot, True))
    report.sections.append(section)


def _test_foot(run: RecordedRun, evaluation: SavedEvaluation) -> str:
    valid = int(np.sum(~np.isnan(evaluation.average_precision)))
    return (
        f"{run.words}; n = {valid} {evaluation.query.modality} queries of "
        f"{len(np.unique(evaluation.query.identities))} people; seed {run.record.result.seed}"
    )
