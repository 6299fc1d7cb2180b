"""Ground truth of every image and person, for analysis only; training, labelling and scoring never read it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from enum import Enum
from pathlib import Path

import numpy as np

from usvi_bench.synthetic.cameras import Camera, Layout
from usvi_bench.synthetic.clothing import Pattern
from usvi_bench.synthetic.identity import Person, Region, draw_person
from usvi_bench.synthetic.layout import Shot
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.view import View

IMAGES = "ground_truth.csv"
"""Table with a row per image: view, place, and what the person wears in it."""
PEOPLE = "people.csv"
"""Table with a row per identity: body, outfit and materials."""

Row = dict[str, str]


def image_row(shot: Shot, camera: Camera, view: View, person: Person, occlusion: float) -> Row:
    """Make the row of an image; the data card describes its columns.

    Args:
        shot: the image.
        camera: its camera.
        view: its view.
        person: the person, dressed as in front of this camera.
        occlusion: occluded share of the person's pixels.
    """
    outfit, top, bottom = person.outfit, person.materials[Region.TOP], person.materials[Region.BOTTOM]
    jacket = ("open" if outfit.opening > 0 else "closed") if outfit.top in ("jacket", "coat") else "none"
    return _as_text(
        {
            "path": shot.path,
            "identity": shot.person,
            "camera": shot.camera,
            "modality": camera.modality,
            "place": camera.place,
            "walk": shot.walk,
            "frame": shot.step,
            "phase": view.phase % (2 * np.pi),
            "azimuth": view.azimuth % (2 * np.pi),
            "elevation": view.elevation,
            "occlusion": occlusion,
            "exposure": view.exposure,
            "warmth": view.warmth,
            "top": outfit.top,
            "top_colour": top.colour,
            "pattern": Pattern(top.pattern),
            "bottom": outfit.bottom,
            "bottom_colour": bottom.colour,
            "shoes": outfit.shoes,
            "hat": outfit.hat,
            "bag": outfit.bag,
            "jacket": jacket,
            "scarf": outfit.scarf,
            "glasses": outfit.glasses,
            "mask": outfit.mask,
            "hair": person.body.style,
        }
    )


def person_row(spec: SyntheticSpec, layout: Layout, number: int) -> Row:
    """Make the row of an identity.

    Its columns are ``body.*``, ``outfit.*`` (before changes for a camera) and ``<region>.*`` of each material.
    """
    person = draw_person(spec, layout, number)
    parts = {"body": asdict(person.body), "outfit": asdict(person.outfit)}
    parts |= {region.name.lower(): asdict(person.materials[region]) for region in Region}
    values = {f"{part}.{name}": value for part, own in parts.items() for name, value in own.items()}
    return _as_text({"identity": number, **values})


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as comma-separated values, with the keys of the first row as header."""
    with path.open("w", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)


def _as_text(values: Mapping[str, object]) -> Row:
    return {name: _text(value) for name, value in values.items()}


def _text(value: object) -> str:
    """Format names in lower case, colours as ``#rrggbb``, numbers with four digits."""
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, tuple):
        return "#" + "".join(f"{round(255 * float(part)):02x}" for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
