"""Figures of a GPU in one unattended run: ``python -m benchmarks.gpu --minutes 8``.

It needs a machine with torch and this suite, but no images: workloads are made on the device (``gpu_workload.py``).
Sections run in order of their worth until the minutes are over: the encoder's ceiling, the parent method, precisions,
all other methods, embedding, compilation, deterministic kernels, scoring. After each piece ``gpu.json`` and ``gpu.md``
are written, so a stopped run keeps what it has measured; a piece that fails is listed with its error. Compilation and
deterministic kernels run in processes of their own, which are stopped in time.

``--device cpu --tiny`` rehearses it on a processor in a minute; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from usvi_bench.benchmarks import gpu_pieces as pieces
from usvi_bench.benchmarks.gpu_page import page
from usvi_bench.benchmarks.gpu_workload import SMALLER, SYSU, TINY, Workload
from usvi_bench.benchmarks.measure import machine
from usvi_bench.benchmarks.methods import PARENT, trained_methods
from usvi_bench.core.distributed.group import select_device
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_json, write_text
from usvi_bench.core.precision import allow_tf32
from usvi_bench.core.revision import ROOT
from usvi_bench.core.types import PseudoLabels
from usvi_bench.engine.device import set_up

SECTIONS = ("ceilings", "parent", "precisions", "methods", "embedding", "compile", "deterministic", "scoring")
RESERVE = 10.0
"""Seconds at the end that no piece may need."""


class Session:
    """Session: figures so far, the time that is left, and the files that are written after each piece."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.started = options, time.monotonic()
        self.figures: dict[str, Any] = {"workload": "tiny" if options.tiny else "sysu"}
        self.longest: dict[str, float] = {}

    @property
    def left(self) -> float:
        """Seconds until the end, without the reserve."""
        return 60 * float(self.options.minutes) - RESERVE - (time.monotonic() - self.started)

    def measure(self, section: str, name: str, call: Callable[[], Any]) -> None:
        """Run a piece if the time suffices for one as long as the longest of its kind, and write the files."""
        kind = "parent" if section in ("precisions", "methods") else section
        found = self.figures.setdefault(section, {})
        began = time.monotonic()
        if self.left < self.longest.get(kind, 0.0):
            found[name] = {"error": "no time left"}
        else:
            try:
                found[name] = call()
            except Exception as error:  # the run is unattended: the next piece may work
                found[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split()):.300}"}
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
        self.longest[kind] = max(self.longest.get(kind, 0.0), time.monotonic() - began)
        self.figures["seconds"] = time.monotonic() - self.started
        write_json(self.options.out / "gpu.json", self.figures)
        write_text(self.options.out / "gpu.md", page(self.figures))
        print(f"{time.monotonic() - self.started:6.1f} s  {section} {name}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write both files; return 0 if no piece failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="end after this time (default 8)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--tiny", action="store_true", help="tiny workload, for a rehearsal")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the files")
    parser.add_argument("--alone", choices=("compile", "deterministic"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        device = select_device(options.device)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    with allow_tf32(False):
        if options.alone:
            print(json.dumps(_alone(options, device)))
            return 0
        session = Session(options)
        _run(session, device)
    sections = ("machine", *SECTIONS)
    failed = any("error" in part for section in sections for part in session.figures.get(section, {}).values())
    return int(failed)


def _run(session: Session, device: torch.device) -> None:
    options = session.options
    set_up(device, deterministic=False)
    session.measure("machine", "machine", lambda: machine(device))
    loads: list[Workload] = []

    def build() -> dict[str, int]:
        loads.append(Workload(TINY if options.tiny else SYSU, device))
        return {"visible": loads[0].size.visible, "infrared": loads[0].size.infrared}

    session.measure("machine", "workload", build)
    if not loads:
        return
    (load,), kinds, labels = loads, pieces.precisions(device), dict[str, PseudoLabels]()

    def one(name: str, precision: Any) -> dict[str, Any]:
        figures, labels[name] = pieces.method(load, name, precision, labels.get(name))
        return figures

    for section in options.sections:
        if section == "ceilings":
            for kind in kinds:
                session.measure(section, kind, partial(pieces.ceiling, load, kind))
        elif section == "parent":
            session.measure(section, PARENT, lambda: one(PARENT, kinds[0]))
        elif section == "precisions":
            for kind in kinds[1:]:
                session.measure(section, kind, partial(one, PARENT, kind))
        elif section == "methods":
            for name in trained_methods()[1:]:
                session.measure(section, name, partial(one, name, kinds[0]))
        elif section == "embedding":
            session.measure(section, kinds[0], lambda: pieces.embedding(load, kinds[0], 64 if options.tiny else 4096))
        elif section == "scoring":
            session.measure(section, "sysu_all", lambda: pieces.scores(load, 4 if options.tiny else None))
        else:
            session.measure(section, PARENT, partial(_child, session, section))


def _child(session: Session, section: str) -> Any:
    """Run a piece in a process of its own, which is killed when the time is over."""
    options = session.options
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the other process needs the memory
    words = ["--device", options.device, "--alone", section, *(["--tiny"] if options.tiny else [])]
    command = [sys.executable, "-m", "benchmarks.gpu", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(1.0, session.left))
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def _alone(options: argparse.Namespace, device: torch.device) -> Any:
    kind = pieces.precisions(device)[0]
    if options.alone == "deterministic":
        set_up(device, deterministic=True)  # before the workload uses the device
        return pieces.deterministic(Workload(TINY if options.tiny else SMALLER, device), trained_methods()[1:], kind)
    set_up(device, deterministic=False)
    load = Workload(TINY if options.tiny else SYSU, device)
    return pieces.compiled(load, kind, load.identities)


if __name__ == "__main__":
    sys.exit(main())
