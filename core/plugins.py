"""Import of plug-ins: modules from outside the suite that register methods, encoders, data sets, protocols, schedules.

A plug-in is named by ``--import``, by an entry point of an installed package, or is the user's own script or notebook.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Literal, TypedDict

from usvi_bench.core.entry_points import entry_point_sources
from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.fresh_import import check_source, from_source
from usvi_bench.core.options import explain_missing_path
from usvi_bench.core.paths import expanded
from usvi_bench.core.registry import DATASETS, PROTOCOLS, REGISTRIES, Registry, has_registered
from usvi_bench.core.sources import Source, explain_failure, find_source, hash_source, is_ours, root_of, source_of

Origin = Literal["import", "entry point", "script", "notebook"]
Part = tuple[Registry, str]
"""A registered class or function: its registry and its name."""

_MODULES: dict[str, Source] = {}
"""Source of each imported module or file at the time of its import, by the name of its module."""
_PREFIX = "plugin_"
"""Prefix of the module names of imported files."""
NOTHING = "it registers no method, encoder, data set, protocol or learning-rate schedule"


class Plugin(TypedDict):
    """Plug-in of a run, as an entry of its record.

    ``name`` is a module, or a file without its folders. ``sha256`` is the hash of its source
    (:mod:`usvi_bench.core.sources`), None for a notebook without source. ``parts`` lists the parts that the run used,
    as ``"method my_method"``.
    """

    name: str
    sha256: str | None
    origin: Origin
    parts: list[str]


def list_of_imports(imports: object) -> tuple[str, ...]:
    """Return the names of plug-ins that Python code gives, as text.

    Raises:
        UsageError: it is no list of names and paths.
    """
    if not isinstance(imports, (list, tuple)) or not all(isinstance(spec, (str, Path)) for spec in imports):
        raise UsageError(f"imports={imports!r:.60}: give a list of modules or files")
    return tuple(map(str, imports))


def import_plugins(specs: Iterable[str]) -> None:
    """Import modules or files that register parts; a file that has changed since its import is imported again.

    Args:
        specs: names of modules, which may be in the working directory, or paths of ``.py`` files.

    Raises:
        UsageError: a module or file does not exist, fails or registers nothing, or a module has changed since its
            import.
    """
    named = list(specs)
    for spec in named:
        if is_file(spec):
            _import_file(spec, _resolved(spec))
        else:
            _import_module(spec)
    if named:
        _check_references()


def _check_references() -> None:
    """Check that the data set of every protocol from outside is registered, which may be after the protocol."""
    for name in PROTOCOLS.names():
        dataset = PROTOCOLS.get(name).dataset
        if PROTOCOLS.sources(name) and dataset not in DATASETS.names():
            raise UsageError(
                f"the protocol '{name}' scores the data set '{show(dataset)}', which is not registered: "
                f"{did_you_mean(str(dataset), DATASETS.names())}"
            )


def is_file(spec: str) -> bool:
    """Return whether a plug-in is named by a path, not as a module.

    >>> is_file("my_package.methods"), is_file("my_method.py")
    (False, True)
    """
    return spec.endswith(".py") or os.sep in spec or Path(spec).is_file()


def _resolved(spec: str) -> Path:
    try:
        return expanded(spec).resolve()
    except (OSError, RuntimeError) as error:  # a link that leads to itself
        raise UsageError(f"--import {spec}: {error}; name a file") from error


def absolute(specs: Iterable[str]) -> tuple[str, ...]:
    """Make paths absolute, for processes that work in other folders."""
    return tuple(str(expanded(spec).absolute()) if is_file(spec) else spec for spec in specs)


def part_keys(parts: Iterable[Part]) -> dict[str, list[str]]:
    """Return the hashes of the sources of each part from outside; empty if all parts belong to the suite."""
    keys = {_words(part): [source.key for source in part[0].sources(part[1])] for part in parts}
    return {words: sources for words, sources in keys.items() if sources}


def check_unchanged(parts: Iterable[Part]) -> None:
    """Check that the files of the parts in use have not changed since their import; a running script may change.

    Raises:
        UsageError: a file has changed; the message names it.
    """
    for registry, name in parts:
        for source in registry.sources(name):
            if source.path and source.module != "__main__" and _changed(source):
                raise UsageError(
                    f"{source.path} has changed since it was imported: name the file in --import (imports=[...]), or "
                    "start Python again"
                )


def used_plugins(specs: Sequence[str], parts: Iterable[Part]) -> list[Plugin]:
    """List the plug-ins of a run: those imported for it, those of entry points, and those of its parts.

    Args:
        specs: plug-ins that the run names.
        parts: parts that the run uses.
    """
    plugins: dict[tuple[str, str], Plugin] = {}
    for spec in specs:
        module = _file_module(_resolved(spec)) if is_file(spec) else spec
        if module in _MODULES:
            _add(plugins, _MODULES[module], "import", None if is_file(spec) else spec)
    for source in entry_point_sources():
        _add(plugins, source, "entry point", source.module)
    for part in parts:
        for source in part[0].sources(part[1]):
            origin: Origin = "import" if source.module != "__main__" else "script" if source.path else "notebook"
            plugin = _add(plugins, source, origin, "notebook" if origin == "notebook" else None)
            plugin["parts"].append(_words(part))
    return list(plugins.values())


def plugin_roots() -> set[Path]:
    """Return the files and package folders of all registered parts from outside this package."""
    sources = [source for registry in REGISTRIES for source in registry.outside_sources()]
    return {source.path.resolve() for source in sources if source.path is not None}


def _add(plugins: dict[tuple[str, str], Plugin], source: Source, origin: Origin, name: str | None) -> Plugin:
    if name is None:
        path = source.path if source.module == "__main__" or source.module.startswith(_PREFIX) else None
        name = source.module if path is None else path.name
    found = Plugin(name=name, sha256=source.sha256, origin=origin, parts=[])
    return plugins.setdefault((source.place, source.key), found)


def _words(part: Part) -> str:
    return f"{part[0].kind} {part[1]}"


def _changed(source: Source) -> bool:
    return source.path is not None and (not source.path.exists() or hash_source(source.path) != source.sha256)


def _file_module(path: Path) -> str:
    """Return the module name of a file; files of equal names in different folders have different module names."""
    return f"{_PREFIX}{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _import_file(spec: str, path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"--import {spec}: {explain_missing_path(path)}")
    if path.suffix != ".py":
        raise UsageError(f"--import {spec}: this is not a Python file; its name must end in .py")
    name, root = _file_module(path), root_of(path)
    if name in _MODULES and not _changed(_MODULES[name]):
        return
    _forget(name)
    module_spec = spec_from_file_location(name, path)
    assert module_spec is not None
    module = module_from_spec(module_spec)
    sys.modules[name] = module
    before = _registrations()
    try:
        text = path.read_bytes()  # not through the loader, which may use old bytecode
        exec(compile(text, str(path), "exec"), module.__dict__)
        check_source(path, hashlib.sha256(text).hexdigest())
        if _registrations() == before:
            raise UsageError(NOTHING)
    except BaseException as error:
        _forget(name)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _failure(spec, error, root) from error
    _MODULES[name] = source_of(name)


def _import_module(spec: str) -> None:
    if not all(word.isidentifier() for word in spec.split(".")):
        raise UsageError(f"--import {spec}: neither the name of a module nor the path of a .py file")
    if spec in _MODULES:
        if _changed(_MODULES[spec]):
            raise UsageError(
                f"--import {spec}: {_MODULES[spec].place} has changed since it was imported; start Python again"
            )
        return
    if "" not in sys.path and os.getcwd() not in sys.path:  # noqa: PTH109 - an entry of the path is text
        sys.path.append(os.getcwd())  # noqa: PTH109
    before = _registrations()
    try:
        with from_source(spec):
            importlib.import_module(spec)
        if _registrations() == before and not has_registered(spec.partition(".")[0]):
            raise UsageError(NOTHING)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{spec}.".startswith(f"{error.name}."):
            raise _failure(spec, error, find_source(spec)) from error
        raise UsageError(
            f"--import {spec}: there is no module '{error.name}'; give the name of an installed module, of one in the "
            "working directory, or the path of a .py file"
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _failure(spec, error, find_source(spec)) from error
    if not is_ours(spec):
        _MODULES[spec] = source_of(spec)


def _failure(spec: str, error: BaseException, root: Path | None) -> UsageError:
    if isinstance(error, UsageError):  # a refused registration
        return UsageError(f"--import {spec}: {error}")
    return UsageError(f"--import {spec}: {explain_failure(error, root)}")


def _registrations() -> int:
    return sum(registry.registered for registry in REGISTRIES)


def _forget(module: str) -> None:
    sys.modules.pop(module, None)
    for registry in REGISTRIES:
        registry.forget_module(module)
    _MODULES.pop(module, None)
