"""Description of the model that a function uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usvi_bench.core.paths import expanded

if TYPE_CHECKING:
    from usvi_bench.engine.open_embedder import ModelRequest


def model_request(
    path: str | Path,
    network: str | None,
    fold: int | None,
    settings: Mapping[str, Any] | None,
    device: str,
    imports: Sequence[str | Path],
) -> ModelRequest:
    """Return the model that arguments ask for; see :func:`usvi_bench.api.embed` for them."""
    from usvi_bench.core.plain import plain_settings, plain_value
    from usvi_bench.core.plugins import list_of_imports
    from usvi_bench.engine.open_embedder import ModelRequest

    return ModelRequest(
        expanded(path), network, plain_value(fold), plain_settings(settings), device, list_of_imports(imports)
    )
