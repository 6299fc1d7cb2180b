"""Write the features of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usvi_bench.api.model import model_request
from usvi_bench.core.paths import expanded
from usvi_bench.engine.display import Display

if TYPE_CHECKING:
    from usvi_bench.engine.feature_file import FeatureFile


def embed(
    data: str | Path,
    model: str | Path,
    output: str | Path,
    *,
    modality: str | None = None,
    dataset: str | None = None,
    split: str = "all",
    network: str | None = None,
    fold: int | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> FeatureFile:
    """Write the features of pictures, to search and to cluster them (``docs/search.md``).

    Args:
        data: folder of a data set, ``"synthetic[:size=small,...]"``, or a plain folder of pictures of one modality.
        model: weight file, checkpoint, folder of a run, folder of an exported model, or ``"small16"`` for shipped
            weights.
        output: features file to write, ``.npz``.
        modality: ``"visible"`` or ``"infrared"``: that of a plain folder; of a data set, the one to embed.
        dataset: registered name of the data set; found by its layout if None.
        split: ``"all"``, ``"train"`` or ``"test"`` images of a data set.
        network: ``"student"`` or ``"teacher"``; the headline of a run if None.
        fold: fold of a run that has several.
        settings: ``encoder.*``, ``data.height``, ``data.width``, ``data.depth_range``, ``engine.threads``,
            ``engine.deterministic``.
        device: as for :func:`run`.
        imports: as for :func:`run`.
        verbose: print progress.

    Returns:
        The content of the file.

    Raises:
        UsageError: an argument, the model or a picture is wrong; nothing is written.

    Example:
        >>> content = embed("/data/gallery", "weights.pth", "gallery.npz", modality="visible")  # doctest: +SKIP
        >>> content.features.shape  # doctest: +SKIP
        (5000, 2048)
    """
    from usvi_bench.engine.embed import EmbedRequest, embed_data

    request = EmbedRequest(
        data=str(data),
        model=model_request(model, network, fold, settings, device, imports),
        output=expanded(output),
        modality=modality,
        dataset=dataset,
        split=split,
    )
    return embed_data(request, Display(quiet=not verbose))
