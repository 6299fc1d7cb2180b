"""Python interface: functions for the tasks of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from usvi_bench.core.distributed.group import destroy_process_group, translate_errors
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.errors import UsageError
from usvi_bench.core.plugins import import_plugins, list_of_imports
from usvi_bench.core.progress import show_progress
from usvi_bench.core.record import Record
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.settings import SHARED
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.open import open_dataset
from usvi_bench.engine.display import Display
from usvi_bench.engine.execute import execute
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.refuse_exit import refuse_exit
from usvi_bench.engine.trackers import check_trackers
from usvi_bench.engine.tracking import Tracking

if TYPE_CHECKING:
    from usvi_bench.engine.cluster import ClusterResult
    from usvi_bench.engine.feature_file import FeatureFile
    from usvi_bench.engine.open_embedder import ModelRequest
    from usvi_bench.engine.search import SearchResult

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
        schedule: name of a schedule, which replaces lengths and sizes of the setting.
        weights: file of starting weights, or ``"random"``; None for the shipped weights, on synthetic people only.
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
    display = Display(quiet=not verbose)
    record, _ = run_experiment(
        experiment, resume=resume, overwrite=overwrite, report=report, display=display, track=track
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


def embed(
    data: str | Path,
    model: str | Path,
    output: str | Path,
    *,
    modality: str | None = None,
    dataset: str | None = None,
    split: str = "all",
    network: str | None = None,
    fold: int | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> FeatureFile:
    """Write the features of pictures, to search and to cluster them (``docs/search.md``).

    Args:
        data: folder of a data set, ``"synthetic[:size=small,...]"``, or a plain folder of pictures of one modality.
        model: weight file, checkpoint, folder of a run, or folder of an exported model.
        output: features file to write, ``.npz``.
        modality: ``"visible"`` or ``"infrared"``: that of a plain folder; of a data set, the one to embed.
        dataset: registered name of the data set; found by its layout if None.
        split: ``"all"``, ``"train"`` or ``"test"`` images of a data set.
        network: ``"student"`` or ``"teacher"``; the headline of a run if None.
        fold: fold of a run that has several.
        settings: ``encoder.*``, ``data.height``, ``data.width``, ``engine.threads``.
        device: as for :func:`run`.
        imports: as for :func:`run`.
        verbose: print progress.

    Returns:
        The content of the file.

    Raises:
        UsageError: an argument, the model or a picture is wrong; nothing is written.

    Example:
        >>> content = embed("/data/gallery", "weights.pth", "gallery.npz", modality="visible")  # doctest: +SKIP
        >>> content.features.shape  # doctest: +SKIP
        (5000, 2048)
    """
    from usvi_bench.engine.embed import EmbedRequest, embed_data

    request = EmbedRequest(
        data=str(data),
        model=_model(model, network, fold, settings, device, imports),
        output=Path(output),
        modality=modality,
        dataset=dataset,
        split=split,
    )
    return embed_data(request, Display(quiet=not verbose))


def search(
    queries: str | Path | Sequence[str | Path],
    gallery: str | Path,
    model: str | Path,
    modality: str,
    *,
    gallery_modality: str | None = None,
    top: int = 20,
    threshold: float | None = None,
    output: str | Path | None = None,
    data: str | Path | None = None,
    with_pictures: bool = False,
    network: str | None = None,
    fold: int | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> SearchResult:
    """Search a gallery by pictures (``docs/search.md``).

    Args:
        queries: picture, folder of pictures, or several of them.
        gallery: features file of :func:`embed`, folder of a data set, or plain folder of pictures.
        model: as for :func:`embed`; for a features file, the model of the features.
        modality: modality of the queries: ``"visible"`` or ``"infrared"``.
        gallery_modality: pictures of the gallery to search; all if None. It is needed for a plain folder.
        top: length of the ranked lists.
        threshold: cosine similarity; pictures that are not above it are marked.
        output: new folder for ``search.csv`` and the page ``index.html``; nothing is written if None.
        data: folder that the paths of a features file are relative to, for the pictures of the page.
        with_pictures: show pictures of real people too.
        network: as for :func:`embed`.
        fold: as for :func:`embed`.
        settings: as for :func:`embed`.
        device: as for :func:`run`.
        imports: as for :func:`run`.
        verbose: print progress.

    Returns:
        The ranked lists: ``rows`` of the ``gallery`` and ``similarity``, each ``[Q, top]``, best first.

    Raises:
        UsageError: an argument, the model, the gallery or a picture is wrong; nothing is written.

    Example:
        >>> found = search("query.jpg", "gallery.npz", "weights.pth", "infrared", top=1)  # doctest: +SKIP
        >>> found.gallery.paths[found.rows[0, 0]]  # doctest: +SKIP
        'cam1/0007/0003.jpg'
    """
    from usvi_bench.engine.search import SearchRequest, search_pictures

    request = SearchRequest(
        queries=[Path(path) for path in ([queries] if isinstance(queries, (str, Path)) else queries)],
        gallery=str(gallery),
        model=_model(model, network, fold, settings, device, imports),
        modality=modality,
        gallery_modality=gallery_modality,
        top=top,
        threshold=threshold,
        data=None if data is None else Path(data),
        output=None if output is None else Path(output),
        with_pictures=with_pictures,
    )
    result = search_pictures(request, Display(quiet=not verbose))
    if request.output is not None:
        from usvi_bench.reports.search_page import write_search

        write_search(result, request.output, with_pictures)
    return result


def cluster(
    features: str | Path,
    output: str | Path,
    *,
    modality: str | None = None,
    joint: bool = False,
    settings: Mapping[str, Any] | None = None,
    data: str | Path | None = None,
    with_pictures: bool = False,
) -> ClusterResult:
    """Cluster the pictures of a features file (``docs/search.md``).

    Args:
        features: features file of :func:`embed`.
        output: table to write, ``.csv``, or a new folder with a folder for each cluster.
        modality: cluster only the pictures of this modality; None for each modality on its own.
        joint: cluster both modalities together.
        settings: ``method.eps``, ``method.k1``, ``method.k2``, ``method.min_samples``, ``method.search``.
        data: folder that the paths in the file are relative to, for folders of clusters.
        with_pictures: copy the pictures; otherwise the folders have links to them.

    Returns:
        The cluster of each picture in ``labels``, -1 for outliers.

    Raises:
        UsageError: an argument or the features are wrong, or a picture is missing; nothing is written.
    """
    from usvi_bench.engine.cluster import ClusterRequest, cluster_features

    request = ClusterRequest(
        features=Path(features),
        output=Path(output),
        modality=modality,
        joint=joint,
        settings=settings or {},
        data=None if data is None else Path(data),
        with_pictures=with_pictures,
    )
    return cluster_features(request)


def export(
    model: str | Path,
    output: str | Path,
    *,
    network: str | None = None,
    fold: int | None = None,
    settings: Mapping[str, Any] | None = None,
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> Path:
    """Export a model to ONNX, to use it without this suite (``docs/search.md``); needs the extra ``export``.

    Args:
        model: weight file, checkpoint, or folder of a run.
        output: new folder for ``visible.onnx``, ``infrared.onnx`` and ``about.json``.
        network: as for :func:`embed`.
        fold: as for :func:`embed`.
        settings: as for :func:`embed`.
        imports: as for :func:`run`.
        verbose: print progress.

    Returns:
        The folder.

    Raises:
        UsageError: an argument or the model is wrong, the extra is missing, or an exported file gives other features.
    """
    from usvi_bench.engine.export import ExportRequest, export_model

    request = ExportRequest(_model(model, network, fold, settings, "cpu", imports), Path(output))
    return export_model(request, Display(quiet=not verbose))


def _model(
    path: str | Path,
    network: str | None,
    fold: int | None,
    settings: Mapping[str, Any] | None,
    device: str,
    imports: Sequence[str | Path],
) -> ModelRequest:
    from usvi_bench.engine.open_embedder import ModelRequest

    return ModelRequest(Path(path), network, fold, settings or {}, device, tuple(map(str, imports)))


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
    if resume and overwrite:
        raise UsageError("--resume continues a training and --overwrite discards it: give one of them")
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
        prepared = experiment.prepare(display)
        if process_info().is_main_process and not (resume or overwrite):
            prepared.refuse_unfinished()
        if resume and process_info().is_main_process and (note := prepared.unfinished_elsewhere()):
            display.print(note)
        tracking = Tracking(prepared, track if process_info().is_main_process else ())
        prepared.track = tracking.entries
        record = None
        try:
            record = execute(prepared, overwrite)
        finally:
            tracking.finish(record)
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
    import_plugins(list_of_imports(imports))
    kind, display = PROTOCOLS.get(protocol).dataset, Display(quiet=not verbose)
    dataset, _ = open_dataset(kind, str(data), progress=display.print, check_counts=check_counts, camera=camera)
    return dataset
