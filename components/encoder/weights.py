"""Loading of starting weights: a public file of the network or a saved encoder, ``.pth`` or ``.safetensors``."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.errors import UsageError

_ACCEPTED = "give a public file of the network, or an encoder's weights (.pth or .safetensors)"
_WRAPPERS = ("encoder", "model", "state_dict")
"""Names of the entry with the weights, in files that have other entries too."""


def load_weights(encoder: TwoStreamEncoder, path: Path) -> str:
    """Load starting weights: a public file of the encoder's network, or the state dict of an encoder.

    A public file does not change the neck; see :meth:`EmbeddingNetwork.from_public` for the rest. If anything is wrong,
    nothing is loaded.

    Args:
        encoder: encoder to load the weights into.
        path: a ``.safetensors`` file, or a file that ``torch.save`` wrote; no code in it is run.

    Returns:
        sha256 of the file, in hex.

    Raises:
        UsageError: the file is not readable, or its keys or shapes do not fit.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read weights '{path}': {error.strerror}; {_ACCEPTED}") from error
    state = _safetensors(content, path) if path.suffix == ".safetensors" else _pickled(path)
    _check_values(state, path)
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


def _safetensors(content: bytes, path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, ValueError) as error:
        raise UsageError(f"weights '{path}': this is not a valid safetensors file ({error}); {_ACCEPTED}") from error


def _pickled(path: Path) -> Mapping[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"weights '{path}' cannot be read without running code from the file, or are damaged; {_ACCEPTED}"
        ) from error
    except Exception as error:  # a damaged file can raise anything
        raise UsageError(f"cannot read weights '{path}' ({type(error).__name__}); {_ACCEPTED}") from error
    state = content
    if isinstance(content, Mapping):
        state = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), Mapping)), content)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f"'{path}' holds no weights; {_ACCEPTED}")
    return state


def _check_values(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not weights; counters of batches are whole numbers."""
    for key, value in state.items():
        if not isinstance(key, str):
            raise UsageError(f"weights '{path}': the key {key!r:.40} is not text; {_ACCEPTED}")
        if value.layout != torch.strided or value.is_meta:
            raise UsageError(f"weights '{path}': '{key}' is a sparse or empty tensor; save dense tensors")
        if key.endswith("num_batches_tracked"):
            continue
        if not value.is_floating_point():
            raise UsageError(f"weights '{path}': '{key}' is {value.dtype}, not a floating-point tensor; {_ACCEPTED}")
        if not bool(value.isfinite().all()):
            raise UsageError(f"weights '{path}': '{key}' holds NaN or infinite values; use weights that are finite")


def _check_fit(own: Mapping[str, Tensor], given: Mapping[str, Tensor], optional: set[str], path: Path) -> None:
    problems = {
        "missing": sorted(own.keys() - given.keys() - optional),
        "unexpected": sorted(given.keys() - own.keys()),
        "of another shape": sorted(k for k in own.keys() & given.keys() if own[k].shape != given[k].shape),
    }
    found = [f"{len(keys)} {kind} ({', '.join(keys[:3])}...)" for kind, keys in problems.items() if keys]
    if found:
        raise UsageError(
            f"weights '{path}' do not fit this encoder: {'; '.join(found)}; "
            "see encoder.name, its settings, and data.height and data.width"
        )
