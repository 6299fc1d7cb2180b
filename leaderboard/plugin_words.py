"""Display names of the plug-ins of a record."""

from __future__ import annotations

from usvi_bench.core.record import Record


def plugin_words(record: Record) -> list[str]:
    """Return the name and the first digits of the hash of each plug-in, as ``my_method.py@1f6a09c2``."""
    return [f"{plugin['name']}@{(plugin['sha256'] or 'unknown')[:8]}" for plugin in record.plugins]
