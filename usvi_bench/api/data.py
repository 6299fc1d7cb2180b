"""Open a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.plugins import import_plugins, list_of_imports
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.open import open_dataset
from usvi_bench.engine.display import Display


def open_data(
    protocol: str,
    data: str | Path = "auto",
    *,
    check_counts: bool = True,
    camera: str = "",
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> Dataset:
    """Open the data set that a protocol scores on.

    Args:
        protocol: registered name of the protocol.
        data: as for :func:`run`.
        check_counts: refuse a data set whose number of images differs from the published one.
        camera: own images: regular expression of the camera in the names of files (``data.camera``).
        imports: as for :func:`run`.
        verbose: print which folder is read.

    Returns:
        A data set, with ``train(fold)`` and ``test(fold)`` as tables of images.

    Raises:
        UsageError: the protocol or the folder does not exist, or the folder holds another or an incomplete data set.
    """
    import_plugins(list_of_imports(imports))
    kind, display = PROTOCOLS.get(protocol).dataset, Display(quiet=not verbose)
    dataset, _ = open_dataset(kind, str(data), progress=display.print, check_counts=check_counts, camera=camera)
    return dataset
