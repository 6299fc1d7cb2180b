"""Contact sheet of a tree: a row per identity, a few columns per camera."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from usvi_bench.synthetic.cameras import Layout
from usvi_bench.synthetic.layout import Shot, plan
from usvi_bench.synthetic.render import render
from usvi_bench.synthetic.spec import SyntheticSpec

_GAP = 2


def draw(path: Path, layout: Layout, spec: SyntheticSpec, identities: int = 10, per_camera: int = 3) -> None:
    """Save a contact sheet of the identities with the most images.

    A grey cell means that the camera does not see the person.
    """
    planned = plan(layout, spec)
    seen: dict[int, dict[int, list[Shot]]] = defaultdict(lambda: defaultdict(list))
    for shot in planned.shots:
        seen[shot.person][shot.camera].append(shot)
    cameras = sorted({shot.camera for shot in planned.shots})
    people = sorted(seen, key=lambda person: (-len(seen[person]), person))[:identities]
    height, width = spec.height, spec.height // 2
    columns = len(cameras) * per_camera
    size = (len(people) * (height + _GAP), columns * (width + _GAP), 3)
    sheet = np.full(size, 128, np.uint8)
    for c, camera in enumerate(cameras):
        cells = [
            (r, i, shot)
            for r, person in enumerate(people)
            for i, shot in enumerate(_spread(seen[person][camera], per_camera))
        ]
        for (r, i, _), pixels in zip(cells, render(spec, layout, [cell[2] for cell in cells], height), strict=True):
            y, x = r * (height + _GAP), (c * per_camera + i) * (width + _GAP)
            sheet[y : y + height, x : x + width] = pixels
    Image.fromarray(sheet).save(path)


def _spread(shots: list[Shot], count: int) -> list[Shot]:
    """Select ``count`` evenly spaced shots."""
    return [shots[i * len(shots) // count] for i in range(min(count, len(shots)))]
