"""Plug-ins of a record in words, for labels and pages."""

from __future__ import annotations

from usvi_bench.core.record import Record


def plugin_words(record: Record) -> list[str]:
    """Name each plug-in of a record with the first digits of its hash, as ``my_method.py@1f6a09c2``."""
    return [f"{plugin['name']}@{(plugin['sha256'] or 'unknown')[:8]}" for plugin in record.plugins]
