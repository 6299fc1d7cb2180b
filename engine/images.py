"""Training images on the device: embedding, and augmented batches drawn by pseudo-labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.augment import AugmentConfig, ViewRequest, augment_views, normalise
from usvi_bench.components.clustering.labelling import in_both
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.sampling import PKSampler
from usvi_bench.core.distributed.collectives import all_gather_rows, local_chunks
from usvi_bench.core.errors import UsageError
from usvi_bench.core.progress import report_progress
from usvi_bench.core.seeding import derive, numpy_generator
from usvi_bench.core.transfers import index_to_device, to_device
from usvi_bench.core.types import Batch, Features, Modality, PseudoLabels, Samples, StageProgress
from usvi_bench.engine.config import TrainConfig


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """Training images of one modality: pixels and cameras, without identities.

    Attributes:
        pixels: ``[N, H, W, 3]`` uint8, on the training device if they fit.
        cameras: ``[N]`` int64.
    """

    modality: Modality
    pixels: Tensor
    cameras: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


def fits(pixels: Tensor, device: torch.device) -> bool:
    """Return whether the images fit on a device; on a GPU they may take a quarter of the free memory."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return pixels.nbytes < free / 4


@torch.no_grad()
def embed(
    encoder: TwoStreamEncoder,
    pixels: Tensor | NDArray[np.uint8],
    modality: Modality,
    batch: int,
    device: torch.device,
    mirror: bool = True,
    order: NDArray[np.int64] | None = None,
    part: str = "",
) -> Tensor:
    """Embed images: the mean of the unit features of each image and its mirror image, not normalised.

    The encoder embeds in evaluation mode; its previous mode is restored.

    Args:
        encoder: encoder to embed with.
        pixels: ``[N, H, W, 3]`` uint8.
        modality: modality of all images.
        batch: number of images in a forward pass.
        device: device of the encoder.
        mirror: also embed the mirror images; otherwise the features are those of the images alone.
        order: ``[M]`` rows of ``pixels`` in the order of the passes; None for all.
        part: which images and network they are, for the progress: ``training, teacher``.

    Returns:
        ``[N, D]`` or ``[M, D]`` float32 on ``device``.
    """
    training = encoder.training
    encoder.eval()
    rows = [torch.empty(0, encoder.feature_dim, device=device)]
    total = len(pixels) if order is None else len(order)
    work = f"embedding {modality} images{f' ({part})' if part else ''}"
    for start in range(0, total, batch):
        report_progress(work, start, total)
        rows_of = slice(start, start + batch)
        chunk = pixels[rows_of if order is None else order[rows_of]]
        # an array is copied: the image cache is a read-only file
        images = normalise(to_device(chunk if isinstance(chunk, Tensor) else torch.tensor(chunk), device))
        rows.append(_both_sides(encoder, images, modality) if mirror else encoder.embed(images, modality).float())
    report_progress(work, total, total)
    encoder.train(training)
    return torch.cat(rows)


def _both_sides(encoder: TwoStreamEncoder, images: Tensor, modality: Modality) -> Tensor:
    """Return the mean feature of images and their mirror images; on a GPU, both pass in one larger batch."""
    if images.is_cuda:
        plain, mirrored = encoder.embed(torch.cat([images, images.flip(3)]), modality).float().chunk(2)
    else:
        plain, mirrored = encoder.embed(images, modality).float(), encoder.embed(images.flip(3), modality).float()
    return (plain + mirrored) / 2


def embed_all(
    encoder: TwoStreamEncoder,
    visible: TrainingImages,
    infrared: TrainingImages,
    batch: int,
    device: torch.device,
    others: Mapping[str, TwoStreamEncoder] = MappingProxyType({}),
    words: str = "training",
) -> Features:
    """Embed the whole training set; an epoch's labels and memories are made from these features.

    With several processes, each embeds a share, and every process gets all features.

    Args:
        encoder: encoder that is trained.
        visible: visible training images.
        infrared: infrared training images.
        batch: number of images in a forward pass.
        device: device that the run computes on.
        others: further encoders by name; their features are in ``by_model``.
        words: which images and network they are, for the progress.
    """

    def whole(part: TrainingImages) -> Tensor:
        own = local_chunks(len(part), batch)
        rows = embed(encoder, part.pixels[own], part.modality, batch, device, part=words)
        return all_gather_rows(rows, own, len(part))

    return Features(
        by_model={
            name: embed_all(other, visible, infrared, batch, device, words=f"{words}, {name}")
            for name, other in others.items()
        },
        visible=whole(visible),
        infrared=whole(infrared),
        visible_cameras=visible.cameras.to(device, copy=True),  # a method may write into it
        infrared_cameras=infrared.cameras.to(device, copy=True),
    )


def retrieval_features(
    encoder: TwoStreamEncoder,
    pixels: NDArray[np.uint8],
    modality: Modality,
    batch: int,
    device: torch.device,
    *,
    mirror: bool,
    order: NDArray[np.int64] | None,
    part: str = "",
) -> NDArray[np.float32]:
    """Compute unit features for retrieval: those of :func:`embed`, normalised again."""
    features = normalize(embed(encoder, pixels, modality, batch, device, mirror, order, part), dim=1)
    found: NDArray[np.float32] = features.cpu().numpy()
    return found


class BatchSampler:
    """Sampler of the batches of one epoch.

    Every sampler and every view has its own generator, seeded by (stage seed, purpose, epoch). Draws do not depend on
    earlier epochs, so an epoch can be repeated from its checkpoint alone.
    """

    def __init__(
        self,
        images: tuple[TrainingImages, TrainingImages],
        labels: PseudoLabels,
        views: tuple[tuple[str, ...], tuple[str, ...]],
        train: TrainConfig,
        augmentation: AugmentConfig,
        progress: StageProgress,
        device: torch.device,
    ) -> None:
        self._images, self._labels, self._views = images, labels, views
        self._train, self._augmentation, self._progress, self._device = train, augmentation, progress, device
        self._samplers: dict[tuple[str, bool], tuple[PKSampler, PKSampler]] = {}
        self._extra = {
            part.modality: numpy_generator(progress.seed, "extra", part.modality, progress.epoch) for part in images
        }
        self._generators = {
            (part.modality, position): torch.Generator(device=device).manual_seed(
                derive(progress.seed, "augment", part.modality, position, progress.epoch)
            )
            for part, names in zip(images, views, strict=True)
            for position in range(len(names))
        }

    def __call__(self, labels: str = "clusters", extra: int = 0, paired: bool = False) -> Batch:
        """Draw the next batch.

        Args:
            labels: name of the pair of label vectors that clusters are drawn by.
            extra: number of further images of each modality, drawn from all images.
            paired: draw the same clusters from both modalities, as many as ``train.visible_clusters``.
        """
        if (labels, paired) not in self._samplers:
            self._samplers[labels, paired] = self._make_samplers(labels, paired)
        samplers = self._samplers[labels, paired]
        first = samplers[0].choose()
        chosen = first, first if paired else samplers[1].choose()
        rows = [
            self._rows(part, sampler.draw_from(own), extra)
            for part, sampler, own in zip(self._images, samplers, chosen, strict=True)
        ]
        indices = to_device(torch.cat(rows), self._device).split([len(own) for own in rows])
        pixels = [
            part.pixels[index]
            if part.pixels.device == index.device
            else index_to_device(part.pixels, own, self._device)
            for part, own, index in zip(self._images, rows, indices, strict=True)
        ]
        requests = [
            ViewRequest(pixels[number], view, self._generators[part.modality, position])
            for number, part in enumerate(self._images)
            for position, view in enumerate(self._views[number])
        ]
        augmented = iter(augment_views(requests, self._augmentation))
        visible, infrared = (
            Samples(tuple(islice(augmented, len(views))), labels.to(self._device)[index], index, _most_repeats(own))
            for views, labels, index, own in zip(self._views, self._labels[labels], indices, rows, strict=True)
        )
        return Batch(visible=visible, infrared=infrared)

    def _rows(self, part: TrainingImages, drawn: Tensor, extra: int) -> Tensor:
        others = torch.from_numpy(self._extra[part.modality].integers(len(part), size=extra))
        return torch.cat([drawn, others])

    def _make_samplers(self, name: str, paired: bool) -> tuple[PKSampler, PKSampler]:
        for part, labels in zip(self._images, self._labels[name], strict=True):
            if len(labels) != len(part):
                raise UsageError(
                    f"draw('{name}') of the method: {len(labels)} labels for {len(part)} {part.modality} images; "
                    "draw batches by a pair of vectors with an entry for each image"
                )
        labels_of_each = self._labels[name]
        clusters = (self._train.visible_clusters, self._train.infrared_clusters)
        if paired:
            labels_of_each, clusters = in_both(*labels_of_each), clusters[:1] * 2
        visible, infrared = (
            PKSampler(
                labels.cpu(),
                part.cameras.cpu() if self._train.cross_camera else torch.zeros_like(part.cameras, device="cpu"),
                clusters=count,
                instances=self._train.instances,
                generator=numpy_generator(self._progress.seed, "sampler", name, part.modality, self._progress.epoch),
                what=f"{part.modality} images",
            )
            for part, labels, count in zip(self._images, labels_of_each, clusters, strict=True)
        )
        return visible, infrared


def _most_repeats(rows: Tensor) -> int:
    """Return the largest number of times that a row is in a batch."""
    return int(rows.unique(return_counts=True)[1].max())
