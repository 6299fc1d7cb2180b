"""Files of run folders that the site copies: regular files without links, of the kind that their name indicates."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.parsers import expat

LARGEST = 64 * 2**20
"""Largest size of a file in bytes."""
FIGURE = re.compile(r"[A-Za-z0-9][\w.+=-]{0,99}\.(?:svg|png)", re.ASCII)
"""Name of a figure."""
PICTURE = re.compile(r"pictures/\d{4,9}\.jpg", re.ASCII)
"""Name of a picture of a person."""
_DATA = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=\s]*")
_ELEMENTS = frozenset(
    [
        "svg",
        "g",
        "defs",
        "path",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "text",
        "tspan",
        "use",
        "image",
        "clipPath",
        "style",
        "title",
        "desc",
        "metadata",
        "marker",
        "pattern",
        "linearGradient",
        "radialGradient",
        "stop",
        "symbol",
        "mask",
    ]
)
_SPACES = (
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://creativecommons.org/ns#",
    "http://purl.org/dc/elements/1.1/",
)
_DTD = "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"
"""Document type that matplotlib names."""
_STARTS: Mapping[str, bytes] = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff"}


def read_plain_file(folder: Path, name: str) -> bytes:
    """Read a file below a folder. Links below the folder are not followed.

    Raises:
        ValueError: the file is a link, not a regular file or too large, or lies in a linked folder.
        OSError: the file cannot be read.
    """
    path = folder / name
    for part in (path, *(path.parents[i] for i in range(len(Path(name).parts) - 1))):
        if part.is_symlink():
            raise ValueError(f"{part.name} is a link")
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{name} is not a regular file")
        if status.st_size > LARGEST:
            raise ValueError(f"{name} has more than {LARGEST >> 20} MiB")
        return file.read(LARGEST)


def read_image(folder: Path, name: str) -> bytes:
    """Read a figure or a picture of a report, and check its content by the ending of its name.

    Raises:
        ValueError: the name has a separator or another ending, the file is a link, or the content is not an image.
        OSError: the file cannot be read.
    """
    if not (FIGURE.fullmatch(name) or PICTURE.fullmatch(name)):
        raise ValueError(f"{name!r:.80} is not the name of a figure in the same folder")
    content = read_plain_file(folder, name)
    ending = Path(name).suffix
    if ending == ".svg":
        _check_drawing(content, name)
    elif not content.startswith(_STARTS[ending]):
        raise ValueError(f"{name} is not an image of its kind")
    return content


def _check_drawing(content: bytes, name: str) -> None:
    """Refuse an SVG file with scripts, handlers, entities, foreign content or links to other files."""
    parser = expat.ParserCreate(namespace_separator=" ")
    style: list[str] = []
    inside = False

    def begin(element: str, attributes: Mapping[str, str]) -> None:
        nonlocal inside
        if inside:
            raise ValueError("an element within a style sheet")
        _check_element(element, attributes)
        inside = element.rpartition(" ")[2] == "style"

    def end(_: str) -> None:
        nonlocal inside
        if inside:
            _check_style("".join(style))
            style.clear()
        inside = False

    def text(part: str) -> None:
        if inside:
            style.append(part)

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = begin, end, text
    parser.EntityDeclHandler = _refuse("an entity")
    parser.ProcessingInstructionHandler = _refuse("a processing instruction")
    parser.StartDoctypeDeclHandler = _check_doctype
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(f"{name} is not an SVG file ({error})") from error
    except ValueError as error:
        raise ValueError(f"{name} has {error}") from error


def _check_doctype(_: str, system: str | None, public: str | None, subset: bool) -> None:
    if subset or system not in (None, _DTD):
        raise ValueError(f"a document type of its own ({system!r:.60})")


def _check_element(element: str, attributes: Mapping[str, str]) -> None:
    space, _, tag = element.rpartition(" ")
    if space == _SPACES[0] and tag not in _ELEMENTS:
        raise ValueError(f"the element {tag!r:.40}, which is not for drawing")
    if space not in _SPACES:
        raise ValueError(f"the element {tag!r:.40} outside the namespaces of SVG and its metadata")
    for attribute, value in attributes.items():
        key = attribute.rpartition(" ")[2].lower()
        if key.startswith("on"):
            raise ValueError(f"the handler {key!r:.40}")
        if key in ("href", "src"):
            if not (value.startswith("#") or _DATA.fullmatch(value)):
                raise ValueError(f"a link to {value!r:.40}")
        elif space == _SPACES[0]:
            _check_style(value)


def _check_style(text: str) -> None:
    """Refuse CSS that can load a file; matplotlib writes neither rules with @ nor escapes."""
    squeezed = re.sub(r"\s", "", text).lower()
    if re.search(r"[@\\]|image-set\(|image\(|src\(|url\((?![\"']?#)", squeezed):
        raise ValueError(f"a reference to another file ({text.strip()!r:.40})")


def _refuse(what: str) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise ValueError(what)

    return refuse
