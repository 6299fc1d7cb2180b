"""Writing of images in batches: one process per processor, or one GPU with threads that compress."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, repeat
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from usvi_bench.core.errors import WorkerError
from usvi_bench.core.process_memory import keep_freed_memory
from usvi_bench.synthetic.cameras import Layout
from usvi_bench.synthetic.ground_truth import Row, image_row
from usvi_bench.synthetic.layout import Shot
from usvi_bench.synthetic.render import camera_of, dressed_person, picture
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.view import draw_view

BATCH_ROWS = {"cpu": 8192, "cuda": 32768}
"""Pixel rows rendered together, by device; images do not depend on it."""
JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Written:
    """Written file: path in the tree, SHA-256 of its bytes, and row of the ground truth."""

    path: str
    sha256: str
    row: Row


def batches_of(shots: Sequence[Shot], spec: SyntheticSpec) -> list[list[Shot]]:
    """Split shots into batches that share a camera."""
    ordered, size = sorted(shots, key=lambda shot: (shot.camera, shot.path)), BATCH_ROWS[spec.device] // spec.height
    batches: list[list[Shot]] = []
    for _, group in groupby(ordered, key=lambda shot: shot.camera):
        seen = list(group)
        batches += [seen[i : i + size] for i in range(0, len(seen), size)]
    return batches


def write_images(
    folder: Path, layout: Layout, spec: SyntheticSpec, batches: Sequence[Sequence[Shot]], workers: int
) -> Iterator[list[Written]]:
    """Render every batch and yield its written files, in order of completion.

    Args:
        folder: root of the tree.
        layout: layout of the tree.
        spec: specification of the people.
        batches: shots of each batch, which share a camera.
        workers: number of processes, or of threads with a GPU; 1 uses this process. The bytes do not depend on it.
    """
    for parent in sorted({(folder / shot.path).parent for batch in batches for shot in batch}):
        parent.mkdir(parents=True, exist_ok=True)
    if spec.device == "cuda":
        with ThreadPoolExecutor(workers) as pool:
            for batch in batches:
                yield _write_batch(folder, layout, spec, batch, pool.map)
    elif workers == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for batch in batches:
                yield _write_batch(folder, layout, spec, batch)
        finally:
            torch.set_num_threads(threads)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(batches)), mp_context=context, initializer=_start_worker) as pool:
            with _without_main_module():
                jobs = [pool.submit(_write_batch, folder, layout, spec, batch) for batch in batches]
            try:
                for job in as_completed(jobs):
                    yield job.result()
            except BrokenProcessPool as error:
                raise WorkerError(
                    "a process that renders people ended without a result (killed, or out of memory); "
                    "what it wrote is discarded: free some memory and repeat the command"
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep processes started in the block from importing the caller's script, which may lack a main guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start_worker() -> None:
    """Initialise a worker: one thread, freed memory kept for reuse, exit when the parent process ends."""
    torch.set_num_threads(1)
    keep_freed_memory()
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _write_batch(
    folder: Path, layout: Layout, spec: SyntheticSpec, shots: Sequence[Shot], each: Callable[..., Iterator[str]] = map
) -> list[Written]:
    camera = camera_of(spec, layout, shots[0].camera)
    people = [dressed_person(spec, layout, shot.person, shot.camera) for shot in shots]
    views = [draw_view(spec, layout, camera, shot) for shot in shots]
    rendered = picture(spec, camera, people, views, spec.height, spec.device)
    hashes = each(_save, [folder / shot.path for shot in shots], rendered.pixels)
    rows = map(image_row, shots, repeat(camera), views, people, rendered.occlusion.tolist())
    return [Written(*file) for file in zip((shot.path for shot in shots), hashes, rows, strict=True)]


def _save(path: Path, pixels: NDArray[np.uint8]) -> str:
    """Compress and write an image; return the SHA-256 of the file."""
    buffer = io.BytesIO()
    if path.suffix == ".jpg":
        Image.fromarray(pixels).save(buffer, "jpeg", quality=JPEG_QUALITY)
    else:
        Image.fromarray(pixels).save(buffer, "bmp")
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()
