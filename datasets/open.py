"""Opening of the data set named by ``--data``: a folder, synthetic people, or automatic choice."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from usvi_bench.core.errors import UsageError
from usvi_bench.core.host import cache_folder
from usvi_bench.core.options import similar_paths
from usvi_bench.core.paths import expanded, is_folder
from usvi_bench.core.registry import DATASETS
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.check import readers
from usvi_bench.datasets.folder import FolderData
from usvi_bench.datasets.locate import explain_folder, root_of
from usvi_bench.datasets.own_folders import lacking
from usvi_bench.datasets.own_table import is_table
from usvi_bench.datasets.tree import TreeDataset, synthetic_note

Progress = Callable[[str], None]
"""Receiver of progress messages."""


@dataclass(frozen=True)
class DataSource:
    """Data source of a run, located but not read yet.

    Attributes:
        reader: class that reads the layout.
        root: folder of the images; None for synthetic people that are generated on opening.
        spec: ``synthetic[:size=...,seed=...]``; used if ``root`` is None.
        camera: regular expression of the camera in the names of own images; empty for none.
    """

    reader: type[TreeDataset]
    root: Path | None
    spec: str
    camera: str = ""

    @property
    def synthetic_spec(self) -> dict[str, Any] | None:
        """Settings of the generator; empty if a generated tree does not state them, None for real images."""
        if self.is_own:
            return None
        if self.root is None:
            from usvi_bench.synthetic import parse  # imported here: real data sets do not need the generator

            return parse(self.spec).note()
        note = synthetic_note(self.root)
        if note is None:
            return None
        spec = note.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def is_own(self) -> bool:
        """Whether the images are own images, which are never generated."""
        return issubclass(self.reader, FolderData)

    def open(self, *, progress: Progress | None = None, check_counts: bool = True) -> tuple[Dataset, str]:
        """Open the data set and describe it in a sentence.

        The sentence names no folder, so records that quote it do not depend on the location of the images.

        Args:
            progress: receives the folder that is read and the progress of the generator.
            check_counts: whether to refuse images whose counts are not the expected ones.

        Raises:
            UsageError: the data set is incomplete, or generated images cannot be written.
        """
        if self.camera and not self.is_own:
            raise UsageError(f"data.camera: {self.reader.title} has cameras of its own; leave it out")
        report = progress or (lambda text: None)
        root = self.root or self._generated(report)
        if issubclass(self.reader, FolderData):
            dataset: TreeDataset = self.reader(root, camera=self.camera)
        else:
            dataset = self.reader(root, expect_counts=check_counts)
        report(f"reading {root}")
        for note in dataset.notes:
            report(note)
        if dataset.synthetic is not None:
            from usvi_bench.synthetic.digests import other_bytes  # here: a real data set needs no generator

            if warning := other_bytes(dataset.synthetic):
                report(warning)
        published = any(dataset.published(part) for part in dataset.tree.parts)
        return dataset, describe(dataset.title, dataset.synthetic, published=published, check_counts=check_counts)

    def _generated(self, report: Progress) -> Path:
        from usvi_bench.synthetic import ensure, parse

        folder = cache_folder() / "synthetic"
        try:
            root: Path = ensure(self.reader.name, parse(self.spec), folder, report)  # type: ignore[arg-type]  # refuses other layouts
        except OSError as error:
            raise UsageError(f"cannot write {folder}: {error.strerror}; free some space or set USVI_CACHE") from error
        return root


def find_data(kind: str, spec: str, *, progress: Progress | None = None) -> DataSource:
    """Find the data set that a run reads, without reading its images.

    Args:
        kind: registered name of the data set a protocol needs (``sysu``, ``regdb``, ``llcm``, ``folder``).
        spec: ``auto`` (``USVI_DATA``, then ``data/<title>``, then synthetic people), ``synthetic[:size=...,seed=...]``,
            or the folder of the data set (or its parent, if the folder has the usual name), or a table of own images.
        progress: receives a message if ``auto`` falls back to synthetic people.

    Raises:
        UsageError: a path is wrong or holds another data set, or a setting of the generator is misspelt.
    """
    reader: type[TreeDataset] = DATASETS.get(kind)
    report = progress or (lambda text: None)
    if issubclass(reader, FolderData) and spec == "auto":
        raise UsageError("--data is missing: give the folder or the table (.csv, .parquet) of your images")
    if spec == "auto":
        return DataSource(reader, _find_real_data(reader, report), "synthetic")
    if spec.partition(":")[0] == "synthetic":
        _refuse_layout(reader)
        source = DataSource(reader, None, spec)
        _ = source.synthetic_spec  # raises on a misspelt setting
        return source
    return DataSource(reader, _find_given_data(reader, expanded(spec), f"--data {spec:.200}"), spec)


def find_any_data(spec: str, option: str) -> DataSource:
    """Find the data set of any kind that a folder holds, or a table of own images.

    Args:
        spec: the folder or the table.
        option: option that it was given with, for messages.

    Raises:
        UsageError: there is no data set.
    """
    folder = expanded(spec)
    published = [reader for reader in readers() if not issubclass(reader, FolderData)]
    for reader in published if is_folder(folder) else ():
        root = root_of(reader, folder)
        if root is not None and not FolderData.recognises(root):
            return DataSource(reader, root, spec)
    if FolderData.recognises(folder):
        return DataSource(FolderData, folder, spec)
    if why := lacking(folder):
        raise UsageError(f"{option} {spec:.200}: {why}")
    known = ", ".join(reader.title for reader in readers())
    hint = "".join(f"; {text}" for text in explain_folder(folder, readers()))
    raise UsageError(
        f"{option} {spec:.200}: no data set there; give a folder of {known}, a table, or 'synthetic'{hint}"
    )


def open_dataset(
    kind: str, spec: str, *, progress: Progress | None = None, check_counts: bool = True, camera: str = ""
) -> tuple[Dataset, str]:
    """Find and open a data set; see :func:`find_data` and :meth:`DataSource.open`."""
    source = replace(find_data(kind, spec, progress=progress), camera=camera)
    return source.open(progress=progress, check_counts=check_counts)


def describe(title: str, synthetic: Mapping[str, Any] | None, *, published: bool, check_counts: bool) -> str:
    """Describe the images of a data set in a sentence without a path.

    Args:
        title: title of the data set.
        synthetic: content of ``synthetic.json``; None for real images.
        published: whether the data set has published counts.
        check_counts: whether other counts than the expected ones are refused.
    """
    if synthetic is not None:
        spec = synthetic.get("spec")
        knobs = (
            ", ".join(f"{name}={value}" for name, value in spec.items())
            if isinstance(spec, dict)
            else "of unknown kind"
        )
        return f"synthetic people in the layout of {title} ({knobs})"
    if not published:
        return f"{title}, no published counts"
    if check_counts:
        return f"{title}, the published images"
    return f"images in the layout of {title}, not checked against the published counts"


def _find_real_data(reader: type[TreeDataset], report: Progress) -> Path | None:
    """Return the folder of the real data set, or None if it is not found."""
    usual = Path("data") / reader.title
    chosen = os.environ.get("USVI_DATA")
    if chosen:
        folder = expanded(chosen)
        if not is_folder(folder):
            raise UsageError(
                f"USVI_DATA={chosen} is not a folder{similar_paths(folder)}; correct it, or unset it to use synthetic "
                "people"
            )
        root = root_of(reader, folder)
        if root is not None:
            return root
    if reader.recognises(usual):
        return usual
    _refuse_layout(reader)
    report(f"using synthetic people: no {reader.title} in {usual} or in USVI_DATA ({chosen or 'not set'})")
    return None


def _refuse_layout(reader: type[TreeDataset]) -> None:
    from usvi_bench.synthetic.cameras import Layout  # here, because a real data set does not need the generator

    if reader.name not in get_args(Layout):
        raise UsageError(f"there are no synthetic people in the layout of {reader.title}: give its folder with --data")


def _find_given_data(reader: type[TreeDataset], folder: Path, option: str) -> Path:
    if issubclass(reader, FolderData):
        if is_table(folder) or reader.recognises(folder):
            return folder
        if why := lacking(folder):
            raise UsageError(f"{option}: {why}")
        hint = "; ".join([*explain_folder(folder, [reader]), "see own_data.md of the documentation"])
        raise UsageError(
            f"{option}: neither a folder with {' and '.join(reader.landmarks)} nor a table (.csv, .parquet); {hint}"
        )
    if not is_folder(folder):
        raise UsageError(
            f"{option}: no such folder{similar_paths(folder)}; give the folder of {reader.title}, or 'synthetic'"
        )
    root = root_of(reader, folder)
    if root is not None:
        return root
    other = [
        known.title for known in readers() if not issubclass(known, FolderData) and root_of(known, folder) is not None
    ]
    found = f"it holds {other[0]}, not {reader.title}" if other else f"no {reader.title} there"
    hints = [] if other else explain_folder(folder, readers())
    hint = "; ".join([*hints, f"see --check-data {folder}"])
    raise UsageError(f"{option}: {found} (looked for {', '.join(reader.landmarks)}); {hint}")
