"""What the readers of published layouts share: clear errors, counts, the content hash."""

from __future__ import annotations

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, ImageTable, Split
from usvi_bench.datasets.fingerprint import content_hash

SYNTHETIC_NOTE = "synthetic.json"
"""File in the root of a generated tree that says how it was generated."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")

Row = tuple[str, int, int]
"""Path relative to the root, identity, camera."""


@dataclass(frozen=True, slots=True)
class Part:
    """One split as its lists describe it and as the folders hold it."""

    split: Split
    listed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything found below a root, complete or not.

    Attributes:
        parts: splits by name (``test``, ``fold 3 train``).
        lists: id lists, relative to the root.
        missing: what keeps the tree from being read, one sentence each.
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
    """A reader of one published layout.

    Args:
        root: folder of the tree.
        expect_counts: refuse images whose counts are not the published ones (of a generated tree: the generated ones).

    Raises:
        UsageError: folders, lists or listed images are missing or unreadable, or the counts differ.
    """

    title: ClassVar[str]
    """Name of the data set, and of the folder it is usually kept in."""
    summary: ClassVar[str]
    """One line for ``run.py --list``."""
    landmarks: ClassVar[tuple[str, ...]]
    """Entries of the root by which the layout is recognised."""
    profile: ClassVar[str] = ""
    """Data set of the suite whose settings runs on this one start from; empty for those of its own name."""
    folds: tuple[int, ...] = (1,)

    def __init__(self, root: Path, expect_counts: bool = True) -> None:
        self.root = root
        self.synthetic = synthetic_note(root)
        self.tree = self.load(root)
        if self.tree.missing:
            raise UsageError(
                f"{root} cannot be read as {self.title}: {shortened(self.tree.missing, 3)}\n"
                f"unpack the whole data set there; --check-data {root} lists everything that is missing"
            )
        differences = self.differences(self.tree, self.synthetic)
        if expect_counts and differences:
            raise UsageError(
                f"{root} is not the {'published' if self.synthetic is None else 'generated'} {self.title}: "
                f"{shortened(differences, 3, between=' | ')}\n"
                f"restore it from its source, or accept your own images with --set data.check_counts=false"
            )

    @classmethod
    @abstractmethod
    def load(cls, root: Path) -> Tree:
        """Read lists and folders without giving up at the first thing that is missing."""

    @classmethod
    def published(cls, part: str) -> Mapping[str, int]:
        """The published counts of a part, by the columns of :meth:`counts`; empty where none are known."""
        return {}

    @classmethod
    def counts(cls, part: Part) -> dict[str, int]:
        """People seen in both modalities, and images by modality."""
        visible, infrared = part.split.visible, part.split.infrared
        people = np.intersect1d(visible.identities, infrared.identities).size
        return {"people": people, "visible": len(visible), "infrared": len(infrared)}

    @classmethod
    def lacking(cls, part: Part) -> str:
        """The listed people who lack images, as text; empty where there are none."""
        texts = []
        for table in (part.split.visible, part.split.infrared):
            absent = sorted(set(part.listed) - set(table.identities.tolist()))
            if absent:
                texts.append(f"no {table.modality} images of id {shortened(map(str, absent), 8, between=', ')}")
        return ", ".join(texts)

    @classmethod
    def differences(cls, tree: Tree, synthetic: Mapping[str, object] | None) -> tuple[str, ...]:
        """How the counts differ from the published ones, or from those of the generator; one line a part."""
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
    def recognises(cls, root: Path) -> bool:
        """Whether anything of this layout lies in a folder."""
        return any((root / landmark).exists() for landmark in cls.landmarks)

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]  # computed when first asked for, then kept
        """Hash of the id lists and of every listed image; of a generated tree, also of how it was generated."""
        content = content_hash(self.root, [*self.tree.lists, *self.tree.images])
        if self.synthetic is None:
            return content[:16]
        note = json.dumps(self.synthetic, sort_keys=True).encode()
        return f"synthetic-{hashlib.sha256(note + content.encode()).hexdigest()[:16]}"


def _difference(column: str, found: int, published: int) -> str:
    if found == published:
        return ""
    change = f"{published - found} fewer" if found < published else f"{found - published} more"
    return f"{column} {found} of {published} ({change})"


def table_of(rows: Iterable[Row], modality: Modality, root: Path) -> ImageTable:
    """A table in path order, the one order that every reader hands out."""
    ordered = sorted(rows)
    return ImageTable(
        modality=modality,
        root=root,
        paths=tuple(path for path, _, _ in ordered),
        identities=np.array([identity for _, identity, _ in ordered], dtype=np.int64),
        cameras=np.array([camera for _, _, camera in ordered], dtype=np.int64),
    )


def shortened(items: Iterable[str], limit: int, between: str = "; ") -> str:
    """The first items of a list, and how many more there are."""
    texts = list(items)
    rest = [f"and {len(texts) - limit} more"] if len(texts) > limit else []
    return between.join(texts[:limit] + rest)


def image_names(folder: Path) -> list[str]:
    """Names of the images in a folder, hidden files left out; none where there is no such folder."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path for each of 45,000 names takes seconds
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")]


def read_lines(path: Path) -> list[str]:
    """Lines of a small text file.

    Raises:
        UsageError: it is absent or not a text file.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise UsageError(f"no file {path}; restore it from the original data set") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path} as text ({error}); restore it from the original data set") from error


def synthetic_note(root: Path) -> dict[str, object] | None:
    """How a tree was generated, or None for a tree of real images."""
    path = root / SYNTHETIC_NOTE
    if not path.exists():
        return None
    try:
        note = json.loads("\n".join(read_lines(path)))
    except json.JSONDecodeError as error:
        raise UsageError(f"{path} is not valid JSON ({error}); delete the tree so that it is generated anew") from error
    if not isinstance(note, dict):
        raise UsageError(f"{path} must hold a JSON object; delete the tree so that it is generated anew")
    return note
