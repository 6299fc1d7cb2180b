"""Plug-ins of installed packages: modules named by entry points of the group ``usvi_bench.plugins``."""

from __future__ import annotations

import importlib
from importlib import metadata

from usvi_bench.core.errors import UsageError
from usvi_bench.core.sources import Source, explain_failure, find_source, source_of

GROUP = "usvi_bench.plugins"
"""Group of entry points; each names a module that registers its parts when it is imported."""
_IMPORTED: list[Source] = []
_BEGUN: list[bool] = []


def import_entry_points() -> None:
    """Import the modules of all entry points, unless this was done or is in progress.

    Raises:
        UsageError: an import fails; the message names the package.
    """
    if _BEGUN:
        return
    _BEGUN.append(True)
    try:
        for point in sorted(metadata.entry_points(group=GROUP)):
            package = point.dist.name if point.dist else "an installed package"
            if not point.pattern.match(point.value):
                raise UsageError(f"the plug-in '{point.name}' of {package} names no module ({point.value!r:.60})")
            try:
                importlib.import_module(point.module)
            except (Exception, SystemExit) as error:
                raise UsageError(
                    f"the plug-in '{point.name}' of {package} cannot be imported: "
                    f"{explain_failure(error, find_source(point.module))}; repair or uninstall {package}"
                ) from error
            _IMPORTED.append(source_of(point.module))
    except UsageError:
        _BEGUN.clear()
        _IMPORTED.clear()
        raise


def entry_point_sources() -> list[Source]:
    """Return the sources of the modules that were imported by entry points."""
    return list(_IMPORTED)
