"""Rules of a GPU: operations that make the host wait, that start no kernel, and that refuse their operands."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
_INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
_WAITS = {
    aten._local_scalar_dense: "item",
    aten.nonzero: "nonzero",
    aten.masked_select: "masked_select",
    aten._unique2: "unique",
    aten._unique: "unique",
    aten.unique_dim: "unique",
    aten.unique_consecutive: "unique",
    aten.bincount: "bincount",
    aten.equal: "equal",
    aten.allclose: "allclose",
    aten.histc: "histc",
}
"""Operations whose result has a size or value that the host reads."""
_NO_KERNEL = {
    *(aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided, aten.resize_),
    *(aten.set_, aten.lift_fresh, aten._local_scalar_dense, aten._unsafe_view, aten.detach_),
}
"""Operations beside views that only allocate or change the description of a tensor."""
_FLOATS_ONLY = {aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten.addmv, aten.mv, aten.dot}
_ANY_ORDER = {
    *(aten.kthvalue, aten.median, aten.histc, aten.put, aten.nll_loss2d_forward, aten._adaptive_avg_pool2d_backward),
    *(aten.upsample_bilinear2d_backward, aten.grid_sampler_2d_backward, aten.reflection_pad2d_backward),
}


def launches(func: Any) -> bool:
    """Return whether an operation on the device starts a kernel."""
    return not func.is_view and func.overloadpacket not in _NO_KERNEL


def wait(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Return why the host waits for an operation on the device, or None."""
    packet = func.overloadpacket
    if packet in (aten._to_copy, aten.copy_):
        return _copy_wait(packet, args, kwargs)
    if packet in _INDEXING:
        indices = [index for index in args[1] if index is not None]
        if args[0].is_cuda and any(index.is_cpu and index.dim() for index in indices):
            return "index from the host"
        filled = packet is not aten.index and args[2].dim() == 0 and not (len(args) > 3 and args[3])
        return "index by mask" if not filled and any(index.dtype == torch.bool for index in indices) else None
    if packet is aten.repeat_interleave and kwargs.get("output_size") is None:
        return "repeat_interleave without output_size"
    return _WAITS.get(packet)


def _copy_wait(packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """A copy between host and device waits, unless it is non-blocking from or to pinned memory."""
    source: Tensor = args[0] if packet is aten._to_copy else args[1]
    target: Tensor | None = None if packet is aten._to_copy else args[0]
    place = target.device if target is not None else torch.device(kwargs.get("device") or source.device)
    free = kwargs.get("non_blocking") or (target is not None and len(args) > 2 and args[2])
    if source.is_cuda == (place.type == "cuda"):
        return None
    if source.is_cuda:
        return None if free and target is not None and target.is_pinned() else "device to host"
    if target is not None and source.dim() == 0:
        return None
    if not source.is_pinned():
        return "host to device from pageable memory"
    return None if free else "host to device with a blocking copy"


def refusal(func: Any, args: tuple[Any, ...], tensors: list[Tensor]) -> str | None:
    """Return why a GPU refuses an operation, or None.

    Operands of two devices are refused, except for copies, indices, and numbers (0 dimensions) among elementwise
    operands. Products of integer matrices have no kernel.
    """
    packet = func.overloadpacket
    if packet in _FLOATS_ONLY and not args[0].is_floating_point():
        return f"{func}: no CUDA kernel for {args[0].dtype}"
    from_host = [x for x in tensors if x.is_cpu]
    if not from_host or packet in {aten.copy_, aten._to_copy}:
        return None
    if packet in _INDEXING and args[0].is_cuda and (packet is aten.index or args[2].is_cuda or args[2].dim() == 0):
        return None
    numbers = all(x.dim() == 0 for x in from_host)
    if numbers and (torch.Tag.pointwise in func.tags or packet in {aten.fill_, aten.masked_fill_, aten.masked_fill}):
        return None
    return f"{func}: operands on cuda:0 and on the CPU"


def adds_in_any_order(func: Any, args: tuple[Any, ...]) -> bool:
    """Return whether an operation has no deterministic kernel on a GPU."""
    packet = func.overloadpacket
    summed = packet in (aten.cumsum, aten.cumsum_) and args[0].is_floating_point()
    return packet in _ANY_ORDER or summed or (packet is aten.bincount and len(args) > 1 and args[1] is not None)
