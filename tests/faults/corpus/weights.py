"""Hostile starting weights and checkpoints."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.faults.corpus.case import Case, Expect, call, command, require, tiny_people

CANARY = "canary"
ENTRY = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
State = dict[str, Tensor]


class Trap:
    """Object whose unpickling creates a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(CANARY),))


def cases(seed: int) -> Iterator[Case]:
    """Yield weight files and checkpoints that are damaged, dangerous, or merely wrapped in an unusual way."""
    rng = np.random.default_rng(seed)
    for name, write, expect in [*_files(rng), *_tensors(rng), *_wrapped(), *_vit(rng)]:
        kind = "vit" if name.startswith("ViT") else "small"
        yield Case("weights", name, partial(_load, kind, write), expect, ("w.pth", "W.SAFETENSORS", "w.safetensors"))
    for name, change in _checkpoints(rng):
        yield Case("weights", f"checkpoint: {name}", partial(_resume, change), "refused", ("epoch_0001.pt",))
    for path in ("/dev/zero", "/etc", "nowhere", "", "x" * 5000, "a\0b"):
        yield Case("weights", f"--weights {path[:20]!r}", partial(_named, path), "refused")


def _new_encoder(kind: str, seed: int) -> Any:
    from usvi_bench.components.encoder.network import EncoderConfig
    from usvi_bench.components.encoder.resnet_networks import SmallConfig
    from usvi_bench.components.encoder.two_stream import build_encoder
    from usvi_bench.components.encoder.vit import VisionTransformer
    from usvi_bench.core.registry import ENCODERS

    if kind == "small":
        return build_encoder(SmallConfig(width=8), seed)
    if "corpus_vit" not in ENCODERS.names():
        sizes = {"dim": 24, "depth": 2, "heads": 3}
        ENCODERS.register("corpus_vit")(type("CorpusViT", (VisionTransformer,), sizes))
    return build_encoder(EncoderConfig("corpus_vit"), seed, 64, 32)


Writer = Callable[[Any], Path]
"""Function that writes a file, from an encoder whose weights it may use, and returns its path."""


def _load(kind: str, write: Writer, folder: Path) -> int:
    from usvi_bench.components.encoder.weights import load_weights

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    source, target = _new_encoder(kind, 0), _new_encoder(kind, 1)
    path = write(source)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    wanted = source.state_dict()
    try:
        status = call(lambda: load_weights(target, path))
    finally:
        require(not (folder / CANARY).exists(), "code in the file was run")
    after = target.state_dict()
    if status:
        require(all(torch.equal(after[key], before[key]) for key in before), "refused, but something was loaded")
    else:
        same = [key for key in wanted if not torch.allclose(after[key].float(), wanted[key].float(), atol=0.02)]
        require(not [key for key in same if "neck" not in key], f"other weights than those of the file: {same[:3]}")
    return status


def _named(path: str, _: Path) -> int:
    return command(["--method", "untrained", "--protocol", "sysu_all", "--data", str(tiny_people()), "--weights", path])


def _save(content: Any, name: str = "w.pth", **options: Any) -> Path:
    torch.save(content, name, **options)
    return Path(name)


def _bytes(content: bytes, name: str = "w.pth") -> Path:
    Path(name).write_bytes(content)
    return Path(name)


def _saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


Item = tuple[str, Writer, Expect]


def _files(rng: np.random.Generator) -> Iterator[Item]:
    from usvi_bench.components.encoder.weights import weights_as_bytes

    cut = float(rng.uniform(0.1, 0.9))
    at = int(rng.integers(200, 5000))
    yield "empty file", lambda e: _bytes(b""), "refused"
    yield "zero bytes", lambda e: _bytes(bytes(10_000)), "refused"
    yield "text", lambda e: _bytes(b"weights " * 100), "refused"
    yield "random bytes", partial(lambda raw, e: _bytes(raw), rng.bytes(5000)), "refused"
    yield "half of a file", lambda e: _bytes(_saved(e.state_dict())[: int(cut * 400_000)]), "refused"
    yield "zip without entries", lambda e: _bytes(_zip({})), "refused"
    yield "zip with a pickle only", lambda e: _bytes(_zip({"a/data.pkl": pickle.dumps({})})), "refused"
    yield "zip bomb", lambda e: _bytes(_zip({"a/data.pkl": bytes(50_000_000)})), "refused"
    yield "pickle with code", lambda e: _bytes(pickle.dumps({"encoder": Trap()})), "refused"
    yield "pickle with code, old protocol", lambda e: _bytes(pickle.dumps(Trap(), 0)), "refused"
    yield "archive with code", lambda e: _save({"encoder": Trap()}), "refused"
    yield "archive with code beside weights", lambda e: _save({**e.state_dict(), "x": Trap()}), "refused"
    yield "old archive with code", lambda e: _save([Trap()], _use_new_zipfile_serialization=False), "refused"
    yield "pickle that calls os.system", lambda e: _bytes(b"cos\nsystem\n(S'touch canary'\ntR."), "refused"
    yield "nested pickle", lambda e: _bytes(b"\x80\x02" + b"(" * 100_000 + b"."), "refused"
    yield "whole module", lambda e: _save(torch.nn.Linear(2, 2)), "refused"
    yield "NumPy archive", lambda e: _npz(), "refused"
    yield "old archive", lambda e: _save(e.state_dict(), _use_new_zipfile_serialization=False), "accepted"
    yield "safetensors", lambda e: _bytes(weights_as_bytes(e), "w.safetensors"), "accepted"
    yield "safetensors named .pth", lambda e: _bytes(weights_as_bytes(e)), "accepted"
    yield "safetensors named .SAFETENSORS", lambda e: _bytes(weights_as_bytes(e), "W.SAFETENSORS"), "accepted"
    yield "archive named .safetensors", lambda e: _save(e.state_dict(), "w.safetensors"), "accepted"
    for name, header in {
        "no end": b'{"a":',
        "a list": b"[]",
        "nested": b'{"a":' * 50_000,
        "overlap": b'{"a":%s,"b":%s}' % (ENTRY, ENTRY),
        "beyond the end": b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}',
        "negative": b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        "unknown type": b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
        "not UTF-8": b'{"\xff":1}',
    }.items():
        content = len(header).to_bytes(8, "little") + header + bytes(8)
        yield f"safetensors header: {name}", partial(lambda raw, e: _bytes(raw, "w.safetensors"), content), "refused"
    yield "safetensors of a huge header", lambda e: _bytes(b"\xff" * 8 + b"{}", "w.safetensors"), "refused"
    yield "safetensors cut", lambda e: _bytes(weights_as_bytes(e)[:-at], "w.safetensors"), "refused"


def _zip(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def _npz() -> Path:
    np.savez("w.pth", a=np.zeros(3))
    return Path("w.pth.npz").rename("w.pth")


def _tensors(rng: np.random.Generator) -> Iterator[Item]:
    from usvi_bench.components.encoder.resnet_networks import SmallConfig
    from usvi_bench.components.encoder.two_stream import build_encoder

    names = [key for key in build_encoder(SmallConfig(width=8), 0).state_dict() if key.endswith("conv1.weight")]
    key = str(rng.choice(names))
    changes: dict[str, Callable[[Tensor], Any]] = {
        "sparse": lambda v: v.to_sparse(),
        "CSR": lambda v: v.reshape(len(v), -1).to_sparse_csr(),
        "meta": lambda v: v.to("meta"),
        "complex": lambda v: v.to(torch.complex64),
        "conjugate": lambda v: v.to(torch.complex64).conj(),
        "quantised": lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8),
        "int8": lambda v: v.to(torch.int8),
        "int64": lambda v: v.long(),
        "bool": lambda v: v > 0,
        "float8": lambda v: v.to(torch.float8_e4m3fn),
        "nested": lambda v: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        "NaN": lambda v: v * float("nan"),
        "infinite": lambda v: v / 0,
        "float64 beyond float32": lambda v: v.double() * 1e300,
        "of another shape": lambda v: v[:1],
        "0-d": lambda v: v.sum(),
        "empty": lambda v: v[:0],
        "of 40 dimensions": lambda v: v.sum().reshape([1] * 40),
        "1 number as 10^12": lambda v: torch.zeros(1).expand(10**12),
        "1 number as its shape": lambda v: torch.zeros(1).expand(v.shape),
        "text": lambda v: "weights",
        "a list": lambda v: v.tolist(),
        "None": lambda v: None,
        "a dictionary": lambda v: {"a": v},
    }
    for name, change in changes.items():
        yield f"tensor {name}", partial(_with, key, change), "refused"
    right: dict[str, Callable[[Tensor], Tensor]] = {
        "float64": lambda v: v.double(),
        "bfloat16": lambda v: v.bfloat16(),
        "a parameter": lambda v: torch.nn.Parameter(v),
        "transposed": lambda v: v.transpose(0, 1).contiguous().transpose(0, 1),
        "with a negative bit": lambda v: torch._neg_view(-v),
        "channels last": lambda v: v.contiguous(memory_format=torch.channels_last),
        "a part of a larger storage": lambda v: torch.cat([v, v])[: len(v)],
    }
    for name, change in right.items():
        yield f"tensor {name}", partial(_with, key, change), "accepted"
    counter = key.replace("conv1.weight", "bn1.num_batches_tracked")
    yield "counter of batches complex", partial(_with, counter, lambda v: v.to(torch.complex64)), "refused"
    yield "counter of batches as text", partial(_with, counter, lambda v: "3"), "refused"
    variance = key.replace("conv1.weight", "bn1.running_var")
    yield "negative variance", partial(_with, variance, lambda v: v - 5), "refused"
    yield "key missing", lambda e: _save({k: v for k, v in e.state_dict().items() if k != key}), "refused"
    yield "key too many", lambda e: _save({**e.state_dict(), "x": torch.zeros(1)}), "refused"
    for odd in (3, None, b"x", ("a", 1), "\x1b[2J", "x" * 5000, "\ud800"):
        yield f"key {odd!r:.20}", partial(lambda odd, e: _save({**e.state_dict(), odd: torch.zeros(1)}), odd), "refused"
    yield "only a key that is no text", lambda e: _save({3: torch.zeros(1)}), "refused"
    yield "keys of batches that are no text", lambda e: _save({3: torch.zeros(1), "model": 3}), "refused"
    yield "shared storages", lambda e: _save(_shared(e.state_dict())), "accepted"


def _with(key: str, change: Callable[[Tensor], Any], encoder: Any) -> Path:
    state = encoder.state_dict()
    return _save({**state, key: change(state[key])})


def _shared(state: State) -> State:
    flat = torch.cat([value.float().reshape(-1) for value in state.values()])
    parts = flat.split([value.numel() for value in state.values()])
    return {key: part.reshape(value.shape) for (key, value), part in zip(state.items(), parts, strict=True)}


def _wrapped() -> Iterator[Item]:
    def prefixed(prefix: str, encoder: Any) -> State:
        return {prefix + key: value for key, value in encoder.state_dict().items()}

    yield "in state_dict", lambda e: _save({"state_dict": e.state_dict(), "epoch": 3}), "accepted"
    yield "in model", lambda e: _save({"model": e.state_dict()}), "accepted"
    yield "in model and state_dict", lambda e: _save({"model": {"state_dict": e.state_dict()}}), "accepted"
    yield "with module.", lambda e: _save(prefixed("module.", e)), "accepted"
    yield "in state_dict, with module.", lambda e: _save({"state_dict": prefixed("module.", e)}), "accepted"
    yield "with backbone.", lambda e: _save(prefixed("backbone.", e)), "refused"
    yield "wrapped 50 times", lambda e: _save(_deep(e.state_dict(), 50)), "refused"
    yield "wrapped in itself", lambda e: _save(_endless()), "refused"
    yield "a list", lambda e: _save([e.state_dict()]), "refused"
    yield "a tensor", lambda e: _save(torch.zeros(3)), "refused"
    yield "empty dictionary", lambda e: _save({}), "refused"
    yield "own checkpoint", _own_checkpoint, "refused"


def _deep(content: Any, times: int) -> Any:
    for _ in range(times):
        content = {"model": content}
    return content


def _endless() -> Any:
    content: dict[str, Any] = {}
    content["model"] = content
    return content


def _own_checkpoint(encoder: Any) -> Path:
    return _write_checkpoint(encoder).rename("w.pth")


def _write_checkpoint(encoder: Any) -> Path:
    from usvi_bench.core.journal import Mark
    from usvi_bench.engine.checkpoint import Checkpoint, save

    mark = Mark(*(0 for _ in Mark._fields))
    return save(Path(), Checkpoint("k", "pgm", 1, "data", 1, mark, {"student": encoder.state_dict()}, {}))


def _vit(rng: np.random.Generator) -> Iterator[Item]:
    for key, shapes in {
        "patch_embed.proj.weight": ((), (24,), (24, 3), (24, 3, 16), (24, 3, 16, 8), (0, 3, 16, 16), (24, 1, 16, 16)),
        "pos_embed": ((), (5,), (1, 198, 24), (2, 197, 24), (1, 197, 25), (0, 197, 24), (1, 0, 24), (1, 1, 24)),
        "cls_token": ((), (1, 1, 25)),
        "blocks.0.attn.qkv.weight": ((), (3, 3)),
    }.items():
        for shape in shapes:
            yield f"ViT {key} of shape {list(shape)}", partial(_timm, key, shape), "refused"
    for key in ("pos_embed", "blocks.", "blocks.9", "head.weight", "blocks.x.attn.qkv.weight"):
        expect: Expect = "either" if key == "head.weight" else "refused"
        yield f"ViT with an odd {key}", partial(_timm, key, (int(rng.integers(2, 9)), 3)), expect


def _timm(key: str, shape: tuple[int, ...], encoder: Any) -> Path:
    state = encoder.state_dict()
    public = {k: v for k, v in state.items() if not k.startswith(("visible.", "infrared.", "neck."))}
    public |= {k.replace("visible.", "patch_embed."): v for k, v in state.items() if k.startswith("visible.")}
    for part in ("visible", "infrared"):
        for name in ("weight", "bias"):
            state[f"{part}.proj.{name}"].copy_(public[f"patch_embed.proj.{name}"])
    return _save({**public, key: torch.zeros(shape)})


def _checkpoints(rng: np.random.Generator) -> Iterator[tuple[str, Callable[[Path], object]]]:
    from usvi_bench.core.sealed import write_sealed

    def sealed(content: Any) -> Callable[[Path], object]:
        return lambda path: write_sealed(path, lambda file: torch.save(content, file))

    def damaged(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
        return lambda path: path.write_bytes(change(path.read_bytes()))

    at = int(rng.integers(100, 3000))
    yield "empty", lambda path: path.write_bytes(b"")
    yield "cut", damaged(lambda content: content[:-at])
    yield "a flipped bit", damaged(lambda raw: raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    yield "code", sealed({"format": 2, "models": Trap()})
    yield "a list", sealed([])
    yield "an empty dictionary", sealed({})
    yield "another format", sealed({"format": 10**30})
    yield "a tensor as format", sealed({"format": torch.zeros(3)})
    yield "unknown fields", sealed({"format": 2, "journal": (0, ""), "x": 1})
    yield "a text as journal", sealed({"format": 2, "journal": "abc"})
    yield "sealed text", lambda path: write_sealed(path, lambda file: file.write(b"text") and None)


def _resume(change: Callable[[Path], object], folder: Path) -> int:
    from usvi_bench.engine.checkpoint import load

    path = _write_checkpoint(_new_encoder("small", 0))
    change(path)
    status = call(lambda: load(path))
    require(not (folder / CANARY).exists(), "code in the file was run")
    return status
