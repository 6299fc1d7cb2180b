"""Base class of the readers of published layouts: errors, counts, content hash."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.files import parse_json
from usvi_bench.core.paths import is_file, is_folder
from usvi_bench.core.registry import DATASETS
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, ImageTable, Split
from usvi_bench.datasets.entries import Row, names_in, read_lines
from usvi_bench.datasets.entries import image_names as image_names  # for readers in plug-ins
from usvi_bench.datasets.fingerprint import content_hash

SYNTHETIC_NOTE = "synthetic.json"
"""File in the root of a generated tree with the settings of the generator."""
NOTE = {"generator_version": int, "layout": str, "spec": dict, "images": int, "bytes": str}
"""Entries of that file, and their types."""


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a tree: a split and the identities on its lists.

    Attributes:
        split: images found in the folders.
        listed: identities on the lists, ascending.
    """

    split: Split
    listed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Tree of images and lists below a root, complete or not.

    Attributes:
        parts: splits by name (``test``, ``fold 3 train``).
        lists: paths of the id lists, relative to the root.
        missing: reasons why the tree cannot be read, one sentence each.
    """

    parts: Mapping[str, Part]
    lists: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def images(self) -> tuple[str, ...]:
        """All listed images, each once, in path order."""
        splits = [part.split for part in self.parts.values()]
        return tuple(sorted({path for split in splits for path in (*split.visible.paths, *split.infrared.paths)}))


class TreeDataset(Dataset):
    """Tree data set: reader of one published layout.

    Args:
        root: folder of the tree.
        expect_counts: whether to refuse images whose counts differ from the published ones, or from the generated ones
            for a generated tree.

    Raises:
        UsageError: folders, lists or listed images are missing or unreadable, or the counts differ.
    """

    title: ClassVar[str]
    """Name of the data set and of its usual folder."""
    summary: ClassVar[str]
    """One line for ``run.py --list``."""
    landmarks: ClassVar[tuple[str, ...]]
    """Entries of the root that identify the layout."""
    profile: ClassVar[str] = ""
    """Data set of the suite whose settings are the defaults for this one; empty for those of its own name."""
    folds: tuple[int, ...] = (1,)
    keeps_hash: bool = True
    """Whether the content hash is written to the cache; a dry run writes nothing."""
    notes: Sequence[str] = ()
    """Sentences about parts of the input that are not used."""

    def __init__(self, root: Path, expect_counts: bool = True) -> None:
        self.root = root
        self.expect_counts = expect_counts
        self.synthetic = synthetic_note(root)
        self.tree = self.load(root)
        if self.tree.missing:
            raise UsageError(
                f"{root} cannot be read as {self.title}: {shortened(self.tree.missing, 3)}\n"
                f"unpack the whole data set there; --check-data {root} lists everything that is missing"
            )
        differences = self.differences(self.tree, self.synthetic)
        if expect_counts and differences:
            before = "\n  " if len(differences) > 1 else " "
            raise UsageError(
                f"{root} is not the {'published' if self.synthetic is None else 'generated'} {self.title}:"
                f"{before}{shortened(differences, 3, between=before)}\n"
                f"restore it from its source, or accept your own images with --set data.check_counts=false "
                "(in Python: check_counts=False)"
            )

    @classmethod
    def missing_parts(cls) -> list[str]:
        """List wrong values of the class, in words."""
        known = DATASETS.own_names()
        if cls.profile and cls.profile not in known:
            return [f"its attribute 'profile' is '{show(cls.profile)}': {did_you_mean(str(cls.profile), known)}"]
        return []

    @classmethod
    @abstractmethod
    def load(cls, root: Path) -> Tree:
        """Read lists and folders; collect everything that is missing."""

    @classmethod
    def published(cls, part: str) -> Mapping[str, int]:
        """Return the published counts of a part, by the columns of :meth:`counts`; empty if none are known."""
        return {}

    @classmethod
    def counts(cls, part: Part) -> dict[str, int]:
        """Count people seen in both modalities, and images by modality."""
        visible, infrared = part.split.visible, part.split.infrared
        people = np.intersect1d(visible.identities, infrared.identities).size
        return {"people": people, "visible": len(visible), "infrared": len(infrared)}

    @classmethod
    def lacking(cls, part: Part) -> str:
        """Describe the listed people who lack images; empty if none do."""
        texts = []
        for table in (part.split.visible, part.split.infrared):
            absent = sorted(set(part.listed) - set(table.identities.tolist()))
            if absent:
                texts.append(f"no {table.modality} images of id {shortened(map(str, absent), 8, between=', ')}")
        return ", ".join(texts)

    @classmethod
    def differences(cls, tree: Tree, synthetic: Mapping[str, object] | None) -> tuple[str, ...]:
        """Describe deviations from the published or generated counts, one line per part."""
        lines = []
        if synthetic is not None:
            generated = synthetic.get("images")
            change = _difference("images", len(tree.images), generated) if isinstance(generated, int) else ""
            return (change,) if change else ()
        for name, part in tree.parts.items():
            found, published = cls.counts(part), cls.published(name)
            wrong = [_difference(column, found[column], number) for column, number in published.items()]
            if any(wrong):
                lines.append(f"{name}: {', '.join(filter(None, [*wrong, cls.lacking(part)]))}")
        return tuple(lines)

    @classmethod
    def details(cls, tree: Tree, root: Path) -> list[str]:
        """Describe the images of a tree further, for ``--check-data``; no lines by default."""
        return []

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Return True if a folder holds any landmark of this layout."""
        return any(is_file(root / landmark) or is_folder(root / landmark) for landmark in cls.landmarks)

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]  # computed on first access
        """Hash of the id lists and all listed images, and of ``synthetic.json`` in a generated tree.

        Raises:
            UsageError: a file cannot be read, or the images of a generated tree are not those that were generated.
        """
        found = content_hash(self.root, self.tree.lists, self.tree.images, self.keeps_hash)
        if self.synthetic is None:
            return found.content[:16]
        if self.expect_counts:
            for what, same in (
                ("images", found.images == self.synthetic["bytes"]),
                ("lists", _are_planned(self.root, self.synthetic)),
            ):
                if not same:
                    raise UsageError(
                        f"{self.root}: the {what} are not those that were generated; delete the folder so that it is "
                        "generated anew, or accept them with --set data.check_counts=false"
                    )
        note = json.dumps(self.synthetic, sort_keys=True).encode()
        return f"synthetic-{hashlib.sha256(note + found.content.encode()).hexdigest()[:16]}"


def _are_planned(root: Path, note: Mapping[str, Any]) -> bool:
    """Return whether the lists of a generated tree are those of its specification.

    Trees of other versions of the generator are not planned again.
    """
    from usvi_bench.synthetic import GENERATOR_VERSIONS, SyntheticSpec  # here: a real data set needs no generator
    from usvi_bench.synthetic.layout import plan

    layout, spec = note["layout"], note["spec"]
    if GENERATOR_VERSIONS.get(layout) != note["generator_version"]:
        return True
    try:
        lists = plan(layout, SyntheticSpec(**spec)).lists
        return all((root / name).read_bytes() == text.encode() for name, text in lists.items())
    except (TypeError, UsageError, OSError):
        return False


def _difference(column: str, found: int, published: int) -> str:
    if found == published:
        return ""
    change = f"{published - found} fewer" if found < published else f"{found - published} more"
    return f"{column} {found} of {published} ({change})"


def table_of(rows: Iterable[Row], modality: Modality, root: Path) -> ImageTable:
    """Make a table in path order, the order of all readers."""
    ordered = sorted(rows)
    return ImageTable(
        modality=modality,
        root=root,
        paths=tuple(path for path, _, _ in ordered),
        identities=np.array([identity for _, identity, _ in ordered], dtype=np.int64),
        cameras=np.array([camera for _, _, camera in ordered], dtype=np.int64),
    )


def shortened(items: Iterable[str], limit: int, between: str = "; ") -> str:
    """Join the first items of a list; count the others.

    >>> shortened(["a", "b", "c"], 2)
    'a; b; and 1 more'
    """
    texts = list(items)
    rest = [f"and {len(texts) - limit} more"] if len(texts) > limit else []
    return between.join(texts[:limit] + rest)


def synthetic_note(root: Path) -> dict[str, object] | None:
    """Read ``synthetic.json``, or return None for a tree of real images.

    Raises:
        UsageError: the file is not a description of generated people.
    """
    path = root / SYNTHETIC_NOTE
    if SYNTHETIC_NOTE not in names_in(root):
        return None
    remedy = "delete the folder so that it is generated anew"
    try:
        note = parse_json("\n".join(read_lines(path)))
    except ValueError as error:
        raise UsageError(f"{path} is not valid JSON ({error}); {remedy}") from error
    if not isinstance(note, dict):
        raise UsageError(f"{path} must hold a JSON object; {remedy}")
    for key, kind in NOTE.items():
        if type(note.get(key)) is not kind:
            raise UsageError(f"{path} does not describe generated people ('{key}' is {note.get(key)!r:.40}); {remedy}")
    return note
