"""Python interface: functions for the tasks of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from usvi_bench.core.distributed.group import destroy_process_group, translate_errors
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.errors import UsageError
from usvi_bench.core.plugins import import_plugins
from usvi_bench.core.record import Record
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.settings import SHARED
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.open import open_dataset
from usvi_bench.engine.display import Display
from usvi_bench.engine.execute import execute
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.refuse_exit import refuse_exit

_RUNNING = Lock()


def run(
    method: str,
    protocol: str,
    data: str | Path = "auto",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    *,
    train_data: str | Path | None = None,
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
        setting: settings to start from: ``"shared"``, the same for all methods, or ``"paper"``, the method's own.
        schedule: name of a schedule, which replaces lengths and sizes of the setting.
        weights: file of starting weights, or ``"random"``; None for the shipped weights, on synthetic people only.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        output: folder that keeps all runs.
        deterministic: use only deterministic kernels, which are slower on a GPU.
        imports: plug-ins to import first: names of modules, or paths of ``.py`` files; see ``docs/add_a_method.md``.
        resume: continue an unfinished training.
        overwrite: train again from the start.
        report: draw the figures of the run.
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
        seed=seed,
        settings=settings or {},
        setting=setting,
        schedule=schedule,
        weights=None if weights is None else str(weights),
        device=device,
        output=Path(output),
        deterministic=deterministic,
        imports=imports,  # type: ignore[arg-type]  # Experiment converts paths to text
    )
    record, _ = run_experiment(
        experiment, resume=resume, overwrite=overwrite, report=report, display=Display(quiet=not verbose)
    )
    assert record is not None, "use run.py to train with several processes"
    return record


def evaluate(
    protocol: str,
    data: str | Path = "auto",
    *,
    weights: str | Path | Sequence[str | Path] = (),
    features: str | Path | Sequence[str | Path] = (),
    fold: int | Sequence[int] = (),
    model: str | None = None,
    feature: str | None = None,
    claims: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    output: str | Path = "runs",
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> Record:
    """Score a model that others trained, from its weights or from features of the test images.

    Args:
        protocol: registered name of the protocol.
        data: as for :func:`run`.
        weights: file of weights, of this suite or released by others, a checkpoint, or the folder of a run; several
            for several folds.
        features: features file (``docs/external_models.md``) instead of weights; several for several folds.
        fold: fold that each file was trained on, if the data set has several and the file does not state it.
        model: network in the file: ``"student"`` or ``"teacher"``.
        feature: ``"bn+flip"`` (default) or ``"bn"``, without the mirror image.
        claims: whose model it is, for example ``"PGM @ed4a7df"``.
        settings: ``encoder.*``, ``protocol.*``, ``data.height``, ``data.width``, ``data.check_counts``,
            ``engine.threads``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        output: folder that keeps all runs.
        imports: as for :func:`run`.
        verbose: print progress.

    Returns:
        The record that was written; its method is ``external``.

    Raises:
        UsageError: an argument, a file or the data are wrong; nothing is written.

    Example:
        >>> record = evaluate("sysu_all", "/data/SYSU-MM01", weights="model_best.pth.tar")  # doctest: +SKIP
        >>> record.result.external.files[0].source  # doctest: +SKIP
        'model_best.pth.tar'
    """
    from usvi_bench.engine.external import score_external
    from usvi_bench.engine.external_scoring import ExternalRequest

    def several(given: Any) -> list[Any]:
        return [given] if isinstance(given, (str, Path, int)) else list(given)

    request = ExternalRequest(
        protocol=protocol,
        data=str(data),
        weights=[Path(path) for path in several(weights)],
        features=[Path(path) for path in several(features)],
        folds=several(fold),
        network=model,
        feature=feature,
        claims=claims,
        settings=settings or {},
        device=device,
        output=Path(output),
        imports=tuple(map(str, imports)),
    )
    return score_external(request, Display(quiet=not verbose))[0]


def run_experiment(
    experiment: Experiment, *, resume: bool, overwrite: bool, report: bool, display: Display
) -> tuple[Record | None, list[Path]]:
    """Carry out an experiment; :func:`run` and the command line share it.

    Returns:
        The record and the written files, ``record.json`` first; None and no files on processes other than rank 0.

    Raises:
        UsageError: the experiment is wrong; raised before any work is done.
    """
    if resume and overwrite:
        raise UsageError("--resume continues a training and --overwrite discards it: give one of them")
    if not _RUNNING.acquire(blocking=False):
        raise UsageError(
            "another run is under way in this process; both would share torch's random state: use one process per run"
        )
    try:
        return _run_experiment(experiment, resume, overwrite, report, display)
    finally:
        _RUNNING.release()


def _run_experiment(
    experiment: Experiment, resume: bool, overwrite: bool, report: bool, display: Display
) -> tuple[Record | None, list[Path]]:
    with translate_errors(), refuse_exit():
        prepared = experiment.prepare(display)
        if process_info().is_main_process and not (resume or overwrite):
            prepared.refuse_unfinished()
        if resume and process_info().is_main_process and (note := prepared.unfinished_elsewhere()):
            display.print(note)
        record = execute(prepared, overwrite)
    destroy_process_group()  # not after an error: the group may be what failed
    if record is None:
        return None, []
    files = [prepared.folder / "record.json"]
    if report:
        from usvi_bench.reports.report import write_report

        files.append(write_report(prepared.folder))
    return record, files


def open_data(
    protocol: str,
    data: str | Path = "auto",
    *,
    check_counts: bool = True,
    camera: str = "",
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> Dataset:
    """Open the data set that a protocol scores on.

    Args:
        protocol: registered name of the protocol.
        data: as for :func:`run`.
        check_counts: refuse a data set whose number of images differs from the published one.
        camera: own images: regular expression of the camera in the names of files (``data.camera``).
        imports: as for :func:`run`.
        verbose: print which folder is read.

    Returns:
        A data set, with ``train(fold)`` and ``test(fold)`` as tables of images.

    Raises:
        UsageError: the protocol or the folder does not exist, or the folder holds another or an incomplete data set.
    """
    import_plugins(map(str, imports))
    kind, display = PROTOCOLS.get(protocol).dataset, Display(quiet=not verbose)
    dataset, _ = open_dataset(kind, str(data), progress=display.print, check_counts=check_counts, camera=camera)
    return dataset
