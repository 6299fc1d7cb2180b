"""Check of test features: finite, and each depends on its own image only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError

SAMPLE = 8
"""Number of images that are embedded a second time, in another batch."""
TOLERANCE = 0.005
"""Largest distance of two unit features of one image, beyond 5 % of the distances between images."""


def check_features(
    features: NDArray[np.float32], rows: NDArray[np.int64], again: NDArray[np.float32], encoder: str
) -> None:
    """Check the test features of a table.

    A feature that depends on the other images of a batch, or on their order, could use that images of one person
    follow each other. It also changes with ``train.embed_batch``.

    Args:
        features: ``[N, D]`` features of all images.
        rows: ``[M]`` rows that were embedded again, in another batch.
        again: ``[M, D]`` their features.
        encoder: name of the encoder, for messages.

    Raises:
        UsageError: a feature is not finite, or differs between the batches.
    """
    bad = int((~np.isfinite(features).all(axis=1)).sum())
    if bad:
        raise UsageError(
            f"encoder '{encoder}': the features of {bad} of {len(features)} test images are not finite; "
            "lower --set train.lr, or correct the encoder"
        )
    own = features[rows]
    change = float(np.linalg.norm(own - again, axis=1).max(initial=0))
    spread = float(np.linalg.norm(own - own.mean(axis=0), axis=1).mean()) if len(own) else 0.0
    if not change <= TOLERANCE + 0.05 * spread:
        raise UsageError(
            f"encoder '{encoder}': the feature of an image changes by {change:.2g} with the other images of its batch; "
            "a test feature must depend on its own image only (batch norm needs running statistics)"
        )
