"""Plug-ins of installed packages: modules named by entry points of the group ``usvi_bench.plugins``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import metadata

from usvi_bench.core.errors import UsageError
from usvi_bench.core.fresh_import import from_source
from usvi_bench.core.sources import Source, explain_failure, find_source, source_of

GROUP = "usvi_bench.plugins"
"""Group of entry points; each names a module that registers its parts when it is imported."""
_IMPORTED: list[Source] = []
_BEGUN: list[bool] = []


def import_entry_points(has_registered: Callable[[str], bool]) -> None:
    """Import the modules of all entry points, unless this was done or is in progress.

    Args:
        has_registered: returns whether a package has registered anything.

    Raises:
        UsageError: an import fails or registers nothing; the message names the package.
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
                with from_source(point.module):
                    importlib.import_module(point.module)
                if not has_registered(point.module.partition(".")[0]):
                    raise UsageError("it registers nothing")
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                root = find_source(point.module)
                reason = str(error) if isinstance(error, UsageError) else explain_failure(error, root)
                raise UsageError(
                    f"the plug-in '{point.name}' of {package} cannot be imported: "
                    f"{reason}; repair or uninstall {package}"
                ) from error
            _IMPORTED.append(source_of(point.module))
    except BaseException:
        _BEGUN.clear()
        _IMPORTED.clear()
        raise


def entry_point_sources() -> list[Source]:
    """Return the sources of the modules that were imported by entry points."""
    return list(_IMPORTED)
