"""Digest of a few synthetic images, for processes with other instruction sets."""

from __future__ import annotations

import hashlib

from usvi_bench.synthetic import SyntheticSpec
from usvi_bench.synthetic.layout import plan
from usvi_bench.synthetic.render import render

SPEC = SyntheticSpec(size="tiny", occlusion=0.5)
SEEN = (("sysu", 1), ("sysu", 3), ("regdb", 2), ("llcm", 5))
"""A camera of every kind of sensor, and one of LLCM's layout."""


def digest_of_images() -> str:
    """Hash images of every kind of sensor, some of them with occluders."""
    digest = hashlib.sha256()
    for layout, camera in SEEN:
        shots = [shot for shot in plan(layout, SPEC).shots if shot.camera == camera]  # type: ignore[arg-type]
        digest.update(render(SPEC, layout, shots[::5][:4], 128).tobytes())  # type: ignore[arg-type]
    return digest.hexdigest()


if __name__ == "__main__":
    print(digest_of_images())
