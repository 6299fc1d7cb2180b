"""A small world for methods: random images of a few people, features, and batches drawn from them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.clustering.labelling import in_both
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.core.distributed.collectives import all_reduce_gradients
from usvi_bench.core.types import Batch, Features, PseudoLabels, Samples, StageProgress
from usvi_bench.methods.base import Method

HEIGHT, WIDTH, PEOPLE, IMAGES = 32, 16, 6, 8


def encoder(seed: int = 0) -> TwoStreamEncoder:
    return build_encoder(SmallConfig(width=8), seed)


def progress(epoch: int = 0, step: int = 0, epochs: int = 4, steps: int = 5) -> StageProgress:
    return StageProgress(epoch, epochs, step, steps, seed=3)


def features(seed: int = 0, people: int = PEOPLE, images: int = IMAGES, width: int = 64) -> Features:
    """Well-separated groups: ``images`` features of each person in each modality, with norms below 1."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(people, width, generator=generator).repeat_interleave(images, 0)
    parts = []
    for gap in (0.0, 0.5):
        rows = centres + gap + 0.2 * torch.randn(centres.shape, generator=generator)
        parts.append(0.9 * normalize(rows, dim=1))
    cameras = torch.arange(len(centres)) % 3
    return Features(parts[0], parts[1], cameras, cameras + 3)


def batch(
    labels: PseudoLabels,
    method: Method,
    seed: int = 0,
    count: int = 12,
    name: str = "clusters",
    extra: int = 0,
    paired: bool = False,
) -> Batch:
    """Random images under the method's own number of views, drawn from the clustered rows; then ``extra`` of all.

    A paired batch has images of clusters that hold both modalities.
    """
    generator = torch.Generator().manual_seed(seed)

    def samples(part: Tensor, views: int) -> Samples:
        clustered = (part >= 0).nonzero().squeeze(1)
        rows = clustered[torch.randperm(len(clustered), generator=generator)[:count]]
        rows = torch.cat([rows, torch.randint(len(part), (extra,), generator=generator)])
        images = tuple(torch.randn(len(rows), 3, HEIGHT, WIDTH, generator=generator) for _ in range(views))
        return Samples(images, part[rows], rows)

    visible, infrared = in_both(*labels[name]) if paired else labels[name]
    return Batch(
        visible=samples(visible, len(method.visible_views)),
        infrared=samples(infrared, len(method.infrared_views)),
    )


def train_steps(method: Method, steps: int = 2) -> list[dict[str, float]]:
    """Label, begin an epoch and take some optimiser steps, as the engine does."""
    seen = features(width=method.encoder.feature_dim)
    seen = replace(seen, by_model={name: features(seed=9, width=method.encoder.feature_dim) for name in method.embeds})
    with torch.no_grad():
        labels = true_labels() if method.uses_identities else method.label(seen, progress())
        method.begin_epoch(seen, labels, progress())
    method.train()
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=1e-3)
    history: list[dict[str, float]] = []

    def optimise(losses: dict[str, Tensor]) -> None:
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        all_reduce_gradients([parameter.grad for parameter in method.encoder.parameters()])
        optimiser.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})

    for step in range(steps):

        def draw(name: str = "clusters", extra: int = 0, paired: bool = False, seed: int = step) -> Batch:
            return batch(labels, method, seed, name=name, extra=extra, paired=paired)

        method.step(draw, progress(step=step), optimise)
    return history


def true_labels() -> PseudoLabels:
    people = torch.arange(PEOPLE).repeat_interleave(IMAGES)
    return PseudoLabels(visible=people, infrared=people)
