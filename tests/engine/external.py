"""External models for tests: a small encoder's weights, and its features of the tiny people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import usvi_bench
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core.record import Record
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.cache import decoded
from usvi_bench.engine.external import BATCH
from usvi_bench.engine.feature_file import FeatureFile, write_features
from usvi_bench.engine.images import retrieval_features

SIZE = {"data.height": 32, "data.width": 16, "engine.threads": 1}
ABOUT = {"schema": 1, "feature": "bn+flip", "similarity": "dot"}


def small_weights(folder: Path, seed: int = 0, name: str = "small.pth") -> Path:
    """Write the weights of a random small encoder."""
    torch.save(build_encoder(SmallConfig(width=8), seed).state_dict(), folder / name)
    return folder / name


def features_of(dataset: Dataset, fold: int = 1, seed: int = 0) -> FeatureFile:
    """Embed the test images of a fold with a random small encoder."""
    encoder, split = build_encoder(SmallConfig(width=8), seed).eval(), dataset.test(fold)
    tables = (split.visible, split.infrared)
    rows = []
    for table in tables:
        pixels = decoded(table, 32, 16, "lanczos", dataset.fingerprint)
        rows.append(
            retrieval_features(encoder, pixels, table.modality, BATCH, torch.device("cpu"), mirror=True, order=None)
        )
    return FeatureFile(
        features=np.concatenate(rows),
        paths=(*split.visible.paths, *split.infrared.paths),
        modality=np.repeat([0, 1], [len(table) for table in tables]).astype(np.uint8),
        cameras=np.concatenate([table.cameras for table in tables]),
        identities=np.concatenate([table.identities for table in tables]),
        about={**ABOUT, "data_fingerprint": dataset.fingerprint},
    )


def write_small_features(path: Path, dataset: Dataset, fold: int = 1, **changes: Any) -> Path:
    """Write the features of :func:`features_of`, with some arrays replaced."""
    write_features(path, replace(features_of(dataset, fold), **changes))
    return path


def evaluate(protocol: str, people: Path, **options: Any) -> Record:
    """Score quietly, with small images."""
    settings = {**(SIZE if "weights" in options else {"engine.threads": 1}), **options.pop("settings", {})}
    return usvi_bench.evaluate(protocol, people, settings=settings, device="cpu", verbose=False, **options)
