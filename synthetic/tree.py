"""Generation of a tree: atomic, and only if the tree does not exist."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.host import cpu_count
from usvi_bench.core.progress import report_progress
from usvi_bench.synthetic.cameras import Layout
from usvi_bench.synthetic.layout import plan
from usvi_bench.synthetic.spec import GENERATOR_VERSIONS, SyntheticSpec

MANIFEST = "synthetic.json"
PROGRESS_MESSAGES = 5
"""Number of progress messages of a render."""

Progress = Callable[[str], None]


def ensure(
    layout: Layout, spec: SyntheticSpec, cache: Path, progress: Progress | None = None, workers: int | None = None
) -> Path:
    """Return the folder of a tree; render it first if it does not exist.

    A killed call leaves no tree. A call that finds another process rendering the same tree waits for it.

    Args:
        layout: published layout to write.
        spec: specification of the people.
        cache: folder that holds the trees.
        progress: receives progress messages.
        workers: number of processes; None for one per processor. The bytes do not depend on it.

    Raises:
        UsageError: an unknown layout, ``device=cuda`` without a GPU, or a folder of that name without its manifest.
    """
    if layout not in GENERATOR_VERSIONS:
        raise UsageError(f"unknown synthetic layout '{layout}': {did_you_mean(layout, GENERATOR_VERSIONS)}")
    tree = cache / spec.folder(layout)
    if (tree / MANIFEST).is_file():
        return tree
    if spec.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"synthetic: device=cuda, but torch finds no GPU and {tree} does not exist; use device=cpu")
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f".{tree.name}.lock"):
        if (tree / MANIFEST).is_file():
            return tree
        if tree.exists():
            raise UsageError(f"{tree}: incomplete, without its {MANIFEST}; delete it, so that it is generated again")
        for stale in cache.glob(f".{tree.name}.part-*"):
            shutil.rmtree(stale)
        part = Path(tempfile.mkdtemp(prefix=f".{tree.name}.part-", dir=cache))
        try:
            _write(part, layout, spec, progress or (lambda _: None), workers or cpu_count())
            part.chmod(0o755)
            part.replace(tree)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return tree


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock; the system releases it when the process ends."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(part: Path, layout: Layout, spec: SyntheticSpec, progress: Progress, workers: int) -> None:
    # here: commands that render nothing are faster without the renderer
    from usvi_bench.synthetic.ground_truth import IMAGES, PEOPLE, person_row, write_table
    from usvi_bench.synthetic.writing import Written, batches_of, write_images

    planned = plan(layout, spec)
    for name, text in planned.lists.items():
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        (part / name).write_text(text)
    total, reported = len(planned.shots), 0
    work = f"rendering synthetic people ({layout}, {spec.size})"
    if not report_progress(work, 0, total):
        progress(f"{work}: 0 of {total} images")
    written: list[Written] = []
    for batch in write_images(part, layout, spec, batches_of(planned.shots, spec), workers):
        written += batch
        shown = report_progress(work, len(written), total)
        if not shown and len(written) * PROGRESS_MESSAGES // total > reported:
            reported = len(written) * PROGRESS_MESSAGES // total
            progress(f"{work}: {len(written)} of {total} images")
    written.sort(key=lambda file: file.path)
    write_table(part / IMAGES, (file.row for file in written))
    people = sorted({shot.person for shot in planned.shots})
    write_table(part / PEOPLE, (person_row(spec, layout, number) for number in people))
    digest = hashlib.sha256("".join(f"{file.path} {file.sha256}\n" for file in written).encode()).hexdigest()
    manifest = {
        "generator_version": GENERATOR_VERSIONS[layout],
        "layout": layout,
        "spec": spec.note(),
        "images": total,
    }
    (part / MANIFEST).write_text(json.dumps({**manifest, "bytes": digest}, indent=2) + "\n")
