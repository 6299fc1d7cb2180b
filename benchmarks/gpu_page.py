"""Page of the GPU benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from usvi_bench.core.table import markdown_table

STEPS_PER_EPOCH = 200
"""Steps of an epoch in the shared setting."""
Column = tuple[str, str, Callable[[Any], str]]
_CEILINGS: Sequence[Column] = (
    ("encoder alone, ms", "encoder_ms", "{:.1f}".format),
    ("encoder, TFLOP/s", "encoder_tflop_per_s", "{:.3g}".format),
    ("matrix product, TFLOP/s", "matmul_tflop_per_s", "{:.3g}".format),
)
_METHODS: Sequence[Column] = (
    ("precision", "precision", str),
    ("step, ms", "step_ms", "{:.1f}".format),
    ("step with a wait, ms", "single_step_ms", "{:.1f}".format),
    ("launches", "launches", "{:.0f}".format),
    ("waits", "waits", "{:.1f}".format),
    ("copies", "copies", "{:.1f}".format),
    ("operations", "operations", "{:.0f}".format),
    ("device busy", "device_busy", "{:.0%}".format),
    ("clustering, s", "label_s", "{:.2f}".format),
    ("memories, s", "begin_epoch_s", "{:.2f}".format),
    ("peak, MiB", "peak_mib", lambda found: f"{found[0]:.0f}" if found else "-"),
    ("epoch, s", "epoch_s", "{:.1f}".format),
)
_PRECISIONS = [column for column in _METHODS[1:-1] if column[1] != "label_s"]  # labels of the first one are reused
_OTHER: Mapping[str, Sequence[Column]] = {
    "embedding": (
        ("images/s", "images_per_s", "{:.0f}".format),
        ("training set, s", "all_images_s", "{:.1f}".format),
    ),
    "compile": (("first steps, s", "first_s", "{:.1f}".format), ("step, ms", "step_ms", "{:.1f}".format)),
    "deterministic": (
        ("repeats exactly", "repeated_equal", str),
        ("resumes exactly", "resumed_equal", str),
        ("operations without a deterministic kernel", "without_deterministic_kernel", lambda found: _lacking(found)),
    ),
    "scoring": (("queries", "queries", str), ("seconds", "seconds", "{:.2f}".format)),
}


def page(figures: Mapping[str, Any]) -> str:
    """Write the figures as Markdown."""
    made = figures.get("machine", {}).get("machine", {})
    versions = made.get("environment", {})
    shown = ", ".join(f"{name} {versions[name]}" for name in ("torch", "cuda", "cudnn", "driver") if name in versions)
    parts = [
        "# Figures of a GPU",
        "Made by `python -m benchmarks.gpu`; do not edit.",
        f"{made.get('gpu') or made.get('cpu')}; {shown}; commit {str(made.get('commit'))[:10]}"
        f"{' with uncommitted changes' if made.get('dirty') else ''}; workload {figures['workload']}; "
        f"{figures.get('seconds', 0):.0f} s.",
    ]
    parts += _section("Encoder alone", "precision", figures.get("ceilings", {}), _CEILINGS)
    measured = {**figures.get("parent", {}), **figures.get("methods", {})}
    methods = {f"`{name}`": _with_epoch(found, figures) for name, found in measured.items()}
    parts += _section("Methods", "method", methods, _METHODS)
    parts += _section("Parent method by precision", "precision", figures.get("precisions", {}), _PRECISIONS)
    for name, columns in _OTHER.items():
        parts += _section(name.capitalize(), "of", figures.get(name, {}), columns)
    return "\n\n".join(parts) + "\n"


def _with_epoch(found: Mapping[str, Any], figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the seconds of an epoch: embedding, clustering, memories and its steps."""
    embed = [part["all_images_s"] for part in figures.get("embedding", {}).values() if "all_images_s" in part]
    if "step_ms" not in found or not embed:
        return found
    epoch = embed[0] + found["label_s"] + found["begin_epoch_s"] + STEPS_PER_EPOCH * found["step_ms"] / 1000
    return {**found, "epoch_s": epoch}


def _section(title: str, first: str, rows: Mapping[str, Any], columns: Sequence[Column]) -> list[str]:
    good = {name: found for name, found in rows.items() if "error" not in found}
    failed = [f"* {name}: {found['error']}" for name, found in rows.items() if "error" in found]
    if not rows:
        return []
    cells = [[name, *(show(f[key]) if key in f else "-" for _, key, show in columns)] for name, f in good.items()]
    table = [markdown_table([first, *(column[0] for column in columns)], cells)] if cells else []
    return [f"## {title}", *table, *(["Not measured:\n\n" + "\n".join(failed)] if failed else [])]


def _lacking(found: Mapping[str, Sequence[str]]) -> str:
    named = [f"{name}: {', '.join(operations)}" for name, operations in found.items() if operations]
    return "; ".join(named) or "none"
