"""Score a model that others trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from usvi_bench.core.paths import expanded
from usvi_bench.core.record import Record
from usvi_bench.engine.display import Display


def evaluate(
    protocol: str,
    data: str | Path = "auto",
    *,
    weights: str | Path | Sequence[str | Path] = (),
    features: str | Path | Sequence[str | Path] = (),
    fold: int | Sequence[int] = (),
    model: str | None = None,
    feature: str | None = None,
    claims: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    output: str | Path = "runs",
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> Record:
    """Score a model that others trained, from its weights or from features of the test images.

    Args:
        protocol: registered name of the protocol.
        data: as for :func:`run`.
        weights: file of weights, of this suite or released by others, a checkpoint, or the folder of a run; several
            for several folds.
        features: features file (``docs/external_models.md``) instead of weights; several for several folds.
        fold: fold that each file was trained on, if the data set has several and the file does not state it.
        model: network in the file: ``"student"`` or ``"teacher"``.
        feature: ``"bn+flip"`` (default) or ``"bn"``, without the mirror image.
        claims: whose model it is, for example ``"PGM @ed4a7df"``.
        settings: ``encoder.*``, ``protocol.*``, ``data.height``, ``data.width``, ``data.check_counts``,
            ``data.depth_range``, ``data.camera``, ``engine.threads``, ``engine.deterministic``, ``engine.rerank``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        output: folder that keeps all runs.
        imports: as for :func:`run`.
        verbose: print progress.

    Returns:
        The record that was written; its method is ``external``.

    Raises:
        UsageError: an argument, a file or the data are wrong; nothing is written.

    Example:
        >>> record = evaluate("sysu_all", "/data/SYSU-MM01", weights="model_best.pth.tar")  # doctest: +SKIP
        >>> record.result.external.files[0].source  # doctest: +SKIP
        'model_best.pth.tar'
    """
    import numpy as np

    from usvi_bench.core.plain import plain_settings, plain_value
    from usvi_bench.core.plugins import list_of_imports
    from usvi_bench.engine.external import score_external
    from usvi_bench.engine.external_scoring import ExternalRequest

    def several(given: Any) -> list[Any]:
        return [given] if isinstance(given, (str, Path, int, np.integer)) else list(given)

    request = ExternalRequest(
        protocol=protocol,
        data=str(data),
        weights=[expanded(path) for path in several(weights)],
        features=[expanded(path) for path in several(features)],
        folds=plain_value(several(fold)),
        network=model,
        feature=feature,
        claims=claims,
        settings=plain_settings(settings),
        device=device,
        output=expanded(output),
        imports=list_of_imports(imports),
    )
    return score_external(request, Display(quiet=not verbose))[0]
