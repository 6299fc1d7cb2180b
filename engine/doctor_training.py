"""Examination of one training: the settings that a run would use, and whether its batch fits the memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from usvi_bench.core.distributed.group import select_device
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.errors import UsageError
from usvi_bench.core.host import GIB, memory_available
from usvi_bench.datasets.open import DataSource
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.doctor import Finding
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.memory_estimate import step_memory
from usvi_bench.engine.numerics import check_numerics, numerics
from usvi_bench.engine.start_weights import locate_weights, shipped_weights


def examine_training(experiment: Experiment, processes: int | None = None) -> Iterator[Finding]:
    """Examine a training without opening its images.

    Args:
        experiment: the training.
        processes: number of processes that it would have; None for those of this command.
    """
    try:
        found = experiment.find(lambda _: None)
        config, first = found.config, found.training
        device = select_device(experiment.device)
        check_numerics(config, device)
    except UsageError as error:
        yield Finding("training", *_split(str(error)))
        return
    for topic, source in (("images", found.scored), ("trained on", found.trained), ("donors", found.donors)):
        if source is not None:
            yield Finding(topic, f"{source.root or source.spec}{_unchecked(source, config)}")
    yield _start(experiment, config, first.reader.name if first.synthetic_spec is not None else None)
    yield _settings(config, device)
    yield memory_finding(config, device, processes)


def _unchecked(source: DataSource, config: RunConfig) -> str:
    if source.synthetic_spec is not None or config.data.check_counts or source.is_own:
        return ""
    return ", not checked against the published counts; its records cannot be added to the leaderboard"


def _split(message: str) -> tuple[str, str]:
    """Split a message at its remedy."""
    text, found, remedy = message.partition("; ")
    return (text, remedy) if found else (message, "correct it")


def _start(experiment: Experiment, config: RunConfig, layout: str | None) -> Finding:
    if experiment.weights is not None:
        try:
            random = experiment.weights == "random"
            return Finding(
                "start", "random" if random else str(locate_weights(experiment.weights, config.encoder.name))
            )
        except UsageError as error:
            return Finding("start", *_split(str(error)))
    if layout is None:
        return Finding("start", "no weights: real data needs --weights", "give a file of the encoder, or 'random'")
    shipped = shipped_weights(config.encoder, layout)
    return Finding("start", shipped.name if shipped.exists() else "random weights: none are shipped for this encoder")


def _settings(config: RunConfig, device: torch.device) -> Finding:
    train, used = config.train, numerics(config, device)
    clusters = f"{train.visible_clusters} + {train.infrared_clusters} clusters x {train.instances} images"
    kernels = [name for name in ("channels_last", "fused", "compile") if used[name]]
    return Finding(
        "training",
        f"{config.method}, encoder {config.encoder.name}, images of {config.data.height} x {config.data.width}, "
        f"batch of {clusters}, precision {used['precision']}, {', '.join(kernels) or 'no further switch'}",
    )


def memory_finding(config: RunConfig, device: torch.device, processes: int | None = None) -> Finding:
    """Estimate the memory of a step and compare it with the free memory, which processes on a CPU share."""
    processes = processes or process_info().world_size
    step = step_memory(config, processes)
    sharing = processes if device.type == "cpu" else 1
    each = f" in each of {processes} processes" if processes > 1 else ""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else memory_available()
    text = (
        f"about {step.total / GIB:.2f} GiB a step{each} for {step.images} images "
        f"(parameters {step.parameters / GIB:.2f}, activations {step.activations / GIB:.2f}, "
        f"gradients {step.gradients / GIB:.2f}); {free / GIB:.1f} GiB are free"
    )
    if step.total * sharing <= free:
        return Finding("memory", text)
    per_instance = (step.activations + step.gradients) / config.train.instances
    fitting = int((free / sharing - step.parameters) / per_instance)
    now = f"train.instances (now {config.train.instances})"
    lower = f"lower --set {now} to at most {fitting}" if fitting > 0 else f"no value of {now} fits: use a larger GPU"
    other = "" if config.train.precision in ("bf16", "fp16") else ", or set train.precision=bf16"
    return Finding("memory", text, f"{lower}{other}; this leaves the setting '{config.setting}'")
