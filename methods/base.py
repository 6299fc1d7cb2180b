"""Base class of methods: how one labels images, its memories, its loss, and what moves after a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import Batch, Features, Losses, NextBatch, Optimise, PseudoLabels, StageProgress

Form = Literal["repaired", "released"]
"""What a method computes: the formula that its paper states, or what its released code does, defects included."""


@dataclass(frozen=True)
class MethodConfig:
    """Hyper-parameters of a method; each field names its meaning and the paper's symbol."""

    def check_range(self, low: float, high: float, *names: str) -> None:
        """Refuse fields outside ``[low, high]``; those that are None pass.

        Raises:
            UsageError: names the first such field, its value and the range.
        """
        for name in names:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                bound = f"from {low:g} to {high:g}" if high < math.inf else f"{low:g} or more"
                raise UsageError(f"method.{name}={value} must be {bound}")

    def reset(self, *names: str) -> Self:
        """The same settings, with the named ones at their defaults: what an earlier stage does not depend on."""
        defaults = type(self)()
        return replace(self, **{f.name: getattr(defaults, f.name) for f in fields(self) if f.name in names})


@dataclass(frozen=True)
class Stage:
    """One training phase: a method trained for some epochs with a fresh optimiser, from the last stage's weights.

    Attributes:
        method: registered name of the method that runs the phase.
        config: its hyper-parameters. Equal stages of different methods are trained once.
        epochs: length, or None for ``train.epochs``.
    """

    method: str
    config: MethodConfig
    epochs: int | None = None


class Method(nn.Module):
    """Base of all methods.

    The engine calls, for every epoch: :meth:`label`, :meth:`begin_epoch`, then :meth:`step` for every iteration.
    Sub-modules other than the encoder and the teachers in :meth:`models` are rebuilt in :meth:`begin_epoch` and
    hold no state between epochs, so a checkpoint needs only the networks.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    uses_identities: ClassVar[bool] = False
    """True only for the supervised bound, which receives true identities as pseudo-labels."""
    summary: ClassVar[str] = ""
    """One line for ``run.py --list``."""

    headline: ClassVar[str] = "student"
    """Which of :meth:`models` the table shows."""

    embeds: tuple[str, ...] = ()
    """Further :meth:`models` whose features of the training images an epoch begins with, in ``Features.by_model``."""
    visible_views: tuple[str, ...] = ("plain", "channel")
    """Augmentation of each visible view of a batch, by name (see ``usvi_bench.components.augment``)."""
    infrared_views: tuple[str, ...] = ("infrared",)
    """Augmentation of each infrared view of a batch."""

    def __init__(self, config: Any, encoder: TwoStreamEncoder) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder

    @classmethod
    def in_form(cls, config: Any) -> type[Method]:
        """Return the class itself, or its sub-class in ``methods/released/`` if ``config.form`` is ``released``.

        Raises:
            UsageError: the class has no released form, such as a class from outside that derives from one with it.
        """
        if getattr(config, "form", "repaired") != "released":
            return cls
        name = f"usvi_bench.methods.released.{cls.__module__.rpartition('.')[2]}"
        module = import_module(name) if find_spec(name) is not None else None
        found: type[Method] | None = getattr(module, f"Released{cls.__name__}", None)
        if found is None:
            raise UsageError(f"{cls.__name__} has no released form; leave method.form=repaired")
        return found

    @classmethod
    def stages(cls, config: Any) -> tuple[Stage, ...]:
        """The phases of a training, in order; the last one is the method itself."""
        return (Stage(METHODS.name_of(cls), config),)

    @classmethod
    def missing_parts(cls) -> list[str]:
        """List what the class lacks to be trained and shown, in words."""
        lacks = [] if cls.summary else ["no attribute 'summary', the line that --list shows"]
        kind = cls.Config
        frozen = is_dataclass(kind) and issubclass(kind, MethodConfig) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        if not frozen:
            return [*lacks, "'Config' must be a frozen dataclass that derives from MethodConfig"]
        try:
            config = kind()
        except TypeError:
            return [*lacks, "'Config' has a field without a default"]
        try:
            trained = bool(cls.stages(config))
        except UsageError:  # its name, which is not registered yet, is asked for
            trained = True
        needed = [("begin_epoch",), ("loss", "step"), *([] if cls.uses_identities else [("label",)])]
        absent = [names[0] for names in needed if all(getattr(cls, name) is getattr(Method, name) for name in names)]
        return lacks + [f"no method '{name}'" for name in absent if trained]

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """Cluster the training images.

        Where processes share a training, rank 0 alone does: what else is kept on ``self`` reaches diagnostics only.
        """
        raise NotImplementedError

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        """Build the memories of this epoch."""
        raise NotImplementedError

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """Named losses of one batch. Memories are read as they were before the step."""
        raise NotImplementedError

    def end_step(self, progress: StageProgress) -> None:
        """Move the memories and teachers, after the optimiser has stepped."""

    def step(self, next_batch: NextBatch, progress: StageProgress, optimise: Optimise) -> None:
        """One iteration; override to take more than one optimiser step."""
        optimise(self.loss(next_batch(), progress))
        self.end_step(progress)

    def embed_batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features of all views of a batch in one forward pass, un-normalised.

        Returns:
            Visible ``[views * B, D]``, view after view, and infrared likewise.
        """
        return embed_views(self.encoder, batch)

    def models(self) -> Mapping[str, TwoStreamEncoder]:
        """Networks to save and score, by name."""
        return {"student": self.encoder}

    def diagnostics(self) -> Mapping[str, float | Tensor]:
        """Figures of the epoch for the journal, beside losses and cluster counts."""
        return {}


def embed_views(network: TwoStreamEncoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """What :meth:`Method.embed_batch` gives, of any network: of a teacher, say."""
    visible = torch.cat(batch.visible.views)
    features = network(visible, torch.cat(batch.infrared.views))
    return features[: len(visible)], features[len(visible) :]
