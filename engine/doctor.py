"""Examination of a machine before a run: versions, devices, folders, data sets and shipped weights."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed

from usvi_bench.components.clustering.neighbours import EXACT_UP_TO
from usvi_bench.core.distributed.group import select_device
from usvi_bench.core.environment import commit, environment_info
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import read_json
from usvi_bench.core.formatting import counted
from usvi_bench.core.host import GIB, cache_folder, cpu_count, memory_available
from usvi_bench.datasets.check import readers
from usvi_bench.datasets.open import find_data
from usvi_bench.engine.numerics import AMPERE, missing_compiler
from usvi_bench.engine.start_weights import SHIPPED

_RESTORE = "restore the file: git checkout, or install the package again"
LEAST_DISK = GIB // 2
"""Free bytes below which a folder cannot keep a run."""


@dataclass(frozen=True)
class Finding:
    """Finding about a machine.

    Attributes:
        topic: what was examined.
        text: what was found.
        remedy: what to do; empty if a run works as it is.
    """

    topic: str
    text: str
    remedy: str = ""


def examine(device: str, output: Path, data: bool = True) -> Iterator[Finding]:
    """Examine the machine.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``, as for a run.
        output: folder of all runs.
        data: whether to look for the data sets that ``--data auto`` finds.
    """
    yield from _versions()
    yield from _devices(device)
    yield from _libraries()
    yield from _folders(output)
    if data:
        yield from _data()
    yield from _weights()


def _versions() -> Iterator[Finding]:
    revision, dirty = commit()
    changed = ", with uncommitted changes" if dirty else ""
    yield Finding("code", f"commit {revision[:10]}{changed}" if revision else "commit unknown")
    versions = environment_info(torch.device("cpu"))["environment"]
    yield Finding("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _devices(name: str) -> Iterator[Finding]:
    memory = f"{memory_available() / GIB:.1f} GiB of memory available"
    yield Finding(
        "processor", f"{environment_info(torch.device('cpu'))['cpu']}, {counted(cpu_count(), 'core')}, {memory}"
    )
    built = torch.version.cuda
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(i)
        capability = torch.cuda.get_device_capability(i)
        kinds = "fp32, tf32, bf16, fp16" if capability >= AMPERE else "fp32, fp16"
        yield Finding(
            f"GPU {i}",
            f"{torch.cuda.get_device_name(i)}, {free / GIB:.1f} of {total / GIB:.1f} GiB free, compute capability "
            f"{capability[0]}.{capability[1]}, precisions {kinds}",
        )
    if torch.cuda.is_available():
        versions = environment_info(torch.device("cuda"))["environment"]
        found = [f"{part} {versions.get(part, 'unknown')}" for part in ("cuda", "cudnn", "driver")]
        yield Finding("CUDA", ", ".join(found))
    else:
        reason = "this torch is built without CUDA" if built is None else f"torch for CUDA {built} finds none"
        yield Finding("GPU", f"none ({reason}); runs compute on the processor")
    try:
        chosen = select_device(name)
    except UsageError as error:
        wanted = "install a torch with CUDA" if built is None else "check the driver with nvidia-smi"
        yield Finding("device", str(error).partition(";")[0], f"{wanted}, or use --device cpu")
        return
    tf32 = "off; train.precision=tf32 allows it" if chosen.type == "cuda" else "none on a processor"
    yield Finding("device", f"{chosen.type}; TF32: {tf32}")


def _libraries() -> Iterator[Finding]:
    if not distributed.is_available():
        yield Finding("processes", "one only: this torch has no torch.distributed")
    else:
        nccl = "no NCCL"
        if distributed.is_nccl_available():
            nccl = "NCCL " + ".".join(map(str, torch.cuda.nccl.version()))
        yield Finding("processes", f"gloo {'available' if distributed.is_gloo_available() else 'missing'}, {nccl}")
    yield Finding("faiss", _faiss())
    lacking = missing_compiler(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    yield Finding(
        "compiler", "found; engine.compile=true works" if lacking is None else f"engine.compile=true needs {lacking}"
    )


def _faiss() -> str:
    needed = f"needed only to cluster more than {EXACT_UP_TO:,} images on a CPU"
    try:
        import faiss
    except ImportError as error:
        return f"cannot be imported ({error}); {needed}"
    gpu = "with GPU support" if hasattr(faiss, "StandardGpuResources") else "without GPU support"
    return f"{faiss.__version__}, {gpu}"


def _folders(output: Path) -> Iterator[Finding]:
    yield _folder("runs", output, "choose another --output")
    try:
        yield _folder("cache", cache_folder(), "set USVI_CACHE to another folder")
    except UsageError as error:
        yield Finding("cache", str(error).partition(":")[0], str(error).partition(": ")[2])


def _folder(topic: str, folder: Path, remedy: str) -> Finding:
    """Examine a folder, or the nearest one above it that exists, by writing a file into it."""
    try:
        place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"0")
            file.flush()
        free = shutil.disk_usage(place).free
    except (OSError, ValueError) as error:
        return Finding(topic, f"cannot write {folder}: {getattr(error, 'strerror', None) or error}", remedy)
    text = f"{folder}, {free / GIB:.1f} GiB free"
    return Finding(topic, text, f"free some space, or {remedy}" if free < LEAST_DISK else "")


def _data() -> Iterator[Finding]:
    for reader in readers():
        try:
            source = find_data(reader.name, "auto")
        except UsageError as error:
            text, _, remedy = str(error).partition("; ")
            # a layout without synthetic people is needed only by the protocols of its data set
            yield Finding(reader.title, text.partition(":")[0], remedy)
            continue
        yield Finding(reader.title, str(source.root) if source.root else "not found; synthetic people take its place")


def _weights() -> Iterator[Finding]:
    for path in sorted(SHIPPED.glob("*.safetensors")):
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            expected = str(read_json(path.with_suffix(".json"))["sha256"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield Finding("weights", f"{path.name} or its note cannot be read ({error})", _RESTORE)
            continue
        good = found == expected
        yield Finding(
            "weights",
            f"{path.name}, sha256 {found[:10]}" + ("" if good else f", but its note has {expected[:10]}"),
            "" if good else _RESTORE,
        )
