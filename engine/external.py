"""Scoring of external models: weights that others trained, or features of any model. Nothing is trained."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.environment import commit, environment_info, now
from usvi_bench.core.errors import UsageError
from usvi_bench.core.external import CHECKPOINT, FEATURES, METHOD, RELEASED, External, hash_of_files, name_of_files
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.plugins import used_plugins
from usvi_bench.core.process_memory import forget_peak, peak_memory_mib
from usvi_bench.core.progress import show_progress
from usvi_bench.core.provenance import Provenance
from usvi_bench.core.record import Record, write_record
from usvi_bench.core.result import Kind, Result, Score
from usvi_bench.core.settings import FORMAT, config_hash, digest
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.corruption import Corruption
from usvi_bench.engine.config import DataConfig
from usvi_bench.engine.display import Display
from usvi_bench.engine.embedder import BATCH
from usvi_bench.engine.embedding_model import EmbeddingModel
from usvi_bench.engine.evaluation import FEATURE
from usvi_bench.engine.external_scoring import RARE, ExternalRequest, ExternalScoring, Opened, parts_of, prepare
from usvi_bench.engine.feature_file import FeatureFile
from usvi_bench.engine.image_store import ImageStore
from usvi_bench.engine.images import retrieval_features
from usvi_bench.engine.output import identity_of
from usvi_bench.engine.reranking import reranked_scores

GIVEN = "given"
"""Name of the feature of a features file."""
Embed = Callable[[ImageTable], NDArray[np.float32]]


def score_external(request: ExternalRequest, display: Display | None = None) -> tuple[Record, Path]:
    """Score an external model and write its record.

    Returns:
        The record, and the path of its file.

    Raises:
        UsageError: an argument, a file or the data are wrong; nothing is written.
    """
    display = display or Display(quiet=True)
    try:
        with show_progress(display.work):
            return _score_external(request, display)
    finally:
        display.work.close()


def _score_external(request: ExternalRequest, display: Display) -> tuple[Record, Path]:
    scoring = prepare(request, display)
    forget_peak(scoring.device)
    started = time.perf_counter()
    scores: list[Score] = []
    for one, fold in zip(scoring.opened, scoring.folds, strict=True):
        scores += _score(scoring, one, fold, display)
    result = _result(scoring, scores)
    record = Record(result=result, provenance=_provenance(scoring, time.perf_counter() - started))
    folds = [file.fold for file in scoring.files]
    key = digest([result.config_hash, result.dataset["fingerprint"], folds, result.headline["model"]])[:8]
    path = request.output / request.protocol / f"{METHOD}-{key}" / "record.json"
    write_record(path, record)
    return record, path


def _score(scoring: ExternalScoring, one: Opened, fold: int, display: Display) -> list[Score]:
    embed = one.of_table if isinstance(one, FeatureFile) else _embedder(scoring, one, display)
    evaluation = scoring.protocol.evaluate(embed, scoring.dataset, fold, trained_on=fold)
    kind = cast(dict[str, Any], _headline(scoring))
    scores = [Score(**kind, fold=each.fold, trial=each.trial, metrics=each.metrics) for each in evaluation.scores]
    if scoring.settings.engine.rerank:
        scores += reranked_scores(embed, scoring.protocol, scoring.dataset, fold, kind)
    return scores


def _embedder(scoring: ExternalScoring, model: EmbeddingModel, display: Display) -> Embed:
    size = DataConfig(height=model.height, width=model.width, depth_range=scoring.settings.data.depth_range)
    images = ImageStore(scoring.dataset, size, scoring.protocol.resize, scoring.device, display.print)
    encoder = model.encoder.to(scoring.device)
    known: dict[tuple[tuple[str, ...], Corruption | None], NDArray[np.float32]] = {}

    def embed(table: ImageTable) -> NDArray[np.float32]:
        key = (table.names, table.corruption)
        if key in known:
            return known[key]
        pixels = images.pixels(table, test=True)
        features = retrieval_features(
            encoder, pixels, table.modality, BATCH, scoring.device, mirror=scoring.mirror, order=None
        )
        if not np.isfinite(features).all():
            raise UsageError(f"{model.source}: the network gives NaN for some images; use weights that are trained")
        known[key] = features
        return features

    return embed


def _headline(scoring: ExternalScoring) -> Kind:
    model = scoring.first
    network, feature = "unknown", GIVEN
    if isinstance(model, EmbeddingModel):
        network, feature = model.network, scoring.request.feature or FEATURE
    kind = {"model": network, "selection": RELEASED, "feature": feature, **scoring.protocol.kind()}
    return cast(Kind, kind)


def _config(scoring: ExternalScoring) -> dict[str, Any]:
    """Return all settings that the scores depend on, named as ``--set`` does, and ``scoring``."""
    every = list(scoring.protocol.folds(scoring.dataset))
    model, settings = scoring.first, scoring.settings
    config: dict[str, Any] = {
        "data": {
            "folds": [] if sorted(scoring.folds) == sorted(every) else sorted(scoring.folds),
            "check_counts": settings.data.check_counts,
        },
        "protocol": dataclasses.asdict(settings.protocol),
    }
    usual = DataConfig()
    changed = [name for name in RARE if getattr(settings.data, name) != getattr(usual, name)]
    config["data"] |= {name: getattr(settings.data, name) for name in changed}
    if isinstance(model, EmbeddingModel):
        config["data"] |= {"height": model.height, "width": model.width}
        config["encoder"] = dataclasses.asdict(model.config)
        config["scoring"] = {"filter": scoring.protocol.resize, "mirror": scoring.mirror}
    plain: dict[str, Any] = json.loads(json.dumps(config))
    return plain


def _result(scoring: ExternalScoring, scores: list[Score]) -> Result:
    request, dataset, protocol, model = scoring.request, scoring.dataset, scoring.protocol, scoring.first
    chance = [protocol.chance(dataset, fold) for fold in sorted(scoring.folds)]
    config, files = _config(scoring), scoring.files
    start = hash_of_files(files)
    hashed = config_hash(config, method=METHOD, protocol=request.protocol, setting=METHOD, start=start)
    return Result(
        method=METHOD,
        protocol=request.protocol,
        setting=METHOD,
        dataset=identity_of(dataset, scoring.sentence),
        seed=0,
        config=config,
        format=FORMAT,
        config_hash=hashed,
        start_weights={"source": name_of_files(files), "sha256": start},
        uses_identities=False,
        folds=list(protocol.folds(dataset)),
        trials=protocol.trials_per_fold,
        headline=_headline(scoring),
        chance={name: float(np.mean([each[name] for each in chance])) for name in METRICS},
        scores=scores,
        external=External(
            kind=CHECKPOINT if isinstance(model, EmbeddingModel) else FEATURES,
            claims=request.claims,
            container=model.container if isinstance(model, EmbeddingModel) else None,
            key_map=model.key_map if isinstance(model, EmbeddingModel) else None,
            network=_headline(scoring)["model"],
            files=files,
        ),
    )


def _provenance(scoring: ExternalScoring, seconds: float) -> Provenance:
    revision, dirty = commit()
    plugins = used_plugins(tuple(scoring.request.imports), parts_of(scoring))
    content = {
        **environment_info(scoring.device),
        "commit": revision,
        "dirty": dirty,
        "global_batch": None,
        "batch_norm": "none",
        "seconds": {"evaluate": seconds},
        "peak_memory_mib": peak_memory_mib(scoring.device),
        "finished": now(),
        **({"plugins": plugins} if plugins else {}),
    }
    return cast(Provenance, content)
