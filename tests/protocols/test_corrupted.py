"""Protocols of corrupted images: which images are corrupted in which evaluation, and how they are scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.protocols.scenes import Scene, small_llcm_scene, small_scene
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.corruption import Corruption
from usvi_bench.protocols.base import Protocol, ProtocolConfig
from usvi_bench.protocols.metrics import retrieval_metrics
from usvi_bench.protocols.score_metrics import score_metrics

CLEAN = ("sysu_all", "sysu_indoor", "regdb_v2i", "regdb_i2v", "llcm_v2i", "llcm_i2v")


class Noisy:
    """Embedder whose features depend on path and corruption; it keeps the tables that it was given."""

    def __init__(self) -> None:
        self.seen: list[ImageTable] = []

    def __call__(self, table: ImageTable) -> NDArray[np.float32]:
        self.seen.append(table)
        rows = []
        for path, identity in zip(table.paths, table.identities.tolist(), strict=True):
            drawn = table.corruption.draw(path).seed if table.corruption else 0
            noise = np.random.default_rng([drawn, identity]).normal(size=16) if drawn else np.zeros(16)
            rows.append(np.random.default_rng(identity).normal(size=16) + noise)
        return np.array(rows, np.float32)


def make(name: str, **settings: Any) -> Protocol:
    protocol: Protocol = PROTOCOLS.get(name)(ProtocolConfig(**settings))
    return protocol


def scene_of(name: str) -> Dataset:
    if name.startswith("llcm"):
        scene: Dataset = small_llcm_scene()
    else:
        scene = small_scene() if name.startswith("sysu") else small_scene(name="regdb", folds=(1, 2))
    assert isinstance(scene, (Scene, Dataset))
    return scene


@pytest.mark.parametrize("clean", CLEAN)
def test_queries_rule_and_first_gallery_are_those_of_the_clean_protocol(clean: str) -> None:
    data, plain, corrupted = scene_of(clean), make(clean), make(f"{clean}_c")
    assert (corrupted.query, corrupted.gallery, corrupted.dataset) == (plain.query, plain.gallery, plain.dataset)
    assert corrupted.trials_per_fold == plain.trials_per_fold
    assert corrupted.folds(data) == plain.folds(data)
    for fold in data.folds:
        galleries = corrupted.galleries(data, fold)
        assert len(galleries) == plain.trials_per_fold
        assert all((rows == plain.galleries(data, fold)[0]).all() for rows in galleries)
    kind = plain.kind()
    assert corrupted.kind() == {**kind, "gallery": f"{kind['gallery']}+corrupted"}
    both = make(f"{clean}_c", corrupt="both", corrupt_at="native")
    assert both.kind()["gallery"] == f"{kind['gallery']}+corrupted+infrared+native"
    corrupted.check(data)


@pytest.mark.parametrize("clean", CLEAN)
@pytest.mark.parametrize("sides", ["visible", "both"])
def test_every_evaluation_corrupts_the_images_of_these_modalities(clean: str, sides: str) -> None:
    data, protocol = scene_of(clean), make(f"{clean}_c", corrupt=sides)
    for fold in data.folds:
        embed = Noisy()
        protocol.evaluate(embed, data, fold, fold)
        for modality in ("visible", "infrared"):
            found = [table.corruption for table in embed.seen if table.modality == modality]
            if modality == "visible" or sides == "both":
                numbers = range(fold - 1, fold - 1 + protocol.trials_per_fold)
                assert found == [Corruption(number, infrared=modality == "infrared") for number in numbers]
            else:
                assert found == [None], "clean images are embedded once"


@pytest.mark.parametrize("clean", CLEAN)
def test_scores_are_those_of_a_plain_loop(clean: str) -> None:
    data, protocol = scene_of(clean), make(f"{clean}_c")
    for fold in data.folds:
        found = protocol.evaluate(Noisy(), data, fold, fold)
        query, pool = protocol.tables(data, fold)
        for trial, rows in enumerate(protocol.galleries(data, fold)):
            tables = [protocol.corrupt(table, fold - 1 + trial) for table in (query, pool.take(rows))]  # type: ignore[attr-defined]
            similarity = Noisy()(tables[0]).astype(float) @ Noisy()(tables[1]).astype(float).T
            masks = protocol.masks(query, pool.take(rows))
            metrics = retrieval_metrics(similarity, masks.positives, masks.ignored, masks.cmc_units)
            assert found.scores[trial].metrics == pytest.approx(score_metrics(metrics), abs=1e-9)
            assert found.scores[trial].trial == trial
            if trial == 0:
                best = found.ranking.order[:, 0]
                assert set(best[best >= 0].tolist()) <= set(rows.tolist())
    if protocol.trials_per_fold > 1:
        assert len({score.metrics["mAP"] for score in found.scores}) > 1, "evaluations differ"


def test_settings_of_corruptions_belong_to_their_protocols() -> None:
    for settings in ({"corrupt": "both"}, {"corrupt_at": "native"}):
        with pytest.raises(UsageError, match=r"sysu_all corrupts no images: leave out protocol\.corrupt"):
            make("sysu_all", **settings).check(small_scene())
    with pytest.raises(UsageError, match=r"unknown protocol\.corrupt 'infrared'"):
        ProtocolConfig(corrupt="infrared")
    with pytest.raises(UsageError, match="did you mean native"):
        ProtocolConfig(corrupt_at="nativ")
