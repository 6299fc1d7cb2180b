"""All hostile cases of a seed."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from importlib import import_module

from tests.faults.corpus.case import Case, tiny_people

KINDS = (
    "trees",
    "own",
    "donors",
    "pictures",
    "weights",
    "external",
    "search",
    "settings",
    "metrics",
    "records",
    "runs",
)
"""Modules of this package that yield cases, in the order of the table."""


def cases(seed: int, kinds: tuple[str, ...] = KINDS) -> Iterator[Case]:
    """Yield the hostile cases that a seed gives; equal seeds give equal cases."""
    for kind in kinds:
        yield from import_module(f"tests.faults.corpus.{kind}").cases(seed)


def warm() -> None:
    """Import what the cases use, so that forked processes begin at once; use one thread, which survives a fork."""
    import torch

    codecs.lookup("utf-8-sig")  # processes without rights may not read the interpreter's files
    torch.set_num_threads(1)
    tiny_people()
    _compile_metrics()
    for name in ("api", "cli.train", "cli.check", "cli.ablation", "leaderboard.__main__", "leaderboard.consistency"):
        import_module(f"usvi_bench.{name}")
    for name in (
        "engine.experiment",
        "engine.start_weights",
        "engine.external",
        "engine.cluster",
        "engine.embed",
        "engine.search",
        "reports.search_page",
        "components.encoder.known_containers",
        "protocols.metrics",
        "datasets.cache",
        "synthetic",
        "reports.report",
    ):
        import_module(f"usvi_bench.{name}")


def _compile_metrics() -> None:
    import numpy as np
    import torch

    from usvi_bench.protocols.masks import RetrievalMasks
    from usvi_bench.protocols.metrics import score_galleries

    masks = RetrievalMasks(np.ones((1, 1), bool))
    for kind in (torch.float32, torch.float64):
        side = torch.ones(1, 1, dtype=kind)
        score_galleries(side, side, [[0]], lambda *_: masks, depth=1)
