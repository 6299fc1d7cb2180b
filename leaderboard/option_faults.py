"""Contradictions in the options and the plug-ins of a record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from usvi_bench.core.record import Record
from usvi_bench.core.registry import REGISTRIES
from usvi_bench.core.sealed import SHA256
from usvi_bench.core.settings import flatten
from usvi_bench.engine.read_settings import CONFIGS

_PLUGIN = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


def option_faults(record: Record) -> Iterator[str]:
    """Yield options of the run that its settings contradict."""
    made, settings = record.provenance, flatten(record.result.config)
    overrides = made.get("overrides")
    if overrides is None:
        return
    schedule = overrides["schedule"]
    if schedule is not None and not (
        re.fullmatch(r"\w{1,100}", schedule) and (CONFIGS / "schedules" / f"{schedule}.toml").is_file()
    ):
        yield f"provenance.overrides.schedule: '{schedule:.40}' is not a schedule"
    for name, given in overrides["settings"].items():
        value = made["threads"] if name == "engine.threads" else settings.get(name)
        if name in settings or (name == "engine.threads" and str(given) != "0"):
            if not _same(given, value):
                yield f"provenance.overrides.settings.{name:.60}: {given!r:.40}, but the run had {value!r:.40}"
        elif not name.startswith("engine.") and name not in ("encoder.bn", "method.search"):
            yield f"provenance.overrides.settings.{name:.60}: not a setting of the run"


def _same(given: Any, value: Any) -> bool:
    """Return whether an option, which may be text, means a value."""
    if given == "auto":
        return True
    if isinstance(value, list):
        parts = given if isinstance(given, list) else [part for part in str(given).split(",") if part]
        return len(parts) == len(value) and all(map(_same, parts, value))
    if value is None or isinstance(value, bool):
        words = {None: ("none",), True: ("true", "1"), False: ("false", "0")}[value]
        return str(given).lower() in words
    if isinstance(value, (int, float)):
        try:
            return float(given) == value
        except (ValueError, TypeError):
            return False
    return str(given) == str(value)


def plugin_faults(record: Record) -> Iterator[str]:
    """Yield entries of plug-ins that no run writes."""
    kinds = {registry.kind: registry for registry in REGISTRIES}
    seen: set[tuple[str, str | None]] = set()
    for i, plugin in enumerate(record.plugins):
        where = f"provenance.plugins[{i}]"
        if not _PLUGIN.fullmatch(plugin["name"]):
            yield f"{where}.name: '{plugin['name']:.40}' is neither a module nor the name of a file"
        if plugin["sha256"] is None and plugin["origin"] != "notebook":
            yield f"{where}.sha256: missing"
        elif plugin["sha256"] is not None and not SHA256.fullmatch(plugin["sha256"]):
            yield f"{where}.sha256: '{plugin['sha256']:.70}' is not a SHA-256"
        if (plugin["name"], plugin["sha256"]) in seen:
            yield f"{where}: a second entry of '{plugin['name']:.40}'"
        seen.add((plugin["name"], plugin["sha256"]))
        for part in plugin["parts"]:
            kind = next((kind for kind in kinds if part.startswith(f"{kind} ")), None)
            if kind is None or not re.fullmatch(r"[A-Za-z]\w*", part[len(kind) + 1 :]):
                yield f"{where}.parts: '{part:.60}' is not a kind and a name"
            elif part[len(kind) + 1 :] in kinds[kind].own_names():
                yield f"{where}.parts: the {part} belongs to the suite"
        if len(set(plugin["parts"])) < len(plugin["parts"]):
            yield f"{where}.parts: a part is named twice"
