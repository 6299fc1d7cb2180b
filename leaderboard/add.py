"""Addition of a finished run to the folder of records: its record, and the results of its queries beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_bytes
from usvi_bench.core.formatting import counted, file_name
from usvi_bench.core.paths import is_file
from usvi_bench.core.record import Record, read_record
from usvi_bench.core.result import REPAIRED
from usvi_bench.leaderboard.build import off_the_board
from usvi_bench.leaderboard.consistency import faults
from usvi_bench.leaderboard.repeats import OUTSIDE
from usvi_bench.leaderboard.sidecar_faults import sidecar_faults
from usvi_bench.protocols.sidecar import sidecar_path
from usvi_bench.synthetic.spec import BOARD_SEED


def add_runs(runs: Sequence[Path], records: Path, outside: bool = False) -> list[Path]:
    """Copy the records of runs, and the files of their queries if the records name them; all or none are copied.

    Args:
        runs: folders of finished runs, or files of records.
        records: folder of all records.
        outside: copy to the folder of records from outside.

    Returns:
        Paths of the copied records, each followed by that of its queries.

    Raises:
        UsageError: there is no record, it is not consistent or not of published images, or there is another one of
            this name.
    """
    targets: dict[Path, Path] = {}
    for run in runs:
        file = run / "record.json" if run.is_dir() else run
        if not is_file(file):
            raise UsageError(f"{file}: no such file; give the folder of a finished run")
        record = read_record(file)
        if found := [*faults(record), *sidecar_faults(file, record)]:
            raise UsageError("\n".join([f"{file}: {counted(len(found), 'fault')}, so it is not added:", *found]))
        if reason := off_the_board(record):
            raise UsageError(f"{file}: not added: {reason}")
        target = records / (OUTSIDE if outside else "") / record_name(record)
        if target in targets or (target.exists() and target.read_bytes() != file.read_bytes()):
            raise UsageError(
                f"{file}: there is another record {target}; remove it with the file of its queries first, or copy both "
                "files of the run under another name"
            )
        targets[target] = file
    written = []
    for target, file in targets.items():
        if (queries := sidecar_path(file)).exists():
            write_bytes(sidecar_path(target), queries.read_bytes())
        write_bytes(target, file.read_bytes())
        written += [target, *([sidecar_path(target)] if queries.exists() else [])]
    return written


def record_name(record: Record) -> str:
    """Return the usual path of a record, such as ``sysu_all/people-1001/pose-0.5/released/pgm-seed0.json``.

    Folders are named after what is unusual: other people than those of the leaderboard, knobs, and the method's form.
    """
    result, spec = record.result, (record.result.dataset["synthetic"] or {}).get("spec", {})
    form = str(result.config.get("method", {}).get("form", REPAIRED))
    unusual = [f"people-{seed}"] if (seed := spec.get("seed", BOARD_SEED)) != BOARD_SEED else []
    unusual += [f"{name}-{level:g}" for name, level in sorted(result.dataset["knobs"].items())]
    unusual += [form] if form != REPAIRED else []
    name = f"{file_name(result.method)}-seed{result.seed}.json"
    return "/".join([file_name(result.protocol), *map(file_name, unusual), name])
