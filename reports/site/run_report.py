"""Report of a run for its page: an existing one if it is intact, else one drawn from the folder of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from usvi_bench.core.errors import DamagedFileError, StorageError, UsageError
from usvi_bench.core.files import write_bytes
from usvi_bench.reports.output import report_folder
from usvi_bench.reports.report import write_report
from usvi_bench.reports.site.find_runs import RunPage
from usvi_bench.reports.site.report_file import REPORT, StoredReport, read_report

Say = Callable[[str], None]


def prepare_report(run: RunPage, place: Path, pictures: bool, say: Say) -> StoredReport | None:
    """Return the report of a run after its figures were written to the folder of its page; None without a report.

    An existing report is used unless it is damaged, or shows pictures of real people contrary to ``pictures``. Then a
    new one is drawn. It is kept in the folder of the run unless that folder is not writable or it would have pictures
    of real people.

    Args:
        run: run to show.
        place: folder of its page.
        pictures: whether pictures of people are shown.
        say: function that receives progress messages and notices.
    """
    lacking = run.report is None
    if run.report is not None:
        try:
            report = read_report(run.report, run.record)
            if run.synthetic or report.content["pictures"]["shown"] == pictures:
                _write_images(report, place, pictures)
                return report
        except (OSError, ValueError, DamagedFileError) as error:
            lacking = True
            remedy = "drawn again" if run.folder else "not shown; write it again with run.py report"
            say(f"{run.report / REPORT}: {' '.join(str(error).split()):.200}; {remedy}")
    if run.folder is None:
        return None
    say(f"drawing the report of {run.name}")
    try:
        folder = _draw(run, run.folder, place, pictures, keep=lacking and (run.synthetic or not pictures))
        report = read_report(folder, run.record)
        if folder != place:
            _write_images(report, place, pictures)
    except (UsageError, ValueError) as error:
        say(f"{run.name}: no report: {error}")
        return None
    return report


def _draw(run: RunPage, source: Path, place: Path, pictures: bool, *, keep: bool) -> Path:
    if keep:
        try:
            return write_report(source, report_folder(source), with_pictures=pictures).parent
        except (OSError, StorageError):
            pass
    return write_report(source, place, with_pictures=pictures).parent


def _write_images(report: StoredReport, place: Path, pictures: bool) -> None:
    for name, content in [*report.images(pictures)]:  # all are checked before the first is written
        write_bytes(place / name, content)
