"""Cluster pictures by their features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usvi_bench.core.paths import expanded

if TYPE_CHECKING:
    from usvi_bench.engine.cluster import ClusterResult


def cluster(
    features: str | Path,
    output: str | Path,
    *,
    modality: str | None = None,
    joint: bool = False,
    settings: Mapping[str, Any] | None = None,
    data: str | Path | None = None,
    with_pictures: bool = False,
) -> ClusterResult:
    """Cluster the pictures of a features file (``docs/search.md``).

    Args:
        features: features file of :func:`embed`.
        output: table to write, ``.csv``, or a new folder with a folder for each cluster.
        modality: cluster only the pictures of this modality; None for each modality on its own.
        joint: cluster both modalities together.
        settings: ``method.eps``, ``method.k1``, ``method.k2``, ``method.min_samples``, ``method.search``.
        data: folder that the paths in the file are relative to, for folders of clusters.
        with_pictures: copy the pictures; otherwise the folders have links to them.

    Returns:
        The cluster of each picture in ``labels``, -1 for outliers.

    Raises:
        UsageError: an argument or the features are wrong, or a picture is missing; nothing is written.
    """
    from usvi_bench.core.plain import plain_settings
    from usvi_bench.engine.cluster import ClusterRequest, cluster_features

    request = ClusterRequest(
        features=expanded(features),
        output=expanded(output),
        modality=modality,
        joint=joint,
        settings=plain_settings(settings),
        data=None if data is None else expanded(data),
        with_pictures=with_pictures,
    )
    return cluster_features(request)
