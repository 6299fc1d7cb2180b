"""Pieces of the GPU benchmark; each returns figures as plain data."""

from __future__ import annotations

import io
import statistics
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from usvi_bench.benchmarks import scoring
from usvi_bench.benchmarks.ceilings import encoder_seconds, matmul_tflops, pass_flops
from usvi_bench.benchmarks.gpu_workload import Prepared, Workload
from usvi_bench.benchmarks.methods import PARENT
from usvi_bench.core.precision import Precision
from usvi_bench.core.process_memory import peak_rise
from usvi_bench.core.types import PseudoLabels
from usvi_bench.engine.device import set_up, synchronized_time
from usvi_bench.engine.images import embed_all
from usvi_bench.engine.numerics import AMPERE
from usvi_bench.protocols.metrics import score_galleries

PROFILED = 2
"""Steps under the profiler."""
_LAUNCHES = ("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx")
_WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize", "cudaDeviceSynchronize")


def precisions(device: torch.device) -> list[Precision]:
    """List the precisions of a device, the fastest first."""
    if device.type != "cuda":
        return ["bf16", "fp32"]
    new = torch.cuda.get_device_capability(device) >= AMPERE
    return ["bf16", "tf32", "fp32", "fp16"] if new else ["fp16", "fp32"]


def ceiling(load: Workload, precision: Precision) -> dict[str, float]:
    """Measure the encoder alone, forward and backward, and large matrix products."""
    config = load.config(PARENT, precision)
    train, data = config.train, config.data
    batch = 2 * train.visible_clusters * train.instances, train.infrared_clusters * train.instances
    shape = (config.encoder, data.height, data.width)
    flops = sum(batch) * pass_flops(*shape)[1]
    seconds = encoder_seconds(*shape, batch, precision, load.device)
    return {
        "encoder_ms": 1000 * seconds,
        "encoder_tflop_per_s": flops / seconds / 1e12,
        "matmul_tflop_per_s": matmul_tflops(load.device, precision),
    }


def method(
    load: Workload, name: str, precision: Precision, labels: PseudoLabels | None = None
) -> tuple[dict[str, Any], PseudoLabels]:
    """Measure clustering, memories, steps, and what a step does on the device; also return the labels."""
    with peak_rise(load.device) as rise:
        prepared = load.prepare(name, precision, labels=labels)
        figures = {"precision": precision, **_steps(load, prepared)}
        figures |= _profiled(prepared, load.device)
    clusters = [int(part.max()) + 1 for part in (prepared.labels.visible, prepared.labels.infrared)]
    figures |= {f"{part}_s": seconds for part, seconds in prepared.seconds.items()}
    return {**figures, "clusters": clusters, "peak_mib": rise}, prepared.labels


def compiled(load: Workload, precision: Precision, labels: PseudoLabels) -> dict[str, Any]:
    """Measure the steps of the parent with a compiled trunk; ``first_s`` includes the compilation."""
    return _steps(load, load.prepare(PARENT, precision, compiled=True, labels=labels))


def _steps(load: Workload, prepared: Prepared) -> dict[str, Any]:
    device, warm_up, steps = load.device, load.size.warm_up, load.size.steps
    started = synchronized_time(device)
    for number in range(warm_up):
        prepared.step(number)
    first = synchronized_time(device) - started
    times = []
    for number in range(warm_up, warm_up + steps):
        before = synchronized_time(device)
        prepared.step(number)
        times.append(synchronized_time(device) - before)
    before = synchronized_time(device)
    for number in range(warm_up + steps, warm_up + 2 * steps):
        prepared.step(number)
    together = (synchronized_time(device) - before) / steps
    return {"first_s": first, "step_ms": 1000 * together, "single_step_ms": 1000 * statistics.median(times)}


def _profiled(prepared: Prepared, device: torch.device) -> dict[str, float]:
    """Count operations, kernel launches and waits of a step, and the share of time in which the device works."""
    kinds = torch.profiler.supported_activities() & {
        torch.profiler.ProfilerActivity.CPU,
        torch.profiler.ProfilerActivity.CUDA,
    }
    with torch.profiler.profile(activities=list(kinds)) as trace:
        before = synchronized_time(device)
        for number in range(PROFILED):
            prepared.step(number)
        seconds = synchronized_time(device) - before
    events = trace.key_averages()
    counts = {event.key: event.count for event in events}
    busy = sum(event.self_device_time_total for event in events) / 1e6
    return {
        "operations": sum(count for key, count in counts.items() if key.startswith("aten::")) / PROFILED,
        "launches": sum(counts.get(key, 0) for key in _LAUNCHES) / PROFILED,
        "waits": max(0.0, sum(counts.get(key, 0) for key in _WAITS) - 1) / PROFILED,  # one is the clock's own
        "copies": counts.get("cudaMemcpyAsync", 0) / PROFILED,
        "device_busy": busy / seconds,
    }


def embedding(load: Workload, precision: Precision, images: int) -> dict[str, float]:
    """Measure the embedding of some images of each modality, with their mirror images."""
    config = load.config(PARENT, precision)
    encoder = config.new_encoder(0).to(load.device)
    encoder.precision = precision
    parts = [type(part)(part.modality, part.pixels[:images], part.cameras[:images]) for part in load.images]
    visible, infrared = parts
    few = [type(part)(part.modality, part.pixels[:8], part.cameras[:8]) for part in load.images]
    embed_all(encoder, few[0], few[1], config.train.embed_batch, load.device)
    embed_all(encoder, visible, infrared, config.train.embed_batch, load.device)
    started = synchronized_time(load.device)
    embed_all(encoder, visible, infrared, config.train.embed_batch, load.device)
    seconds = synchronized_time(load.device) - started
    per_second = sum(map(len, parts)) / seconds
    return {"images_per_s": per_second, "all_images_s": (load.size.visible + load.size.infrared) / per_second}


def scores(load: Workload, people: int | None) -> dict[str, float]:
    """Measure the ten galleries of SYSU-MM01 all-search, with features on the device."""
    case = scoring.sysu(people=people)
    queries, candidates = (torch.from_numpy(part).to(load.device) for part in (case.queries, case.candidates))
    score_galleries(queries, candidates, case.galleries, case.masks)
    started = synchronized_time(load.device)
    score_galleries(queries, candidates, case.galleries, case.masks)
    return {"seconds": synchronized_time(load.device) - started, "queries": len(case.queries)}


def deterministic(load: Workload, names: Sequence[str], precision: Precision) -> dict[str, Any]:
    """Repeat and resume a training of two short epochs with deterministic kernels.

    A process must call this before it uses the device.

    Returns:
        Whether the repeated and the resumed training end with equal weights, and, by method, the operations without a
        deterministic kernel.
    """
    set_up(load.device, deterministic=True)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        first = load.prepare(PARENT, precision)
        once, saved = _two_epochs(load, first)
        repeated, _ = _two_epochs(load, load.prepare(PARENT, precision, labels=first.labels))
        fresh = load.prepare(PARENT, precision, labels=first.labels)
        state = torch.load(io.BytesIO(saved), map_location=load.device, weights_only=True)
        fresh.method.encoder.load_state_dict(state["encoder"])
        fresh.optimiser.load(state["optimiser"])
        resumed = _epoch(load, _next(load, fresh))
    lacking = {PARENT: _operations(found)}
    for name in names:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            load.prepare(name, precision).step(0)
        lacking[name] = _operations(found)
    return {
        "repeated_equal": _equal(once, repeated),
        "resumed_equal": _equal(once, resumed),
        "without_deterministic_kernel": lacking,
    }


def _two_epochs(load: Workload, prepared: Prepared) -> tuple[dict[str, Tensor], bytes]:
    """Run two epochs; return the weights after them, and the state after the first one, as a checkpoint holds it."""
    _epoch(load, prepared)
    buffer = io.BytesIO()
    torch.save(
        {"encoder": prepared.method.encoder.state_dict(), "optimiser": prepared.optimiser.state()},
        buffer,
    )
    return _epoch(load, _next(load, prepared)), buffer.getvalue()


def _next(load: Workload, prepared: Prepared) -> Prepared:
    epoch = prepared.progress.epoch + 1
    return load.epoch(prepared.config, prepared.method, prepared.optimiser, epoch, prepared.labels)


def _epoch(load: Workload, prepared: Prepared) -> dict[str, Tensor]:
    for number in range(load.size.warm_up):
        prepared.step(number)
    prepared.optimiser.end_epoch()
    return {name: value.cpu().clone() for name, value in prepared.method.encoder.state_dict().items()}


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def _operations(found: Sequence[warnings.WarningMessage]) -> list[str]:
    """Return the operations that torch warns about, each once."""
    texts = [str(warning.message) for warning in found]
    return sorted({text.split()[0] for text in texts if "deterministic" in text})
