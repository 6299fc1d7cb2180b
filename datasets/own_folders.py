"""Own images in folders: ``[split/]modality/[person/]image``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import similar_paths
from usvi_bench.core.paths import is_folder, normalised
from usvi_bench.core.types import Modality
from usvi_bench.datasets.entries import image_names, names_in
from usvi_bench.datasets.own_images import (
    MODALITY_WORDS,
    SPLITS,
    SUFFIXES,
    SYNONYMS,
    TRAIN,
    WHOLE,
    OwnImage,
    OwnImages,
    file_faults,
    image_faults,
)
from usvi_bench.datasets.tree import shortened


def holds_own_images(root: Path) -> bool:
    """Return whether a folder has folders of both modalities, directly or below the folder of a split."""
    return is_folder(root) and {modality for _, modality, _ in modality_folders(root)} == set(MODALITY_WORDS.values())


def lacking(path: Path) -> str:
    """Describe why a path holds no own images and what to give instead; empty if it has no part of their layout."""
    if not is_folder(path):
        return "" if os.path.lexists(path) else f"no such folder or table{similar_paths(path) or '; correct the path'}"
    found = {modality: folder for _, modality, folder in modality_folders(path)}
    others: dict[Modality, Modality] = {"visible": "infrared", "infrared": "visible"}
    for modality, other in others.items():
        if list(found) == [modality]:
            split = found[modality].rpartition("/")[0]
            missing = f"{split}/{other}" if split else other
            near = _synonyms(path / split, other)
            named = f"rename {missing.removesuffix(other)}{near[0]} to {missing}" if near else ""
            remedy = named or f"put them into a folder {missing}"
            return f"it has {found[modality]}, but no {other} images; {remedy}; see docs/own_data.md"
    if not found and (pair := [_synonyms(path, modality) for modality in others])[0] and pair[1]:
        return f"rename {pair[0][0]} to visible and {pair[1][0]} to infrared; see docs/own_data.md"
    if normalised(path).name.lower() in MODALITY_WORDS:
        return f"it is the folder of one modality; give the folder above it, {normalised(path).parent}"
    return ""


def _synonyms(folder: Path, modality: Modality) -> list[str]:
    """Return the folders whose names probably mean a modality."""
    return [name for name in _folders(folder) if SYNONYMS.get(name.lower()) == modality]


def read_folders(root: Path) -> OwnImages:
    """Read the images in the folders of the modalities, and collect everything that is wrong."""
    images: list[OwnImage] = []
    faults: list[str] = []
    others: list[str] = []
    seen: dict[tuple[str, Modality], str] = {}
    for split, modality, folder in modality_folders(root):
        other = seen.setdefault((split, modality), folder)
        if other != folder:
            faults.append(f"{other} and {folder} are both {modality}: merge them, or rename one")
        try:
            images += _images(root, folder, modality, split or TRAIN, others, faults)
        except UsageError as error:
            faults.append(str(error))
    if {bool(split) for split, _ in seen} == {True, False}:
        mixed = next(folder for (split, _), folder in seen.items() if not split)
        faults.append(f"{mixed} is beside the folder of a split: move it into train, query, gallery or test")
    lost = file_faults(root, (image.path for image in images))
    faults += [*image_faults(images), *lost.values()]
    notes = [f"{len(others)} files are not images and not read: {shortened(others, 3, ', ')}"] if others else []
    return OwnImages(root, "", images, notes, tuple(faults), frozenset(lost))


def modality_folders(root: Path) -> Iterator[tuple[str, Modality, str]]:
    """Yield split (empty if there is none), modality and path of each folder of a modality."""
    for name in _folders(root):
        if name.lower() in MODALITY_WORDS:
            yield "", MODALITY_WORDS[name.lower()], name
        elif name.lower() in SPLITS:
            for inner in _folders(root / name):
                if inner.lower() in MODALITY_WORDS:
                    yield name.lower(), MODALITY_WORDS[inner.lower()], f"{name}/{inner}"


def _images(
    root: Path, folder: str, modality: Modality, split: str, others: list[str], faults: list[str]
) -> Iterator[OwnImage]:
    """Yield the images in a folder and in the folders of people below it.

    Args:
        root: folder of the data.
        folder: folder of a modality.
        modality: its modality.
        split: its split.
        others: receives the files that are no images.
        faults: receives what is wrong with folders.
    """
    for place, person in [(folder, ""), *((f"{folder}/{name}", name) for name in _folders(root / folder))]:
        if not person.isprintable():
            faults.append(f"the name of the folder {os.fsencode(place)!r:.200} is not printable: rename it")
            continue
        names = image_names(root / place, SUFFIXES)
        rest = sorted(name for name in names_in(root / place) - set(names) if not name.startswith("."))
        for name in rest:
            if not is_folder(root / place / name):
                others.append(f"{place}/{name}".encode(errors="replace").decode()[:100])
            elif person:
                faults.append(f"{place}/{name:.100} is a folder in the folder of a person: move its images up")
        yield from (OwnImage(f"{place}/{name}", WHOLE, modality, person, "", split) for name in names)


def _folders(root: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted, without hidden ones."""
    return sorted(name for name in names_in(root) if not name.startswith(".") and is_folder(root / name))
