"""Hostile image files, decoded as a run decodes them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.faults.corpus.case import Case, call, require

HEIGHT, WIDTH = 24, 12
Pixels = NDArray[np.uint8]
Check = Callable[[Pixels], None]


def cases(seed: int) -> Iterator[Case]:
    """Yield images that must be refused, and unusual ones that must be decoded rightly."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    for name, content in _broken(pixels, rng):
        yield Case("pictures", name, partial(_decode, content, None), "refused", ("a.jpg",))
    for name, content, wanted, tolerance in _unusual(pixels):
        yield Case("pictures", name, partial(_decode, content, partial(_close, wanted, tolerance)), "accepted")
    for side in ((1, 1), (1, 64), (64, 1), (3, 3), (2, 500)):
        content = saved(Image.new("RGB", side), "PNG")
        yield Case("pictures", f"{side[0]}x{side[1]} pixels", partial(_decode, content, None), "refused", ("pixels",))


def _decode(content: bytes, check: Check | None, folder: Path) -> int:
    from usvi_bench.datasets.cache import decoded
    from usvi_bench.datasets.tree import table_of

    (folder / "a.jpg").write_bytes(content)
    table = table_of([("a.jpg", 1, 1)], "visible", folder)

    def decode() -> None:
        found = decoded(table, HEIGHT, WIDTH, "bicubic", "x")
        require(found.shape == (1, HEIGHT, WIDTH, 3), f"shape {found.shape}")
        if check:
            check(found[0])

    return call(decode)


def _close(wanted: Pixels, tolerance: float, found: Pixels) -> None:
    error = np.abs(found.astype(int) - wanted).mean()
    require(error <= tolerance, f"pixels differ by {error:.1f} on average")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return an image as the content of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(width: int, height: int, data: bytes = b"\0") -> bytes:
    """Return a PNG with a header of any size and too little data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(data)) + _chunk(b"IEND", b"")


def _broken(pixels: Pixels, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    image = Image.fromarray(pixels)
    jpeg, png, bmp = (saved(image, kind) for kind in ("JPEG", "PNG", "BMP"))
    yield "empty file", b""
    yield "text", b"this is not an image\n" * 20
    yield "zero bytes", bytes(5000)
    yield "random bytes", rng.bytes(5000)
    for name, content in {"JPEG": jpeg, "PNG": png, "BMP": bmp}.items():
        yield f"half a {name}", content[: len(content) // 2]
        yield f"{name} without its last 40 bytes", content[:-40]
        yield f"{name} of 10 bytes", content[:10]
        yield f"{name} with a wrong magic number", b"XX" + content[2:]
    at = png.index(b"IDAT") + 20
    yield "PNG with a bad CRC", png[:at] + bytes([png[at] ^ 255]) + png[at + 1 :]
    yield "PNG header of 20000x20000", _png(20_000, 20_000)
    yield "PNG header of 10000x10000", _png(10_000, 10_000)
    yield "PNG header of 2147483647x1", _png(2**31 - 1, 1)
    yield "PNG header of 0x0", _png(0, 0)
    yield "PNG of 20000x20000 zeros", _png(20_000, 20_000, bytes(10_000_000))
    yield "BMP header of 20000x20000", bmp[:18] + struct.pack("<ii", 20_000, 20_000) + bmp[26:]
    yield "BMP header of -1x-1", bmp[:18] + struct.pack("<ii", -1, -1) + bmp[26:]
    yield "text bomb in a PNG", png[:33] + _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000))) + png[33:]
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 12 24\n%%EndComments\nshowpage\n%%EOF\n"
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="12" height="24"/>'
    yield "zip archive", b"PK\x03\x04" + bytes(100)
    yield "NumPy array", _npy(pixels)
    floats = rng.random((HEIGHT, WIDTH)).astype(np.float32)
    for name, values in {
        "NaN": floats * np.nan,
        "infinite": floats + np.inf,
        "one NaN": np.where(floats == floats.max(), np.nan, floats),
    }.items():
        yield f"TIFF of floats: {name}", saved(Image.fromarray(values.astype(np.float32)), "TIFF")


def _npy(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    np.save(file, pixels)
    return file.getvalue()


def _unusual(pixels: Pixels) -> Iterator[tuple[str, bytes, Pixels, float]]:
    image = Image.fromarray(pixels)
    grey = np.asarray(image.convert("L"))
    three = np.repeat(grey[:, :, None], 3, 2)
    smooth = Image.fromarray(pixels[:2, :2]).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    yield "PNG named .jpg", saved(image, "PNG"), pixels, 0
    yield "BMP named .jpg", saved(image, "BMP"), pixels, 0
    yield "WebP named .jpg", saved(image, "WEBP", lossless=True), pixels, 0
    yield "grey", saved(image.convert("L"), "PNG"), three, 0
    low, high = np.percentile(grey, (0.5, 99.5))
    wide = np.rint(255 * np.clip((three - low) / (high - low), 0, 1)).astype(np.uint8)
    for name, deep in {
        "16 bits": grey.astype(np.uint16) * 257,
        "14 bits": grey.astype(np.uint16) * 3 + 7000,
        "32 bits": grey.astype(np.int32) * 1_000_000,
        "negative numbers": grey.astype(np.int32) - 300,
        "floats": grey.astype(np.float32) / 255,
        "huge floats": grey.astype(np.float32) * np.float32(1e30),
    }.items():
        yield f"grey of {name}", saved(Image.fromarray(deep), "TIFF"), wide, 1
    yield "grey of 16 bits, one value", saved(Image.fromarray(np.full_like(grey, 5, np.uint16)), "PNG"), 0 * three, 0
    yield "grey with transparency", saved(image.convert("LA"), "PNG"), three, 0
    yield "1 bit", saved(image.convert("1"), "PNG"), np.asarray(image.convert("1").convert("RGB")), 0
    yield "palette", saved(image.quantize(256), "PNG"), pixels, 12
    clear = image.convert("RGBA")
    clear.putalpha(0)
    yield "transparent", saved(clear, "PNG"), pixels, 0
    yield "CMYK", saved(smooth.convert("CMYK"), "JPEG", quality=100, subsampling=0), np.asarray(smooth), 6
    yield "progressive JPEG", saved(smooth, "JPEG", quality=100, progressive=True), np.asarray(smooth), 6
    yield "animated PNG", saved(image, "PNG", save_all=True, append_images=[Image.new("RGB", image.size)]), pixels, 0
    gif = saved(image, "GIF", save_all=True, append_images=[Image.new("RGB", image.size)])
    yield "animated GIF", gif, pixels, 30
    yield "PNG with text after it", saved(image, "PNG") + b"<script>" * 100, pixels, 0
    turns = {2: (0, True), 3: (2, False), 4: (2, True), 5: (1, True), 6: (1, False), 7: (3, True), 8: (3, False)}
    for orientation, (quarters, mirrored) in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = np.rot90(pixels[:, ::-1] if mirrored else pixels, quarters)
        yield f"EXIF orientation {orientation}", saved(Image.fromarray(turned), "PNG", exif=exif), pixels, 0
    for odd in (0, 9, 77):
        exif = Image.Exif()
        exif[0x0112] = odd
        yield f"EXIF orientation {odd}", saved(image, "PNG", exif=exif), pixels, 0
