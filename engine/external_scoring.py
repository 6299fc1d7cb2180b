"""External scoring: what is asked for, and its checks before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from usvi_bench.core.distributed.group import select_device
from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.external import ExternalFile
from usvi_bench.core.host import cpu_count
from usvi_bench.core.paths import check_output, is_folder
from usvi_bench.core.plugins import Part, check_unchanged, import_plugins
from usvi_bench.core.registry import DATASETS, ENCODERS, PROTOCOLS, SCORE_METRICS
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.open import find_data
from usvi_bench.datasets.unpaired import UNPAIRED
from usvi_bench.engine.config import DataConfig, EngineConfig
from usvi_bench.engine.device import set_up
from usvi_bench.engine.display import Display
from usvi_bench.engine.embedding_model import EmbeddingModel, open_model, trained_folds
from usvi_bench.engine.evaluation import FEATURE
from usvi_bench.engine.feature_file import FeatureFile, check_covers, read_features
from usvi_bench.engine.load_config import build, nested
from usvi_bench.engine.reranking import check_reranking
from usvi_bench.engine.start_weights import check_disjoint
from usvi_bench.protocols.base import Protocol, ProtocolConfig

KINDS = {FEATURE: True, "bn": False}
"""Features of a checkpoint that can be scored: after the neck, with and without the mirror image."""
RARE = ("camera", "depth_range")
"""Settings of data that a record has only if they differ from the defaults."""
_ALLOWED = {"data": ("height", "width", "check_counts", *RARE), "engine": ("threads", "deterministic", "rerank")}
"""Settings of these groups that scoring has; it has all of ``encoder`` and ``protocol``."""
Opened = EmbeddingModel | FeatureFile
"""Opened file of an external model."""


@dataclass(frozen=True)
class ExternalRequest:
    """External scoring that is asked for; see :func:`usvi_bench.api.evaluate` for the fields."""

    protocol: str
    weights: Sequence[Path] = ()
    features: Sequence[Path] = ()
    data: str = "auto"
    folds: Sequence[int] = ()
    claims: str | None = None
    network: str | None = None
    feature: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    output: Path = Path("runs")
    imports: Sequence[str] = ()

    def __post_init__(self) -> None:
        if bool(self.weights) == bool(self.features):
            raise UsageError("give either --weights or --features: one file for each fold")
        if self.folds and len(self.folds) != len(self.paths):
            raise UsageError(f"--fold: {len(self.folds)} folds for {len(self.paths)} files; give the fold of each file")
        if len(set(self.folds)) < len(self.folds):
            raise UsageError(f"--fold: {', '.join(map(str, self.folds))} names a fold twice; give one file for each")
        if self.features and (self.network or self.feature):
            raise UsageError("--model and --feature belong to --weights; a features file has its own features")
        if self.feature is not None and self.feature not in KINDS:
            raise UsageError(f"--feature: unknown feature '{show(self.feature)}': {did_you_mean(self.feature, KINDS)}")
        if self.claims is not None and not (0 < len(self.claims) <= 100 and self.claims.isprintable()):
            raise UsageError(f"--claims: give one line of at most 100 characters, not {show(self.claims)!r}")

    @property
    def paths(self) -> Sequence[Path]:
        """All files."""
        return self.weights or self.features


@dataclass(frozen=True)
class ScoringSettings:
    """Scoring settings, apart from those of the encoder."""

    data: DataConfig
    protocol: ProtocolConfig
    engine: EngineConfig


@dataclass(frozen=True)
class ExternalScoring:
    """Scoring that has been checked: opened files, and the folds that they are scored on."""

    request: ExternalRequest
    settings: ScoringSettings
    protocol: Protocol
    dataset: Dataset
    sentence: str
    device: torch.device
    opened: list[Opened]
    folds: list[int]

    @property
    def first(self) -> Opened:
        """First file; the others are of the same kind."""
        return self.opened[0]

    @property
    def mirror(self) -> bool:
        """Whether the mirror images are embedded too."""
        return KINDS[self.request.feature or FEATURE]

    @property
    def files(self) -> list[ExternalFile]:
        """Name, hash and fold of each file."""
        return [
            ExternalFile(one.source if isinstance(one, EmbeddingModel) else path.name, one.sha256, fold)
            for path, one, fold in zip(self.request.paths, self.opened, self.folds, strict=True)
        ]


def prepare(request: ExternalRequest, display: Display) -> ExternalScoring:
    """Open and check all files, then the data set.

    Raises:
        UsageError: an argument, a file or the data are wrong.
    """
    import_plugins(request.imports)
    protocol_class = PROTOCOLS.get(request.protocol)
    protocol_class.check_packages()
    if request.features and protocol_class.corrupted:
        raise UsageError(f"--features: {request.protocol} embeds corrupted images itself; give --weights")
    check_output(request.output)
    tree = nested(request.settings)
    settings = _read_settings(tree, bool(request.features))
    source = find_data(protocol_class.dataset, request.data, progress=display.print)
    device = select_device(request.device)
    set_up(device, settings.engine.deterministic)
    torch.set_num_threads(settings.engine.threads or cpu_count())
    opened: list[Opened] = []
    if request.features:
        opened += [read_features(path) for path in request.features]
    else:
        opened += _open_models(request, tree, display)
        model = opened[0]
        assert isinstance(model, EmbeddingModel)
        settings = replace(settings, data=replace(settings.data, depth_range=model.depth_range))
    source = replace(source, camera=settings.data.camera)
    dataset, sentence = source.open(progress=display.print, check_counts=settings.data.check_counts)
    display.print(sentence)
    protocol = protocol_class(settings.protocol)
    protocol.check(dataset)
    check_reranking(protocol_class, settings.engine.rerank)
    if lacking := protocol.unscorable(dataset):
        raise UsageError(f"{request.protocol} cannot score these images: {lacking}; give their identities and splits")
    folds = _folds(request, list(protocol.folds(dataset)), opened, dataset)
    scoring = ExternalScoring(request, settings, protocol, dataset, sentence, device, opened, folds)
    check_unchanged(parts_of(scoring))
    for path, one, fold in zip(request.paths, opened, folds, strict=True):
        if isinstance(one, FeatureFile):
            splits = (dataset.train(fold), dataset.test(fold))
            known = [table for split in splits for table in (split.visible, split.infrared)]
            check_covers(one, protocol.tables(dataset, fold), known, dataset.fingerprint, path)
        elif dataset.synthetic is not None:
            check_disjoint(path, one.sha256, dataset.synthetic)
    return scoring


def _read_settings(tree: Mapping[str, Any], features: bool) -> ScoringSettings:
    known = ("data", "protocol", "engine") if features else ("data", "encoder", "protocol", "engine")
    for group, values in tree.items():
        if group not in known:
            raise UsageError(
                f"--set {show(group)}: scoring has no such group of settings: {did_you_mean(group, known)}"
            )
        allowed = _ALLOWED.get(group, values if isinstance(values, Mapping) else ())
        for name in values if isinstance(values, Mapping) else ():
            if name not in allowed or (features and name in ("height", "width")):
                raise UsageError(f"--set {group}.{show(name)}: scoring has no such setting; leave it out")
    return ScoringSettings(
        data=build(DataConfig, tree.get("data", {}), "data"),
        protocol=build(ProtocolConfig, tree.get("protocol", {}), "protocol"),
        engine=build(EngineConfig, tree.get("engine", {}), "engine"),
    )


def _open_models(request: ExternalRequest, tree: Mapping[str, Any], display: Display) -> list[EmbeddingModel]:
    if not isinstance(tree.get("encoder", {}), Mapping):
        raise UsageError("'encoder' is a group of settings: set one of encoder.<name>")
    opened: list[EmbeddingModel] = []
    given: Sequence[int | None] = request.folds or [None] * len(request.weights)
    for path, fold in zip(request.weights, given, strict=True):
        several = is_folder(path) and len(trained_folds(path)) > 1  # one model may score any fold of other images
        own = fold if several else None
        model = open_model(path, settings=tree, network=request.network, fold=own, claims=request.claims)
        display.print(model.description)
        for name in ("config", "height", "width", "container", "key_map", "network", "depth_range"):
            if opened and (found := getattr(model, name)) != (other := getattr(opened[0], name)):
                raise UsageError(
                    f"{path}: {name} is {found}, but {other} in {opened[0].source}; give files of one kind"
                )
        opened.append(model)
    return opened


def _folds(request: ExternalRequest, every: list[int], opened: Sequence[Opened], dataset: Dataset) -> list[int]:
    """Return the fold of each file: as asked for, as a checkpoint states it, or the only one."""
    stated = [one.fold if isinstance(one, EmbeddingModel) and _trained_here(one, dataset) else None for one in opened]
    numbers: Sequence[int | None] = request.folds or (every if len(every) == len(opened) == 1 else stated)
    folds = [number for number in numbers if number is not None]
    for path, fold, own in zip(request.paths, numbers, stated, strict=True):
        if fold is None:
            raise UsageError(
                f"--fold is missing: {dataset.name} has the folds {', '.join(map(str, every))}, and a model must be "
                f"scored on the fold that it was trained on; give the fold of {path.name}"
            )
        if fold not in every:
            raise UsageError(f"--fold {fold}: {dataset.name} has the folds {', '.join(map(str, every))}; choose one")
        if own not in (None, fold):
            raise UsageError(f"{path.name}: trained on fold {own}, whose test people are others; give --fold {own}")
    return folds


def _trained_here(model: EmbeddingModel, dataset: Dataset) -> bool:
    """Return whether a checkpoint may be of a training on a data set.

    After a training with donors, it has one hash of both data sets, which cannot be compared with that of one of them.
    """
    return model.data == dataset.fingerprint or str(model.data).startswith(UNPAIRED)


def parts_of(scoring: ExternalScoring) -> list[Part]:
    """Return the registered parts that a scoring uses: metrics, data set, protocol, encoder."""
    parts = [(SCORE_METRICS, name) for name in SCORE_METRICS.names()]
    parts += [(DATASETS, scoring.dataset.name), (PROTOCOLS, scoring.request.protocol)]
    model = scoring.first
    return [*parts, (ENCODERS, model.config.name)] if isinstance(model, EmbeddingModel) else parts
