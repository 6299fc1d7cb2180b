"""Cameras of the layouts: position, optics, tone and light."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from usvi_bench.core.types import Modality

Band = Literal["visible", "near", "thermal"]
Layout = Literal["sysu", "regdb", "llcm"]


@dataclass(frozen=True, slots=True)
class Camera:
    """Camera of a layout.

    Attributes:
        number: camera number in the layout; LLCM's infrared cameras have ``NIGHT`` added.
        band: spectral band of the sensor.
        place: name of the scene behind the person.
        elevation: downward tilt in degrees.
        light: direction towards the lamp or the sky in camera axes.
        ambient: fraction of light without direction.
        gain: factor on the levels.
        offset: added to the levels after the gain.
        balance: factors on red, green and blue.
        saturation: factor on colour.
        gamma: exponent of the tone curve; above 1 darkens the middle.
        blur: standard deviation in pixels of a 128-pixel-high image.
        noise: standard deviation, fraction of full scale.
        place_level: factor on the levels of the place (a lamp or the sun lights the person more than the wall).
        relief: visibility of the shading of folds, seams and corners; 0 for a lamp around the lens.
        swing: exponent on the exposure of a view; larger values make the light vary more between walks.
        falloff: fraction of light lost towards the lower edge of an image, which a lamp does not reach.
        shutter: motion blur of a person who walks across the view, in pixels of a 128-pixel-high image.
        vignette: fraction of light lost from one side of an image to the other, at the edge of the field.
    """

    number: int
    band: Band
    place: str
    elevation: float
    light: tuple[float, float, float]
    ambient: float = 0.6
    gain: float = 1.0
    offset: float = 0.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    gamma: float = 1.0
    blur: float = 0.6
    noise: float = 0.012
    place_level: float = 1.0
    relief: float = 1.0
    swing: float = 1.0
    falloff: float = 0.0
    shutter: float = 0.3
    vignette: float = 0.1

    @property
    def modality(self) -> Modality:
        """Modality of the camera's images."""
        return "visible" if self.band == "visible" else "infrared"


_ROOM_1 = Camera(
    1, "visible", "room 1", 9, (0.3, 0.8, 0.5), 0.62, 1.12, 0.02, (1.08, 1.0, 0.86), 0.85, 1.0, 0.55, 0.02,
    place_level=0.84, falloff=0.2, shutter=0.8,
)  # fmt: skip
_ROOM_2 = Camera(
    2, "visible", "room 2", 15, (-0.5, 0.7, 0.5), 0.58, 1.12, 0.02, (0.9, 1.0, 1.12), 0.8, 1.1, 0.65, 0.022,
    place_level=0.84, falloff=0.2, shutter=0.9,
)  # fmt: skip
_ROOM_2_DARK = Camera(
    3, "near", "room 2", 15, (0.1, 0.15, 1.0), 0.95, 1.07, -0.05, gamma=0.85, blur=0.55, noise=0.014,
    relief=0.45, swing=0.2, place_level=0.9, falloff=0.15, shutter=0.7,
)  # fmt: skip
_GATE = Camera(
    4, "visible", "gate", 11, (0.7, 0.7, 0.2), 0.5, 1.5, 0.02, (1.0, 1.0, 1.0), 1.0, 1.15, 0.5, 0.01,
    place_level=0.86, falloff=0.05, vignette=0.06,
)  # fmt: skip
_GARDEN = Camera(
    5, "visible", "garden", 7, (-0.6, 0.6, 0.4), 0.6, 1.55, 0.02, (0.95, 1.06, 0.92), 0.95, 1.2, 0.5, 0.012,
    place_level=0.86, falloff=0.05, vignette=0.06,
)  # fmt: skip
_PASSAGE = Camera(
    6, "near", "passage", 10, (-0.1, 0.25, 1.0), 0.95, 1.18, 0.0, gamma=0.8, blur=0.75, noise=0.012,
    relief=0.25, swing=0.3, place_level=0.6, falloff=0.0, shutter=0.5,
)  # fmt: skip

SYSU = (_ROOM_1, _ROOM_2, _ROOM_2_DARK, _GATE, _GARDEN, _PASSAGE)
"""SYSU-MM01: cameras 1, 2, 4 and 5 are visible, 3 and 6 near-infrared; 2 and 3 are in the same room."""

_STREET = Camera(
    1, "visible", "street", 8, (0.4, 0.8, 0.3), 0.65, 1.5, 0.02, (1.0, 1.0, 1.02), 0.8, 0.9, 0.8, 0.008,
    place_level=0.72,
)  # fmt: skip
_STREET_WARM = Camera(
    2, "thermal", "street", 8, (0.0, 0.0, 1.0), 0.7, blur=1.0, noise=0.003, swing=0.8, shutter=0.2, vignette=0.0
)

REGDB = (_STREET, _STREET_WARM)
"""RegDB: one visible and one thermal camera side by side."""

THERMAL_GAP = 0.6
"""Weight of the thermal level of surfaces, shading and places at ``modality_gap=1``, beside the grey visible level.

With thermal levels alone, few of the pairs of clusters that methods match are right (``docs/findings/people.md``).
"""

NIGHT = 10
"""Added to the numbers of LLCM's infrared cameras, which are those of the visible cameras at the same places."""
_DAY = (
    replace(_ROOM_1, gain=0.85, noise=0.03),
    replace(_ROOM_2, gain=0.8, noise=0.032),
    replace(_ROOM_1, number=3, place="room 3", elevation=12, balance=(1.0, 0.98, 1.04), gain=0.8, noise=0.03),
    replace(_GATE, gain=1.0, noise=0.022),
    replace(_GARDEN, gain=1.0, noise=0.024),
    replace(_GATE, number=6, place="passage", elevation=10, balance=(1.06, 1.0, 0.9), gain=0.95, noise=0.026),
    replace(_GARDEN, number=7, place="street", elevation=8, balance=(1.0, 1.0, 1.05), gain=0.95, noise=0.022),
    replace(_GATE, number=8, place="yard", elevation=14, balance=(0.94, 1.0, 1.08), gain=0.9, noise=0.028),
    replace(_GARDEN, number=9, place="arcade", elevation=13, balance=(1.04, 1.0, 0.94), gain=0.9, noise=0.028),
)


def _at_night(day: Camera) -> Camera:
    """Return the near-infrared camera at the place of a visible one; odd numbers have a lamp around the lens."""
    night = _PASSAGE if day.number % 2 else _ROOM_2_DARK
    return replace(night, number=day.number + NIGHT, place=day.place, elevation=day.elevation)


LLCM = (*_DAY, *(_at_night(camera) for camera in _DAY if camera.number != 3))
"""LLCM: nine places, each with a visible and all but the third with a near-infrared camera, in low light."""
_LAYOUTS: dict[Layout, tuple[Camera, ...]] = {"sysu": SYSU, "regdb": REGDB, "llcm": LLCM}


def cameras(layout: Layout, gap: float) -> tuple[Camera, ...]:
    """Return the cameras of a layout; ``gap`` scales their differences from a neutral camera.

    >>> len(cameras("sysu", 1.0)), {camera.gain for camera in cameras("sysu", 0.0)}
    (6, {1.0})
    """
    return tuple(_towards_neutral(camera, gap) for camera in _LAYOUTS[layout])


def _towards_neutral(camera: Camera, gap: float) -> Camera:
    def mix(own: float, neutral: float) -> float:
        return neutral + gap * (own - neutral)

    red, green, blue = (mix(factor, 1.0) for factor in camera.balance)
    return replace(
        camera,
        elevation=mix(camera.elevation, 10.0),
        gain=mix(camera.gain, 1.0),
        offset=mix(camera.offset, 0.0),
        balance=(red, green, blue),
        saturation=mix(camera.saturation, 1.0),
        gamma=mix(camera.gamma, 1.0),
        blur=mix(camera.blur, 0.7),
        noise=mix(camera.noise, 0.012),
        relief=mix(camera.relief, 1.0),
        swing=mix(camera.swing, 1.0),
        falloff=mix(camera.falloff, 0.0),
        shutter=mix(camera.shutter, 0.3),
        vignette=mix(camera.vignette, 0.0),
    )
