"""Calibration: the time of a training on this machine, from a few steps of its method on random images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from usvi_bench.core.types import Features, Modality, PseudoLabels, StageProgress
from usvi_bench.engine.config import RunConfig, TrainConfig
from usvi_bench.engine.device import synchronized_time
from usvi_bench.engine.images import BatchSampler, TrainingImages, embed
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.engine.plan import StagePlan
from usvi_bench.methods.base import Method

LONGEST = 4.0
"""Seconds above which a whole step is not measured, but scaled from one of fewer images."""
FEWEST = 2
"""Clusters of each modality in the smaller step."""
EMBEDDED = 32
"""Images that are embedded, each with its mirror image."""
MOST_ROWS = 3000
"""Most features of a modality that are clustered; the time of more is scaled with their square."""
LEAST_GROUP = 4
"""Features of a group beyond ``k1``."""
NOISE = 0.1
"""Length of the noise of a feature, whose group's centre has length 1."""


@dataclass(frozen=True)
class StageCost:
    """Stage cost: seconds of the parts of a stage, measured or scaled.

    Attributes:
        step: seconds of a training step.
        share: fraction of the images of a step that the measured step had.
        embed: seconds to embed an image and its mirror image.
        networks: networks that embed the training images before each epoch.
        cluster: seconds to cluster the training images and to build the memories.
    """

    step: float
    share: float
    embed: float
    networks: int
    cluster: float

    def seconds(self, plan: StagePlan, steps: int, images: int) -> float:
        """Return the seconds of a stage.

        Args:
            plan: the stage.
            steps: number of steps in an epoch.
            images: number of training images.
        """
        return plan.epochs * (steps * self.step + images * self.networks * self.embed + self.cluster)


def measure_stage(config: RunConfig, plan: StagePlan, images: tuple[int, int], device: torch.device) -> StageCost:
    """Measure a few steps of a stage, the embedding of some images and one clustering.

    The images are random. The features that are clustered are random too, in tight groups, so that each group becomes a
    cluster. The method trains on these clusters as in its last epoch, when all of its losses are in use.

    Args:
        config: settings of the run.
        plan: the stage.
        images: number of visible and of infrared training images.
        device: device that the run computes on.
    """
    encoder = config.new_encoder(0).to(device)
    encoder.precision = config.train.precision
    method: Method = plan.method_class(plan.method_config, encoder).to(device)
    progress = StageProgress(plan.epochs - 1, plan.epochs, 0, config.train.iterations, 0)
    rows = max(min(max(images), MOST_ROWS), _clusters(config.train) * _group_size(plan))
    parts = (_random_images("visible", rows, config), _random_images("infrared", rows, config))
    few = parts[0].pixels[:EMBEDDED].contiguous()
    embed(encoder, few, "visible", config.train.embed_batch, device)  # the first pass chooses kernels
    embedded = _seconds(device, lambda: embed(encoder, few, "visible", config.train.embed_batch, device)) / len(few)
    features, groups = _grouped(rows, plan, config.train, encoder.feature_dim, device)
    features = replace(features, by_model=dict.fromkeys(method.embeds, features))
    found: list[PseudoLabels] = []

    def cluster() -> None:
        with torch.no_grad():
            found.append(groups if method.uses_identities else method.label(features, progress))
            method.begin_epoch(features, found[-1], progress)

    cluster()  # compiles kernels
    clustered = _seconds(device, cluster) * (max(images) / rows) ** 2
    step, share = _measure_steps(method, config, plan, parts, found[-1], progress, device)
    return StageCost(step, share, embedded, 1 + len(method.embeds), clustered)


def _measure_steps(
    method: Method,
    config: RunConfig,
    plan: StagePlan,
    parts: tuple[TrainingImages, TrainingImages],
    labels: PseudoLabels,
    progress: StageProgress,
    device: torch.device,
) -> tuple[float, float]:
    """Return the seconds of a whole step, and the fraction of its images that was measured."""
    whole = config.train
    small = replace(
        whole,
        visible_clusters=min(FEWEST, whole.visible_clusters),
        infrared_clusters=min(FEWEST, whole.infrared_clusters),
    )
    views = (method.visible_views, method.infrared_views)
    optimiser = Optimiser(method, whole, plan.epochs, device)
    method.train()

    def seconds(train: TrainConfig, steps: int) -> float:
        draw = BatchSampler(parts, labels, views, train, config.augment, progress, device)

        def work() -> None:
            for _ in range(steps):
                method.step(draw, progress, optimiser)

        return _seconds(device, work) / steps

    def images(train: TrainConfig) -> int:
        return train.visible_clusters * len(views[0]) + train.infrared_clusters * len(views[1])

    share = images(small) / images(whole)
    seconds(small, 1)  # the first step allocates and chooses kernels
    part = seconds(small, 1)
    if share < 1 and device.type != "cuda" and part / share > LONGEST:
        return part / share, share
    seconds(whole, 1)
    return seconds(whole, 2), 1.0


def _random_images(modality: Modality, rows: int, config: RunConfig) -> TrainingImages:
    """Make images that share the memory of one random image, of two cameras in turn."""
    one = torch.randint(0, 256, (1, config.data.height, config.data.width, 3), dtype=torch.uint8)
    return TrainingImages(modality, one.expand(rows, -1, -1, -1), torch.arange(rows) % 2)


def _clusters(train: TrainConfig) -> int:
    return max(train.visible_clusters, train.infrared_clusters)


def _group_size(plan: StagePlan) -> int:
    """Return the least number of features of a group: more than the neighbours that clustering compares."""
    return int(getattr(plan.method_config, "k1", 0)) + LEAST_GROUP


def _grouped(
    rows: int, plan: StagePlan, train: TrainConfig, width: int, device: torch.device
) -> tuple[Features, PseudoLabels]:
    """Make unit features in tight groups, with equal centres in both modalities, and the groups as labels."""
    generator = torch.Generator().manual_seed(0)
    groups = max(_clusters(train), rows // _group_size(plan))
    labels = torch.arange(rows) % groups
    centres = torch.nn.functional.normalize(torch.randn(groups, width, generator=generator), dim=1)

    def features() -> Tensor:
        noise = torch.randn(rows, width, generator=generator) * (NOISE / width**0.5)
        return torch.nn.functional.normalize(centres[labels] + noise, dim=1).to(device)

    cameras, own = (torch.arange(rows) % 2).to(device), labels.to(device)
    return Features(features(), features(), cameras, cameras), PseudoLabels(visible=own, infrared=own.clone())


def _seconds(device: torch.device, work: Callable[[], object]) -> float:
    started = synchronized_time(device)
    work()
    return synchronized_time(device) - started
