"""Loading of starting weights: a public file of the network or a saved encoder, ``.pth`` or ``.safetensors``."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.errors import UsageError, printable
from usvi_bench.core.paths import is_file

_ACCEPTED = "give a public file of the network, or an encoder's weights (.pth or .safetensors)"
_WRAPPERS = ("encoder", "model", "state_dict")
"""Names of the entry with the weights, in files that have other entries too."""
_PARALLEL = "module."
_HEADER = b"\0\0\0\0{"
"""Bytes 4 to 8 of a safetensors file: the end of the length of its header, and the begin of the header."""
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def load_weights(encoder: TwoStreamEncoder, path: Path) -> str:
    """Load starting weights: a public file of the encoder's network, or the state dict of an encoder.

    A public file does not change the neck; see :meth:`EmbeddingNetwork.from_public` for the rest. If anything is wrong,
    nothing is loaded.

    Args:
        encoder: encoder to load the weights into.
        path: a safetensors file, or a file that ``torch.save`` wrote, under any name; no code in it is run. The
            weights may be an entry of the file, and have the prefix ``module.`` of ``DataParallel``.

    Returns:
        sha256 of the file, in hex.

    Raises:
        UsageError: the file is not readable, or its keys or shapes do not fit.
    """
    try:
        if not is_file(path):  # reading a device might never end
            raise UsageError(f"weights '{path}': no such file; {_ACCEPTED}")
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read weights '{path}': {error.strerror}; {_ACCEPTED}") from error
    state = _safetensors(content, path) if _is_safetensors(content, path) else _pickled(content, path)
    _check_values(state, path)
    state = _without_prefix(state)
    own = encoder.state_dict()
    optional = {key for key in own if key.endswith("num_batches_tracked")}
    try:
        public = encoder.network.from_public(state)
    except UsageError as error:
        raise UsageError(f"weights '{path}': {error}") from error
    if public is not None:
        state = public
        optional |= {key for key in own if key.startswith("neck.")}
    _check_fit(own, state, optional, path)
    encoder.load_state_dict({**own, **state})
    return hashlib.sha256(content).hexdigest()


def weights_as_bytes(encoder: nn.Module) -> bytes:
    """Return the weights as the content of a ``.safetensors`` file; equal weights give equal bytes."""
    from safetensors.torch import save

    state = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    return save(state)


def _is_safetensors(content: bytes, path: Path) -> bool:
    """Return whether a file is in the safetensors format, by its content; a torn file, by its name."""
    if content[4:9] == _HEADER:
        return True
    return path.suffix.lower() == ".safetensors" and not content.startswith((b"PK", b"\x80"))


def _safetensors(content: bytes, path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise UsageError(f"weights '{path}': this is not a valid safetensors file ({error}); {_ACCEPTED}") from error


def _pickled(content: bytes, path: Path) -> Mapping[str, Tensor]:
    _refuse_compressed(content, path)
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"weights '{path}' cannot be read without running code from the file, or are damaged; {_ACCEPTED}"
        ) from error
    except Exception as error:  # a damaged file can raise anything
        raise UsageError(f"cannot read weights '{path}' ({type(error).__name__}); {_ACCEPTED}") from error
    if isinstance(found, Mapping) and {"models", "optimiser", "fold"} <= found.keys():
        raise UsageError(
            f"'{path}' is a checkpoint of a training (fold {found['fold']!r:.20}), whose people another fold may test "
            "on; if none is tested, save its content['models']['student'] with torch.save and give that file"
        )
    state = _unwrapped(found)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f"'{path}' holds no weights; {_ACCEPTED}")
    return state


def _refuse_compressed(content: bytes, path: Path) -> None:
    """Refuse an archive whose entries are longer than itself; ``torch.save`` does not compress."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except Exception:  # no archive, or a damaged one, which torch.load refuses
        return
    if size > len(content):
        raise UsageError(f"weights '{path}': a compressed archive of {size} bytes; save the weights with torch.save")


def _unwrapped(content: Any) -> Any:
    """Return the entry with the weights of a file that has other entries too, at any depth."""
    for _ in range(10):
        inner = [content[name] for name in _WRAPPERS if name in content] if isinstance(content, Mapping) else []
        if not any(isinstance(each, Mapping) for each in inner):
            break
        content = next(each for each in inner if isinstance(each, Mapping))
    return content


def _check_values(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not weights; counters of batches are whole numbers."""
    for key, value in state.items():
        if not isinstance(key, str):
            raise UsageError(f"weights '{path}': the key {key!r:.40} is not text; {_ACCEPTED}")
        named = f"weights '{path}': {key[:80]!r}"
        if value.layout != torch.strided or value.is_meta or value.is_nested:
            raise UsageError(f"{named} is a sparse or empty tensor; save dense tensors")
        counter = key.endswith("num_batches_tracked")
        if value.dtype not in (_FLOATS | {torch.int64} if counter else _FLOATS):
            raise UsageError(f"{named} is {value.dtype}, not a floating-point tensor; {_ACCEPTED}")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UsageError(f"{named} repeats a few numbers {value.numel()} times; save contiguous tensors")
        if not bool(value.float().isfinite().all()):
            raise UsageError(f"{named} holds NaN or infinite values; use weights that are finite")
        if key.endswith("running_var") and bool((value < 0).any()):
            raise UsageError(f"{named} holds negative variances; {_ACCEPTED}")
    matrices = [value for value in state.values() if value.dim() > 1]
    if matrices and not any(bool(value.any()) for value in matrices):
        raise UsageError(f"weights '{path}': all weights are zero; {_ACCEPTED}")


def _without_prefix(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Remove the prefix that ``DataParallel`` puts before all names."""
    if state and all(key.startswith(_PARALLEL) for key in state):
        return {key.removeprefix(_PARALLEL): value for key, value in state.items()}
    return state


def _check_fit(own: Mapping[str, Tensor], given: Mapping[str, Tensor], optional: set[str], path: Path) -> None:
    problems = {
        "missing": sorted(own.keys() - given.keys() - optional),
        "unexpected": sorted(given.keys() - own.keys()),
        "of another shape": sorted(k for k in own.keys() & given.keys() if own[k].shape != given[k].shape),
    }
    found = [
        f"{len(keys)} {kind} ({printable(', '.join(keys[:3])):.200}...)" for kind, keys in problems.items() if keys
    ]
    if found:
        prefix = os.path.commonprefix(list(given)).rpartition(".")[0]  # noqa: RUF071 - names, not paths
        remedy = f"all names begin with '{prefix:.80}.': save the weights without it, or " if prefix else ""
        raise UsageError(
            f"weights '{path}' do not fit this encoder: {'; '.join(found)}; "
            f"{remedy}see encoder.name, its settings, and data.height and data.width"
        )
