"""Corruption of test images: noise, blur, weather, compression and rain, drawn for each image.

The twenty kinds of the corrupted test sets of MinghuiChen43/CIL-ReID @ac44dfa and Zoky-2020/CIL-CrossModal @9e390b0.
Nineteen come from the package ``imagecorruptions-imaug``, whose module is ``imagecorruptions``. Frost is drawn from its
six pictures; the original package draws from five.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.datasets.rain import rain

PACKAGE = "imagecorruptions-imaug"
KINDS = (
    *("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    *("speckle_noise", "gaussian_blur", "spatter", "saturate", "rain"),
)
"""Kinds of visible images, in the order of the draws."""
INFRARED_KINDS = (*(kind for kind in KINDS if kind != "saturate"), "none")
"""Kinds of infrared images: ``none``, an image without corruption, is there in place of ``saturate``."""
SEVERITIES = 5
SEED = 0
"""Seed of all draws. It is not the seed of a run, so that all methods are scored on equal images."""
_TAKES_SEED = ("glass_blur", "impulse_noise")
_VERSIONS = (PACKAGE, "scikit-image", "opencv-python", "numpy")


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw of an image: kind and severity of its corruption, and seed of the random numbers in it."""

    kind: str
    severity: int
    seed: int


@dataclass(frozen=True, slots=True)
class Corruption:
    """Corruption of the images of a table in one evaluation.

    Attributes:
        evaluation: number of the evaluation, from 0.
        infrared: draw from :data:`INFRARED_KINDS`, and keep the three channels equal.
        native: corrupt images at their own size, before they are resized.
    """

    evaluation: int
    infrared: bool = False
    native: bool = False

    def draw(self, path: str) -> Draw:
        """Draw the corruption of an image, which depends on nothing but the evaluation and the path.

        >>> Corruption(0).draw("cam1/0006/0001.jpg")
        Draw(kind='shot_noise', severity=5, seed=82775947)

        Args:
            path: path of the image below the root of the data set.
        """
        generator = numpy_generator(SEED, "corruption", self.evaluation, path)
        kinds = INFRARED_KINDS if self.infrared else KINDS
        kind = kinds[int(generator.integers(len(kinds)))]
        return Draw(kind, 1 + int(generator.integers(SEVERITIES)), int(generator.integers(2**32)))

    def apply(self, pixels: NDArray[np.uint8], path: str) -> NDArray[np.uint8]:
        """Corrupt an image; not for several threads at a time.

        Args:
            pixels: ``[H, W, 3]`` RGB.
            path: path of the image below the root of the data set.
        """
        drawn = self.draw(path)
        changed = corrupt(pixels, drawn.kind, drawn.severity, drawn.seed)
        return np.repeat(changed[:, :, :1], 3, axis=2) if self.infrared else changed

    @property
    def key(self) -> str:
        """Text that differs if the corrupted images may differ: evaluation, options, seed, versions of packages."""
        options = f"corruption {self.evaluation} {SEED} infrared={self.infrared} native={self.native}"
        return " ".join([options, *(f"{name}={metadata.version(name)}" for name in _VERSIONS)])


def corrupt(pixels: NDArray[np.uint8], kind: str, severity: int, seed: int) -> NDArray[np.uint8]:
    """Corrupt an image. NumPy's global generator is seeded for the package, and restored.

    Args:
        pixels: ``[H, W, 3]`` RGB.
        kind: one of :data:`KINDS`, or ``none``.
        severity: from 1 to 5.
        seed: seed of the random numbers, below 2^32.
    """
    if kind == "none":
        return pixels
    if kind == "rain":
        return rain(pixels, severity, seed)
    from imagecorruptions import corruption_dict  # an extra
    from PIL import Image

    state = np.random.get_state()
    np.random.seed(seed)
    try:
        options = {"seed": seed} if kind in _TAKES_SEED else {}
        found = corruption_dict[kind](Image.fromarray(pixels), severity, **options)
    finally:
        np.random.set_state(state)
    return np.asarray(found).astype(np.uint8)


def check_package(what: str) -> None:
    """Refuse corruptions if the package that makes them is not installed.

    Args:
        what: name of what needs them, for the message.

    Raises:
        UsageError: names the extra, or the reason why a package cannot be imported.
    """
    for name in _VERSIONS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError as error:
            raise UsageError(
                f"{what} needs the package {name}, which is not installed: pip install 'usvi-bench[corruptions]'"
            ) from error
    try:
        import cv2  # noqa: F401 - a library of the system that it needs may be missing
        import imagecorruptions  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{what} needs a package that cannot be imported: {error}; install what it needs") from error
