"""Training at the size of a published data set, with images and features that are made on the device.

The images are random pixels, which cost what real ones do. Clusters come from synthetic features (``features.py``),
because random pixels have none. All other work is that of the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from usvi_bench.benchmarks.features import people
from usvi_bench.core.precision import Precision
from usvi_bench.core.registry import METHODS
from usvi_bench.core.transfers import to_device
from usvi_bench.core.types import Features, Modality, PseudoLabels, StageProgress
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.device import synchronized_time
from usvi_bench.engine.images import BatchSampler, TrainingImages
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.methods.base import Method

EPOCHS = 50
"""Epochs of the stage that is measured; its middle epoch is run, in which all losses are switched on."""


@dataclass(frozen=True)
class Size:
    """Size of a workload.

    Attributes:
        visible: number of visible training images.
        infrared: number of infrared training images.
        profile: profile of the settings.
        settings: further settings.
        warm_up: steps before a measurement, in which kernels are selected.
        steps: measured steps.
    """

    visible: int
    infrared: int
    profile: str
    settings: dict[str, Any]
    warm_up: int = 3
    steps: int = 10


SYSU = Size(22_258, 11_909, "sysu", {})
"""Training set of SYSU-MM01 all-search."""
SMALLER = Size(4000, 3000, "sysu", {})
"""Same images and batches, but a smaller set, which is clustered in a moment."""
TINY = Size(
    150,
    100,
    "synthetic_sysu",
    {
        "data.height": 32,
        "data.width": 16,
        "encoder.width": 8,
        "method.k1": 12,
        "train.iterations": 4,
        "train.visible_clusters": 2,
        "train.infrared_clusters": 2,
        "train.instances": 2,
    },
    warm_up=1,
    steps=2,
)
"""Workload for a rehearsal on a processor."""


@dataclass(frozen=True)
class Prepared:
    """Prepared epoch: a method with its memories, and its batches."""

    config: RunConfig
    method: Method
    optimiser: Optimiser
    draw: BatchSampler
    progress: StageProgress
    labels: PseudoLabels
    seconds: dict[str, float]

    def step(self, number: int) -> None:
        """Run one iteration."""
        with self.optimiser.scaler.keep_finite(self.method):
            self.method.step(self.draw, replace(self.progress, step=number), self.optimiser)


class Workload:
    """Workload on a device: images, features and cameras of both modalities."""

    def __init__(self, size: Size, device: torch.device) -> None:
        self.size, self.device = size, device
        config = self.config("untrained", "fp32")
        dimension = config.new_encoder(0).feature_dim
        generator = torch.Generator(device=device).manual_seed(0)
        sides: list[tuple[TrainingImages, torch.Tensor, torch.Tensor]] = []
        names: Sequence[tuple[Modality, int]] = (("visible", size.visible), ("infrared", size.infrared))
        for modality, count in names:
            shape = (count, config.data.height, config.data.width, 3)
            pixels = torch.randint(0, 256, shape, generator=generator, device=device, dtype=torch.uint8)
            drawn = people(count, dimension)
            images = TrainingImages(modality, pixels, torch.from_numpy(drawn.cameras))
            rows, identities = (torch.from_numpy(part) for part in (drawn.features, drawn.identities))
            sides.append((images, to_device(rows, device), to_device(identities, device)))
        (visible, first, mine), (infrared, second, theirs) = sides
        self.images = visible, infrared
        of_visible, of_infrared = (to_device(part.cameras, device) for part in self.images)
        self.features = Features(first, second, of_visible, of_infrared)
        self.identities = PseudoLabels(visible=mine, infrared=theirs)

    def config(self, method: str, precision: Precision) -> RunConfig:
        """Return the settings of a method at this size."""
        known = {f"method.{name}" for name in METHODS.get(method).Config.__dataclass_fields__}
        settings = {k: v for k, v in self.size.settings.items() if not k.startswith("method.") or k in known}
        settings["train.precision"] = precision
        config = load_config(method, "sysu_all", profile=self.size.profile, settings=settings)
        return config.resolve(self.size.visible + self.size.infrared, self.device)

    def prepare(
        self, name: str, precision: Precision, *, compiled: bool = False, labels: PseudoLabels | None = None
    ) -> Prepared:
        """Build the last stage of a method with random weights, and prepare its middle epoch.

        Args:
            name: registered name of the method.
            precision: precision of the encoder.
            compiled: compile the encoder's shared part.
            labels: labels of an earlier call, which replace the clustering.
        """
        config = self.config(name, precision)
        stage = METHODS.get(name).stages(config.method_config)[-1]
        encoder = config.new_encoder(0).to(self.device)
        encoder.precision = precision
        method = METHODS.get(stage.method).in_form(stage.config)(stage.config, encoder).to(self.device)
        for model in method.models().values() if compiled else ():
            model.network.compile_shared()
        return self.epoch(config, method, Optimiser(method, config.train, EPOCHS, self.device), EPOCHS // 2, labels)

    def epoch(
        self, config: RunConfig, method: Method, optimiser: Optimiser, epoch: int, labels: PseudoLabels | None
    ) -> Prepared:
        """Cluster unless labels are given, and build the memories and the batches of an epoch."""
        progress = StageProgress(epoch, EPOCHS, 0, config.train.iterations, seed=0)
        features = replace(self.features, by_model=dict.fromkeys(method.embeds, self.features))
        started = synchronized_time(self.device)
        with torch.no_grad():
            if labels is None:
                labels = self.identities if method.uses_identities else method.label(features, progress)
            clustered = synchronized_time(self.device)
            method.begin_epoch(features, labels, progress)
        seconds = {"label": clustered - started, "begin_epoch": synchronized_time(self.device) - clustered}
        views = method.visible_views, method.infrared_views
        draw = BatchSampler(self.images, labels, views, config.train, config.augment, progress, self.device)
        method.train()
        return Prepared(config, method, optimiser, draw, progress, labels, seconds)
