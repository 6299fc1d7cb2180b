"""Export of a model to ONNX: a file for each modality, from decoded pictures to unit features."""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from usvi_bench.components.augment import MEAN, STD
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_bytes, write_json
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.core.types import MODALITIES, Modality
from usvi_bench.engine.display import Display
from usvi_bench.engine.embedder import BATCH, describe
from usvi_bench.engine.embedding_model import EmbeddingModel, open_model
from usvi_bench.engine.images import retrieval_features
from usvi_bench.engine.onnx_model import ABOUT, INPUT, OUTPUT, load_package, new_session
from usvi_bench.engine.open_embedder import ModelRequest, prepare_device
from usvi_bench.engine.search import check_new_folder

TOLERANCE = 1e-5
"""Largest difference of a number of a unit feature between the model and its exported file."""
CHECKED = (1, 2, 5)
"""Batches that the exported files are checked with."""


@dataclass(frozen=True)
class ExportRequest:
    """Export that is asked for; see :func:`usvi_bench.api.export` for the fields."""

    model: ModelRequest
    output: Path

    def __post_init__(self) -> None:
        check_new_folder(self.output)
        for package in ("onnx", "onnxscript", "onnxruntime"):
            load_package(package)


class Exported(nn.Module):
    """Exported module: from decoded pictures of one modality to unit features, with the mirror images."""

    def __init__(self, encoder: TwoStreamEncoder, modality: Modality) -> None:
        super().__init__()
        self.encoder, self.modality = copy.deepcopy(encoder).cpu().eval(), modality
        other = next(name for name in MODALITIES if name != modality)
        setattr(self.encoder.network, other, nn.Identity())  # its weights belong to the other file
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", mean / std)

    scale: Tensor
    shift: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Compute features ``[B, D]`` of pictures ``[B, H, W, 3]`` uint8."""
        planes = images.permute(0, 3, 1, 2).to(torch.float32) * self.scale - self.shift
        plain, mirrored = (self.encoder.embed(side, self.modality) for side in (planes, planes.flip(3)))
        return normalize((plain + mirrored) / 2, dim=1)


def export_model(request: ExportRequest, display: Display) -> Path:
    """Write ``visible.onnx``, ``infrared.onnx`` and ``about.json``, and check the files against the model.

    Nothing is written unless both files agree with the model.

    Raises:
        UsageError: an argument or the model is wrong, an extra is missing, the encoder cannot be exported, or an
            exported file gives other features.
        StorageError: a file cannot be written.
    """
    _, tree = prepare_device(request.model)
    model = open_model(request.model.path, settings=tree, network=request.model.network, fold=request.model.fold)
    display.print(model.description)
    files = {}
    for modality in MODALITIES:
        content = to_onnx(model, modality)
        largest = largest_difference(model, modality, content)
        if not largest <= TOLERANCE:
            raise UsageError(
                f"{modality}.onnx gives other features than {model.source}: they differ by {largest:.1e}, at most "
                f"{TOLERANCE:g} is allowed; nothing was written: report it, or choose another encoder"
            )
        display.print(f"{modality}.onnx: {len(content) / 2**20:.1f} MiB, largest difference {largest:.1e}")
        files[f"{modality}.onnx"] = content
    for name, content in files.items():
        write_bytes(request.output / name, content, "choose another --output")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    write_json(request.output / ABOUT, {**describe(model), "files": hashes}, "choose another --output")
    return request.output


def to_onnx(model: EmbeddingModel, modality: Modality) -> bytes:
    """Export the network of one modality.

    Raises:
        UsageError: an operation of the encoder has no counterpart in ONNX.
    """
    example = torch.zeros(2, model.height, model.width, 3, dtype=torch.uint8)  # a batch of 1 would fix the size
    shapes = {"images": {0: torch.export.Dim("batch")}}
    file = io.BytesIO()
    level = logging.getLogger("torch.onnx").level
    try:
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                Exported(model.encoder, modality),
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=shapes,
                optimize=False,  # the optimiser removes the addition of 1e-12 in the generalised mean
                verbose=False,
            )
            program.save(file, external_data=False)
    except Exception as error:  # the exporter raises many types
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{model.source}: the encoder '{model.config.name}' cannot be exported ({reason:.200}); use an encoder of "
            "the suite, or write features with 'embed'"
        ) from error
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
    return file.getvalue()


def largest_difference(model: EmbeddingModel, modality: Modality, content: bytes) -> float:
    """Return the largest difference of features between a model and its exported file; infinity if the file fails."""
    session = new_session(content, 1)
    encoder = model.encoder.cpu()
    largest = 0.0
    for batch in CHECKED:
        generator = numpy_generator(0, "export", batch)
        pixels: NDArray[np.uint8] = generator.integers(0, 256, (batch, model.height, model.width, 3), dtype=np.uint8)
        expected = retrieval_features(encoder, pixels, modality, BATCH, torch.device("cpu"), mirror=True, order=None)
        try:
            found = session.run([OUTPUT], {INPUT: pixels})[0]
        except Exception:  # onnxruntime raises types of its own, for example if the size of a batch is fixed
            return float("inf")
        if found.shape != expected.shape:
            return float("inf")
        largest = max(largest, float(np.abs(found - expected).max()))
    return largest
