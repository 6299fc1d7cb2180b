"""Loading of settings files and ``--set`` overrides into a :class:`~usvi_bench.engine.config.RunConfig`.

Every key must be a field of a dataclass of :mod:`usvi_bench.engine.config` or of the ``Config`` of the method or the
encoder; every value must have the field's type.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from usvi_bench.components.augment import AugmentConfig
from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.registered import network_class
from usvi_bench.core.bounds import bounds_of, check_bounds
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.registry import METHODS, PROTOCOLS
from usvi_bench.core.settings import RENAMED, SHARED, current_names
from usvi_bench.core.typed import convert
from usvi_bench.engine.config import DEFAULT_ENCODER, GROUPS, DataConfig, EngineConfig, RunConfig, TrainConfig
from usvi_bench.engine.find_setting import explain_unknown
from usvi_bench.engine.read_settings import CONFIGS, find_schedule, read_file
from usvi_bench.methods.base import MethodConfig
from usvi_bench.protocols.base import ProtocolConfig

SECTIONS = {group: field for field, group in GROUPS.items()}
"""Fields of ``RunConfig`` for the groups of settings that have another name on the command line."""
T = TypeVar("T")


def load_config(
    method: str,
    protocol: str,
    *,
    profile: str,
    seed: int = 0,
    settings: Mapping[str, Any] = MappingProxyType({}),
    setting: str = SHARED,
    schedule: str | None = None,
) -> RunConfig:
    """Load the settings of a method on a data profile.

    Later sources override earlier ones: defaults, ``configs/<setting>/<profile>.py``,
    ``configs/<setting>/<method>/<profile>.py`` if it exists, the file of the schedule if one is given, then
    ``settings``.

    Args:
        method: registered name.
        protocol: registered name.
        profile: kind of data, for example ``sysu`` or ``synthetic_sysu``.
        seed: seed of the run.
        settings: values by dotted name, typed or as text: ``{"train.epochs": 10, "method.eps": "0.4"}``.
        setting: ``shared``, which methods are compared under, or ``paper``, the batches and schedule of the method's
            own paper. A method without a file in ``configs/paper`` has no ``paper`` setting.
        schedule: name of a schedule, such as ``full_short``, which replaces lengths and sizes of the setting; or the
            path of such a file.

    Raises:
        UsageError: unknown key or setting, value of the wrong type or out of range.
    """
    asked = (method, protocol, profile, seed, settings, setting)
    path = None if schedule is None else find_schedule(schedule)
    try:
        return _load(*asked, path)
    except UsageError as error:
        for (group, old), (new, _) in RENAMED.items():
            if f"{group}.{old}" in settings and str(error).startswith(f"{group}.{new}="):
                raise UsageError(f"{group}.{old} is an earlier name: {error}") from error
        if path is None or str(path) in str(error):
            raise
        _load(*asked, None)  # has an error of its own unless the schedule is the cause
        raise UsageError(f"{path}: {error}") from error


def _load(
    method: str,
    protocol: str,
    profile: str,
    seed: int,
    settings: Mapping[str, Any],
    setting: str,
    schedule: Path | None,
) -> RunConfig:
    """Load the settings as :func:`load_config` does, with the file of the schedule."""
    known = sorted(path.parent.name for path in CONFIGS.glob(f"*/{profile}.py"))
    if not known:
        profiles = sorted({path.stem for path in (CONFIGS / SHARED).glob("*.py")})
        raise UsageError(f"no settings for data of the profile '{profile}': {did_you_mean(profile, profiles)}")
    if setting not in known:
        raise UsageError(f"unknown setting '{show(setting)}': {did_you_mean(setting, known)}")
    hyper_parameters = METHODS.get(method).Config
    tree = _for_method(read_file(CONFIGS / setting / f"{profile}.py"), hyper_parameters)
    override = CONFIGS / setting / method / f"{profile}.py"
    if override.exists():
        _merge(tree, read_file(override))
    elif setting != SHARED:
        others = methods_with(setting, profile)
        raise UsageError(
            f"--setting {setting}: '{method}' has no {setting} setting for {profile}; "
            f"methods that have one: {', '.join(others) or 'none'}; leave --setting out to use '{SHARED}'"
        )
    if schedule is not None:
        _merge(tree, current_names(_for_method(read_file(schedule), hyper_parameters)))
    for (group, old), (new, _) in RENAMED.items():
        if {f"{group}.{old}", f"{group}.{new}"} <= settings.keys():
            raise UsageError(f"{group}.{old} is the earlier name of {group}.{new}; give one of them")
    asked = current_names(nested(settings))
    encoder, tree["encoder"] = _encoder(tree.get("encoder", {}), asked.pop("encoder", {}))
    _merge(tree, asked)
    sections: dict[str, type[Any]] = {
        "method": hyper_parameters,
        "data": DataConfig,
        "encoder": encoder,
        "augment": AugmentConfig,
        "train": TrainConfig,
        "protocol": ProtocolConfig,
        "engine": EngineConfig,
    }
    groups = {group: [item.name for item in fields(cls)] for group, cls in sections.items()}
    _refuse_unknown(settings, {**groups, "": ["evaluate_every"]})
    every = _whole_number("evaluate_every", tree.pop("evaluate_every", 0))
    for key in tree:
        if key not in sections:
            raise UsageError(f"unknown setting '{show(key)}': {explain_unknown(key, groups)}")
    parts = {SECTIONS.get(key, key): build(cls, tree.get(key, {}), key) for key, cls in sections.items()}
    parts["augment"] = _in_form(parts["augment"], parts["method_config"], tree.get("augment", {}))
    PROTOCOLS.get(protocol)
    return RunConfig(method=method, protocol=protocol, setting=setting, seed=seed, evaluate_every=every, **parts)


def _refuse_unknown(asked: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> None:
    """Refuse names that are no settings, as they were given.

    Raises:
        UsageError: a name is unknown; the message has similar ones.
    """
    known = {f"{group}.{name}" if group else name for group, names in groups.items() for name in names}
    known |= {*groups, "encoder.bn", *(f"{group}.{name}" for group, name in RENAMED)}
    for name in asked:
        if name not in known:
            raise UsageError(f"unknown setting '{show(name)}': {explain_unknown(name, groups)}")


def methods_with(setting: str, profile: str) -> list[str]:
    """List the methods that have a file of their own in a setting, for a kind of data."""
    return sorted(path.parent.name for path in (CONFIGS / setting).glob(f"*/{profile}.py"))


def parse_settings(words: Sequence[str]) -> dict[str, str]:
    """Split words of ``--set`` into names and values; the last value of a repeated name is used.

    >>> parse_settings(["train.epochs=10", "method.eps=0.4"])
    {'train.epochs': '10', 'method.eps': '0.4'}

    Raises:
        UsageError: a word without a name or ``=``.
    """
    settings = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {show(word)}: give it as name=value, for example --set train.epochs=10")
        settings[name.strip()] = value.strip()
    return settings


def _whole_number(name: str, value: Any) -> int:
    try:
        return int(convert(int, value, name, text=True))
    except ValueError as error:
        raise UsageError(str(error)) from error


def build(cls: type[T], values: Any, section: str) -> T:
    """Build a frozen dataclass from untyped values.

    Raises:
        UsageError: an unknown name, a value of the wrong type or out of range.
    """
    _check_group(values, section)
    hints = typing.get_type_hints(cls)
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            full = f"{section}.{show(name)}"
            raise UsageError(f"unknown setting '{full}': {explain_unknown(full, {section: names})}")
    try:
        typed = {name: convert(hints[name], value, f"{section}.{name}", text=True) for name, value in values.items()}
    except ValueError as error:
        raise UsageError(str(error)) from error
    made = cls(**typed)
    check_bounds(made, section)  # a class from outside may not do it
    return made


def _check_group(values: Any, section: str) -> None:
    if not isinstance(values, Mapping):
        raise UsageError(f"'{section}' is a group of settings: set one of {section}.<name>")


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nest settings by their dotted names: ``{"train.lr": 0.1}`` to ``{"train": {"lr": 0.1}}``."""
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        for part in reversed(name.split(".")):
            value = {part: value}
        _merge(tree, value)
    return tree


def _for_method(tree: dict[str, Any], cls: type[Any]) -> dict[str, Any]:
    """Drop hyper-parameters that the method does not have; profiles and schedules are shared by all methods."""
    for section in ("method", "encoder"):
        _check_group(tree.get(section, {}), section)
    tree["method"] = _fields_of(cls, tree.get("method", {}))
    return tree


def _encoder(files: Mapping[str, Any], asked: Any) -> tuple[type[EncoderConfig], dict[str, Any]]:
    """Merge the encoder's settings from files and from ``--set``, and return them with their class.

    Settings in files belong to the encoder that the files name. Another encoder uses only those that it has too.
    """
    _check_group(asked, "encoder")
    if "bn" in asked and "bn_groups" in asked:
        raise UsageError(f"encoder.bn={asked['bn']} and encoder.bn_groups={asked['bn_groups']}: give one of them only")
    files, asked = _number_parts(files), _number_parts(asked)
    usual = files.get("name", DEFAULT_ENCODER)
    name = str(asked.get("name", usual))
    cls = network_class(name).Config
    return cls, {**(files if name == usual else _fields_of(cls, files)), **asked, "name": name}


def _fields_of(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(cls)}
    return {name: value for name, value in values.items() if name in names}


def _number_parts(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the named policy ``bn`` by the ``bn_groups`` that it means for the current number of processes."""
    encoder = dict(encoder)
    if (policy := encoder.pop("bn", None)) is None:
        return encoder
    groups = {"sync": 1, "per_gpu": process_info().world_size}.get(str(policy), str(policy).removeprefix("groups="))
    bounds = bounds_of(EncoderConfig, "bn_groups")
    if not str(groups).isdecimal() or (bounds and not bounds.hold(int(groups))):
        raise UsageError(f"encoder.bn={show(policy)}: choose sync, per_gpu or groups=g with a whole number g {bounds}")
    return {**encoder, "bn_groups": int(groups)}


def _merge(tree: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping):
            if not isinstance(tree.get(key), dict):
                tree[key] = {}  # not the mapping itself, which belongs to the caller
            _merge(tree[key], value)
        else:
            tree[key] = value


def _in_form(augment: AugmentConfig, method: MethodConfig, asked: Any) -> AugmentConfig:
    """Set ``augment.jitter_8bit`` for a released form, as in released code, unless it is given.

    A training without jitter is not changed, so that methods share its first stage.
    """
    released = getattr(method, "form", "repaired") == "released" and augment.jitter > 0
    return replace(augment, jitter_8bit=True) if released and "jitter_8bit" not in asked else augment


def profile_of(kind: str, synthetic: Mapping[str, Any] | None) -> str:
    """Return the name of the settings file of a data set; synthetic people of the full size use that of real images.

    >>> profile_of("sysu", None), profile_of("sysu", {"size": "small"})
    ('sysu', 'synthetic_sysu')

    Args:
        kind: registered name of the data set.
        synthetic: settings of the generator; None for real images.
    """
    return kind if synthetic is None or synthetic.get("size") == "full" else f"synthetic_{kind}"
