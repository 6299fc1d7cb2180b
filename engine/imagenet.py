"""The public file that ``--weights imagenet`` names, found in the caches of torch and timm."""

from __future__ import annotations

import hashlib
from pathlib import Path

from usvi_bench.components.encoder.public_file import PublicFile, digits_of, hub_folder, timm_folder
from usvi_bench.components.encoder.registered import network_class
from usvi_bench.core.errors import UsageError
from usvi_bench.core.paths import is_file

IMAGENET = "imagenet"
"""Word for the public file of an encoder, which was trained on ImageNet."""
TRY = "for a try without a GPU: --set encoder.name=small --weights small16 --schedule quick"
"""Options that train on any data within minutes on a CPU."""


def find_imagenet(encoder: str) -> Path:
    """Return the path of the public file of an encoder in the caches of torch hub and timm; nothing is downloaded.

    Raises:
        UsageError: the encoder has no public file, the caches do not hold it, or its content is another one. The
            message states what to fetch and where to put it.
    """
    option = f"--weights {IMAGENET}"
    public = network_class(encoder).public_file
    if public is None:
        raise UsageError(
            f"{option}: no public ImageNet weights of the encoder '{encoder}' are known; give the path of "
            "a file of its weights, or 'random'"
        )
    for path in public.places():
        if is_file(path):
            _check_digits(path, public)
            return path
    timm = timm_folder() / f"models--timm--{public.timm}"
    raise UsageError(
        f"{option}: no {public.name} in the cache of torch, {hub_folder()}, and no {timm}; fetch {public.url} and "
        f"put it into the first folder, or give its path: --weights {public.name}; or start from --weights random; "
        f"{TRY}"
    )


def _check_digits(path: Path, public: PublicFile) -> None:
    """Refuse a file whose SHA-256 does not begin with the digits in its name; others are checked by shapes later."""
    if not (digits := digits_of(path.name)):
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(digits):
        raise UsageError(
            f"--weights {IMAGENET}: the SHA-256 of {path} begins with {found[:8]}, not {digits}: the file is damaged; "
            f"delete it and fetch {public.url} again"
        )
