"""Speed of training, compared with upper bounds of the device and with a loop in the style of released code.

``python -m benchmarks.training [--schedule full_short] [--methods pgm sclhm] [--json FILE]`` trains, reads the journal
and prints, for the last stage of each method without its first epoch: steps and images per second, the share of time in
each part, peak memory, and the rate of floating-point operations. The reference loop runs two epochs, of which the
second counts, so ratios compare warm epochs. ``--profile FILE`` instead writes a trace of a few steps for
https://ui.perfetto.dev.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from usvi_bench.benchmarks import reference_loop
from usvi_bench.benchmarks.ceilings import encoder_seconds, matmul_tflops, pass_flops
from usvi_bench.benchmarks.measure import machine
from usvi_bench.benchmarks.methods import PARENT, trained_methods
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_json
from usvi_bench.core.journal import Journal
from usvi_bench.core.precision import Precision, allow_tf32
from usvi_bench.core.process_memory import keep_freed_memory
from usvi_bench.core.table import markdown_table
from usvi_bench.engine.display import Display
from usvi_bench.engine.execute import execute
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.load_config import parse_settings
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.run import Run

FULL = {"epochs": 100, "steps": 20_000}
"""Size of a published training: two stages of 50 epochs of 200 steps."""
PARTS = ("embed", "cluster", "train")
"""Timed parts of an epoch."""
HEADER = ["method", "ms a step", "steps/s", "images/s", "embed", "cluster", "step", "evaluate", "peak MiB", "TFLOP/s"]


class Watch(Display):
    """Watch: a silent display that counts the images that pass a network in each stage, by kind of pass."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.passed: Counter[str] = Counter()

    def begin_stage(self, plan: StagePlan, steps: int, done: int = 0) -> None:
        self.passed.clear()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the passes within the block."""
        forward = TwoStreamEncoder.forward

        def counted(encoder: TwoStreamEncoder, visible: Any, infrared: Any) -> Any:
            kind = ("learning" if torch.is_grad_enabled() else "teaching") if encoder.training else "embedding"
            self.passed[kind] += sum(len(part) for part in (visible, infrared) if part is not None)
            return forward(encoder, visible, infrared)

        TwoStreamEncoder.forward = counted  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            TwoStreamEncoder.forward = forward  # type: ignore[method-assign]


def prepared(method: str, options: argparse.Namespace, output: str, watch: Watch, settings: Sequence[str] = ()) -> Run:
    """Prepare a run of a method as ``run.py`` does."""
    experiment = Experiment(
        method,
        "sysu_all",
        data=options.data,
        output=Path(output),
        device=options.device,
        weights="random",
        schedule=options.schedule,
        settings=parse_settings([*options.set, *settings]),
    )
    return experiment.prepare(watch)


def measure(method: str, options: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Measure a method's last stage.

    Raises:
        UsageError: a stage has a single epoch.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = prepared(method, options, folder, watch)
        if any(plan.epochs < 2 for plan in run.every_plan):
            raise UsageError("the first epoch is not measured: set train.epochs=2 or more")
        with watch.counting():
            passed, evaluate = _trained(run, watch)
        lines = Journal(run.every_plan[-1].folder / "journal.jsonl").read()
    epochs = [line for line in lines if line["kind"] == "epoch"]
    seconds = warm_seconds(epochs)
    train, step = run.config.train, seconds["train"] / epochs[0]["steps"]
    forward, both = pass_flops(run.config.encoder, run.config.data.height, run.config.data.width)
    steps = len(epochs) * epochs[0]["steps"]
    flops = (passed["learning"] * both + passed["teaching"] * forward) / steps
    return {
        "step_s": step,
        "images_per_s": (passed["learning"] + passed["teaching"]) / steps / step,
        "epoch_s": seconds,
        "evaluate_s": evaluate,
        "peak_memory_mib": max(line["peak_memory_mib"] for line in epochs),
        "tflop_per_step": flops / 1e12,
        "tflop_per_s": flops / step / 1e12,
        "global_batch": train.instances * (train.visible_clusters + train.infrared_clusters),
        "projected_hours": (FULL["epochs"] * (seconds["embed"] + seconds["cluster"]) + FULL["steps"] * step) / 3600,
    }


def warm_seconds(epochs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Average the seconds of each part over all epochs but the first, in which caches fill and kernels are selected."""
    return {part: statistics.mean(line["seconds"][part] for line in epochs[1:]) for part in PARTS}


def _trained(run: Run, watch: Watch) -> tuple[Counter[str], float]:
    """Train a run; return the images of the last stage by kind of pass, and the seconds of the evaluation."""
    passed: Counter[str] = Counter()
    end = watch.end_stage

    def keep() -> None:
        passed.clear()
        passed.update(watch.passed)
        end()

    watch.end_stage = keep  # type: ignore[method-assign]
    record = execute(run, overwrite=True)
    watch.end_stage = end  # type: ignore[method-assign]
    assert record is not None
    return passed, record.provenance["seconds"]["evaluate"]


def compare(figures: dict[str, Any], options: argparse.Namespace, watch: Watch) -> dict[str, Any]:
    """Measure upper bounds of the device, and compare the parent method with the reference loop."""
    with tempfile.TemporaryDirectory() as folder:
        run = prepared(PARENT, options, folder, watch)
        config, device, split = run.config, run.device, run.dataset.train(1)
        train, data = config.train, config.data
        batch = 2 * train.visible_clusters * train.instances, train.infrared_clusters * train.instances
        shape = (config.encoder, data.height, data.width)
        both: set[Precision] = {"fp32", train.precision}
        alone = {precision: encoder_seconds(*shape, batch, precision, device) for precision in both}
        flops = sum(batch) * pass_flops(*shape)[1] / 1e12
        ceilings = {
            "matmul_tflop_per_s": matmul_tflops(device, train.precision),
            "encoder_alone_s": alone[train.precision],
            "encoder_alone_tflop_per_s": flops / alone[train.precision],
        }
        if not options.reference:
            return {"ceilings": ceilings}
        encoder = run.start.encoder(config).to(device)
        tables = (split.visible, split.infrared)
        for _ in range(2):  # the first epoch is the warm-up, as in our measurement
            loop: dict[str, Any] = reference_loop.epoch(config, encoder, tables, options.workers, device)
    steps, ours = train.iterations, figures[PARENT]
    own_rest = ours["step_s"] - alone[train.precision]
    loop["step_s"] = loop["step"] / steps
    whole = {"ours": sum(ours["epoch_s"].values()), "loop": sum(loop[part] for part in ("embed", "cluster", "step"))}
    return {
        "ceilings": ceilings,
        "reference_style_loop": {**loop, "workers": options.workers, "precision": "fp32"},
        "ratios": {
            "step": loop["step_s"] / ours["step_s"],
            "epoch": whole["loop"] / whole["ours"],
            "step_outside_encoder": (loop["step_s"] - alone["fp32"]) / max(own_rest, 1e-9),
            "encoder_share_of_its_ceiling": alone[train.precision] / ours["step_s"],
        },
    }


def speed_cells(figures: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return the cells of the table, a row per method; shares are those of an epoch, evaluation is in seconds."""
    cells = []
    for name, f in figures.items():
        parts = [f["epoch_s"][part] for part in PARTS]
        shares = [f"{part / sum(parts):.0%}" for part in parts]
        speed = [f"{1000 * f['step_s']:.0f}", f"{1 / f['step_s']:.2f}", f"{f['images_per_s']:.0f}"]
        rest = [f"{f['evaluate_s']:.1f} s", f"{f['peak_memory_mib']:.0f}", f"{f['tflop_per_s']:.3g}"]
        cells.append([f"`{name}`", *speed, *shares, *rest])
    return cells


def profile(method: str, options: argparse.Namespace, path: Path) -> None:
    """Write a trace of one short epoch: embedding, clustering, four steps."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    with tempfile.TemporaryDirectory() as folder:
        run = prepared(method, options, folder, Watch(), ["train.epochs=1", "train.iterations=4"])
        with torch.profiler.profile(activities=kinds) as trace:
            execute(run, overwrite=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    trace.export_chrome_trace(str(path))
    print(trace.key_averages().table(sort_by="self_cpu_time_total", row_limit=25))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the methods, print and store the table."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    words.add_argument("--methods", nargs="+", choices=trained_methods(), default=[], help="methods besides the parent")
    words.add_argument("--data", default="synthetic", metavar="SPEC", help="as for run.py")
    words.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    words.add_argument("--schedule", metavar="NAME", help="as for run.py; full_short suits a large GPU")
    words.add_argument("--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="as for run.py")
    words.add_argument("--workers", type=int, default=8, help="processes that load images in the reference loop")
    words.add_argument("--no-reference", dest="reference", action="store_false", help="skip the reference loop")
    words.add_argument("--profile", type=Path, metavar="FILE", help="write a trace of a short epoch, measure nothing")
    words.add_argument("--json", type=Path, metavar="FILE", help="file to write the figures to")
    options = words.parse_args(arguments)
    keep_freed_memory()
    try:
        with allow_tf32(False):
            _run(options)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.profile:
        profile(options.methods[0] if options.methods else PARENT, options, options.profile)
        return
    watch = Watch()
    figures = {name: measure(name, options, watch) for name in dict.fromkeys([PARENT, *options.methods])}
    compared = compare(figures, options, watch)
    print(markdown_table(HEADER, speed_cells(figures)))
    for part, values in compared.items():
        print(
            f"\n{part}: " + ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
        )
    if options.json:
        device = torch.device("cuda" if torch.cuda.is_available() and options.device != "cpu" else "cpu")
        asked = {"data": options.data, "schedule": options.schedule, "set": options.set}
        content = {"machine": machine(device), "asked": asked, "methods": figures, **compared}
        write_json(options.json, content)


if __name__ == "__main__":
    sys.exit(main())
