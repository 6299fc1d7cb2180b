"""Train methods on the pretended device: ``python -m tests.pretended_cuda.run JOBS RESULTS``, from the checkout.

``JOBS`` is a JSON file with a list of jobs, see :class:`Job`; ``RESULTS`` is written with one result for each.
"""

from __future__ import annotations

from tests.pretended_cuda import guard

if __name__ == "__main__":
    guard.load()

import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

import usvi_bench
from tests.pretended_cuda import controls
from tests.pretended_cuda.device import Seen, pretended_cuda
from usvi_bench.components.clustering import labelling
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.types import StageProgress
from usvi_bench.engine.training import StageTraining


@dataclass
class Job:
    """Job: a training, and what to do to it.

    Attributes:
        method: method to train.
        output: folder of its run.
        data: folder of the data set.
        settings: settings of the run.
        options: further arguments of :func:`usvi_bench.run`, such as ``device`` or ``resume``.
        clusters: number of clusters that replace the pseudo-labels, so that batches of any size can be drawn; 0 for
            the method's own.
        stop_after: number of epochs of the last stage after which the run is interrupted; 0 for none.
        control: name of a function in ``controls.py`` that breaks the training.
    """

    method: str
    output: str
    data: str
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    clusters: int = 0
    stop_after: int = 0
    control: str = ""


class StopError(Exception):
    """Stop of a run between two epochs."""


def count_steps(seen: Seen, steps: Counter[str]) -> ExitStack:
    """Name the steps of each stage and epoch as places of the counts; the first step of an epoch has its own.

    The first step makes the samplers of the epoch and fills caches.
    """
    train, forward = StageTraining._train_epoch, TwoStreamEncoder.forward

    def epoch(self: StageTraining, progress: StageProgress) -> Any:
        step = type(self.method).step

        def counted(method: Any, draw: Any, progress: StageProgress, optimise: Any) -> None:
            place = f"{self.plan.position}:{self.plan.method}/{progress.epoch}" + "/first" * (progress.step == 0)
            steps[place] += 1
            with seen.within(place):
                step(method, draw, progress, optimise)

        with patch.object(type(self.method), "step", counted):
            return train(self, progress)

    def embed(self: TwoStreamEncoder, *args: Any) -> Any:
        with seen.within_encoder():
            return forward(self, *args)

    return _patched((StageTraining, "_train_epoch", epoch), (TwoStreamEncoder, "forward", embed))


def _patched(*changes: tuple[Any, str, Any]) -> ExitStack:
    stack = ExitStack()
    for owner, name, value in changes:
        stack.enter_context(patch.object(owner, name, value))
    return stack


def stop_after(epochs: int) -> ExitStack:
    """Interrupt a run after some epochs of a stage."""
    keep = StageTraining._keep

    def stop(self: StageTraining, entry: dict[str, Any], done: int) -> None:
        keep(self, entry, done)
        if done == epochs < self.plan.epochs:
            raise StopError

    return _patched((StageTraining, "_keep", stop))


def equal_clusters(number: int) -> Callable[..., torch.Tensor]:
    """Return a clustering into clusters of equal size, of images with similar values of the first feature."""

    def cluster(features: torch.Tensor, **_: Any) -> torch.Tensor:
        return features[:, 0].argsort().argsort() * number // len(features)

    return cluster


def perform(job: Job) -> dict[str, Any]:
    """Carry out a job on the pretended device, and return its counts and its error."""
    error, scores, steps, started = "", {}, Counter[str](), time.process_time()
    with ExitStack() as stack:
        seen = stack.enter_context(pretended_cuda())
        stack.enter_context(count_steps(seen, steps))
        if job.clusters:
            stack.enter_context(_patched((labelling, "pseudo_labels", equal_clusters(job.clusters))))
        if job.stop_after:
            stack.enter_context(stop_after(job.stop_after))
        if job.control:
            stack.enter_context(contextmanager(getattr(controls, job.control))())
        try:
            options = {"device": "cuda", "schedule": "quick", "verbose": False, **job.options}
            arguments = {"data": job.data, "settings": job.settings, "output": job.output, **options}
            scores = usvi_bench.run(job.method, "sysu_all", **arguments).means()
        except Exception:
            error = traceback.format_exc()
    launches: dict[str, int] = Counter()
    for (place, _), count in seen.launches.items():
        launches[place] += count
    return {
        "error": error,
        "seconds": time.process_time() - started,
        "scores": scores,
        "steps": steps,
        "waits": [[place, reason, count] for (place, reason), count in seen.waits.most_common()],
        "launches": launches,
        "operations": [[place, name, count] for (place, name), count in seen.launches.most_common()],
        "any_order": seen.any_order,
    }


def main(jobs: Path, results: Path) -> None:
    """Carry out all jobs of a file."""
    torch.set_num_threads(1)
    done = [perform(Job(**job)) for job in json.loads(jobs.read_text())]
    results.write_text(json.dumps(done, indent=1))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
