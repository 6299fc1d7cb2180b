"""Base class of all methods: labelling, memories, losses, and the updates after a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from usvi_bench.components.augment import VIEWS
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.modalities import view_labels
from usvi_bench.components.unit import split
from usvi_bench.core.bounds import check_bounds
from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.registry import METHODS
from usvi_bench.core.types import Batch, Features, Losses, NextBatch, Optimise, PseudoLabels, StageProgress

Form = Literal["repaired", "released"]
"""``repaired``: the formula that the paper states. ``released``: what the released code computes, defects included."""


@dataclass(frozen=True)
class MethodConfig:
    """Hyper-parameters of a method. The text of a field is its meaning, with the paper's symbol in brackets.

    A numeric field declares its bounds with :func:`usvi_bench.core.bounds.bounded`.
    """

    def __post_init__(self) -> None:
        check_bounds(self, "method")

    def reset(self, *names: str) -> Self:
        """Return the settings with the named fields at their defaults, for a stage that does not depend on them."""
        defaults = type(self)()
        return replace(self, **{f.name: getattr(defaults, f.name) for f in fields(self) if f.name in names})


@dataclass(frozen=True)
class Stage:
    """Stage of a training: a method trained with a fresh optimiser, from the weights of the stage before.

    Attributes:
        method: registered name of the method that is trained.
        config: hyper-parameters of that method. Equal stages of different methods are trained once.
        epochs: length in epochs, or None for ``train.epochs``.
    """

    method: str
    config: MethodConfig
    epochs: int | None = None


class Method(nn.Module):
    """Method of unsupervised training, the base of all methods.

    In every epoch the engine calls :meth:`label` and :meth:`begin_epoch`, then :meth:`step` for every iteration.
    :meth:`begin_epoch` rebuilds all sub-modules but the encoder and the teachers in :meth:`models`. Only these
    networks have state that outlives an epoch, so a checkpoint holds nothing else of a method.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    uses_identities: ClassVar[bool] = False
    """True only for the supervised bound, which receives true identities as pseudo-labels."""
    uses_cameras: ClassVar[bool] = False
    """Whether labels or memories are made from the cameras of the images."""
    summary: ClassVar[str] = ""
    """One line for ``run.py --list``."""

    headline: ClassVar[str] = "student"
    """Name of the network in :meth:`models` whose scores the table shows."""

    embeds: tuple[str, ...] = ()
    """Names of further networks in :meth:`models` that embed the training images for ``Features.by_model``."""
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
            UsageError: the class has no released form. A sub-class outside this package has none, even if the class
                that it derives from has one.
        """
        if getattr(config, "form", "repaired") != "released":
            return cls
        name = f"usvi_bench.methods.released.{cls.__module__.rpartition('.')[2]}"
        ours = cls.__module__.startswith("usvi_bench.methods.")
        module = import_module(name) if ours and find_spec(name) is not None else None
        found: type[Method] | None = getattr(module, f"Released{cls.__name__}", None)
        if found is None:
            raise UsageError(f"{cls.__name__} has no released form; leave method.form=repaired")
        return found

    @classmethod
    def stages(cls, config: Any) -> tuple[Stage, ...]:
        """Return the stages of a training, in order; the last one trains the method itself."""
        return (Stage(METHODS.name_of(cls), config),)

    @classmethod
    def missing_parts(cls) -> list[str]:
        """List the missing or invalid attributes that training and ``--list`` need, as phrases of an error message."""
        lacks = [] if cls.summary else ["no attribute 'summary', the line that --list shows"]
        kind = cls.Config
        frozen = is_dataclass(kind) and issubclass(kind, MethodConfig) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        if not frozen:
            return [*lacks, "'Config' must be a frozen dataclass that derives from MethodConfig"]
        try:
            config = kind()
        except TypeError:
            return [*lacks, "'Config' has a field without a default"]
        except UsageError as error:
            return [*lacks, f"the defaults of 'Config' are refused: {error}"]
        lacks += cls._wrong_names()
        try:
            trained = bool(cls.stages(config))
        except UsageError:  # ``stages`` needs the registered name, and the class is not registered yet
            trained = True
        needed = [("begin_epoch",), ("loss", "step"), *([] if cls.uses_identities else [("label",)])]
        absent = [names[0] for names in needed if all(getattr(cls, name) is getattr(Method, name) for name in names)]
        return lacks + [f"no method '{name}'" for name in absent if trained]

    @classmethod
    def _wrong_names(cls) -> list[str]:
        wrong = []
        for attribute in ("embeds", "visible_views", "infrared_views"):
            names = getattr(cls, attribute)
            if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
                wrong.append(f"its attribute '{attribute}' must be a tuple of names, found {names!r:.60}")
            elif attribute != "embeds" and not names:
                wrong.append(
                    f"its attribute '{attribute}' is empty, name one view at least: {', '.join(sorted(VIEWS))}"
                )
            elif attribute != "embeds" and (unknown := [name for name in names if name not in VIEWS]):
                wrong.append(f"its attribute '{attribute}' has '{show(unknown[0])}': {did_you_mean(unknown[0], VIEWS)}")
        return wrong

    def label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        """Cluster the training images.

        Of several processes only rank 0 calls this. The labels are broadcast; values stored on ``self`` are not, and
        only :meth:`diagnostics` may read them.
        """
        raise NotImplementedError

    def begin_epoch(self, features: Features, labels: PseudoLabels, progress: StageProgress) -> None:
        """Build the memories of this epoch."""
        raise NotImplementedError

    def loss(self, batch: Batch, progress: StageProgress) -> Losses:
        """Return the named losses of one batch, computed from the memories as they were before the step."""
        raise NotImplementedError

    def end_step(self, progress: StageProgress) -> None:
        """Update the memories and teachers; called after the step of the optimiser."""

    def step(self, next_batch: NextBatch, progress: StageProgress, optimise: Optimise) -> None:
        """Run one iteration; override to take more than one optimiser step."""
        optimise(self.loss(next_batch(), progress))
        self.end_step(progress)

    def embed_batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embed all views of a batch in one forward pass of the encoder; see :func:`embed_views`."""
        return embed_views(self.encoder, batch)

    def models(self) -> Mapping[str, TwoStreamEncoder]:
        """Return the networks to save and score, by name."""
        return {"student": self.encoder}

    def diagnostics(self) -> Mapping[str, float | Tensor]:
        """Return figures of the epoch for the journal, beside losses and cluster counts."""
        return {}


def embed_views(network: TwoStreamEncoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """Embed all views of a batch in one forward pass of a network, for example a teacher.

    Returns:
        Features that are not normalised: visible ``[views * B, D]``, one view after another, and infrared likewise.
    """
    visible, infrared = split(embed_together(network, batch), [len(part) for part in view_labels(batch).values()])
    return visible, infrared


def embed_together(network: TwoStreamEncoder, batch: Batch) -> Tensor:
    """Embed all views of a batch in one forward pass: features ``[B, D]`` of visible and then of infrared views."""
    features: Tensor = network(torch.cat(batch.visible.views), torch.cat(batch.infrared.views))
    return features
