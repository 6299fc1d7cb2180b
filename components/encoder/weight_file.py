"""Reading of weight files, in the safetensors format or by ``torch.save``. No code in a file is run."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_file

ACCEPTED = "give a public file of the network, or an encoder's weights (.pth or .safetensors)"
"""End of messages about files that hold no weights."""
SAFETENSORS, PLAIN = "safetensors", "plain"
"""Containers: a safetensors file, and the names of tensors without a wrapper."""
WRAPPERS = ("encoder", "model", "state_dict", "net")
"""Names of the entry with the weights, in files that have other entries too."""
LARGEST = 4 << 30
"""Largest size of a file in bytes; it is read into memory."""
_PARALLEL = "module."
_HEADER = b"\0\0\0\0{"
"""Bytes 4 to 8 of a safetensors file: the end of the length of its header, and the begin of the header."""
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_NUMPY = (
    "numpy.dtype",
    "numpy.ndarray",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray._reconstruct",
)
"""Names in the pickle of a NumPy number or array, of NumPy 2 and 1. Released files keep their best score as one."""


class _Ignored:
    """Ignored value: stands for NumPy's functions in a file, whose own code could be made to read foreign memory."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


@dataclass(frozen=True)
class WeightFile:
    """Weight file: what it holds, without any check of the values.

    Attributes:
        path: path of the file, for messages.
        content: tensors by name, or a structure of plain data and tensors.
        sha256: hash of the file, in hex.
        safetensors: whether it is a safetensors file.
    """

    path: Path
    content: Any
    sha256: str
    safetensors: bool

    @property
    def is_checkpoint(self) -> bool:
        """True for a checkpoint of a training of this suite, which has several networks."""
        return isinstance(self.content, Mapping) and {"models", "optimiser", "fold"} <= self.content.keys()


@dataclass(frozen=True)
class PackedWeights:
    """Packed weights: checked tensors by name, and how the file held them.

    Attributes:
        state: tensors by name, without the prefix of ``DataParallel``.
        container: ``safetensors``, ``plain``, or the names of the entries around the tensors: ``state_dict``.
    """

    state: Mapping[str, Tensor]
    container: str


def read_weight_file(path: Path) -> WeightFile:
    """Read a file into memory, under any name.

    Raises:
        UsageError: it cannot be read, is damaged, or holds more than tensors and plain data.
    """
    try:
        if not is_file(path):  # reading a device might never end
            raise UsageError(f"weights '{path!s:.200}': no such file; {ACCEPTED}")
        if (size := path.stat().st_size) > LARGEST:
            raise UsageError(f"weights '{path}': {size} bytes are more than {LARGEST >> 30} GiB; save the weights only")
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read weights '{path}': {error.strerror}; {ACCEPTED}") from error
    safetensors = _is_safetensors(content, path)
    found = _safetensors(content, path) if safetensors else _pickled(content, path)
    return WeightFile(path, found, hashlib.sha256(content).hexdigest(), safetensors)


def unpack(file: WeightFile) -> PackedWeights:
    """Return the weights in a file, which may be an entry of it, after checking their values.

    Raises:
        UsageError: it holds no weights, or a checkpoint of a training, or a tensor is not one of weights.
    """
    if file.is_checkpoint:
        raise UsageError(
            f"'{file.path}' is a checkpoint of a training on fold {file.content['fold']!r:.20}; its training people "
            "may be test people of another fold. If they are not, save its content['models']['student'] with "
            "torch.save, and give that file"
        )
    state, names = _unwrapped(file.content)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f"'{file.path}' holds no weights; {ACCEPTED}")
    check_values(state, file.path)
    container = SAFETENSORS if file.safetensors else ".".join(names) or PLAIN
    return PackedWeights(_without_prefix(state), container)


def check_values(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not weights; counters of batches are whole numbers.

    Raises:
        UsageError: names the first tensor that is wrong.
    """
    for key, value in state.items():
        if not isinstance(key, str):
            raise UsageError(f"weights '{path}': the key {key!r:.40} is not text; {ACCEPTED}")
        named = f"weights '{path}': {key[:80]!r}"
        if value.layout != torch.strided or value.is_meta or value.is_nested:
            raise UsageError(f"{named} is a sparse or empty tensor; save dense tensors")
        counter = key.endswith("num_batches_tracked")
        if value.dtype not in (_FLOATS | {torch.int64} if counter else _FLOATS):
            raise UsageError(f"{named} is {value.dtype}, not a floating-point tensor; {ACCEPTED}")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise UsageError(f"{named} repeats a few numbers {value.numel()} times; save contiguous tensors")
        if not bool(value.float().isfinite().all()):
            raise UsageError(f"{named} holds NaN or infinite values; use weights that are finite")
        if key.endswith("running_var") and bool((value < 0).any()):
            raise UsageError(f"{named} holds negative variances; {ACCEPTED}")
    matrices = [value for value in state.values() if value.dim() > 1]
    if matrices and not any(bool(value.any()) for value in matrices):
        raise UsageError(f"weights '{path}': all weights are zero; {ACCEPTED}")


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
        raise UsageError(f"weights '{path}': this is not a valid safetensors file ({error}); {ACCEPTED}") from error


def _pickled(content: bytes, path: Path) -> Any:
    _refuse_compressed(content, path)
    try:
        with safe_globals([(_Ignored, name) for name in _NUMPY]):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"weights '{path}' cannot be read without running code from the file, or are damaged; {ACCEPTED}"
        ) from error
    except Exception as error:  # a damaged file can raise anything
        raise UsageError(f"cannot read weights '{path}' ({type(error).__name__}); {ACCEPTED}") from error


def _refuse_compressed(content: bytes, path: Path) -> None:
    """Refuse an archive whose entries are longer than itself; ``torch.save`` does not compress."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except Exception:  # no archive, or a damaged one, which torch.load refuses
        return
    if size > len(content):
        raise UsageError(f"weights '{path}': a compressed archive of {size} bytes; save the weights with torch.save")


def _unwrapped(content: Any) -> tuple[Any, list[str]]:
    """Return the entry with the weights of a file that has other entries too, at any depth, and the names above it."""
    names: list[str] = []
    for _ in range(10):
        inner = [name for name in WRAPPERS if name in content] if isinstance(content, Mapping) else []
        inner = [name for name in inner if isinstance(content[name], Mapping)]
        if not inner:
            break
        content = content[inner[0]]
        names.append(inner[0])
    return content, names


def _without_prefix(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Remove the prefix that ``DataParallel`` puts before all names."""
    if state and all(key.startswith(_PARALLEL) for key in state):
        return {key.removeprefix(_PARALLEL): value for key, value in state.items()}
    return state
