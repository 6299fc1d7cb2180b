"""Starting weights for the small encoder, which has no ImageNet file: ``python run.py pretrain --encoder small``.

The encoder is trained with identity labels on **visible** images of synthetic people. These people are in no benchmark,
because their generator seeds differ; likewise, ImageNet weights are trained with labels of other images. Clothes change
colour between most cameras, so that shape and pattern matter. No infrared image is used. Half of each batch loses its
colour, and most of that half gets another exposure, tone and grain, so that the weights also suit a modality without
colour. The infrared part starts as a copy of the visible one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from usvi_bench.components.augment import MEAN, STD, AugmentConfig, augment
from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.registered import check_network, encoder_config, network_class
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.components.encoder.weights import weights_as_bytes
from usvi_bench.components.sampling import PKSampler
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_bytes, write_json
from usvi_bench.core.seeding import derive, numpy_generator, torch_generator
from usvi_bench.datasets.cache import decoded
from usvi_bench.datasets.open import open_dataset
from usvi_bench.synthetic import GENERATOR_VERSIONS

HEIGHT, WIDTH = 128, 64


@dataclass(frozen=True)
class Recipe:
    """Recipe of the weights; on one machine, equal recipes give equal weights."""

    people: tuple[str, ...] = tuple(f"synthetic:size=small,seed={seed},recolour=0.7" for seed in range(9000, 9004))
    """Synthetic people whose visible images are trained on; benchmarks must use other seeds."""
    encoder: str = "small"
    width: int = 16
    """Channels of the first stage; ignored by an encoder without this setting."""
    steps: int = 6000
    clusters: int = 16
    instances: int = 4
    colourless: float = 0.5
    """Share of a batch that loses its colour."""
    toned: float = 0.8
    """Share of the images without colour that get another exposure, tone and grain."""
    lr: float = 3e-3
    weight_decay: float = 5e-4
    scale: float = 16.0
    """Factor of the cosine between a feature and the weight vector of an identity."""
    smoothing: float = 0.1
    seed: int = 0

    def encoder_config(self) -> EncoderConfig:
        """Return the settings of the encoder."""
        names = [field.name for field in fields(network_class(self.encoder).Config)]
        return encoder_config(self.encoder, **({"width": self.width} if "width" in names else {}))


STEPS = {"regdb": 1000}
"""Number of steps of the weights that a layout has for itself. Few steps give a weak start. From the weights of 6,000
steps, the clusters of RegDB's walks are nearly right before any training, and contrast within a modality only loses."""


def recipe_of(layout: str | None = None, **given: Any) -> Recipe:
    """Return the recipe of the weights of a layout, or of those for all layouts without weights of their own.

    Raises:
        UsageError: the layout has no weights of its own.
    """
    if layout is None:
        return Recipe(**given)
    if layout not in STEPS:
        raise UsageError(f"--layout {layout}: it has no weights of its own; leave it out, or use {', '.join(STEPS)}")
    return Recipe(steps=STEPS[layout], **given)


def visible_people(trees: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Load all visible images of some synthetic people.

    Returns:
        Pixels ``[N, H, W, 3]``, identities ``[N]`` numbered from 0, and cameras ``[N]``.
    """
    pixels: list[NDArray[np.uint8]] = []
    identities: list[NDArray[np.int64]] = []
    cameras: list[NDArray[np.int64]] = []
    for tree, spec in enumerate(trees):
        dataset, _ = open_dataset("sysu", spec, progress=print)
        for table in (dataset.train().visible, dataset.test().visible):
            pixels.append(np.asarray(decoded(table, HEIGHT, WIDTH, "bicubic", dataset.fingerprint)))
            identities.append(table.identities + tree * 1_000_000)
            cameras.append(table.cameras)
    codes = np.unique(np.concatenate(identities), return_inverse=True)[1]
    everything = torch.from_numpy(np.concatenate(pixels))
    return everything, torch.from_numpy(codes), torch.from_numpy(np.concatenate(cameras))


def pretrain(recipe: Recipe, pixels: Tensor, identities: Tensor, cameras: Tensor) -> TwoStreamEncoder:
    """Train an encoder to classify visible images, by the cosine between a feature and a weight vector per person."""
    encoder = build_encoder(recipe.encoder_config(), derive(recipe.seed, "pretrain", "encoder"), HEIGHT, WIDTH)
    encoder.train()
    people = int(identities.max()) + 1
    start = torch.randn(people, encoder.feature_dim, generator=torch_generator(recipe.seed, "pretrain", "classes"))
    classes = nn.Parameter(normalize(start, dim=1))
    weights = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": [classes], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.lr, total_steps=recipe.steps, pct_start=0.1)
    draws = numpy_generator(recipe.seed, "pretrain", "sampler")
    sampler = PKSampler(identities, cameras, recipe.clusters, recipe.instances, draws)
    generator = torch_generator(recipe.seed, "pretrain", "augment")
    for step in range(recipe.steps):
        images, labels = _batch(recipe, sampler, pixels, identities, generator)
        cosine = normalize(encoder(images, None), dim=1) @ normalize(classes, dim=1).T
        loss = cross_entropy(recipe.scale * cosine, labels, label_smoothing=recipe.smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 250 == 0:
            print(f"step {step + 1}/{recipe.steps}  loss {loss.item():.3f}", flush=True)
    encoder.network.infrared.load_state_dict(encoder.network.visible.state_dict())
    return encoder.eval()


def _batch(
    recipe: Recipe, sampler: PKSampler, pixels: Tensor, identities: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    rows = sampler.draw()
    rows = rows[torch.randperm(len(rows), generator=generator)]
    cut = round(recipe.colourless * len(rows))
    config = AugmentConfig(pad=5, erase=0.3)
    grey = augment(pixels[rows[:cut]], "infrared", config, generator)
    toned = round(recipe.toned * cut)
    grey[:toned] = change_tone(grey[:toned], generator)
    return torch.cat([grey, augment(pixels[rows[cut:]], "plain", config, generator)]), identities[rows]


def change_tone(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change exposure, tone and grain of grey images by amounts drawn for each image.

    Args:
        images: ``[B, 3, H, W]`` normalised images; only the first channel is read.
        generator: source of the draws.
    """

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=generator)

    level = (images[:, :1] * STD[0] + MEAN[0]).clamp(0, 1)
    level = level ** draw(-1.1, 0.4).exp() * draw(0.8, 1.5) + draw(-0.1, 0.15)
    level = level + draw(0, 0.03) * torch.randn(level.shape, generator=generator)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (level.clamp(0, 1) - mean) / std


def make_weights(recipe: Recipe, output: Path) -> dict[str, Any]:
    """Pretrain an encoder; write its weights and, beside them, a note that describes how they were made.

    Args:
        recipe: recipe of the weights.
        output: file to write; its name ends in ``.safetensors``.

    Returns:
        Content of the note.

    Raises:
        UsageError: another ending, or an unknown encoder or width; raised before any work is done.
    """
    if output.suffix != ".safetensors":
        raise UsageError(f"--out {output}: the name must end in .safetensors")
    check_network(recipe.encoder_config(), HEIGHT, WIDTH)
    pixels, identities, cameras = visible_people(recipe.people)
    content = weights_as_bytes(pretrain(recipe, pixels, identities, cameras))
    write_bytes(output, content)
    note: dict[str, Any] = {
        "recipe": asdict(recipe),
        "images": len(pixels),
        "identities": int(identities.max()) + 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "threads": torch.get_num_threads(),
        "generator_version": GENERATOR_VERSIONS["sysu"],
        "fingerprints": [open_dataset("sysu", tree)[0].fingerprint for tree in recipe.people],
    }
    write_json(output.with_suffix(".json"), note)
    return note
