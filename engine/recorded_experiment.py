"""Experiment of a record: the options that repeat its run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from usvi_bench.core.errors import UsageError
from usvi_bench.core.provenance import Overrides
from usvi_bench.core.record import Record
from usvi_bench.core.registry import VALID
from usvi_bench.core.result import DatasetIdentity, Result
from usvi_bench.core.settings import committed_defaults, default_values, flatten
from usvi_bench.engine.config import default_settings
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.start_weights import find_weights

_KNOB = re.compile(r"[A-Za-z]\w*|-?\d+(\.\d+)?(e[+-]?\d+)?", re.ASCII)
_FILE = re.compile(r"\w[\w.+ -]*")
"""Name of a file without folders, or of a module."""
_SETTING = re.compile(r"[A-Za-z]\w*(\.\w+)*", re.ASCII)


def recorded_experiment(record: Record) -> Experiment:
    """Build the experiment that repeats a run; ``DIR`` stands for the folder of real images.

    A record is data of unknown origin. Only names and plain values are taken from it, never a path.

    Raises:
        UsageError: the record is that of an external model, or a name or a value of it is not of this kind; the
            message names the field.
    """
    result, made = record.result, record.provenance
    if result.external is not None:
        raise UsageError("the record is that of an external model: score its file again with 'evaluate'")
    names = {"method": result.method, "protocol": result.protocol, "setting": result.setting}
    overrides = made.get("overrides", Overrides(settings={}, schedule=None))
    schedule = overrides.get("schedule")
    for field_name, name in [*names.items(), *([("schedule", schedule)] if schedule is not None else [])]:
        _require(VALID, name, field_name)
    data = _spec_of(result.dataset, "dataset", "DIR")
    trained = None if result.trained_on is None else _spec_of(result.trained_on, "trained_on", "TRAIN_DIR")
    donors = None if result.donors is None else _spec_of(result.donors, "donors", "DONORS_DIR")
    settings = dict(overrides.get("settings", {}))
    for name, value in settings.items():
        _require(_SETTING, name, "overrides.settings")
        if not _is_plain(value):
            raise UsageError(f"the record's {name} is not a number, a word or a list of them: {value!r:.60}")
    imports = [plugin["name"] for plugin in record.plugins if plugin["origin"] == "import"]
    for name in [result.start_weights["source"], *imports]:
        _require(_FILE, name, "file")
    return Experiment(
        method=result.method,
        protocol=result.protocol,
        data=data,
        train_data=trained,
        donors=donors,
        seed=result.seed,
        settings={"engine.threads": made["threads"], **_former_defaults(result), **settings},
        setting=result.setting,
        schedule=schedule,
        weights=find_weights(result.start_weights["source"]),
        device="cuda" if made["gpu"] else "cpu",
        deterministic=bool(made.get("deterministic", False)),
        imports=imports,
    )


def _former_defaults(result: Result) -> dict[str, Any]:
    """Return the settings of a record that have a former default of its method, which a repeat has to ask for."""
    if result.method not in committed_defaults(result.format)["methods"]:
        return {}
    former = default_values(result.format, result.method, result.config)
    present, own = flatten(default_settings(result.method)), flatten(result.config)
    names = [name for name in former if name.startswith("method.") and name in present and name in own]
    return {name: own[name] for name in names if own[name] == former[name] != present[name]}


def _require(pattern: re.Pattern[str], value: Any, what: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise UsageError(f"the record's {what} is not a plain name: {value!r:.60}")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) and not isinstance(item, list) for item in value)
    return value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and value.isprintable())


def _spec_of(data: DatasetIdentity, what: str, folder: str) -> str:
    """Return the value of ``--data`` for the data set of a record; ``folder`` stands for real images."""
    synthetic = data["synthetic"]
    knobs = (synthetic or {}).get("spec", {})
    if not isinstance(knobs, Mapping):
        raise UsageError(f"the record's {what}.synthetic is not a mapping: {knobs!r:.60}")
    for name, value in knobs.items():
        _require(VALID, name, f"{what}.synthetic")
        _require(_KNOB, str(value), f"{what}.synthetic.{name}")
    text = ",".join(f"{name}={value}" for name, value in knobs.items())
    return folder if synthetic is None else f"synthetic:{text}".rstrip(":")
