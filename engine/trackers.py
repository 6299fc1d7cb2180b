"""Trackers: TensorBoard, Weights & Biases and MLflow, each behind the same three functions."""

from __future__ import annotations

import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError, did_you_mean

FOLDER = "tracking"
"""Folder of all trackers below the output folder."""
PROJECT = "usvi-bench"
"""Project in Weights & Biases, and experiment in MLflow."""
_MOST_TEXT = 500
"""Longest value of a parameter that MLflow accepts."""


class Tracker(ABC):
    """Tracker of one run.

    Args:
        folder: folder of the tracker, for all runs.
        name: name of the run; another start of the same run has the same name.
        settings: settings of the run by dotted name, as hyper-parameters.
    """

    modules: tuple[str, ...] = ()
    """Modules that the tracker imports."""
    first_step: int = 0
    """First step that the tracker accepts; an earlier one is already stored."""

    @abstractmethod
    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Store the values of a step. Steps rise from call to call."""

    @abstractmethod
    def close(self) -> None:
        """Finish the run."""


class TensorBoardTracker(Tracker):
    """TensorBoard tracker: event files, which are written again from the first step by each start."""

    modules = ("tensorboard", "torch.utils.tensorboard")

    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        place = folder / "tensorboard" / name
        if place.exists():
            shutil.rmtree(place)
        self._writer = SummaryWriter(str(place))
        known = {key: value if isinstance(value, (bool, int, float)) else str(value) for key, value in settings.items()}
        writer = self._writer.file_writer
        assert writer is not None
        for summary in hparams(known, {"final/mAP": 0.0}):
            writer.add_summary(summary)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandbTracker(Tracker):
    """Weights & Biases tracker: offline unless ``WANDB_MODE`` is set.

    Offline, each start replaces the files of earlier starts of the run. Online, it continues the run after its last
    step.
    """

    modules = ("wandb",)

    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read on import; errors would be sent to a server
        import wandb

        mode = os.environ.get("WANDB_MODE", "offline")
        folder.mkdir(parents=True, exist_ok=True)
        if mode == "offline":
            mine = re.compile(rf"offline-run-\d+_\d+-{re.escape(name)}", re.ASCII)
            for old in (folder / "wandb").glob("offline-run-*"):
                if mine.fullmatch(old.name):
                    shutil.rmtree(old)
        quiet = wandb.Settings(
            console="off", silent=True, disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True
        )
        self._run = wandb.init(
            project=PROJECT,
            dir=str(folder),
            id=name,
            name=name,
            config=dict(settings),
            mode=mode,
            resume=None if mode == "offline" else "allow",
            settings=quiet,
        )
        self.first_step = int(self._run.step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class MlflowTracker(Tracker):
    """MLflow tracker: a local database unless ``MLFLOW_TRACKING_URI`` is set.

    Each start deletes the earlier runs of the same name (MLflow can restore them) and writes all steps again.
    """

    modules = ("mlflow",)

    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read on import
        from mlflow.tracking import MlflowClient

        folder.mkdir(parents=True, exist_ok=True)
        chosen = os.environ.get("MLFLOW_TRACKING_URI")
        self._client = MlflowClient(tracking_uri=chosen or f"sqlite:///{(folder / 'mlflow.db').resolve()}")
        found = self._client.get_experiment_by_name(PROJECT)
        place = None if chosen else (folder / "mlflow").resolve().as_uri()
        experiment = found.experiment_id if found else self._client.create_experiment(PROJECT, artifact_location=place)
        for old in self._client.search_runs([experiment], f"attributes.run_name = '{name}'"):
            self._client.delete_run(old.info.run_id)
        self._id = self._client.create_run(experiment, run_name=name).info.run_id
        for key, value in settings.items():
            self._client.log_param(self._id, key, str(value)[:_MOST_TEXT])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._id, name, value, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._id)


TRACKERS: dict[str, type[Tracker]] = {
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
    "mlflow": MlflowTracker,
}


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that are unknown or whose packages cannot be imported.

    Raises:
        UsageError: names the tracker and the command that installs it.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"--track {name:.40}: {did_you_mean(name, TRACKERS)}")
        try:
            for module in TRACKERS[name].modules:
                import_module(module)
        except ImportError as error:
            raise UsageError(
                f"--track {name}: its package cannot be imported ({error}); pip install 'usvi-bench[{name}]', "
                f"or pip install '.[{name}]' in a checkout"
            ) from error
