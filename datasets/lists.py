"""Lists of identities and of image paths in data trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path, PurePosixPath

from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.entries import parse_number, read_lines


def read_ids(path: Path) -> tuple[int, ...]:
    """Read the identities of a list, ascending: numbers separated by commas or line ends.

    Raises:
        UsageError: the file is absent, empty or malformed, or an identity occurs twice.
    """
    words = [word.strip() for line in read_lines(path) for word in line.split(",") if word.strip()]
    numbers = [parse_number(word) for word in words]
    if None in numbers or not numbers:
        found = repr(words[numbers.index(None)][:20]) if numbers else "nothing"
        raise UsageError(f"{path}: found {found} instead of numbers of at most nine digits, separated by commas")
    identities = sorted(number for number in numbers if number is not None)
    twice = [one for one, other in pairwise(identities) if one == other]
    if twice:
        raise UsageError(f"{path}: id {twice[0]} occurs twice; remove one")
    return tuple(identities)


def read_images(path: Path, fault: Callable[[PurePosixPath], str]) -> list[tuple[str, int]]:
    """Read the images of a list, whose lines are ``relative/path label``, in the order of the lines.

    Backslashes in paths are read as slashes.

    Args:
        path: the list.
        fault: returns what is wrong with an image on this list; empty if nothing is.

    Raises:
        UsageError: the file is absent or empty, or a line is malformed, repeated, or names an image outside the data
            set or one with a fault.
    """
    images: list[tuple[str, int]] = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        name, _, word = line.strip().rpartition(" ")
        image, label = PurePosixPath(name.strip().replace("\\", "/")), parse_number(word)
        if not name or label is None or not name.isprintable():
            text = repr(line.strip()[:80])
            raise UsageError(
                f"{path} line {number}: {text} is not an image path, a blank and a label; restore the list"
            )
        wrong = fault(image)
        if image.is_absolute() or ".." in image.parts:
            wrong = "is not a path below the root of the data set"
        if wrong:
            raise UsageError(f"{path} line {number}: {image!s:.200} {wrong}; restore the list")
        images.append((image.as_posix(), label))
    if not images:
        raise UsageError(f"{path} lists no image; restore it")
    repeated = [name for name, times in Counter(name for name, _ in images).items() if times > 1]
    if repeated:
        raise UsageError(f"{path} lists {repeated[0]:.200} more than once; restore it")
    return images
