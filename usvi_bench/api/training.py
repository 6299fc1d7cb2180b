"""Train and score a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from usvi_bench.core.distributed.group import destroy_process_group, translate_errors
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.errors import UsageError
from usvi_bench.core.progress import show_progress
from usvi_bench.core.record import Record
from usvi_bench.core.settings import SHARED
from usvi_bench.engine.display import Display
from usvi_bench.engine.experiment import Experiment, refuse_both
from usvi_bench.engine.refuse_exit import refuse_exit
from usvi_bench.engine.trackers import check_trackers
from usvi_bench.engine.tracking import execute_tracked

_RUNNING = Lock()


def run(
    method: str,
    protocol: str,
    data: str | Path = "auto",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    *,
    train_data: str | Path | None = None,
    donors: str | Path | None = None,
    setting: str = SHARED,
    schedule: str | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    output: str | Path = "runs",
    deterministic: bool = False,
    imports: Sequence[str | Path] = (),
    resume: bool = False,
    overwrite: bool = False,
    report: bool = False,
    track: Sequence[str] = (),
    verbose: bool = True,
) -> Record:
    """Train and score a method.

    A finished training with the same settings is reused. Results are below ``output``; decoded images and rendered
    people are in the cache (``USVI_CACHE``).

    Args:
        method: registered name of the method.
        protocol: registered name of the protocol.
        data: folder of the data set, ``"synthetic[:size=small,seed=0,...]"``, or ``"auto"``: the real data set if it is
            found, else synthetic people. Folder or table of own images for ``folder_i2v`` and ``folder_v2i``.
        seed: seed of the run.
        settings: settings by the names of ``--set``: ``{"train.epochs": 10, "method.eps": 0.4}``.
        train_data: data set to train on, if it is another one; then ``data`` is only scored.
        donors: data set, or folder of visible images, whose people replace the share ``data.foreign`` of the training
            people in visible images (``docs/robustness.md``).
        setting: settings to start from: ``"shared"``, the same for all methods, or ``"paper"``, the method's own.
        schedule: name of a schedule, or path of a ``.toml`` or ``.json`` file; it replaces lengths and sizes of the
            setting.
        weights: file of starting weights, ``"small16"`` for shipped weights, ``"imagenet"`` for the encoder's public
            file in a cache, or ``"random"``; None for the shipped weights, on synthetic people only.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        output: folder that keeps all runs.
        deterministic: use only deterministic kernels, which are slower on a GPU.
        imports: plug-ins to import first: names of modules, or paths of ``.py`` files; see ``docs/add_a_method.md``.
        resume: continue an unfinished training.
        overwrite: train again from the start.
        report: draw the figures of the run.
        track: trackers that follow the run: ``"tensorboard"``, ``"wandb"``, ``"mlflow"``; see ``docs/tracking.md``.
        verbose: print progress.

    Returns:
        The record that was written to ``record.json``; ``record.means()`` returns the headline scores.

    Raises:
        UsageError: an argument is wrong; raised before any work is done.

    Example:
        >>> record = run("untrained", "sysu_all", data="synthetic:size=tiny", verbose=False)  # doctest: +SKIP
        >>> round(record.means()["mAP"], 3)  # doctest: +SKIP
        0.371
    """
    experiment = Experiment(
        method=method,
        protocol=protocol,
        data=str(data),
        train_data=None if train_data is None else str(train_data),
        donors=None if donors is None else str(donors),
        seed=seed,
        settings={} if settings is None else settings,
        setting=setting,
        schedule=schedule,
        weights=weights,  # type: ignore[arg-type]  # Experiment converts paths
        device=device,
        output=output,  # type: ignore[arg-type]
        deterministic=deterministic,
        imports=imports,  # type: ignore[arg-type]
    )
    if (count := process_info().world_size) > 1:
        raise UsageError(f"run() trains in one process, not in {count}: start several processes with run.py")
    display = Display(quiet=not verbose)
    record, _ = run_experiment(
        experiment, resume=resume, overwrite=overwrite, report=report, display=display, track=track
    )
    assert record is not None  # only other processes have none
    return record


def run_experiment(
    experiment: Experiment,
    *,
    resume: bool,
    overwrite: bool,
    report: bool,
    display: Display,
    track: Sequence[str] = (),
) -> tuple[Record | None, list[Path]]:
    """Carry out an experiment; :func:`run` and the command line share it.

    Returns:
        The record and the written files, ``record.json`` first; None and no files on processes other than rank 0.

    Raises:
        UsageError: the experiment is wrong; raised before any work is done.
    """
    refuse_both(resume, overwrite)
    check_trackers(track)
    if not _RUNNING.acquire(blocking=False):
        raise UsageError(
            "another run is under way in this process; both would share torch's random state: use one process per run"
        )
    try:
        with show_progress(display.work):
            return _run_experiment(experiment, resume, overwrite, report, display, track)
    finally:
        display.work.close()
        _RUNNING.release()


def _run_experiment(
    experiment: Experiment, resume: bool, overwrite: bool, report: bool, display: Display, track: Sequence[str]
) -> tuple[Record | None, list[Path]]:
    with translate_errors(), refuse_exit():
        with display.work.idle("reading the data set"):
            prepared = experiment.prepare(display)
        if process_info().is_main_process and not (resume or overwrite):
            prepared.refuse_unfinished()
        if resume and process_info().is_main_process and (note := prepared.unfinished_elsewhere()):
            display.print(note)
        record = execute_tracked(prepared, track if process_info().is_main_process else (), overwrite)
    destroy_process_group()  # not after an error: the group may be what failed
    if record is None:
        return None, []
    files = [prepared.folder / "record.json"]
    if report:
        from usvi_bench.reports.report import write_report

        with display.work.idle("drawing the report"):
            files.append(write_report(prepared.folder))
    return record, files
