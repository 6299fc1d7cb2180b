"""What a run will train, before it trains: the stages of every fold, each with the key that identifies it.

A stage's key is a hash of all that its weights depend on (data, fold, seed, method, hyper-parameters, training
settings, and what it starts from), and of how it is scored on the way, where it is. Equal stages of different methods
or protocols are therefore trained once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import RunConfig, digest
from engine.registry import METHODS, UsageError
from engine.seeding import derive
from methods.base import MethodConfig

RECIPE = 2
"""Raised whenever the engine or a component changes what an equal key would train."""


@dataclass(frozen=True)
class StagePlan:
    """One stage of one fold.

    Attributes:
        key: hash of everything the stage's weights depend on.
        folder: where its journal and checkpoints live.
        method: registered name of the method that runs it.
        hyper: its hyper-parameters.
        position: zero-based place in the training.
        epochs: length.
        fold: fold it trains on.
        seed: seed of its draws; the same for every method, so that methods and ablation rows are paired.
        description: what the key was made of, for ``config.json``.
    """

    key: str
    folder: Path
    method: str
    hyper: MethodConfig
    position: int
    epochs: int
    fold: int
    seed: int
    description: dict[str, Any]

    @property
    def finished(self) -> bool:
        """True once it was trained to the end."""
        return (self.folder / "finished.json").exists()

    @property
    def started(self) -> bool:
        """True once a run began it."""
        return (self.folder / "config.json").exists()


def plan_stages(config: RunConfig, fold: int, data: str, start: str, output: Path) -> list[StagePlan]:
    """The stages that a run trains on one fold, in order.

    Args:
        config: the run's settings.
        fold: fold to train on.
        data: fingerprint of the data set.
        start: ``random`` or the hash of the file with the first stage's starting weights.
        output: folder that keeps all runs.
    """
    plans: list[StagePlan] = []
    stages = METHODS.get(config.method).stages(config.hyper)
    for position, stage in enumerate(stages):
        epochs = stage.epochs if stage.epochs is not None else config.train.epochs
        if epochs < 1:
            raise UsageError(f"stage '{stage.method}' has {epochs} epochs; every stage needs at least 1")
        description = {
            "recipe": RECIPE,
            "data": data,
            "fold": fold,
            "seed": config.seed,
            "method": stage.method,
            "position": position,
            "epochs": epochs,
            "start": plans[-1].key if plans else start,
            "hyper": dataclasses.asdict(stage.config),
            **_training_settings(config),
        }
        if config.evaluate_every and position == len(stages) - 1:  # its journal then holds scores
            scoring = dataclasses.asdict(config.scoring)
            description["evaluate"] = {"every": config.evaluate_every, "protocol": config.protocol, **scoring}
        key = digest(description)[:12]
        plans.append(
            StagePlan(
                key=key,
                folder=output / "stages" / f"{stage.method}-fold{fold}-seed{config.seed}-{key}",
                method=stage.method,
                hyper=stage.config,
                position=position,
                epochs=epochs,
                fold=fold,
                seed=derive(config.seed, "stage", position, fold),
                description=description,
            )
        )
    return plans


def run_folder(config: RunConfig, plans: list[StagePlan], output: Path, data: str, start: str) -> Path:
    """Folder of a run's results; its name shows method, seed and the key of its trainings."""
    content = {
        "config": config.resolved(),
        "stages": [plan.key for plan in plans],
        "data": data,
        "start": start,
    }
    return output / config.protocol / f"{config.method}-seed{config.seed}-{digest(content)[:8]}"


def _training_settings(config: RunConfig) -> dict[str, Any]:
    resolved = config.resolved()
    return {
        "image": {name: resolved["data"][name] for name in ("height", "width", "filter")},
        "encoder": resolved["encoder"],
        "augment": resolved["augment"],
        "train": {name: value for name, value in resolved["train"].items() if name != "epochs"},
    }
