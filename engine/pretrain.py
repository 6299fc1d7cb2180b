"""Starting weights for the small encoder, which has no ImageNet file: ``python run.py pretrain --encoder small``.

The encoder learns to tell apart **visible** pictures of synthetic people whom no benchmark shows (other generator
seeds), with their identities, as ImageNet weights come from labelled pictures of something else. Most cameras see them
in clothes of other colours, so that shape and pattern count. It sees no infrared picture; half of a batch loses its
colour, and most of that half gets another exposure, tone and grain, so that the weights serve a modality without colour
too. The infrared stem starts as a copy of the visible one.
"""

from __future__ import annotations

import hashlib
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from components.augment import MEAN, STD, AugmentConfig, augment
from components.encoder import EncoderConfig, TwoStreamEncoder, build_encoder
from components.sampling import PKSampler
from components.weights import weights_as_bytes
from datasets.cache import decoded
from datasets.source import open_dataset
from datasets.synthetic import GENERATOR_VERSIONS
from engine.files import void, write_atomically, write_json
from engine.options import Parser
from engine.registry import UsageError
from engine.seeding import derive, numpy_generator, torch_generator
from engine.source import shipped_weights

HEIGHT, WIDTH = 128, 64


@dataclass(frozen=True)
class Recipe:
    """How the weights are made; with the same recipe and machine they come out the same."""

    people: tuple[str, ...] = tuple(f"synthetic:size=small,seed={seed},recolour=0.7" for seed in range(9000, 9004))
    """Trees whose visible pictures are learned from; benchmarks must use other seeds."""
    encoder: str = "small"
    width: int = 16
    steps: int = 6000
    clusters: int = 16
    instances: int = 4
    colourless: float = 0.5
    """Share of a batch that loses its colour."""
    toned: float = 0.8
    """Share of the colourless that get another tone."""
    lr: float = 3e-3
    weight_decay: float = 5e-4
    scale: float = 16.0
    """Of the cosine to an identity's weight vector."""
    smoothing: float = 0.1
    seed: int = 0


def visible_people(trees: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """All visible pictures of some trees: pixels ``[N, H, W, 3]``, identities ``[N]`` from 0, cameras ``[N]``."""
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
    """Train an encoder to classify visible people by the cosine to a weight vector of each."""
    encoder = build_encoder(EncoderConfig(recipe.encoder, recipe.width), derive(recipe.seed, "pretrain", "encoder"))
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
    encoder.infrared.load_state_dict(encoder.visible.state_dict())
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
    grey[:toned] = retoned(grey[:toned], generator)
    return torch.cat([grey, augment(pixels[rows[cut:]], "plain", config, generator)]), identities[rows]


def retoned(images: Tensor, generator: torch.Generator) -> Tensor:
    """The first channel of normalised images, ``[B, 3, H, W]``, in an exposure, tone and grain drawn for each."""

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=generator)

    level = (images[:, :1] * STD[0] + MEAN[0]).clamp(0, 1)
    level = level ** drawn(-1.1, 0.4).exp() * drawn(0.8, 1.5) + drawn(-0.1, 0.15)
    level = level + drawn(0, 0.03) * torch.randn(level.shape, generator=generator)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (level.clamp(0, 1) - mean) / std


def parser() -> ArgumentParser:
    """All options of ``run.py pretrain``."""
    parser = Parser(prog="run.py pretrain", description=__doc__)
    parser.add_argument("--encoder", default=Recipe.encoder, metavar="NAME", help="its name (default: small)")
    parser.add_argument("--width", type=int, default=Recipe.width, help="channels of its first stage (default: 16)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: the shipped file, engine/weights/...")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Write the weights, and beside them how they were made."""
    options = parser().parse_args(arguments)
    recipe = Recipe(encoder=options.encoder, width=options.width)
    output: Path = options.out or shipped_weights(recipe.encoder, recipe.width)
    if output.suffix != ".safetensors":
        raise UsageError(f"--out {output}: weights are written as .safetensors; give the file that ending")
    build_encoder(EncoderConfig(recipe.encoder, recipe.width), 0)  # a wrong name or width is told before any work
    pixels, identities, cameras = visible_people(recipe.people)
    content = weights_as_bytes(pretrain(recipe, pixels, identities, cameras))
    write_atomically(output, lambda file: void(file.write(content)))
    made: dict[str, Any] = {
        "recipe": asdict(recipe),
        "images": len(pixels),
        "identities": int(identities.max()) + 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "threads": torch.get_num_threads(),
        "generator_version": GENERATOR_VERSIONS["sysu"],
        "fingerprints": [open_dataset("sysu", tree)[0].fingerprint for tree in recipe.people],
    }
    write_json(output.with_suffix(".json"), made)
    print(f"{output}: {len(content) / 2**20:.1f} MiB, sha256 {made['sha256']}")
