"""Speed of the generator of synthetic people, and projected time for each size.

``python -m benchmarks.synthetic_speed [--images 384] [--workers N] [--device cpu] [--json FILE]`` writes a sample of
each layout and height to a temporary folder, in the same way as a data set: rendered, compressed, with ground truth.
The start of the processes is timed separately from the rate.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from usvi_bench.benchmarks.measure import machine
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_json
from usvi_bench.core.host import cpu_count
from usvi_bench.core.process_memory import peak_memory_mib
from usvi_bench.core.table import markdown_table
from usvi_bench.synthetic.cameras import Layout
from usvi_bench.synthetic.layout import plan
from usvi_bench.synthetic.spec import DEVICES, HEIGHTS, SIZES, SyntheticSpec
from usvi_bench.synthetic.writing import batches_of, write_images

LAYOUTS: tuple[Layout, ...] = ("sysu", "regdb")
HEADER = ["layout", "height", "images a second", "start, s", *(f"{size}, s" for size in SIZES)]


@dataclass(frozen=True)
class Speed:
    """Speed of writing a sample.

    Attributes:
        layout: layout of the sample.
        height: height of the images in pixels.
        images: number of images over which the rate was measured.
        rate: images per second of all running workers together.
        start: seconds until the first batch was done.
    """

    layout: Layout
    height: int
    images: int
    rate: float
    start: float

    def seconds(self, size: str) -> float:
        """Project the seconds for a whole tree of a size."""
        return self.start + len(plan(self.layout, SyntheticSpec(size=size)).shots) / self.rate


def measure(layout: Layout, spec: SyntheticSpec, images: int, workers: int) -> Speed:
    """Measure the writing of about ``images`` images, spread over all cameras of the tree.

    Raises:
        UsageError: all images fit into one batch.
    """
    batches = batches_of(plan(layout, spec).shots, spec)
    stride = max(1, sum(map(len, batches)) // images)
    with tempfile.TemporaryDirectory() as folder:
        begin, first = time.perf_counter(), 0.0
        done = skipped = 0
        for batch in write_images(Path(folder), layout, spec, batches[::stride], workers):
            done += len(batch)
            if not first:
                first, skipped = time.perf_counter(), done
        end = time.perf_counter()
    if done == skipped:
        raise UsageError(f"--images {images} makes a single batch; give more to separate the rate from the start")
    return Speed(layout, spec.height, done - skipped, (done - skipped) / (end - first), first - begin)


def rate_cells(speeds: Sequence[Speed]) -> list[list[str]]:
    """Return the cells of the table."""
    return [
        [s.layout, str(s.height), f"{s.rate:.1f}", f"{s.start:.1f}", *(f"{s.seconds(size):.0f}" for size in SIZES)]
        for s in speeds
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the speeds, print and store the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_speed", description=__doc__)
    parser.add_argument("--images", type=int, default=384, help="number of images in each sample")
    parser.add_argument("--workers", type=int, default=cpu_count())
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--size", choices=SIZES, default="small", help="size of the tree that is sampled")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(arguments)
    speeds = []
    for layout in LAYOUTS:
        for height in HEIGHTS:
            spec = SyntheticSpec(size=options.size, height=height, device=options.device)
            speeds.append(measure(layout, spec, options.images, options.workers))
    described = machine(torch.device(options.device))
    print(markdown_table(HEADER, rate_cells(speeds)))
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    peak = max(peak_memory_mib(torch.device("cpu")), workers)
    print(f"\n{options.workers} workers, {options.device}; {described['cpu']}, {described['cores']} cores")
    print(f"largest process: {peak:.0f} MiB")
    if options.json:
        figures = [{**asdict(s), "seconds": {size: s.seconds(size) for size in SIZES}} for s in speeds]
        kept = {"machine": described, "workers": options.workers, "peak_mib": peak, "speeds": figures}
        write_json(options.json, kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
