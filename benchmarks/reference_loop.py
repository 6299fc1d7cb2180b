"""Reference loop: an epoch of dual cluster contrast in the style of released code, as a baseline for speed.

It reimplements how that code works (Cluster-Contrast, alibaba/cluster-contrast-reid @57b62e9; ADCA, yangbincv/ADCA
@8d0a8cb): Pillow opens, resizes and augments images one by one in worker processes; the training set is embedded twice,
for image and mirror image; distances are dense; memories are updated sample by sample; everything is float32. Network,
losses and optimiser are those of this project, so only the organisation of the work differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from torch.utils.data import DataLoader, Dataset

from usvi_bench.benchmarks.naive_clustering import naive_jaccard, naive_labels
from usvi_bench.components.augment import ERASED, MEAN, STD
from usvi_bench.components.clustering.dbscan import centroids
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.sampling import PKSampler
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import ImageTable
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.device import synchronized_time
from usvi_bench.methods.cluster_contrast import ClusterContrastConfig

View = Callable[[Image.Image, np.random.Generator], Tensor]


@dataclass(frozen=True)
class Size:
    """Size of the images, and width of the border that random crops use."""

    height: int
    width: int
    pad: int

    def plain(self, image: Image.Image, _: np.random.Generator | None = None) -> Tensor:
        """Resize and normalise an image without augmentation."""
        pixels = np.asarray(image.convert("RGB").resize((self.width, self.height), Image.Resampling.BICUBIC))
        planes = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
        return (planes - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)

    def varied(self, image: Image.Image, draws: np.random.Generator) -> Tensor:
        """Augment an image: border, random crop, mirror, erased box."""
        image = image.convert("RGB").resize((self.width, self.height), Image.Resampling.BICUBIC)
        image = ImageOps.expand(image, self.pad)
        left, top = draws.integers(0, 2 * self.pad + 1, 2)
        image = image.crop((left, top, left + self.width, top + self.height))
        planes = self.plain(ImageOps.mirror(image) if draws.random() < 0.5 else image)
        for _ in range(100 if draws.random() < 0.5 else 0):
            area, aspect = draws.uniform(0.02, 0.4) * self.height * self.width, draws.uniform(0.3, 1 / 0.3)
            tall, wide = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
            if tall < self.height and wide < self.width:
                y, x = draws.integers(0, self.height - tall + 1), draws.integers(0, self.width - wide + 1)
                planes[:, y : y + tall, x : x + wide] = torch.tensor(ERASED).view(3, 1, 1)
                break
        return planes

    def colourless(self, image: Image.Image, draws: np.random.Generator) -> Tensor:
        """Augment an image and keep one channel."""
        planes = self.varied(image, draws)
        return planes[draws.integers(3)].expand(3, -1, -1)


class Pictures(Dataset[tuple[Tensor, ...]]):
    """Pictures of a table, opened on access."""

    def __init__(self, table: ImageTable, views: tuple[View, ...], rows: Tensor) -> None:
        self.table, self.views, self.rows = table, views, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        row = int(self.rows[index])
        draws = np.random.default_rng([index, row])
        with Image.open(self.table.root / self.table.paths[row]) as image:
            return (*(view(image, draws) for view in self.views), torch.tensor(row))


class SampleMemory:
    """Sample memory, whose rows are updated sample by sample."""

    def __init__(self, rows: Tensor, config: ClusterContrastConfig) -> None:
        self.rows, self.config = normalize(rows), config

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Compute the cross-entropy against all rows."""
        return cross_entropy(normalize(features) @ self.rows.T / self.config.temperature, labels)

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Update the rows with one sample after the other."""
        self.rows, momentum = self.rows.clone(), self.config.momentum
        for feature, label in zip(normalize(features), labels, strict=True):
            self.rows[label] = momentum * self.rows[label] + (1 - momentum) * feature
            self.rows[label] /= self.rows[label].norm()


def epoch(
    config: RunConfig,
    encoder: TwoStreamEncoder,
    tables: tuple[ImageTable, ImageTable],
    workers: int,
    device: torch.device,
) -> dict[str, float]:
    """Run one epoch and return the seconds of each part: embed, cluster, step (all steps)."""
    hyper = config.method_config
    assert isinstance(hyper, ClusterContrastConfig)
    size = Size(config.data.height, config.data.width, config.augment.pad)
    started = synchronized_time(device)
    features = [_embedded(encoder, table, size, config.train.embed_batch, workers, device) for table in tables]
    embedded = synchronized_time(device)
    labels = [_labels(part, hyper) for part in features]
    memories = [SampleMemory(centroids(f, y.to(device)), hyper) for f, y in zip(features, labels, strict=True)]
    clustered = synchronized_time(device)
    _steps(config, encoder.train(), tables, labels, memories, size, workers, device)
    return {"embed": embedded - started, "cluster": clustered - embedded, "step": synchronized_time(device) - clustered}


def _loader(pictures: Pictures, batch: int, workers: int) -> Iterator[list[Tensor]]:
    return iter(DataLoader(pictures, batch, num_workers=workers, pin_memory=torch.cuda.is_available()))


@torch.no_grad()
def _embedded(
    encoder: TwoStreamEncoder, table: ImageTable, size: Size, batch: int, workers: int, device: torch.device
) -> Tensor:
    encoder.eval()
    halves = []
    for mirrored in (False, True):
        loader = _loader(Pictures(table, (size.plain,), torch.arange(len(table))), batch, workers)
        images = (images.flip(3) if mirrored else images for images, _ in loader)
        halves.append(torch.cat([encoder.embed(some.to(device), table.modality).cpu() for some in images]))
    return ((halves[0] + halves[1]) / 2).to(device)


def _labels(features: Tensor, hyper: ClusterContrastConfig) -> Tensor:
    unit = normalize(features) if hyper.normalise_features else features
    distance = naive_jaccard(unit.cpu().numpy(), hyper.k1, hyper.k2)
    return torch.from_numpy(naive_labels(distance, hyper.eps, hyper.min_samples)).long()


def _steps(
    config: RunConfig,
    encoder: TwoStreamEncoder,
    tables: tuple[ImageTable, ImageTable],
    labels: list[Tensor],
    memories: list[SampleMemory],
    size: Size,
    workers: int,
    device: torch.device,
) -> None:
    train = config.train
    chains: dict[Modality, tuple[View, ...]] = {
        "visible": (size.varied, size.colourless),
        "infrared": (size.varied,),
    }
    loaders = []
    for table, own, clusters in zip(tables, labels, (train.visible_clusters, train.infrared_clusters), strict=True):
        sampler = PKSampler(own, torch.from_numpy(table.cameras), clusters, train.instances, np.random.default_rng(0))
        rows = torch.cat([sampler.draw() for _ in range(train.iterations)])
        loaders.append(_loader(Pictures(table, chains[table.modality], rows), clusters * train.instances, workers))
    weights = [p for p in encoder.parameters() if p.requires_grad]
    adam = torch.optim.Adam(weights, lr=train.lr, weight_decay=train.weight_decay)
    for visible, infrared in zip(*loaders, strict=True):
        parts = [torch.cat(part[:-1]).to(device) for part in (visible, infrared)]
        marks = [
            y[part[-1]].repeat(len(part) - 1).to(device) for y, part in zip(labels, (visible, infrared), strict=True)
        ]
        features = encoder(*parts).split([len(part) for part in parts])
        loss = torch.stack([m.loss(f, y) for m, f, y in zip(memories, features, marks, strict=True)]).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        for memory, rows, mark in zip(memories, features, marks, strict=True):
            memory.update(rows.detach(), mark)
        loss.item()  # released code prints the loss in every step
