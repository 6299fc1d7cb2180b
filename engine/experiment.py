"""Experiment: the description of a run, built by ``run.py`` and by the Python interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from usvi_bench.components.clustering.neighbours import check_search
from usvi_bench.components.encoder.registered import check_network
from usvi_bench.core.distributed.batch_norm import check_parts
from usvi_bench.core.distributed.group import init_process_group, main_process_first, select_device
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.errors import UsageError
from usvi_bench.core.host import cpu_count
from usvi_bench.core.paths import check_output, expanded
from usvi_bench.core.plain import plain_settings, plain_value
from usvi_bench.core.plugins import check_unchanged, import_plugins, list_of_imports
from usvi_bench.core.provenance import Overrides
from usvi_bench.core.registry import METHODS, PROTOCOLS
from usvi_bench.core.settings import SHARED, flatten
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.open import DataSource, find_data
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.device import set_up
from usvi_bench.engine.display import Display
from usvi_bench.engine.donors import check_asked, find_donors, replace_people
from usvi_bench.engine.load_config import load_config, profile_of
from usvi_bench.engine.numerics import check_numerics
from usvi_bench.engine.read_settings import CONFIGS, find_schedule
from usvi_bench.engine.reranking import check_reranking
from usvi_bench.engine.run import Run
from usvi_bench.engine.start_weights import check_disjoint, open_start
from usvi_bench.engine.transfer import TRAINED_FOLD, check_transfer, find_training_data

_TEXTS = ("method", "protocol", "data", "setting", "schedule", "weights", "device")
_PATHS = _OPTIONAL = ("schedule", "weights")
"""Fields of :class:`Experiment` that are text, those of them that may be a path, and those that may be None."""

Opener = Callable[..., tuple[Dataset, str]]
"""Function that opens a data source, as :meth:`usvi_bench.datasets.open.DataSource.open` does."""


@dataclass(frozen=True)
class Experiment:
    """Experiment: the method, protocol, data, seed and settings of a run.

    Attributes:
        method: registered name of the method.
        protocol: registered name of the protocol.
        data: folder of the data set, ``synthetic[:size=small,seed=0,...]``, or ``auto``.
        train_data: data set to train on, if it is another one; then ``data`` is only scored.
        donors: data set whose people replace the share ``data.foreign`` of the training people in visible images.
        seed: seed of the run.
        settings: values by dotted name, typed or as text: ``{"train.epochs": 10, "method.eps": 0.4}``.
        setting: settings to start from: ``shared`` or ``paper``.
        schedule: name of a schedule, which replaces lengths and sizes of the setting; or the path of such a file.
        weights: file of starting weights, or ``random``; None for the shipped weights, on synthetic people only.
        device: ``auto``, ``cpu`` or ``cuda``.
        output: folder that keeps all runs.
        deterministic: use only deterministic kernels.
        imports: plug-ins to import first: names of modules, or paths of ``.py`` files.
    """

    method: str
    protocol: str
    data: str = "auto"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    setting: str = SHARED
    schedule: str | None = None
    weights: str | None = None
    device: str = "auto"
    output: Path = Path("runs")
    deterministic: bool = False
    imports: Sequence[str] = ()
    train_data: str | None = None
    donors: str | None = None

    def __post_init__(self) -> None:
        seed = plain_value(self.seed)
        if type(seed) is not int or seed < 0:
            raise UsageError(f"seed={self.seed!r}: expected a whole number of 0 or more")
        object.__setattr__(self, "seed", seed)
        for name in _TEXTS:
            value = getattr(self, name)
            text = str(value) if name in _PATHS and isinstance(value, Path) else value
            if not isinstance(text, str) and not (text is None and name in _OPTIONAL):
                raise UsageError(f"{name}={value!r:.60}: expected text")
            object.__setattr__(self, name, text)
        if not isinstance(self.output, (str, Path)):
            raise UsageError(f"output={self.output!r:.60}: expected a path")
        if not isinstance(self.settings, Mapping):
            raise UsageError(f"settings={self.settings!r:.60}: give a mapping of names to values")
        object.__setattr__(self, "output", expanded(self.output))
        object.__setattr__(self, "imports", list_of_imports(self.imports))
        object.__setattr__(self, "settings", flatten(plain_settings(self.settings)))

    def find(self, progress: Callable[[str], None]) -> Found:
        """Find the data sets, without reading their images, and load the settings.

        Args:
            progress: receives messages.

        Raises:
            UsageError: the method, the protocol, a setting or a data set is unknown, or they do not fit together.
        """
        import_plugins(self.imports)
        METHODS.get(self.method)
        kind = PROTOCOLS.get(self.protocol).dataset
        scored = find_data(kind, self.data, progress=progress)
        trained = None if self.train_data is None else find_training_data(self.train_data, kind, progress)
        first = trained or scored
        config = load_config(
            self.method,
            self.protocol,
            profile=profile_of(first.reader.profile or first.reader.name, first.synthetic_spec),
            seed=self.seed,
            settings=self.settings,
            setting=self.setting,
            schedule=self.schedule,
        )
        check_asked(self.donors, self.train_data, config.data)
        donors = None if self.donors is None else find_donors(self.donors, kind, progress)
        return Found(config, scored, trained, donors)

    def prepare(self, display: Display | None = None, opener: Opener = DataSource.open) -> Run:
        """Check everything and build the run, before any work is done.

        Args:
            display: display of progress; nothing is printed if it is None.
            opener: function that opens the data set.

        Raises:
            UsageError: the method, the protocol, a setting, the data or the weights are wrong.
        """
        display = display or Display(quiet=True)
        found = self.find(display.print)
        config, trained, donated = found.config, found.trained, found.donors
        PROTOCOLS.get(self.protocol).check_packages()
        for name in (".", "stages", self.protocol):
            check_output(self.output / name)
        source, trained = _with_camera(config.data.camera, found.scored, trained)
        _check_threads(config.engine.threads)
        check_search(config.search)
        check_reranking(PROTOCOLS.get(self.protocol), config.engine.rerank)
        check_network(config.encoder, config.data.height, config.data.width)
        device = select_device(self.device)
        check_numerics(config, device)
        set_up(device, config.engine.deterministic or self.deterministic)
        init_process_group(device, config.engine.timeout)
        check_parts(config.encoder.bn_groups)
        with main_process_first():
            how = {"progress": display.print, "check_counts": config.data.check_counts}
            dataset, sentence = opener(source, **how)
            training, training_sentence = (None, "") if trained is None else opener(trained, **how)
            donors, donors_sentence = (None, "") if donated is None else opener(donated, **how)
        display.print(sentence)
        if training is not None:
            display.print(f"trained on: {training_sentence}")
            check_transfer(training, dataset, config)
        unpaired = None
        if donors is not None:
            display.print(f"donors: {donors_sentence}")
            unpaired = replace_people(dataset, donors, config.data, display.print)
        config = config.resolve(_training_images(dataset, training, config), device)
        check_search(config.search)
        processors = cpu_count() // process_info().local_world_size
        torch.set_num_threads(config.engine.threads or max(1, processors))
        display.log_every = config.engine.log_every
        start = open_start(self.weights, training or dataset, config)
        if training is not None and dataset.synthetic is not None and start.path is not None:
            check_disjoint(start.path, start.sha256 or "", dataset.synthetic)
        display.print(f"starting weights: {start.source}{start.note}")
        run = Run(
            config=config,
            dataset=dataset,
            data_sentence=sentence,
            protocol=PROTOCOLS.get(self.protocol)(config.protocol_config),
            start=start,
            output=self.output,
            device=device,
            display=display,
            overrides=self._recorded(config),
            imports=tuple(self.imports),
            training=training,
            training_sentence=training_sentence,
            unpaired=unpaired,
            donors=donors,
            donors_sentence=donors_sentence,
        )
        check_unchanged(run.parts)
        return run

    @property
    def overrides(self) -> Overrides:
        """Options that differ from the setting, in the form that a record holds."""
        return {"settings": dict(self.settings), "schedule": self.schedule}

    def to_json(self) -> dict[str, Any]:
        """Return the experiment as plain data."""
        content = asdict(self)
        content["output"] = str(self.output)
        content["settings"], content["imports"] = self.overrides["settings"], list(self.imports)
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Experiment:
        """Build an experiment from the plain data of :meth:`to_json`."""
        return cls(**{**content, "output": Path(content["output"])})

    def words(self) -> list[str]:
        """Return the options of ``run.py`` that describe the experiment, without those at their default.

        >>> Experiment("pgm", "sysu_all", seed=1, settings={"train.epochs": 10}).words()
        ['--method', 'pgm', '--protocol', 'sysu_all', '--seed', '1', '--set', 'train.epochs=10']
        """
        words = []
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in ("settings", "deterministic", "imports") or value in (option.default, None):
                continue
            words += [f"--{option.name.replace('_', '-')}", str(value)]
        words += ["--deterministic"] if self.deterministic else []
        words = [word for spec in self.imports for word in ("--import", spec)] + words
        settings = [f"{name}={_as_text(value)}" for name, value in self.overrides["settings"].items()]
        return [*words, "--set", *settings] if settings else words

    def _recorded(self, config: RunConfig) -> Overrides:
        """Return the options for the record.

        With a schedule file of the user, they are all settings of the run, without its path.
        """
        if self.schedule is None or find_schedule(self.schedule).is_relative_to(CONFIGS):
            return self.overrides
        own = {name: value for name, value in self.overrides["settings"].items() if name.startswith("engine.")}
        return {"settings": {**flatten(config.settings()), **own}, "schedule": None}


@dataclass(frozen=True)
class Found:
    """Found settings and data sets of an experiment.

    Attributes:
        config: settings.
        scored: data set that is scored, and trained on if there is no other.
        trained: data set of ``train_data``.
        donors: data set of ``donors``.
    """

    config: RunConfig
    scored: DataSource
    trained: DataSource | None
    donors: DataSource | None

    @property
    def training(self) -> DataSource:
        """Data set that is trained on."""
        return self.trained or self.scored


def _with_camera(camera: str, source: DataSource, trained: DataSource | None) -> tuple[DataSource, DataSource | None]:
    """Add the pattern of cameras to the sources of own images.

    Without any, add it to the scored source, which refuses it when it is opened.
    """
    sources = [source] if trained is None else [source, trained]
    if not any(each.is_own for each in sources):
        return replace(source, camera=camera), trained
    found = [replace(each, camera=camera) if each.is_own else each for each in sources]
    return found[0], found[1] if trained is not None else None


def _training_images(dataset: Dataset, training: Dataset | None, config: RunConfig) -> int:
    """Return the number of training images of the largest fold."""
    if training is not None:
        split = training.train(TRAINED_FOLD)
        return len(split.visible) + len(split.infrared)
    splits = [dataset.train(fold) for fold in config.data.folds or dataset.folds if fold in dataset.folds]
    return max((len(split.visible) + len(split.infrared) for split in splits), default=0)


def _as_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _check_threads(threads: int) -> None:
    most = max(64, 4 * cpu_count())
    if threads > most:
        raise UsageError(
            f"engine.threads={threads}: more than {most} for {cpu_count()} processors; give fewer, or 0 for all"
        )


def refuse_both(resume: bool, overwrite: bool) -> None:
    """Refuse to continue and to discard a training at once.

    Raises:
        UsageError: both are asked for.
    """
    if resume and overwrite:
        raise UsageError("--resume continues a training and --overwrite discards it: give one of them")
