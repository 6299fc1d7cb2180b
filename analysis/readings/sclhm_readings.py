"""Readings of SCLHM: other formulas for its three modules, each from a public sentence, as switches that combine.

SCLHM (Scientific Reports 16, 13951, 2026) is public as an abstract and a lay summary only. Several formulas fit every
sentence; ``sclhm`` is one of them, and the default of every switch here is its formula. Used as a plug-in::

    python run.py ablation --import analysis/readings/sclhm_readings.py --method sclhm_readings \
        --grid analysis/readings/sclhm_readings.toml --protocol sysu_all --data synthetic:size=small,seed=100
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from usvi_bench.components.association import ASSOCIATIONS, paired
from usvi_bench.components.clustering.labelling import centroids_of
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.losses import smoothed_targets, soft_cross_entropy
from usvi_bench.components.memory.hybrid import blend
from usvi_bench.components.memory.rules import mates
from usvi_bench.components.memory.shared_update import UpdateSamples, weighted_update
from usvi_bench.components.modalities import by_modality
from usvi_bench.core.bounds import COUNT, TINY, bounded
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import OUTLIER, Batch, Features, Losses, PseudoLabels, StageProgress
from usvi_bench.methods.base import Stage
from usvi_bench.methods.cluster_contrast import warmup
from usvi_bench.methods.sclhm import SCLHM, SCLHMConfig


@dataclass(frozen=True)
class SCLHMReadingsConfig(SCLHMConfig):
    """Switches of the readings, beside those of ``sclhm``. Statements of the abstract (A) and the lay summary (L) are
    paraphrased in brackets.
    """

    hybrid: Literal["moved", "entries", "examples"] = "moved"
    """Content of the hybrid memory (L: a third memory mixes the most similar visible and infrared entries). ``moved``:
    mixed centroids, then moved by the samples of a batch, which are rarely of both modalities. ``entries``: mixed
    again and again from the present rows of the two other memories. ``examples``: the most similar images of each
    row, see :func:`example_rows`."""
    examples: int = bounded(4, 1, COUNT)
    """Images of each modality in a row of ``examples``."""
    refresh: int = bounded(10, 1, COUNT)
    """Steps after which ``entries`` or ``examples`` are mixed again."""
    matcher: Literal["student", "teacher"] = "student"
    """Network whose centroids are paired (L: the teacher is a slow average of the student)."""
    teacher_temperature: float | None = bounded(None, TINY, 1000)
    """Temperature of the teacher's soft assignment in the targets; None for ``temperature`` (L: the teacher gives a
    probability over the clusters). A lower one than the student's sharpens it, as in DINO."""
    soft_rows: int = bounded(0, 0, COUNT)
    """Clusters with the highest probabilities that enter a soft assignment; 0 for all."""
    soft_form: Literal["blend", "beside"] = "blend"
    """``blend``: one target mixes the hard and the soft assignment (L: they are blended). ``beside``: the soft one is
    the target of a second term with the weight ``smoothing`` and with ``teacher_temperature`` for both networks."""
    reliability: float = bounded(0.0, 0, 10)
    """Exponent of the teacher's probability of the label in the weight of a sample's loss (L: uncertain decisions are
    toned down, reliable ones count more). 0 for equal weights."""
    ramp: bool = False
    """Raise the smoothing linearly from 0 over the stage, while the teacher becomes reliable (L as before)."""
    amu_form: Literal["softmax", "margin"] = "softmax"
    """Weights of AMU (L: more weight to unusual but trustworthy examples, less to ambiguous ones). ``margin``: distance
    from the row times the teacher's lead of this row over the next one, see :func:`margin_shares`."""
    margin_floor: float = bounded(0.05, TINY, 1)
    """Smallest lead in ``margin``."""


@METHODS.register("sclhm_readings")
class SCLHMReadings(SCLHM):
    """SCLHM in other readings of its abstract and lay summary; without a switch, exactly ``sclhm``."""

    Config = SCLHMReadingsConfig
    summary = "readings of SCLHM's public sentences, as switches"

    def __init__(self, config: SCLHMReadingsConfig, encoder: TwoStreamEncoder) -> None:
        super().__init__(config, encoder)
        if config.matcher == "teacher":
            self.embeds = ("teacher",)

    @classmethod
    def stages(cls, config: SCLHMConfig) -> tuple[Stage, ...]:
        return warmup(config, config.warmup_epochs), Stage("sclhm_readings", config)

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        labels, c = super().label(features, progress), self.config
        if c.matcher == "student":
            return labels
        return paired(labels, ASSOCIATIONS[c.association](*centroids_of(features.by_model["teacher"], labels)))

    # ---- HML -----------------------------------------------------------------------------------------------------

    def hybrid_memory(
        self, features: Features, labels: PseudoLabels, visible: Tensor, infrared: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, first, second = super().hybrid_memory(features, labels, visible, infrared)
        if self.config.hybrid != "examples":
            return rows, first, second
        seen = features.normalised()
        self.bank = by_modality((seen.visible, seen.infrared))
        clusters = (labels.visible, first), (labels.infrared, second)
        self.row_of = by_modality(torch.where(own != OUTLIER, rows_of[own], OUTLIER) for own, rows_of in clusters)
        return self.mixed_examples(rows), first, second

    def mixed_examples(self, rows: Tensor) -> Tensor:
        """Return the hybrid rows of :func:`example_rows` from the latest features of all images."""
        first, second = ((self.bank[modality], self.row_of[modality]) for modality in self.bank)
        return example_rows(rows, first, second, self.config.beta, self.config.examples)

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        self.share = progress.iteration / progress.iterations if self.config.ramp else 1.0
        self.drawn = by_modality((batch.visible.index, batch.infrared.index))
        return super().loss(batch, progress)

    @torch.no_grad()
    def end_step(self, progress: StageProgress) -> None:
        super().end_step(progress)
        c, memories = self.config, self.memories
        if c.hybrid == "examples":
            for modality, features in by_modality(self.pending_update.features.split(self.sizes)).items():
                index = self.drawn[modality]
                self.bank[modality][index] = normalize(features.view(-1, len(index), features.shape[1]).sum(dim=0))
        if c.hybrid == "moved" or (progress.step + 1) % c.refresh:
            return
        if c.hybrid == "examples":
            mixed = self.mixed_examples(memories["hybrid"])
        else:
            partners = self.partners["visible"], self.partners["infrared"]
            mixed = blend(memories["visible"], memories["infrared"], partners, c.beta, c.members)[0]
        memories["hybrid"].copy_(mixed)

    # ---- SSCL ----------------------------------------------------------------------------------------------------

    def costs(
        self, logits: Tensor, soft: Tensor, labels: Tensor, smoothing: Tensor, groups: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        c = self.config
        if c.amu and c.amu_form == "margin":
            self.leads = leads(soft if c.sscl else logits.detach().softmax(dim=-1), labels)
        ratio, share = c.temperature / (c.teacher_temperature or c.temperature), smoothing * self.share
        taught = sharpened(soft, ratio, c.soft_rows)
        if c.soft_form == "beside":
            targets = smoothed_targets(labels, taught, torch.zeros_like(share))
            costs = soft_cross_entropy(logits, targets) + share * soft_cross_entropy(ratio * logits, taught)
        else:
            targets, costs = super().costs(logits, taught, labels, share, groups)
        if c.reliability:
            trusted = soft.gather(-1, labels[..., None]).squeeze(-1) ** c.reliability
            kept = (labels != self.stack.spare).to(trusted.dtype)
            parts = zip((trusted * kept).split(self.sizes, dim=1), kept.split(self.sizes, dim=1), strict=True)
            weights = torch.cat([balanced(own, count) for own, count in parts], dim=1)
            costs = torch.where(smoothing > 0, weights * costs, costs)
        return targets, costs

    # ---- AMU -----------------------------------------------------------------------------------------------------

    def adaptive_update(self, rows: Tensor, samples: UpdateSamples) -> tuple[Tensor, Tensor]:
        c = self.config
        if c.amu_form == "softmax":
            return super().adaptive_update(rows, samples)
        own, together = rows[samples.labels], mates(samples.groups(len(rows)))
        distances = 1 - (samples.features * own).sum(dim=-1)
        shares = margin_shares(distances, self.leads, together, c.margin_floor)
        return weighted_update(rows, own, samples, together, shares, c.momentum)


def sharpened(soft: Tensor, ratio: float, most: int) -> Tensor:
    """Sharpen probabilities ``[..., K]``: proportional to q ** ratio, of the ``most`` highest ones only (0: of all).

    The softmax of z / T is proportional to the softmax of z / tau to the power of ratio = tau / T.

    >>> sharpened(torch.tensor([0.5, 0.3, 0.2]), ratio=2.0, most=2)
    tensor([0.7353, 0.2647, 0.0000])
    """
    if ratio == 1 and not most:
        return soft
    sharp = soft**ratio
    if 0 < most < soft.shape[-1]:
        sharp = torch.where(soft >= soft.topk(most, dim=-1).values[..., -1:], sharp, 0)
    return sharp / sharp.sum(dim=-1, keepdim=True).clamp(min=TINY)


def balanced(weights: Tensor, kept: Tensor) -> Tensor:
    """Scale weights ``[P, B]`` to the mean 1 over the samples that count (``kept`` is 1, not 0)."""
    return weights * kept.sum(dim=1, keepdim=True) / weights.sum(dim=1, keepdim=True).clamp(min=TINY)


def leads(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Compute the lead of the label over the next most probable row, from -1 to 1: ``[..., B, K]`` to ``[..., B]``."""
    own = probabilities.gather(-1, labels[..., None]).squeeze(-1)
    return own - probabilities.scatter(-1, labels[..., None], 0).amax(dim=-1)


def margin_shares(distances: Tensor, leads: Tensor, together: Tensor, floor: float) -> Tensor:
    """Compute w_i = d_i max(m_i, floor), scaled to the sum 1 over the samples of a row.

    Args:
        distances: ``[..., B]`` 1 - cos(f_i, M_y) [d].
        leads: ``[..., B]`` lead of the label in the teacher's probabilities [m].
        together: ``[..., B, B]`` samples of the same row.
        floor: smallest lead.

    Returns:
        ``[..., B, B]``: weight of each sample (column) in the row of each sample.
    """
    weights = distances.clamp(min=TINY) * leads.clamp(min=floor)
    members = together * weights[..., None, :]
    return members / members.sum(dim=-1, keepdim=True)


Side = tuple[Tensor, Tensor]
"""Unit features ``[N, D]`` of the images of a modality, and their rows in the hybrid memory ``[N]``, -1 for none."""


def example_rows(rows: Tensor, visible: Side, infrared: Side, beta: float, count: int) -> Tensor:
    """Mix the most similar visible and infrared images of each row: H_k = unit(beta unit(R_k) + (1 - beta) unit(V_k)).

    V_k is the sum of the ``count`` visible images of row k that are most similar to an infrared image of row k, and R_k
    likewise. Pairs of images that are each other's most similar come first. A row without images of both modalities
    stays as it is. The similarities of all images are held at once.
    """
    (v, v_rows), (r, r_rows) = visible, infrared
    same = (v_rows[:, None] == r_rows) & (r_rows != OUTLIER)
    alike = torch.where(same, v @ r.T, -torch.inf)
    halves = []
    for features, own, of_other in ((v, v_rows, alike), (r, r_rows, alike.T)):
        best, partner = of_other.max(dim=1)
        mutual = of_other.argmax(dim=0)[partner] == torch.arange(len(best), device=best.device)
        halves.append(normalize(sum_of_best(features, own, best + 2 * mutual, len(rows), count)))
    mixed = normalize((1 - beta) * halves[0] + beta * halves[1])
    both = (halves[0].norm(dim=1) > 0) & (halves[1].norm(dim=1) > 0)
    return torch.where(both[:, None], mixed, rows)


def sum_of_best(features: Tensor, rows: Tensor, scores: Tensor, size: int, count: int) -> Tensor:
    """Sum the features with the ``count`` highest finite scores of each row: ``[N, D]`` to ``[size, D]``."""
    order = scores.argsort(descending=True, stable=True)
    order = order[rows[order].argsort(stable=True)]
    ordered = rows[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(ordered, ordered)
    chosen = order[(rank < count) & scores[order].isfinite()]
    return features.new_zeros(size, features.shape[1]).index_add(0, rows[chosen], features[chosen])
