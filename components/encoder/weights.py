"""Loading of weights into an encoder: a public file of its network, released weights, or a saved encoder."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from usvi_bench.components.encoder.known_containers import nearest_container
from usvi_bench.components.encoder.released import from_release, is_released
from usvi_bench.components.encoder.resnet_networks import ResNet50
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.encoder.weight_file import read_weight_file, unpack
from usvi_bench.core.errors import UsageError, printable


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
    file = read_weight_file(path)
    state = unpack(file).state
    try:
        public = encoder.network.from_public(state)
    except UsageError as error:
        raise UsageError(f"weights '{path}': {error}") from error
    if public is None:
        load_state(encoder, state, path)
    else:
        _load_checked(encoder, public, path, lambda key: key.startswith("neck."))
    return file.sha256


def load_state(encoder: TwoStreamEncoder, state: Mapping[str, Tensor], path: Path) -> None:
    """Load all weights of an encoder, by our names or by those of a release; if anything is wrong, nothing is loaded.

    Args:
        encoder: encoder to load the weights into.
        state: checked tensors.
        path: path of the file, for messages.

    Raises:
        UsageError: a name is missing or unexpected, or a shape is another one.
    """
    own = encoder.state_dict()
    if not is_released(state):
        _load_checked(encoder, state, path, lambda _: False)
        return
    if not isinstance(encoder.network, ResNet50):
        raise UsageError(f"weights '{path}' are those of a two-stream ResNet-50: give --set encoder.name=resnet50")
    found, missing, unexpected = from_release(state, own)
    _refuse(path, state, missing, unexpected, _other_shapes(own, found))
    encoder.load_state_dict({**own, **found})


def weights_as_bytes(encoder: nn.Module) -> bytes:
    """Return the weights as the content of a ``.safetensors`` file; equal weights give equal bytes."""
    from safetensors.torch import save

    state = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    return save(state)


def _load_checked(
    encoder: TwoStreamEncoder, state: Mapping[str, Tensor], path: Path, optional: Callable[[str], bool]
) -> None:
    own = encoder.state_dict()
    missing = [key for key in own.keys() - state.keys() if not optional(key)]
    _refuse(path, state, missing, list(state.keys() - own.keys()), _other_shapes(own, state))
    encoder.load_state_dict({**own, **state})


def _other_shapes(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    return [key for key in own.keys() & given.keys() if own[key].shape != given[key].shape]


def _refuse(
    path: Path, given: Collection[str], missing: Sequence[str], unexpected: Sequence[str], shapes: Sequence[str]
) -> None:
    """Refuse names that do not fit; counters of batches may be missing.

    Raises:
        UsageError: counts the names that do not fit, with the first three of each kind and the nearest container.
    """
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    found = [
        f"{len(keys)} {kind} ({printable(', '.join(sorted(keys)[:3])):.200}...)" for kind, keys in kinds.items() if keys
    ]
    if not found:
        return
    prefix = os.path.commonprefix(list(given)).rpartition(".")[0]  # noqa: RUF071 - names, not paths
    remedy = f"all names begin with '{prefix:.80}.': save the weights without it, or " if prefix else ""
    nearest = f"the nearest known container is {nearest_container(given)}; " if missing or unexpected else ""
    raise UsageError(
        f"weights '{path}' do not fit this encoder: {'; '.join(found)}; {nearest}"
        f"{remedy}see encoder.name, its settings, and data.height and data.width"
    )
