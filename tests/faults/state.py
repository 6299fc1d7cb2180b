"""State of a run's folders, for comparison with an undisturbed run.

Everything below the folders is compared, byte for byte, with these exceptions. They differ between any two runs:

* ``record.json``: ``digest``; in ``provenance``: ``seconds``, ``finished``, ``peak_memory_mib``, ``journal`` (its lines
  hold seconds), and ``starts`` of each stage (one entry per start).
* ``journal.jsonl``: ``seconds``, ``peak_memory_mib``, ``chain``, and ``clustering`` (times) of each line.
* ``finished.json``: ``starts``, ``journal``, ``digest``. ``starts.jsonl`` is left out.
* ``epoch_*.pt``: ``journal``; all tensors and settings are compared.
* ``evaluation.npz``: the folder of the images.
* ``cache/fingerprints``, ``cache/logs`` and lock files are left out.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

_VOLATILE = ("seconds", "finished", "peak_memory_mib", "clustering", "journal", "chain", "starts", "digest")
ANY = "any"
"""Expected digest of a file whose content does not matter."""
_TEMPORARY = (".partial", ".part-", ".site-")


def state_of(folder: Path) -> dict[str, str]:
    """Return a digest of each file of a case's folder; damaged files have a digest of their own."""
    found = {}
    for base in ("out", "site", "cache/images", "cache/synthetic"):
        root = folder / base
        for path in sorted(root.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if not path.is_file() or path.name.endswith(".lock") or path.name == "starts.jsonl" or is_temporary(name):
                continue
            found[name] = _digest(path)
    return found


def is_temporary(name: str) -> bool:
    """Return whether a path belongs to an unfinished write."""
    return any(part in name for part in _TEMPORARY)


def leftovers(folder: Path) -> list[str]:
    """List files and folders of unfinished writes."""
    return [path.name for path in folder.rglob(".*") if is_temporary(path.name)]


def difference(found: dict[str, str], expected: dict[str, str]) -> str:
    """Name the first files that differ; empty if none do."""
    names = sorted({*found, *expected})
    wrong = [name for name in names if expected.get(name) != ANY and found.get(name) != expected.get(name)]
    words = [f"{'no ' if name not in found else 'extra ' if name not in expected else ''}{name}" for name in wrong]
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


def epochs_of(folder: Path) -> dict[str, int]:
    """Return the number of saved epochs of each stage."""
    found: dict[str, int] = {}
    for path in folder.glob("out/stages/*/epoch_*.pt"):
        found[path.parent.name] = max(found.get(path.parent.name, 0), int(path.stem.removeprefix("epoch_")))
    return found


def _digest(path: Path) -> str:
    try:
        content = _content(path)
    except Exception as error:  # compared with an undamaged file, which has none
        content = f"damaged: {type(error).__name__}".encode()
    return hashlib.sha256(content).hexdigest()


def _content(path: Path) -> bytes:
    if path.suffix == ".json" and path.name != "report.json":
        return _text(_stable(json.loads(path.read_text())))
    if path.suffix == ".jsonl":
        return _text([_stable(json.loads(line)) for line in path.read_text().splitlines()])
    if path.suffix == ".pt":
        content = torch.load(path, weights_only=True)
        return _text(_stable(content))
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return _text({name: _hash(arrays[name]) for name in sorted(arrays) if not name.endswith("_root")})
    return path.read_bytes()


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _stable(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, (list, tuple)):
        return [_stable(item) for item in value]
    if isinstance(value, torch.Tensor):
        return _hash(value.numpy())
    return value


def _hash(array: np.ndarray[Any, Any]) -> str:
    return f"{array.dtype} {array.shape} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()}"


def _text(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
