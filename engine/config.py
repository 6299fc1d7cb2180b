"""One run's settings: files and ``--set`` overrides in, frozen dataclasses out.

Files under ``configs/`` are read with mmengine's ``Config`` (so ``_base_`` works); every key must be a field of a
dataclass below or of the method's own ``Config``, and every value must have the field's type.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from mmengine.config import Config as _File

from components.augment import AugmentConfig
from components.encoder import EncoderConfig
from engine.place import place
from engine.registry import ENCODERS, METHODS, PROTOCOLS, UsageError, did_you_mean
from methods.base import MethodConfig
from protocols.base import ProtocolConfig

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SHARED = "shared"
"""The setting under which methods are compared; it serves every method."""
T = TypeVar("T")


@dataclass(frozen=True)
class DataConfig:
    """Which images a run reads and how large they are."""

    height: int = 288
    width: int = 144
    filter: Literal["bicubic", "lanczos"] = "bicubic"
    """How images to train on and to cluster are resized; those to test on as the protocol says."""
    folds: tuple[int, ...] = ()
    """Folds to train and score; empty for all. A record with missing folds is incomplete and not ranked."""
    check_counts: bool = True
    """Refuse a data set whose number of images differs from the published one."""

    def __post_init__(self) -> None:
        _at_least(1, self, "height", "width")


@dataclass(frozen=True)
class TrainConfig:
    """Length, batches and optimiser of a stage."""

    epochs: int = 50
    """Epochs a stage; images are clustered anew before each."""
    iterations: int = 200
    """Steps an epoch, whatever the number of images."""
    visible_clusters: int = 8
    """Clusters in a visible batch (P)."""
    infrared_clusters: int = 8
    """Clusters in an infrared batch (P)."""
    instances: int = 16
    """Images of each cluster in a batch (K)."""
    lr: float = 3.5e-4
    weight_decay: float = 5e-4
    lr_step: float = 0.4
    """The learning rate drops each time this fraction of the stage has passed (20 of 50 epochs)."""
    lr_factor: float = 0.1
    amp: Literal["off", "bf16", "fp16"] = "off"
    """Precision of the encoder's forward pass; losses, memories and clustering stay in float32."""
    embed_batch: int = 256
    """Images in a forward pass without gradient."""

    def __post_init__(self) -> None:
        _at_least(1, self, "epochs", "iterations", "visible_clusters", "infrared_clusters", "instances", "embed_batch")
        if not 0 < self.lr < math.inf:
            raise UsageError(f"train.lr={self.lr} must be above 0 and finite")
        if not 0 <= self.weight_decay < math.inf:
            raise UsageError(f"train.weight_decay={self.weight_decay} must be 0 or more")
        if not 0 < self.lr_factor <= 1:
            raise UsageError(f"train.lr_factor={self.lr_factor} must be above 0 and at most 1")
        if not 0 < self.lr_step <= 1:
            raise UsageError(f"train.lr_step={self.lr_step} is a fraction of the stage: give 0 < value <= 1")

    def drop_epochs(self, epochs: int) -> int:
        """Epochs between two drops of the learning rate in a stage of the given length."""
        return max(1, round(self.lr_step * epochs))


@dataclass(frozen=True)
class EngineConfig:
    """How a run is carried out; no result depends on it but through floating-point order."""

    threads: int = 0
    """CPU threads; 0 for all cores."""
    log_every: int = 10
    """Steps between two updates of the progress display."""
    deterministic: bool = False
    """On a GPU, use only kernels that give equal results each time; slower."""
    compile: bool = False
    """Compile the encoder's trunk with ``torch.compile``: minutes at the start, fewer and larger kernels afterwards."""
    timeout: int = 1800
    """Seconds that a process waits for the others of its training, who wait while rank 0 clusters and scores."""

    def __post_init__(self) -> None:
        _at_least(0, self, "threads")
        _at_least(1, self, "log_every", "timeout")


@dataclass(frozen=True)
class RunConfig:
    """All settings of a run but where its data, weights and output are."""

    method: str
    protocol: str
    setting: str
    seed: int
    hyper: MethodConfig
    """The method's own hyper-parameters: ``--set method.NAME=VALUE``."""
    data: DataConfig = field(default_factory=DataConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    scoring: ProtocolConfig = field(default_factory=ProtocolConfig)
    """How the protocol draws its galleries: ``--set protocol.NAME=VALUE``."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    evaluate_every: int = 0
    """Also score every so many epochs of the last stage; 0 scores the last epoch only."""

    def resolved(self) -> dict[str, Any]:
        """Every setting that a result may depend on, as plain data."""
        content = dataclasses.asdict(self)
        del content["engine"]
        return typing.cast(dict[str, Any], json.loads(json.dumps(content)))


SECTIONS = {"method": "hyper", "protocol": "scoring"}
"""Sections whose name on the command line differs from the field's."""


def load_config(
    method: str,
    protocol: str,
    *,
    profile: str,
    seed: int = 0,
    settings: Sequence[str] = (),
    setting: str = SHARED,
    schedule: str | None = None,
) -> RunConfig:
    """Settings for a method on a data profile.

    Later sources win: defaults, ``configs/<setting>/<profile>.py``,
    ``configs/<setting>/<method>/<profile>.py`` where it exists, ``configs/schedules/<schedule>.py`` where one is asked
    for, then ``settings`` (``"train.epochs=10"``).

    Args:
        profile: kind of data, for example ``sysu`` or ``synthetic_sysu``.
        setting: ``shared``, under which methods are compared, or ``paper``, where each has its own paper's batches
            and schedule; a method without a file there has no such setting.
        schedule: named lengths and sizes in place of the setting's, such as ``full_short``.

    Raises:
        UsageError: unknown key or setting, value of the wrong type or out of range.
    """
    known = sorted(path.parent.name for path in CONFIGS.glob(f"*/{profile}.py"))
    if known and setting not in known:
        raise UsageError(f"unknown setting '{setting}': {did_you_mean(setting, known)}")
    tree = _for_method(read_file(CONFIGS / setting / f"{profile}.py"), METHODS.get(method).Config)
    override = CONFIGS / setting / method / f"{profile}.py"
    if override.exists():
        _merge(tree, read_file(override))
    elif setting != SHARED:
        others = sorted(path.parent.name for path in (CONFIGS / setting).glob(f"*/{profile}.py"))
        raise UsageError(
            f"--setting {setting}: '{method}' has none for {profile}, only {', '.join(others) or 'no method'} has; "
            f"leave --setting out for the {SHARED} one"
        )
    if schedule is not None:
        _merge(tree, _for_method(read_file(CONFIGS / "schedules" / f"{schedule}.py"), METHODS.get(method).Config))
    for item in settings:
        _merge(tree, parse_setting(item))
    _name_batch_norm(tree)
    sections: dict[str, type[Any]] = {
        "method": METHODS.get(method).Config,
        "data": DataConfig,
        "encoder": EncoderConfig,
        "augment": AugmentConfig,
        "train": TrainConfig,
        "protocol": ProtocolConfig,
        "engine": EngineConfig,
    }
    every = _typed("evaluate_every", int, tree.pop("evaluate_every", 0))
    if every < 0:
        raise UsageError(f"evaluate_every={every} must be 0 or more")
    for key in tree:
        if key not in sections:
            raise UsageError(f"unknown setting '{key}': {did_you_mean(key, [*sections, 'evaluate_every'])}")
    ENCODERS.get(str(tree.get("encoder", {}).get("name", EncoderConfig.name)))
    parts = {SECTIONS.get(key, key): build(cls, tree.get(key, {}), key) for key, cls in sections.items()}
    PROTOCOLS.get(protocol)
    return RunConfig(method=method, protocol=protocol, setting=setting, seed=seed, evaluate_every=every, **parts)


def parse_setting(text: str) -> dict[str, Any]:
    """``"train.epochs=10"`` as a nested mapping; the value stays text until its field's type is known."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text}: give it as name=value, for example --set train.epochs=10")
    tree: Any = value.strip()
    for name in reversed(key.strip().split(".")):
        tree = {name: tree}
    return typing.cast(dict[str, Any], tree)


def build(cls: type[T], values: Any, section: str) -> T:
    """A frozen dataclass from untyped values; unknown names and wrong types stop the run."""
    if not isinstance(values, Mapping):
        raise UsageError(f"'{section}' is a group of settings: set one of {section}.<name>")
    hints = typing.get_type_hints(cls)
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            raise UsageError(f"unknown setting '{section}.{name}': {did_you_mean(name, names)}")
    return cls(**{name: _typed(f"{section}.{name}", hints[name], value) for name, value in values.items()})


def digest(content: Any) -> str:
    """Hash of plain data that is equal for equal content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _typed(name: str, hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        texts = {str(choice): choice for choice in arguments}
        if str(value) not in texts:
            raise UsageError(f"{name}={value}: choose one of {', '.join(texts)}")
        return texts[str(value)]
    if origin in (typing.Union, types.UnionType):
        if value is None or str(value).lower() == "none":
            return None
        return _typed(name, next(a for a in arguments if a is not type(None)), value)
    if origin is tuple:
        parts = [p for p in value.split(",") if p] if isinstance(value, str) else value
        if isinstance(parts, (int, float)):
            parts = (parts,)
        return tuple(_typed(name, arguments[0], part) for part in parts)
    return _scalar(name, hint, value)


def _scalar(name: str, kind: type, value: Any) -> Any:
    if kind is bool:
        words = {"true": True, "1": True, "false": False, "0": False}
        if str(value).lower() in words:
            return words[str(value).lower()]
    elif kind is str and isinstance(value, str):
        return value
    elif kind is int and not isinstance(value, (bool, float)):
        try:
            return int(value)
        except (TypeError, ValueError):
            pass
    elif kind is float and not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    article = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}[kind.__name__]
    raise UsageError(f"{name}={value}: expected {article}")


def read_file(path: Path) -> dict[str, Any]:
    """What a settings file says, as plain data."""
    if not path.exists():
        known = [p.stem for p in path.parent.glob("*.py")]
        raise UsageError(f"no settings file {path.name}: {did_you_mean(path.stem, known)}")
    return typing.cast(dict[str, Any], _File.fromfile(str(path), lazy_import=False).to_dict())


def _for_method(tree: dict[str, Any], cls: type[MethodConfig]) -> dict[str, Any]:
    """A profile or schedule speaks to all methods: what this one has no field for does not concern it."""
    names = {item.name for item in fields(cls)}
    tree["method"] = {name: value for name, value in tree.get("method", {}).items() if name in names}
    return tree


def _name_batch_norm(tree: dict[str, Any]) -> None:
    """``encoder.bn`` is another word for ``encoder.bn_groups``: the policy by name, for however many processes."""
    encoder = tree.get("encoder")
    if not isinstance(encoder, dict) or (policy := encoder.pop("bn", None)) is None:
        return
    groups = {"sync": 1, "per_gpu": place().world}.get(policy, str(policy).removeprefix("groups="))
    if not str(groups).isdigit():
        raise UsageError(f"encoder.bn={policy}: choose sync, per_gpu or groups=g with a whole number g")
    encoder["bn_groups"] = int(groups)


def _merge(tree: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = value


def _at_least(bound: int, config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) < bound:
            raise UsageError(f"{name}={getattr(config, name)} must be at least {bound}")
