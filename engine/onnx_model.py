"""Models exported to ONNX: loading of a folder of ``export``, as an embedder.

The files are data for onnxruntime, which runs no Python code in them. Files that name further files are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError, printable, show
from usvi_bench.core.files import read_json
from usvi_bench.core.paths import is_file, is_folder
from usvi_bench.core.types import Modality
from usvi_bench.datasets.cache import FILTERS
from usvi_bench.engine.config import DataConfig
from usvi_bench.engine.embedder import BATCH, Embedder
from usvi_bench.engine.feature_file import check_about
from usvi_bench.engine.load_config import build

ABOUT = "about.json"
"""File that describes an exported model."""
INPUT, OUTPUT = "images", "features"
LARGEST = 2 << 30
"""Largest size of a file in bytes, the limit of its format."""
NEEDED = ("weights_sha256", "height", "width", "filter", "files")
"""Entries of :data:`ABOUT` besides those that every features file has."""
_DOMAINS = ("", "ai.onnx", "pkg.onnxscript.torch_lib", "pkg.onnxscript.torch_lib.common")
"""Sets of operations that an exported encoder may use: those of ONNX, and functions within the file."""
_NESTED = ("If", "Loop", "Scan")
"""Operations that an exported encoder does not have; a loop may never end."""


def is_exported(path: Path) -> bool:
    """Return whether a path is an exported model: a folder of :data:`ABOUT`, or one of its ONNX files."""
    return path.suffix == ".onnx" or (is_folder(path) and is_file(path / ABOUT))


class OnnxEmbedder(Embedder):
    """Embedder with the exported files of a folder, on a CPU.

    Args:
        path: the folder, or one of its files.
        threads: number of threads.

    Raises:
        UsageError: a file is missing, damaged or of another form, or onnxruntime is not installed.
    """

    def __init__(self, path: Path, threads: int) -> None:
        folder = path.parent if path.suffix == ".onnx" else path
        self._folder, self._threads = folder, threads
        self.about = _read_about(folder / ABOUT)
        self._hashes: dict[str, Any] = self.about.pop("files")
        self._sessions: dict[Modality, Any] = {}
        load_package("onnx")
        load_package("onnxruntime")
        size = f"{self.about['height']}x{self.about['width']}"
        self.source, self.description = str(folder), f"{folder.name}: exported model, for images of {size}"

    def embed(self, pixels: NDArray[np.uint8], modality: Modality) -> NDArray[np.float32]:
        if modality not in self._sessions:
            self._sessions[modality] = self._open(self._folder / f"{modality}.onnx")
        run = self._sessions[modality].run
        try:
            parts = [run([OUTPUT], {INPUT: np.array(pixels[i : i + BATCH])})[0] for i in range(0, len(pixels), BATCH)]
            return np.concatenate(parts)
        except Exception as error:  # onnxruntime raises types of its own
            raise _unusable(self._folder / f"{modality}.onnx", error) from error

    def _open(self, path: Path) -> Any:
        if not is_file(path) or path.stat().st_size > LARGEST:
            raise UsageError(f"{path}: no such file, or too large; write it with 'export'")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self._hashes.get(path.name):
            raise UsageError(f"{path}: it is not the file that {ABOUT} describes; write both again with 'export'")
        size = [self.about["height"], self.about["width"], 3]
        try:
            _check_graph(content)
            session = new_session(content, self._threads)
        except Exception as error:
            raise _unusable(path, error) from error
        ends = session.get_inputs(), session.get_outputs()
        inputs, outputs = ([(one.name, one.type, one.shape[1:]) for one in part] for part in ends)
        if inputs != [(INPUT, "tensor(uint8)", size)] or [each[:2] for each in outputs] != [(OUTPUT, "tensor(float)")]:
            raise UsageError(f"{path}: its input or output is not that of an exported model; write it with 'export'")
        return session


def load_package(name: str) -> Any:
    """Import a package of the extra ``export``.

    Raises:
        UsageError: it cannot be imported; the message names the extra.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f"ONNX files need {name}, which cannot be imported ({printable(error):.100}): install the extra, "
            'pip install ".[export]"'
        ) from error


def new_session(content: bytes, threads: int) -> Any:
    """Make a session of onnxruntime on the CPU for the content of an ONNX file."""
    runtime = load_package("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _unusable(path: Path, error: Exception) -> UsageError:
    if isinstance(error, UsageError):
        return error
    reason = printable(" ".join(str(error).split()))
    return UsageError(f"{path}: not a usable ONNX file ({reason:.150}); write it with 'export'")


def _read_about(path: Path) -> dict[str, Any]:
    """Read and check the description of an exported model."""
    try:
        about = read_json(path)
    except (OSError, ValueError) as error:
        reason = printable(" ".join(str(error).split()))
        raise UsageError(f"{path}: cannot be read ({reason:.100}); write the model again with 'export'") from error
    if not isinstance(about, dict) or (missing := [name for name in NEEDED if name not in about]):
        lacking = f"'{missing[0]}' is missing" if isinstance(about, dict) else "expected a JSON object"
        raise UsageError(f"{path}: {lacking}; write the model again with 'export'")
    check_about({name: value for name, value in about.items() if name != "files"}, path)
    if not isinstance(about["files"], dict):
        raise UsageError(f"{path}: files: expected the hash of each file; write the model again with 'export'")
    if about["filter"] not in FILTERS:
        raise UsageError(f"{path}: filter: unknown filter {show(about['filter'])}; write the model again with 'export'")
    build(DataConfig, {name: about[name] for name in ("height", "width", "depth_range") if name in about}, "data")
    return about


def _check_graph(content: bytes) -> None:
    """Refuse a file with weights in other files, with loops, or with operations of libraries.

    Raises:
        UsageError: names what it has.
        Exception: the content is no ONNX file; the parser raises many types.
    """
    onnx = load_package("onnx")
    model = onnx.load_model_from_string(content)
    for message in _messages(model):
        kind = type(message).__name__
        if kind == "TensorProto" and (message.external_data or message.data_location):
            raise UsageError("its weights are in another file; write it with 'export'")
        if kind == "NodeProto" and (message.op_type in _NESTED or message.domain not in _DOMAINS):
            raise UsageError(f"it has the operation {show(message.op_type)}; write it with 'export'")


def _messages(message: Any) -> Iterator[Any]:
    """Yield a message of a file and all messages in it."""
    waiting = [message]
    while waiting:
        current = waiting.pop()
        yield current
        for field, value in current.ListFields():
            if field.type == field.TYPE_MESSAGE:
                waiting.extend([value] if hasattr(value, "ListFields") else value)
