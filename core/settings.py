"""Settings as plain data: flat names, and hashes that do not change when a setting is added.

A hash covers a format number and the settings that differ from the defaults of that number, which are committed in
``core/formats/<number>.json``. A new setting at its default therefore changes no hash. A changed default needs a new
number. A hash of an older number is computed with the defaults of that number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError

SHARED = "shared"
"""Name of the setting under which methods are compared; it is the same for all methods."""
FORMAT = 1
"""Format number of new hashes. Raise it, and add its file, when the default of a setting changes."""
FOLDER = Path(__file__).resolve().parent / "formats"
RENAMED = {("train", "amp"): ("precision", {"off": "fp32"})}
"""Earlier group and name of each renamed setting, with its present name and its renamed values."""


def current_names(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with the present names and words of settings that were renamed.

    >>> current_names({"train": {"amp": "off", "lr": 0.1}})
    {'train': {'precision': 'fp32', 'lr': 0.1}}
    """
    found = dict(tree)
    for (group, old), (new, words) in RENAMED.items():
        if isinstance(values := found.get(group), Mapping) and old in values:
            renamed = {new if name == old else name: value for name, value in values.items()}
            found[group] = {**renamed, new: words.get(str(values[old]), values[old])}
    return found


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted names.

    >>> flatten({"train": {"lr": 0.1, "epochs": 50}, "evaluate_every": 0})
    {'train.lr': 0.1, 'train.epochs': 50, 'evaluate_every': 0}
    """
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def digest(content: Any) -> str:
    """Hash plain data by its JSON form with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def committed_defaults(number: int) -> dict[str, Any]:
    """Read the defaults of a format number: ``{"settings": {...}, "methods": {name: {...}}, "encoders": {...}}``.

    Raises:
        UsageError: no such number.
    """
    path = FOLDER / f"{number}.json"
    if not path.exists():
        raise UsageError(f"settings of format {number} are unknown to this version; update USVI-Bench")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def default_values(number: int, method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the committed defaults of a method and of the encoder that some settings name, by dotted name.

    For a method or an encoder that the file lacks, only the shared defaults are returned.
    """
    committed = committed_defaults(number)
    defaults = {**committed["settings"], "method": committed["methods"].get(method, {})}
    encoder = {**defaults.get("encoder", {}), **committed.get("encoders", {}).get(_encoder(settings), {})}
    return flatten({**defaults, "encoder": encoder})


def _encoder(settings: Mapping[str, Any]) -> str | None:
    return settings.get("encoder", {}).get("name")  # type: ignore[no-any-return]


def differences(
    settings: Mapping[str, Any], method: str, number: int = FORMAT, new_defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the settings that differ from the committed defaults, by dotted name.

    Args:
        settings: nested settings; hyper-parameters of the method under ``method``.
        method: registered name of the method. All hyper-parameters of a method without committed defaults count.
            The same holds for an encoder.
        number: format number whose defaults apply.
        new_defaults: flat defaults of settings that are not yet in the committed file.
    """
    committed = committed_defaults(number)
    known = {"method": method in committed["methods"], "encoder": _encoder(settings) in committed.get("encoders", {})}
    defaults = default_values(number, method, settings)
    for name, value in (new_defaults or {}).items():
        if known.get(name.partition(".")[0], True):
            defaults.setdefault(name, value)
    plain = flatten(json.loads(json.dumps(settings)))
    return {name: value for name, value in plain.items() if name not in defaults or defaults[name] != value}


def config_hash(
    settings: Mapping[str, Any],
    *,
    method: str,
    protocol: str,
    setting: str,
    start: str,
    number: int = FORMAT,
    new_defaults: Mapping[str, Any] | None = None,
) -> str:
    """Hash a configuration; runs with equal hashes on the same data differ in their seed only.

    Args:
        settings: nested settings, as a record keeps them.
        method: registered name.
        protocol: registered name.
        setting: name of the set of settings that the run started from, such as ``shared``.
        start: ``random``, or the sha256 of the starting weights.
        number: format number of the record.
        new_defaults: see :func:`differences`.
    """
    content = {
        "format": number,
        "method": method,
        "protocol": protocol,
        "setting": setting,
        "start": start,
        "settings": differences(settings, method, number, new_defaults),
    }
    return digest(content)
