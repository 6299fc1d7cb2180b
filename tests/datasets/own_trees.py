"""Small pictures of invented people, in folders and tables of own images."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (32, 16)
"""Height and width."""


def pixels_of(person: int, number: int, modality: str) -> np.ndarray:
    """Return the picture of a person: upper and lower half of own brightness, with noise of the picture."""
    halves = np.random.default_rng([person, 7]).integers(40, 215, (2, 3))
    body = np.repeat(np.repeat(halves, SIZE[0] // 2, axis=0)[:, None], SIZE[1], axis=1)
    noise = np.random.default_rng([person, number, modality == "visible"]).integers(-12, 13, (*SIZE, 3))
    pixels = np.clip(body + noise, 0, 255).astype(np.uint8)
    return pixels if modality == "visible" else np.repeat(pixels[..., :1], 3, axis=2)


def write_picture(path: Path, person: int, number: int, modality: str = "visible") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels_of(person, number, modality)).save(path)
    return path


def write_folders(root: Path, people: Iterable[int], images: int = 4, *, named: bool = False, split: str = "") -> Path:
    """Write folders of both modalities; ``named`` puts each person in a folder. Cameras are in the names of files."""
    for modality, word in (("visible", "RGB"), ("infrared", "Thermal")):
        for person in people:
            for number in range(images):
                name = f"{person}_{number}_c{number % 2}.png"
                place = root / split / word / (f"p{person}" if named else "")
                write_picture(place / name, person, number, modality)
    return root


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """Write a CSV file with the columns of the first row."""
    rows = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(
    root: Path, people: Iterable[int], split: str, images: int = 4, camera: bool = True
) -> list[dict[str, object]]:
    """Write pictures of people and return the rows of a table of them."""
    rows: list[dict[str, object]] = []
    for modality in ("visible", "infrared"):
        for person in people:
            for number in range(images):
                name = f"{modality}/{split}-{person}-{number}.png"
                write_picture(root / name, person, number, modality)
                seen = {"camera": f"{modality[0]}{number % 2}"} if camera else {}
                rows.append({"path": name, "modality": modality, "identity": f"p{person}", "split": split, **seen})
    return rows
