"""Stages of a run, with their keys and folders.

The key of a stage is a hash of everything that its weights depend on (data, fold, seed, method, hyper-parameters,
training settings, starting weights, source of plug-ins), and of the scoring during training, if any. Equal stages of
different methods or protocols are therefore trained once.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import DamagedFileError, StorageError, UsageError, show
from usvi_bench.core.files import locked, read_json
from usvi_bench.core.journal import Journal, Mark
from usvi_bench.core.plugins import Part, part_keys
from usvi_bench.core.registry import DATASETS, ENCODERS, LR_SCHEDULES, METHODS, PROTOCOLS, SCORE_METRICS
from usvi_bench.core.sealed import read_sealed_json, write_sealed_json
from usvi_bench.core.seeding import derive
from usvi_bench.core.settings import FORMAT, digest, flatten
from usvi_bench.engine.check_method import stages_of
from usvi_bench.engine.config import RunConfig, changed_settings
from usvi_bench.methods.base import Method, MethodConfig, Stage

CACHE_VERSION = 5
"""Version of the training code; raised whenever a change gives other weights for an equal key."""
_REMEDY = "train the stage again with --overwrite"


@dataclass(frozen=True)
class StagePlan:
    """Plan of one stage of one fold.

    Attributes:
        key: hash of everything that the stage's weights depend on.
        folder: folder of its journal and checkpoints.
        method: registered name of the method that runs it.
        method_config: hyper-parameters of that method.
        position: zero-based position among the stages of the fold.
        epochs: number of epochs.
        fold: fold that it trains on.
        seed: seed of its draws; the same for every method, so that methods and ablation rows are paired.
        description: values that the key is computed from, for ``config.json``.
    """

    key: str
    folder: Path
    method: str
    method_config: MethodConfig
    position: int
    epochs: int
    fold: int
    seed: int
    description: dict[str, Any]

    @property
    def method_class(self) -> type[Method]:
        """Class of the method, in the form that its hyper-parameters name."""
        found: type[Method] = METHODS.get(self.method).in_form(self.method_config)
        return found

    @property
    def finished(self) -> bool:
        """True if the stage was trained to the end."""
        return self._end.exists()

    @property
    def started(self) -> bool:
        """True if a run has begun the stage."""
        return (self.folder / "config.json").exists()

    def unfinished_siblings(self) -> list[str]:
        """Name the unfinished trainings of the same method, fold and seed, with up to three different settings."""
        name, texts = self.folder.name.removesuffix(self.key), []
        for path in sorted(self.folder.parent.glob(f"{name}*/config.json")):
            if path.parent == self.folder or (path.parent / self._end.name).exists():
                continue
            try:
                theirs = flatten(read_json(path))
            except (OSError, ValueError, AttributeError):  # a damaged file is no training to name
                continue
            mine = flatten(json.loads(json.dumps(self.description)))
            names = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
            shown = ", ".join(f"{key.removeprefix('settings.')}={show(theirs.get(key))}" for key in names[:3])
            texts.append(f"{path.parent} ({shown})")
        return texts

    @property
    def journal(self) -> Journal:
        """Journal of the stage."""
        return Journal(self.folder / "journal.jsonl")

    @property
    def lock(self) -> Path:
        """File that the process that trains the stage holds locked."""
        return self.folder.with_name(f".{self.folder.name}.lock")

    @property
    def _end(self) -> Path:
        return self.folder / "finished.json"

    def finish(self, journal: Mark, starts: list[dict[str, Any]]) -> None:
        """Mark the stage as finished.

        Args:
            journal: end of the journal.
            starts: environment of every start, see :func:`~usvi_bench.core.environment.stage_provenance`.
        """
        content = {"key": self.key, "method": self.method, "fold": self.fold, "starts": starts}
        write_sealed_json(self._end, {**content, "journal": list(journal)})

    def summary(self) -> dict[str, Any]:
        """Read key, method, fold and starts of the finished stage.

        Raises:
            DamagedFileError: the file is damaged, or belongs to another stage.
        """
        content = self._finished()
        del content["journal"]
        return content

    def entries(self) -> list[dict[str, Any]]:
        """Read the journal of the finished stage.

        Raises:
            DamagedFileError: the journal is damaged or incomplete.
        """
        return self.journal.read_until(Mark(*self._finished()["journal"]))

    def _finished(self) -> dict[str, Any]:
        try:
            content = read_sealed_json(self._end, _REMEDY)
        except OSError as error:
            raise DamagedFileError(f"{self._end} cannot be read ({error.strerror}); {_REMEDY}") from error
        if content["key"] != self.key:
            raise DamagedFileError(f"{self._end} belongs to another stage ({content['key']}); {_REMEDY}")
        return content


def plan_stages(
    config: RunConfig,
    fold: int,
    data: str,
    start: str,
    output: Path,
    version: int = CACHE_VERSION,
    trained: str | None = None,
) -> list[StagePlan]:
    """Plan the stages that a run trains on one fold, in order.

    Args:
        config: settings of the run.
        fold: fold to train on.
        data: fingerprint of the data set.
        start: ``random``, or the sha256 of the starting weights of the first stage.
        output: folder that keeps all runs.
        version: version of the training code; an earlier one for the keys in an earlier record.
        trained: registered name of the data set to train on; that of the protocol if None.

    Raises:
        UsageError: the stages of the method are wrong, see :func:`~usvi_bench.engine.check_method.stages_of`.
    """
    plans: list[StagePlan] = []
    stages = stages_of(config.method, config.method_config)
    for position, stage in enumerate(stages):
        epochs = stage.epochs if stage.epochs is not None else config.train.epochs
        description: dict[str, Any] = {
            "format": FORMAT,
            "cache_version": version,
            "data": data,
            "fold": fold,
            "seed": config.seed,
            "method": stage.method,
            "position": position,
            "epochs": epochs,
            "start": plans[-1].key if plans else start,
            "settings": _training_settings(config, stage),
        }
        if config.evaluate_every and position == len(stages) - 1:  # its journal then holds scores
            changes = changed_settings(config.settings(), stage.method)
            changed = {name: value for name, value in changes.items() if _is_for_scoring(name)}
            description["evaluate"] = {"protocol": config.protocol, "settings": changed}
        scored = "evaluate" in description
        if plugins := part_keys([(METHODS, stage.method), *_shared_parts(config, scored, trained)]):
            description["plugins"] = plugins  # left out if all parts belong to the suite
        key = digest({**description, "settings": changed_settings(description["settings"], stage.method)})[:12]
        plans.append(
            StagePlan(
                key=key,
                folder=output / "stages" / f"{stage.method}-fold{fold}-seed{config.seed}-{key}",
                method=stage.method,
                method_config=stage.config,
                position=position,
                epochs=epochs,
                fold=fold,
                seed=derive(config.seed, "stage", position, fold),
                description=description,
            )
        )
    return plans


def run_folder(config: RunConfig, plans: Sequence[StagePlan], output: Path, data: str, start: str) -> Path:
    """Return the folder of a run's results, named by method, seed and a hash of all that the results depend on."""
    content = {"config": config.hash(start), "seed": config.seed, "stages": [plan.key for plan in plans], "data": data}
    if plugins := part_keys(parts_of(config, plans)):
        content["plugins"] = plugins
    return output / config.protocol / f"{config.method}-seed{config.seed}-{digest(content)[:8]}"


def parts_of(config: RunConfig, plans: Sequence[StagePlan]) -> list[Part]:
    """Return the registered parts that a run uses: methods, metrics, data set, protocol, encoder, schedule."""
    methods = dict.fromkeys([config.method, *(plan.method for plan in plans)])
    metrics = [(SCORE_METRICS, name) for name in SCORE_METRICS.names()]
    return [*((METHODS, method) for method in methods), *metrics, *_shared_parts(config, scored=True)]


@contextmanager
def hold_stage(plan: StagePlan, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a stage's folder. The lock is released when the process ends, even if it is killed.

    Args:
        plan: the stage.
        wait: wait for another process that trains the same stage.

    Raises:
        UsageError: another process trains the same stage, and ``wait`` is false.
        StorageError: the folder cannot be created.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(plan.lock, wait))
        except BlockingIOError as error:
            raise UsageError(f"another process is training {plan.folder}; wait for it or stop it") from error
        yield


def clear_stage(plan: StagePlan) -> None:
    """Remove the files of earlier attempts at the stage.

    Raises:
        StorageError: a file cannot be removed; a finished stage would be reused in spite of ``--overwrite``.
    """
    try:
        shutil.rmtree(plan.folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        what, reason = error.filename or plan.folder, error.strerror or error
        raise StorageError(f"cannot remove {what}: {reason}; remove it, or choose another --output") from error


def _shared_parts(config: RunConfig, scored: bool, trained: str | None = None) -> list[Part]:
    """Return the parts that all stages use; the protocol is one of them only if stages are scored."""
    parts = [
        (DATASETS, trained or PROTOCOLS.get(config.protocol).dataset),
        (ENCODERS, config.encoder.name),
        (LR_SCHEDULES, config.train.lr_schedule),
    ]
    return [*parts, (PROTOCOLS, config.protocol)] if scored else parts


def _training_settings(config: RunConfig, stage: Stage) -> dict[str, Any]:
    """Return the settings that the weights of a stage depend on, with the hyper-parameters of the stage itself."""
    settings = config.settings()
    return {
        "method": json.loads(json.dumps(dataclasses.asdict(stage.config))),
        "data": {name: value for name, value in settings["data"].items() if name not in ("folds", "check_counts")},
        "encoder": settings["encoder"],
        "augment": settings["augment"],
        "train": {name: value for name, value in settings["train"].items() if name != "epochs"},
    }


def _is_for_scoring(name: str) -> bool:
    return name == "evaluate_every" or name.startswith("protocol.")
