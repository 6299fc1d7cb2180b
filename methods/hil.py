"""HIL: label transfer between modalities (BRST) and multi-centre contrastive learning (MCCL).

"Hierarchical Identity Learning for Unsupervised Visible-Infrared Person Re-Identification", Shi H., Wang Y., Cheng D.,
He L., Wang N., Gao X., 2025, https://arxiv.org/abs/2509.11587.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from usvi_bench.components.crossing import cross_direction
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.components.memory.instance import InstanceMemory
from usvi_bench.components.memory.module_dict import module_dict
from usvi_bench.components.memory.sub_centres import SubCentres, gated_sum, multi_centre_loss
from usvi_bench.components.modalities import by_modality, clustered, view_labels
from usvi_bench.components.neighbour_losses import neighbour_costs, neighbour_mask
from usvi_bench.components.transfer import transferred, voted
from usvi_bench.components.unit import detached, split, unit
from usvi_bench.core.bounds import EPOCHS, TINY, WEIGHT, bounded
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.core.seeding import torch_generator
from usvi_bench.core.types import OUTLIER, Batch, Features, Losses, Modality, PseudoLabels, StageProgress
from usvi_bench.methods.base import Form, Stage, embed_together
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig, warmup


@dataclass(frozen=True)
class HILConfig(ClusterContrastConfig):
    """Hyper-parameters of HIL, beside those of its first stage; defaults are the released values for SYSU-MM01."""

    transfer: Literal["ir_to_rgb", "alternate", "votes", "none"] = "ir_to_rgb"
    """Direction of label transfer (BRST). ``ir_to_rgb``: infrared clusters label visible images. ``alternate``: the
    reverse in odd epochs. ``votes``: nearest infrared images label visible ones, as in SDCL. ``none``: each modality
    keeps its own clusters and memory."""
    transfer_from: float = bounded(0.0, 0, 1)
    """Fraction of the stage before which each modality keeps its own clusters and memory."""
    tau: float = bounded(0.5, 0, 1)
    """Smallest similarity of a transferred image to its prototype, as a share of the largest similarity of any image
    to that prototype [tau]; 0.8 on RegDB."""
    mccl: bool = True
    """Use multi-centre contrastive learning (MCCL)."""
    sub_centres: int = bounded(9, 0, 256)
    """Number of sub-centres of a cluster in secondary clustering [S]; 2 on RegDB."""
    blend: float = bounded(0.9, 0, 1)
    """Weight of the cluster's centre in its sub-centres."""
    gate: Literal["agree", "none"] = "agree"
    """Samples that take part in MCCL: those whose nearest cluster is their own, or all."""
    positive: Literal["nearest", "label"] = "nearest"
    """Positive cluster of a sample in MCCL; both choices are equal with ``gate=agree``."""
    mccl_memory: Literal["shared", "per_modality"] = "shared"
    """Centres of MCCL: those of both modalities together, or a term for the centres of each modality."""
    mccl_weight: float = bounded(1.0, 0, WEIGHT)
    """Weight of MCCL from ``mccl_switch`` on [w]; the loss has 2 w, for contrast within and across modalities."""
    mccl_early: float = bounded(0.1, 0, WEIGHT)
    """Weight of MCCL before ``mccl_switch`` [w]."""
    mccl_switch: float = bounded(2 / 3, 0, 1)
    """Fraction of the stage at which the weight of MCCL changes: epoch 20 of 30."""
    neighbours: bool = True
    """Use the neighbour losses, which come from SDCL."""
    neighbour_threshold: float = bounded(0.9, 0, 1)
    """Smallest similarity of a neighbour, as a share of the similarity of the nearest image."""
    neighbour_temperature: float = bounded(0.05, TINY, 1000)
    """Temperature of the softmax over all images of a modality."""
    neighbour_weight: float = bounded(0.1, 0, WEIGHT)
    """Weight of the neighbour losses."""
    visible_damping: float = bounded(0.1, 0, WEIGHT)
    """Further factor of the loss between visible samples and infrared neighbours."""
    instance_momentum: float | None = bounded(None, 0, 1)
    """Weight of the old row in an update of an instance memory. None: 0.9 / (0.9 + 0.1 sqrt(D)) for features of width
    D, which is 0.25 at 768, 0.17 at 2,048 and 0.44 at 128."""
    first_momentum: float | None = bounded(None, 0, 1)
    """Weight of the old row in a memory update in the first epoch; None for ``momentum``."""
    warmup_epochs: int | None = bounded(None, 1, EPOCHS)
    """Epochs of the first stage; None for the length of the second stage."""
    stage1: Literal["clusters", "sdcl"] = "clusters"
    """First stage. ``clusters``: dual cluster contrast, which other methods share. ``sdcl``: as in SDCL's script for
    RegDB, with a momentum of 0.99 in the first epoch, and with ``transfer=votes`` from epoch 20 of 30 on."""
    form: Form = "repaired"
    """``released`` has the late gradients and the long features of the released code, see
    :mod:`usvi_bench.methods.released.hil`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mccl and self.transfer == "none":
            raise UsageError("method.transfer=none leaves no shared clusters for MCCL: add --set method.mccl=false")
        if self.mccl and self.transfer_from:
            raise UsageError(
                f"method.transfer_from={self.transfer_from} leaves no shared clusters for MCCL in the first epochs: "
                "add --set method.mccl=false"
            )

    @property
    def first_stage(self) -> Stage:
        """First stage; ``sdcl`` has the form of the second stage, and neither MCCL nor neighbour losses."""
        first = warmup(self, self.warmup_epochs)
        if self.stage1 == "clusters":
            return first
        own = HILConfig(**vars(first.config), transfer="votes", transfer_from=2 / 3, first_momentum=0.99, mccl=False)
        return Stage("hil", replace(own, neighbours=False, form=self.form), self.warmup_epochs)


@METHODS.register("hil")
class HIL(ClusterContrast):
    """HIL: clusters of one modality label the images of the other, and one memory serves both.

    :math:`L = C_v + C_r + L_m + L_n`. C is the contrast of visible and infrared images with the shared memory of the
    clusters that BRST transfers (:func:`usvi_bench.components.transfer.transfer_labels`). :math:`L_m` pulls features to
    all sub-centres of their nearest cluster (:meth:`multi_centre`). :math:`L_n` pulls them to their neighbours in a
    memory of all training images (:meth:`neighbour_losses`).

    **Differs from** the released code (haonanshi0125/HIL @09c857a): that code trains a ViT-B/16 with a deep and a
    shallow feature, which have to agree on the nearest cluster. Here the common backbone has one feature, and the
    nearest cluster has to agree with the pseudo-label. That code continues SDCL for 30 epochs, by SGD at a tenth of
    SDCL's learning rate; here stages, optimiser and schedule are those of all methods. At epoch 20 it returns to the
    checkpoint with the best *test* score; no form here does. Gradients use memories as they were at the forward pass.
    The released instance memories mix 0.9 of the old row with 0.1 of a feature of any length, about sqrt(D). Here
    features are unit, and the default of ``instance_momentum`` gives both the same weights. ``form=released`` restores
    the released order and the released mixture. Labels and memories start from means of the unit features of an image
    and its mirror image; there the features are not normalised. All clusters are split together, so sub-centres are not
    those of scikit-learn's k-means bit for bit. MCCL is 0 if no sample passes the gate, instead of NaN.

    **Known publicly:** the abstract and the code. The abstract announces bidirectional matching; the code has one
    direction (``transfer=alternate`` has both). **Our reconstruction:** the form with one feature.

    **Where:** BRST is ``label``; secondary clustering ``begin_epoch``; MCCL ``multi_centre``; neighbour learning
    ``neighbour_losses``. Equations are those of the code; the paper's numbers are not known to us.
    """

    Config = HILConfig
    summary = "labels transferred between modalities, sub-centres, neighbours (2025; one-feature variant)"

    instances: dict[Modality, InstanceMemory]
    """Instance memory of each modality."""
    centres: tuple[SubCentres, ...]
    """Centres of MCCL: one set for both modalities together, or one set for each modality."""

    @classmethod
    def stages(cls, config: HILConfig) -> tuple[Stage, ...]:
        return config.first_stage, Stage("hil", config)

    def shares(self, progress: StageProgress) -> bool:
        """Return whether labels are transferred in this epoch, so that one memory serves both modalities."""
        return bool(self.config.transfer != "none" and progress.fraction >= self.config.transfer_from)

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """Label images with clusters of the other modality by BRST (bidirectional reverse selection transmission).

        ``P_k`` is the centroid of infrared cluster ``k``; ``i`` and ``j`` are visible images, ``i`` in some cluster::

            k* = argmax_k cos(x_i, P_k)
            y_i = k*  if  cos(x_i, P_k*) >= tau max_j cos(x_j, P_k*),  else outlier

        See :func:`usvi_bench.components.transfer.transfer_labels`.
        """
        own = super().label(features, progress)
        if not self.shares(progress):
            return own
        back = self.config.transfer == "alternate" and progress.epoch % 2 == 1
        modality: Modality = "infrared" if back else "visible"
        votes = self.config.transfer == "votes"
        labels = voted(features, own) if votes else transferred(features, own, modality, self.config.tau)
        before, after = (by_modality(part["clusters"])[modality] != OUTLIER for part in (own, labels))
        self.passed = after.sum() / before.sum()
        return labels

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        """Build the shared memory and, by secondary clustering, the centres of MCCL.

        Centres of cluster ``k`` are unit ``D_k0 = mean_k`` and ``D_kj = blend mean_k + (1 - blend) mean_kj``,
        ``mean_kj`` the mean of its part ``j`` of ``S`` (:func:`usvi_bench.components.memory.sub_centres.sub_centres`).
        """
        c = self.config
        self.agreement: list[Tensor] = []
        self.centres, self.owners = (), []
        images = features.visible, features.infrared
        self.instances = module_dict(by_modality(self.instance_memory(rows, c.instance_momentum) for rows in images))
        self.instance_updates: list[tuple[ClusterMemory, Tensor, Tensor]] = []
        self.shared = self.shares(progress)
        both = torch.cat(images), torch.cat(labels["clusters"])
        if self.shared:
            self.visible_memory = self.infrared_memory = self.make_memory(*both)
        else:
            super().begin_epoch(features, labels, progress)
        if c.first_momentum is not None and progress.epoch == 0:
            self.visible_memory.momentum = self.infrared_memory.momentum = c.first_momentum
        if c.mccl:
            sources = [both] if c.mccl_memory == "shared" else clustered(features, labels).values()
            generator = torch_generator(progress.seed_for("sub_centres"))
            self.centres = tuple(SubCentres.of(*source, c.sub_centres, c.blend, generator) for source in sources)
            clusters = torch.arange(len(self.visible_memory.rows), device=features.visible.device)
            found = [centres.find(clusters) for centres in self.centres]
            self.owners = [torch.where(known, rows, OUTLIER) for rows, known in found]

    def instance_memory(self, features: Tensor, momentum: float | None) -> InstanceMemory:
        """Make the memory of the images of a modality."""
        return InstanceMemory(features, momentum)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """Return the contrast, MCCL and neighbour losses: ``L = C_v + C_r + 2 w (L_MCCL^v + L_MCCL^r) + N``."""
        c, labels = self.config, view_labels(batch)
        both = embed_together(self.encoder, batch)
        own = by_modality(split(both, [len(y) for y in labels.values()]))
        losses = self.contrast(own["visible"], own["infrared"], batch)
        if c.mccl:
            weight = c.mccl_weight if progress.fraction >= c.mccl_switch else c.mccl_early
            losses["mccl"] = 2 * weight * self.multi_centre(both, labels)
        return losses | (self.neighbour_losses(both, own, batch, progress) if c.neighbours else {})

    def multi_centre(self, features: Tensor, labels: dict[Modality, Tensor]) -> Tensor:
        """Compute MCCL (multi-centre contrastive learning) ``L_v + L_r``, averaged over the sets of centres.

        ``e_km = |f - D_km|`` is the distance of a unit feature from centre ``m`` of cluster ``k``, ``k*`` the nearest
        cluster, and the mean is over samples whose ``k*`` is their label (``gate``)::

            pos = mean_m 1 / e_k*m    neg = mean_{k != k*} 1 / min_m e_km
            L_MCCL = mean_f -log( pos / (pos + neg) )

        See :func:`usvi_bench.components.memory.sub_centres.multi_centre_loss`.
        """
        c, y = self.config, torch.cat(list(labels.values()))
        sizes, terms = [len(part) for part in labels.values()], []
        for centres, owners in zip(self.centres, self.owners, strict=True):
            own = owners[y]
            positive = own.clamp(min=0) if c.positive == "label" else None
            costs, nearest = multi_centre_loss(features, centres.rows, positive)
            agrees = nearest == own
            self.agreement += agrees.split(sizes)
            kept = agrees
            if c.gate == "none":
                kept = torch.ones_like(agrees) if positive is None else own != OUTLIER
            terms.append(gated_sum(costs, kept, sizes))
        return sum(terms[1:], terms[0]) / len(self.centres)

    def neighbour_losses(
        self, features: Tensor, own: dict[Modality, Tensor], batch: Batch, progress: StageProgress
    ) -> Losses:
        """Compute the neighbour losses (SDCL): w (N_vv + N_rr), and w d N_vr in even epochs or w N_rv in odd epochs.

        N_qk is the mean cost of samples of modality q with their neighbours in modality k
        (:func:`usvi_bench.components.neighbour_losses.neighbour_costs`), w ``neighbour_weight``, d ``visible_damping``.

        Args:
            features: features of both modalities.
            own: those of each modality.
            batch: batch of the features.
            progress: current epoch, which decides on the direction across modalities.
        """
        c, parts = self.config, by_modality((batch.visible, batch.infrared))
        images = {m: samples.index.repeat(len(samples.views)) for m, samples in parts.items()}
        self.keep_instances(own, images, [len(samples.views) * samples.most_repeats for samples in parts.values()])
        seen = {m: self.instances[m].rows[index] for m, index in images.items()}
        source, target = cross_direction(progress.epoch)
        alone = self.neighbour_costs(own[source], seen[source], source).mean()
        others = self.neighbour_costs(features, torch.cat(list(seen.values())), target)
        costs = by_modality(part.mean() for part in others.split([len(index) for index in images.values()]))
        weight = c.neighbour_weight * (c.visible_damping if source == "visible" else 1)
        return {
            "neighbours_within": c.neighbour_weight * (alone + costs[target]),
            "neighbours_across": weight * costs[source],
        }

    def keep_instances(
        self, features: dict[Modality, Tensor], images: dict[Modality, Tensor], repeats: list[int]
    ) -> None:
        """Keep the features and images of a batch, and the largest number of features of an image, for the update."""
        self.instance_updates = [(self.instances[m], detached(rows), images[m]) for m, rows in features.items()]
        for memory in self.instances.values():
            memory.most_samples = max(repeats) if all(repeats) else 0

    def neighbour_costs(self, features: Tensor, seen: Tensor, key: Modality) -> Tensor:
        """Compute the costs ``[B]`` of features with the neighbours, in modality ``key``, of their images' rows."""
        mask = neighbour_mask(seen, self.instances[key].rows, self.config.neighbour_threshold)
        return neighbour_costs(self.similarity(features, key) / self.config.neighbour_temperature, mask)

    def similarity(self, features: Tensor, key: Modality) -> Tensor:
        """Compute the cosines ``[B, N]`` of features with the images of a modality."""
        return unit(features) @ self.instances[key].rows.detach().t()

    def updates(self) -> list[tuple[ClusterMemory, Tensor, Tensor]]:
        return super().updates() + self.instance_updates

    def diagnostics(self) -> Mapping[str, float | Tensor]:
        figures: dict[str, Tensor] = {}
        if self.shared:
            figures["transferred"] = self.passed
        if self.config.mccl:
            figures["agreement"] = torch.stack([part.float().mean() for part in self.agreement]).mean()
        return figures
