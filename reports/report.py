"""Report of one run: scores, figures and their data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from usvi_bench.core.formatting import MISSING, counted
from usvi_bench.core.markdown import bullets, code, plain
from usvi_bench.core.record import Record
from usvi_bench.core.settings import digest
from usvi_bench.leaderboard.plugin_words import plugin_words
from usvi_bench.leaderboard.published_corrupted import beside
from usvi_bench.leaderboard.score_rows import CORRUPTED
from usvi_bench.leaderboard.score_table import gallery_words
from usvi_bench.reports.open_set_section import add_open_set
from usvi_bench.reports.output import report_folder
from usvi_bench.reports.page import Report, Section, write
from usvi_bench.reports.pictures import Album, may_be_shown
from usvi_bench.reports.retrieval import retrieval
from usvi_bench.reports.run_files import refused
from usvi_bench.reports.run_scores import run_scores
from usvi_bench.reports.runs import RecordedRun, find_recorded_runs
from usvi_bench.reports.style import LITERAL, styled
from usvi_bench.reports.training import training


def write_report(run: Path, output: Path | None = None, with_pictures: bool = False) -> Path:
    """Write the report of a run from its record, journal and evaluation, without changing them.

    Args:
        run: folder of a finished run.
        output: folder for the report; ``report`` in the folder of the run if None.
        with_pictures: show pictures of people even if they are real.

    Returns:
        Path of ``report.md``.

    Raises:
        UsageError: the folder has no valid record.
    """
    (recorded,) = find_recorded_runs([run])
    return report_on(recorded, output or report_folder(run), with_pictures)


def report_on(run: RecordedRun, folder: Path, with_pictures: bool) -> Path:
    """Write the report of a loaded run to a folder; see :func:`write_report`.

    Raises:
        UsageError: a file of the run is damaged.
    """
    with refused(run.folder or Path(run.name), "repeat the command of the run"):
        return _report_on(run, folder, with_pictures)


def _report_on(run: RecordedRun, folder: Path, with_pictures: bool) -> Path:
    record = run.record
    shown, why = may_be_shown([run], with_pictures)
    result = record.result
    report = Report(
        kind="run",
        title=f"{result.method} on {result.protocol}, seed {result.seed}",
        summary=list(_summary(record)),
        pictures_shown=shown,
        pictures_why=why,
        facts=_facts(record),
    )
    if record.result.scores:
        tables = [run_scores(record), *filter(None, [beside(record)])]
        report.sections.append(Section("scores", "Scores", _conditions(record), tables=tables))
    album = Album(shown)
    with styled(LITERAL):
        training(run, report)
        retrieval(run, report, album)
        add_open_set(run, report)
        if run.evaluation is not None and CORRUPTED in result.headline["gallery"]:
            report.notes.append("t-SNE and distances show features of the images without corruption.")
        report.sections.append(_made(record))
        lost = album.write(folder)
        if lost:
            report.notes.append(f"{lost} images could not be opened; their folder was moved or changed.")
        report.images = album.entries
        return write(report, folder)


def _summary(record: Record) -> Iterator[str]:
    result = record.result
    data = result.dataset
    yield f"Data: {plain(data['description'])} (fingerprint {code(data['fingerprint'][:22])})."
    if result.trained_on is not None:
        other = result.trained_on
        yield f"Trained on other images: {plain(other['description'])} (fingerprint {code(other['fingerprint'][:22])})."
    if (donors := result.donors) is not None:
        share = result.config.get("data", {}).get("foreign", 0)
        yield (
            f"Visible images of {share:.0%} of the training people are replaced by images of other people: "
            f"{plain(donors['description'])} (fingerprint {code(donors['fingerprint'][:22])}); "
            f"{donors['repeated']:.0%} of them are repeated."
        )
    if result.uses_identities:
        yield "**Trained with true identities**: a reference; not ranked."
    lacking = record.missing_trials
    if not result.scores:
        yield "**Trained without scores**: the data set has no test images with identities."
    elif lacking:
        yield f"**Incomplete**: headline trials are missing in {', '.join(f'fold {fold}' for fold in lacking)}."


def _conditions(record: Record) -> str:
    result = record.result
    kind, overrides = result.headline, record.provenance.get("overrides")
    schedule = f"Schedule: {plain(overrides['schedule'])}. " if overrides and overrides["schedule"] else ""
    return (
        f"Protocol: {plain(gallery_words(kind['shots'], kind['gallery']))}. Feature: {plain(kind['feature'])}. "
        f"Setting: {plain(result.setting)}. {schedule}Start weights: {plain(result.start_weights['source'])}; method "
        "`untrained` scores them. Chance: a random ranking under the same protocol."
    )


def _facts(record: Record) -> dict[str, Any]:
    result, made = record.result, record.provenance
    return {
        "method": result.method,
        "protocol": result.protocol,
        "dataset": result.dataset["description"],
        "fingerprint": result.dataset["fingerprint"],
        "synthetic": result.dataset["synthetic"] is not None,
        "seed": result.seed,
        "setting": result.setting,
        "config_hash": result.config_hash,
        "result": digest(asdict(result)),
        "uses_identities": result.uses_identities,
        "plugins": [dict(plugin) for plugin in record.plugins],
        "commit": made["commit"],
        "dirty": made["dirty"],
        "finished": made["finished"],
        "device": f"{made['gpu'] or made['cpu']}, {counted(made['threads'], 'thread')}",
        "seconds": made["seconds"],
        "peak_memory_mib": made["peak_memory_mib"],
    }


def _made(record: Record) -> Section:
    facts = _facts(record)
    commit = (facts["commit"] or "unknown") + (" with uncommitted changes" if facts["dirty"] else "")
    seconds = ", ".join(f"{phase} {value:.1f} s" for phase, value in sorted(facts["seconds"].items()))
    memory = MISSING if facts["peak_memory_mib"] is None else f"{facts['peak_memory_mib']:.0f} MiB"
    lines = [
        f"commit {commit}, finished {facts['finished']}",
        facts["device"],
        f"time: {seconds}; peak memory: {memory}",
        *(f"plug-in {words}" for words in plugin_words(record)),
    ]
    return Section("made", "Provenance", bullets(map(plain, lines)))
