"""Write a tree once, whole or not at all, with as many processes as there are processors."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import multiprocessing
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from datasets.synthetic.cameras import Layout
from datasets.synthetic.clothing import Pattern
from datasets.synthetic.identity import Region
from datasets.synthetic.layout import Plan, Shot, plan
from datasets.synthetic.render import camera_of, person_of, render
from datasets.synthetic.spec import GENERATOR_VERSION, SyntheticSpec
from datasets.synthetic.view import draw_view
from engine.registry import UsageError, did_you_mean

CHUNK = 32
"""Images rendered together. Part of the picture: vectorised arithmetic may round by position in the batch."""
JPEG_QUALITY = 92
MANIFEST = "synthetic.json"
REPORTS = 5
"""Times that the progress of a render is told."""
_MOMENT = ("path", "identity", "camera", "modality", "walk", "phase", "azimuth", "occlusion")
_COLUMNS = (*_MOMENT, "top", "bottom", "pattern", "hair", "hat", "bag")

Progress = Callable[[str], None]


def ensure(
    layout: Layout, spec: SyntheticSpec, cache: Path, progress: Progress | None = None, workers: int | None = None
) -> Path:
    """The folder of the tree, rendered first if it is not there yet.

    A killed call leaves no tree; a call that finds another process rendering the same tree waits for it.

    Args:
        layout: published layout to write.
        spec: what to generate.
        cache: folder that holds the trees.
        progress: told what goes on, in words.
        workers: processes; None for one a processor. The bytes do not depend on it.

    Raises:
        UsageError: an unknown layout.
    """
    if layout not in ("sysu", "regdb"):
        raise UsageError(f"unknown synthetic layout '{layout}': {did_you_mean(layout, ('sysu', 'regdb'))}")
    tree = cache / spec.folder(layout)
    if (tree / MANIFEST).is_file():
        return tree
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f".{tree.name}.lock"):
        if (tree / MANIFEST).is_file():
            return tree
        for stale in cache.glob(f".{tree.name}.part-*"):
            shutil.rmtree(stale)
        part = Path(tempfile.mkdtemp(prefix=f".{tree.name}.part-", dir=cache))
        try:
            _write(part, layout, spec, progress or (lambda _: None), workers or os.cpu_count() or 1)
            part.chmod(0o755)
            part.replace(tree)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return tree


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock; the system lets go of it when the holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(part: Path, layout: Layout, spec: SyntheticSpec, progress: Progress, workers: int) -> None:
    planned = plan(layout, spec)
    for name, text in planned.lists.items():
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        (part / name).write_text(text)
    total, done, told = len(planned.shots), 0, 0
    for count in _render_all(part, layout, spec, planned, workers):
        done += count
        if done * REPORTS // total > told:
            told = done * REPORTS // total
            progress(f"rendering synthetic people ({layout}, {spec.size}): {done} of {total} images")
    _write_ground_truth(part / "ground_truth.csv", layout, spec, planned)
    digest = hashlib.sha256()
    for shot in planned.shots:
        digest.update((part / shot.path).read_bytes())
    manifest = {"generator_version": GENERATOR_VERSION, "layout": layout, "spec": asdict(spec), "images": total}
    (part / MANIFEST).write_text(json.dumps({**manifest, "bytes": digest.hexdigest()}, indent=2) + "\n")


def chunks(planned: Plan) -> list[list[Shot]]:
    """Shots in batches that share a camera; the same whatever the number of workers."""
    ordered = sorted(planned.shots, key=lambda shot: (shot.camera, shot.path))
    batches: list[list[Shot]] = []
    for _, group in groupby(ordered, key=lambda shot: shot.camera):
        shots = list(group)
        batches += [shots[i : i + CHUNK] for i in range(0, len(shots), CHUNK)]
    return batches


def _render_all(part: Path, layout: Layout, spec: SyntheticSpec, planned: Plan, workers: int) -> Iterator[int]:
    """Render every chunk and yield the number of images written, as it comes."""
    batches = chunks(planned)
    for folder in sorted({(part / shot.path).parent for shot in planned.shots}):
        folder.mkdir(parents=True, exist_ok=True)
    if workers == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for batch in batches:
                yield _render_chunk(part, layout, spec, batch, spec.height)
        finally:
            torch.set_num_threads(threads)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(batches)), mp_context=context, initializer=_start_worker) as pool:
        jobs = [pool.submit(_render_chunk, part, layout, spec, batch, spec.height) for batch in batches]
        for job in as_completed(jobs):
            yield job.result()


def _start_worker() -> None:
    """One thread each; a worker whose parent was killed ends with it."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _render_chunk(part: Path, layout: Layout, spec: SyntheticSpec, shots: list[Shot], height: int) -> int:
    for shot, pixels in zip(shots, render(spec, layout, shots, height), strict=True):
        image = Image.fromarray(pixels)
        if shot.path.endswith(".jpg"):
            image.save(part / shot.path, quality=JPEG_QUALITY)
        else:
            image.save(part / shot.path)
    return len(shots)


def _write_ground_truth(path: Path, layout: Layout, spec: SyntheticSpec, planned: Plan) -> None:
    """What each image shows, for analysis only."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for shot in planned.shots:
            camera, person = camera_of(spec, layout, shot.camera), person_of(spec, layout, shot.person)
            view, outfit = draw_view(spec, layout, camera, shot), person.outfit
            pattern = Pattern(person.materials[Region.TOP].pattern).name.lower()
            moment = [f"{view.phase % (2 * np.pi):.3f}", f"{view.azimuth % (2 * np.pi):.3f}", int(view.occluded)]
            worn = [outfit.top, outfit.bottom, pattern, f"{person.body.hair:.2f}", outfit.hat, outfit.bag]
            writer.writerow([shot.path, shot.person, shot.camera, camera.modality, shot.walk, *moment, *worn])
