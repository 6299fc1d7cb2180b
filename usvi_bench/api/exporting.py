"""Export a model to ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from usvi_bench.api.model import model_request
from usvi_bench.core.paths import expanded
from usvi_bench.engine.display import Display


def export(
    model: str | Path,
    output: str | Path,
    *,
    network: str | None = None,
    fold: int | None = None,
    settings: Mapping[str, Any] | None = None,
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> Path:
    """Export a model to ONNX, to use it without this suite (``docs/search.md``); needs the extra ``export``.

    Args:
        model: weight file, checkpoint, or folder of a run.
        output: new folder for ``visible.onnx``, ``infrared.onnx`` and ``about.json``.
        network: as for :func:`embed`.
        fold: as for :func:`embed`.
        settings: as for :func:`embed`.
        imports: as for :func:`run`.
        verbose: print progress.

    Returns:
        The folder.

    Raises:
        UsageError: an argument or the model is wrong, the extra is missing, or an exported file gives other features.
    """
    from usvi_bench.engine.export import ExportRequest, export_model

    request = ExportRequest(model_request(model, network, fold, settings, "cpu", imports), expanded(output))
    return export_model(request, Display(quiet=not verbose))
