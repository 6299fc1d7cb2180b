"""Settings of a run: one frozen dataclass for each group, with a line for each field.

:mod:`usvi_bench.engine.load_config` fills them in from files and ``--set``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from usvi_bench.components.augment import AugmentConfig
from usvi_bench.components.clustering.neighbours import EXACT_UP_TO
from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.registered import encoder_config
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.core.bounds import EPOCHS, bounded, check_bounds, one_of
from usvi_bench.core.errors import UsageError
from usvi_bench.core.precision import Precision
from usvi_bench.core.registry import LR_SCHEDULES, METHODS
from usvi_bench.core.settings import FORMAT, config_hash, differences, flatten
from usvi_bench.datasets.grey_depth import EACH_IMAGE, parse_depth_range
from usvi_bench.datasets.own_images import camera_pattern
from usvi_bench.methods.base import MethodConfig
from usvi_bench.protocols.base import ProtocolConfig

DEFAULT_ENCODER = "resnet50"
GROUPS = {"method_config": "method", "protocol_config": "protocol"}
"""Groups of settings by the field of :class:`RunConfig` that holds them, where the names differ."""
LARGEST_BATCH = 16_384
"""Largest number of images of a modality in a batch."""


@dataclass(frozen=True)
class DataConfig:
    """Data settings: which images a run reads, and their size."""

    height: int = bounded(288, 1, 1024)
    """Height of all images in pixels, to which they are resized."""
    width: int = bounded(144, 1, 1024)
    """Width of all images in pixels, to which they are resized."""
    filter: Literal["bicubic", "bilinear", "lanczos"] = "bicubic"
    """Filter that resizes images for training and clustering; the protocol has its own filter for test images."""
    folds: tuple[int, ...] = ()
    """Folds to train and score; empty for all. A record with missing folds is incomplete and is not ranked."""
    check_counts: bool = True
    """Refuse a data set whose number of images differs from the published one."""
    camera: str = ""
    """Own images in folders: regular expression whose first group is the camera in the name of a file."""
    depth_range: str = EACH_IMAGE
    """Grey images of more than 8 bits: values that become black and white, ``LOW:HIGH``; ``image``: those of each."""
    foreign: float = bounded(0.0, 0, 1)
    """Share of the training people whose visible images are replaced by images of the people of ``--donors``."""
    foreign_seed: int = bounded(0, 0, 2**32 - 1)
    """Seed that selects these people and images; all methods and seeds of a comparison have the same."""

    def __post_init__(self) -> None:
        check_bounds(self, "data")
        if len(set(self.folds)) < len(self.folds):
            raise UsageError(f"data.folds={','.join(map(str, self.folds))}: name each fold once")
        parse_depth_range(self.depth_range)
        camera_pattern(self.camera)


@dataclass(frozen=True)
class TrainConfig:
    """Training settings of a stage: length, batches and optimiser."""

    epochs: int = bounded(50, 1, EPOCHS)
    """Epochs per stage; images are clustered again before each epoch."""
    iterations: int = bounded(200, 1, 1_000_000)
    """Steps per epoch, independent of the number of images."""
    visible_clusters: int = bounded(8, 1, 4096)
    """Clusters in a visible batch (P)."""
    infrared_clusters: int = bounded(8, 1, 4096)
    """Clusters in an infrared batch (P)."""
    instances: int = bounded(16, 1, 4096)
    """Images of each cluster in a batch (K)."""
    cross_camera: bool = True
    """Prefer images from other cameras than that of the first image of a cluster. False: batches use no camera."""
    lr: float = bounded(3.5e-4, 0, 10, above=True)
    """Learning rate of the optimiser, before its schedule."""
    weight_decay: float = bounded(5e-4, 0, 10)
    """Weight decay of the optimiser."""
    lr_schedule: str = one_of(LR_SCHEDULES.names, default="step")
    """Learning-rate schedule of a stage: ``step``, ``cosine``, or another registered name."""
    lr_step: float = bounded(0.4, 0, 1, above=True)
    """``step``: the learning rate drops each time this fraction of the stage has passed (20 of 50 epochs)."""
    lr_factor: float = bounded(0.1, 0, 1, above=True)
    """``step``: factor that each drop multiplies the learning rate by."""
    lr_final: float = bounded(0.0, 0, 1)
    """``cosine``: the learning rate at the end of the stage, as a fraction of ``lr``."""
    lr_warmup: int = bounded(0, 0, EPOCHS)
    """Epochs at the start of a stage in which the learning rate rises linearly to ``lr``."""
    lr_warmup_factor: float = bounded(0.1, 0, 1, above=True)
    """Fraction of ``lr`` at which the warm-up starts."""
    precision: Precision = "fp32"
    """Precision of the encoder, forward and backward; losses, memories, clustering and scores are in float32."""
    embed_batch: int = bounded(256, 1, 8192)
    """Number of images in a forward pass without gradient."""

    def __post_init__(self) -> None:
        check_bounds(self, "train")
        LR_SCHEDULES.get(self.lr_schedule)
        for modality in ("visible", "infrared"):
            clusters = getattr(self, f"{modality}_clusters")
            if clusters * self.instances > LARGEST_BATCH:
                raise UsageError(
                    f"train.{modality}_clusters={clusters} x train.instances={self.instances} is a batch of "
                    f"{clusters * self.instances:,} images: lower one of them; the largest batch is {LARGEST_BATCH:,}"
                )

    def drop_epochs(self, epochs: int) -> int:
        """Return the number of epochs between two drops of the learning rate in a stage of the given length.

        >>> TrainConfig(lr_step=0.4).drop_epochs(50)
        20
        """
        return max(1, round(self.lr_step * epochs))


@dataclass(frozen=True)
class EngineConfig:
    """Engine settings: how a run is carried out. They change the headline only through floating-point order."""

    threads: int = bounded(0, 0, 1024)
    """CPU threads; 0 for all cores. It replaces ``OMP_NUM_THREADS``."""
    log_every: int = bounded(10, 1, 1_000_000)
    """Steps between two updates of the progress display."""
    deterministic: bool = False
    """On a GPU, use only deterministic kernels, which are slower."""
    compile: bool = False
    """Compile the encoder's shared part with ``torch.compile``: minutes at the start, faster steps later."""
    rerank: bool = False
    """Score the trained networks also after re-ranking; these scores are added to the record and never ranked."""
    timeout: int = bounded(1800, 1, 1_000_000)
    """Seconds that a process waits for the others; rank 0 must cluster and score within this time."""

    def __post_init__(self) -> None:
        check_bounds(self, "engine")


@dataclass(frozen=True)
class RunConfig:
    """Run configuration: all settings of a run, except the locations of its data, weights and output."""

    method: str
    protocol: str
    setting: str
    seed: int
    method_config: MethodConfig
    """Hyper-parameters of the method: ``--set method.NAME=VALUE``."""
    data: DataConfig = field(default_factory=DataConfig)
    encoder: EncoderConfig = field(default_factory=lambda: encoder_config(DEFAULT_ENCODER))
    """Settings of the encoder that ``encoder.name`` selects, in that encoder's class: ``--set encoder.NAME=VALUE``."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    protocol_config: ProtocolConfig = field(default_factory=ProtocolConfig)
    """Settings of the protocol's galleries: ``--set protocol.NAME=VALUE``."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    evaluate_every: int = bounded(0, 0, EPOCHS)
    """Number of epochs between two scorings during the last stage; 0 scores only after the last epoch."""

    def __post_init__(self) -> None:
        check_bounds(self, "")

    def settings(self) -> dict[str, Any]:
        """Return every setting that a result may depend on as plain data, named and grouped as ``--set`` does."""
        groups: dict[str, Any] = {"method": self.method_config, "protocol": self.protocol_config}
        groups |= {name: getattr(self, name) for name in ("data", "encoder", "augment", "train")}
        content: dict[str, Any] = {name: dataclasses.asdict(group) for name, group in groups.items()}
        content["evaluate_every"] = self.evaluate_every
        plain: dict[str, Any] = json.loads(json.dumps(content))
        return plain

    def new_encoder(self, seed: int) -> TwoStreamEncoder:
        """Build the encoder for the run's image size, with random weights drawn from ``seed``."""
        return build_encoder(self.encoder, seed, self.data.height, self.data.width)

    def hash(self, start: str) -> str:
        """Hash the configuration; see :func:`usvi_bench.core.settings.config_hash`.

        Args:
            start: ``random``, or the sha256 of the starting weights.
        """
        return config_hash(
            self.settings(),
            method=self.method,
            protocol=self.protocol,
            setting=self.setting,
            start=start,
            new_defaults=flatten(default_settings(self.method, self.encoder.name)),
        )

    @property
    def search(self) -> str:
        """Neighbour search of the method; empty for a method without one."""
        return str(getattr(self.method_config, "search", ""))

    def resolve(self, images: int, device: torch.device) -> RunConfig:
        """Replace ``auto`` by the value that fits the data and the device.

        Args:
            images: number of training images of both modalities together.
            device: device that the run computes on.
        """
        if self.search != "auto":
            return self
        search = "approximate" if device.type == "cpu" and images > EXACT_UP_TO else "exact"
        return replace(self, method_config=replace(self.method_config, search=search))  # type: ignore[call-arg]


def default_settings(method: str, encoder: str = DEFAULT_ENCODER) -> dict[str, Any]:
    """Return the defaults of the settings of a method and an encoder, as :meth:`RunConfig.settings` does."""
    defaults = RunConfig(method, "", "", 0, METHODS.get(method).Config(), encoder=encoder_config(encoder))
    return defaults.resolve(0, torch.device("cpu")).settings()


def changed_settings(settings: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Return the settings of a method that differ from the committed defaults, by dotted name."""
    return differences(settings, method, FORMAT, flatten(default_settings(method, settings["encoder"]["name"])))
