"""Small trees in the published layouts, with noise as images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SYSU_IDS = {"train": (1, 2), "val": (10,), "test": (3, 25)}
REGDB_LISTS = ("train_visible", "train_thermal", "test_visible", "test_thermal")


def write_noise(path: Path, seed: int, size: tuple[int, int] = (12, 24)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_id_lists(root: Path, ids: Mapping[str, Sequence[int]] = SYSU_IDS) -> None:
    (root / "exp").mkdir(parents=True, exist_ok=True)
    for name, listed in ids.items():
        (root / "exp" / f"{name}_id.txt").write_text(",".join(map(str, listed)) + "\n")


def write_sysu(root: Path, images: int = 2) -> Path:
    """Write a tree in which every camera sees every listed person, but camera 1 misses person 25; 99 is unlisted."""
    write_id_lists(root)
    for camera in range(1, 7):
        for identity in (1, 2, 3, 10, 25, 99):
            if (identity, camera) != (25, 1):
                for frame in range(1, images + 1):
                    path = root / f"cam{camera}" / f"{identity:04d}" / f"{frame:04d}.jpg"
                    write_noise(path, camera * 10_000 + identity * 10 + frame)
    return root


def write_regdb(root: Path, people: int = 4, folds: int = 2, images: int = 2) -> Path:
    """Write a tree of ``people`` folders; fold k trains on the odd or the even ones."""
    for folder, letter in (("Visible", "v"), ("Thermal", "t")):
        for person in range(1, people + 1):
            for frame in range(images):
                write_noise(root / folder / str(person) / f"male_front_{letter}_{frame}.bmp", person * 100 + frame)
    (root / "idx").mkdir()
    for fold in range(1, folds + 1):
        for name in REGDB_LISTS:
            split, modality = name.split("_")
            parity = (fold + (split == "test")) % 2
            members = [person for person in range(1, people + 1) if person % 2 == parity]
            letter = modality[0]
            lines = [
                f"{modality.capitalize()}/{person}/male_front_{letter}_{frame}.bmp {label}"
                for label, person in enumerate(members)
                for frame in range(images)
            ]
            (root / "idx" / f"{name}_{fold}.txt").write_text("\n".join(lines) + "\n")
    return root


def write_published_sysu(root: Path) -> Path:
    """Write empty files in the published numbers, spread evenly over the people that each camera saw."""
    seen = {
        "train": (range(1, 297), (4721, 5753, 5929, 4821, 4989, 4000)),
        "val": (range(334, 433), (0, 0, 1980, 990, 984, 0)),
        "test": (range(434, 530), (1374, 1565, 1883, 1918, 1918, 1920)),
    }
    write_id_lists(root, {name: list(ids) for name, (ids, _) in seen.items()})
    for ids, numbers in seen.values():
        for camera, total in enumerate(numbers, start=1):
            for position, identity in enumerate(ids):
                number = total // len(ids) + (position < total % len(ids))
                if number:
                    folder = root / f"cam{camera}" / f"{identity:04d}"
                    folder.mkdir(parents=True)
                    for frame in range(1, number + 1):
                        (folder / f"{frame:04d}.jpg").touch()
    return root


def write_note(root: Path, **changes: object) -> dict[str, object]:
    """Describe a tree as generated; ``changes`` replace entries of the description."""
    note = {"generator_version": 1, "layout": "sysu", "spec": {"size": "small", "seed": 0}, "images": 58, "bytes": "ab"}
    note |= changes
    (root / "synthetic.json").write_text(json.dumps(note))
    return note


LLCM_TEST = (3, 25)


def write_llcm(root: Path, images: int = 2) -> Path:
    """Write a tree with the images of four training people in ``vis`` and ``nir``, and of the test people 3 and 25.

    Cameras 1 and 4 see the training people; all cameras see the test people and 99, who is not listed, but visible
    camera 1 misses person 25.
    """
    (root / "idx").mkdir(parents=True)
    (root / "idx" / "test_id.txt").write_text(",".join(map(str, LLCM_TEST)) + "\n")
    for word, cameras in (("vis", range(1, 10)), ("nir", (1, 2, 4, 5, 6, 7, 8, 9))):
        lines = []
        for label, person in enumerate((1, 2, 7, 10)):
            for camera in (1, 4):
                for frame in range(1, images + 1):
                    path = f"{word}/{person:04d}/{person:04d}_c{camera:02d}_s{frame}.jpg"
                    write_noise(root / path, camera * 10_000 + person * 10 + frame + (word == "nir"))
                    lines.append(f"{path} {label}")
        (root / "idx" / f"train_{word}.txt").write_text("\n".join(lines) + "\n")
        for camera in cameras:
            for person in (*LLCM_TEST, 99):
                if (word, camera, person) != ("vis", 1, 25):
                    for frame in range(1, images + 1):
                        name = f"{person:04d}_c{camera:02d}_s{frame}.jpg"
                        path = f"test_{word}/cam{camera}/{person:04d}/{name}"
                        write_noise(root / path, 500_000 + camera * 10_000 + person * 10 + frame)
    return root
