"""Search a gallery by pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usvi_bench.api.model import model_request
from usvi_bench.core.paths import expanded
from usvi_bench.engine.display import Display

if TYPE_CHECKING:
    from usvi_bench.engine.search import SearchResult


def search(
    queries: str | Path | Sequence[str | Path],
    gallery: str | Path,
    model: str | Path,
    modality: str,
    *,
    gallery_modality: str | None = None,
    top: int = 20,
    threshold: float | None = None,
    output: str | Path | None = None,
    data: str | Path | None = None,
    with_pictures: bool = False,
    network: str | None = None,
    fold: int | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    imports: Sequence[str | Path] = (),
    verbose: bool = True,
) -> SearchResult:
    """Search a gallery by pictures (``docs/search.md``).

    Args:
        queries: picture, folder of pictures, or several of them.
        gallery: features file of :func:`embed`, folder of a data set, or plain folder of pictures.
        model: as for :func:`embed`; for a features file, the model of the features.
        modality: modality of the queries: ``"visible"`` or ``"infrared"``.
        gallery_modality: pictures of the gallery to search; all if None. It is needed for a plain folder.
        top: length of the ranked lists.
        threshold: cosine similarity; pictures that are not above it are marked.
        output: new folder for ``search.csv`` and the page ``index.html``; nothing is written if None.
        data: folder that the paths of a features file are relative to, for the pictures of the page.
        with_pictures: show pictures of real people too.
        network: as for :func:`embed`.
        fold: as for :func:`embed`.
        settings: as for :func:`embed`.
        device: as for :func:`run`.
        imports: as for :func:`run`.
        verbose: print progress.

    Returns:
        The ranked lists: ``rows`` of the ``gallery`` and ``similarity``, each ``[Q, top]``, best first.

    Raises:
        UsageError: an argument, the model, the gallery or a picture is wrong; nothing is written.

    Example:
        >>> found = search("query.jpg", "gallery.npz", "weights.pth", "infrared", top=1)  # doctest: +SKIP
        >>> found.gallery.paths[found.rows[0, 0]]  # doctest: +SKIP
        'cam1/0007/0003.jpg'
    """
    from usvi_bench.core.plain import plain_value
    from usvi_bench.engine.search import SearchRequest, search_pictures

    request = SearchRequest(
        queries=[expanded(path) for path in ([queries] if isinstance(queries, (str, Path)) else queries)],
        gallery=str(gallery),
        model=model_request(model, network, fold, settings, device, imports),
        modality=modality,
        gallery_modality=gallery_modality,
        top=plain_value(top),
        threshold=plain_value(threshold),
        data=None if data is None else expanded(data),
        output=None if output is None else expanded(output),
        with_pictures=with_pictures,
    )
    result = search_pictures(request, Display(quiet=not verbose))
    if request.output is not None:
        from usvi_bench.reports.search_page import write_search

        write_search(result, request.output, with_pictures)
    return result
