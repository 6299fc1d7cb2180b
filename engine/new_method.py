"""A new method: a plug-in file, or a part of the suite with its tests and documentation."""

from __future__ import annotations

import keyword
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from string import Template

from usvi_bench.core.errors import UsageError, show
from usvi_bench.core.files import write_bytes, write_text
from usvi_bench.core.registry import METHODS
from usvi_bench.core.revision import ROOT, is_installed
from usvi_bench.core.settings import FORMAT
from usvi_bench.engine import new_method_texts as texts

NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
"""Names of new methods: those of their modules."""
TABLE, README, PAGE = "tests/methods/test_every_method.py", "README.md", "docs/methods.md"
GENERATED = (f"core/formats/{FORMAT}.json", "CONTRIBUTING.md")
"""Files that the generators change."""
GENERATORS = (("usvi_bench.engine.defaults", "--write"), ("usvi_bench.reports.pages", "--write", "CONTRIBUTING.md"))
_CAMERAS = "* **The others** use it in the sampler only:"
_WIDTH = 120


def check_name(name: str) -> None:
    """Refuse a name that is no identifier in lower case, or that a method or a module of the suite has.

    Raises:
        UsageError: the name cannot be used; the message has it.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or keyword.issoftkeyword(name):
        plain = re.sub(r"\W+", "_", name.lower()).strip("_")
        hint = f", such as {plain}" if NAME.fullmatch(plain) and not keyword.iskeyword(plain) else ""
        raise UsageError(
            f"'{show(name)}' cannot name a method: use lower-case letters, digits and _, at most 24, with a letter "
            f"first, and no word of Python{hint}"
        )
    METHODS.check_free(name)


def write_plugin(name: str, path: Path) -> Path:
    """Write the file of a new method as a plug-in.

    Raises:
        UsageError: the name cannot be used, or the file exists.
    """
    check_name(name)
    if os.path.lexists(path):
        raise UsageError(f"{path} exists and is not overwritten; choose another name, or another file with --output")
    if path.suffix != ".py" or not path.parent.is_dir():
        raise UsageError(f"--output {path}: give a file that ends in .py, in a folder that exists")
    write_text(path, _filled(name, texts.METHOD))
    return path


def add_method(name: str, root: Path = ROOT) -> list[str]:
    """Add a method to a checkout: its file, its tests, its rows, its section, its committed defaults.

    If anything fails, every file is as it was.

    Returns:
        The paths of the files that were written, relative to the checkout.

    Raises:
        UsageError: the name cannot be used, a file exists or cannot be written, or a place for a row is not found.
    """
    if is_installed(root):
        raise UsageError(f"{root} is an installed package, which is not changed; give --output FILE.py for a plug-in")
    check_name(name)
    contents = plan(name, root)
    paths = [*contents, *GENERATED]
    former = {path: (root / path).read_bytes() for path in paths if (root / path).exists()}
    try:
        for path, text in contents.items():
            write_text(root / path, text)
        for words in GENERATORS:
            _generate(words, root)
    except BaseException:
        _restore(root, paths, former)
        raise
    return [path for path in paths if former.get(path) != (root / path).read_bytes()]


def plan(name: str, root: Path) -> dict[str, str]:
    """Return the new content of every file that no generator writes, by its path in the checkout.

    Raises:
        UsageError: a file exists or cannot be written, or a place for a row is not found.
    """
    made = {f"methods/{name}.py": texts.METHOD, f"tests/methods/test_{name}.py": texts.TEST}
    taken = [path for path in made if os.path.lexists(root / path)]
    taken += [str(path.relative_to(root)) for path in (root / "tests").rglob(f"test_{name}.py")]
    if taken:
        raise UsageError(f"{taken[0]} exists and is not overwritten; choose another name")
    edited = {path: _read(root, path) for path in (TABLE, README, PAGE)}
    for path in (*edited, *GENERATED, "methods", "tests/methods"):
        if not os.access(root / path, os.W_OK):
            raise UsageError(f"{root / path} cannot be written; make it writable, or give --output FILE.py")
    rows = {
        TABLE: [('    "supervised": {', texts.TEST_ROW)],
        README: [("| `supervised` | ", texts.README_ROW)],
        PAGE: [("| `supervised`, `untrained` |", texts.FORM_ROW), ("## Cost of a step", texts.SECTION)],
    }
    for path, places in rows.items():
        for before, template in places:
            edited[path] = _insert(edited[path], before, _filled(name, template), path)
    edited[PAGE] = _list_among_others(edited[PAGE], name)
    return {**{path: _filled(name, template) for path, template in made.items()}, **edited}


def _filled(name: str, template: Template) -> str:
    return template.substitute(name=name, title=title_of(name))


def title_of(name: str) -> str:
    """Return the name of the class of a method, which is no name that its file uses otherwise.

    >>> title_of("cross_contrast"), title_of("batch")
    ('CrossContrast', 'BatchMethod')
    """
    title = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    return f"{title}Method" if re.search(rf"\b{title}\b", texts.METHOD.template) else title


def _read(root: Path, path: str) -> str:
    try:
        return (root / path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{root / path}: {error.strerror}; use a whole checkout of the repository, or give --output FILE.py"
        ) from error


def _insert(text: str, before: str, new: str, path: str) -> str:
    """Insert lines before the only line that begins with the given words."""
    places = [match.start() for match in re.finditer(rf"^{re.escape(before)}", text, re.MULTILINE)]
    if len(places) != 1:
        raise UsageError(f"{path}: {len(places)} lines begin with '{before}', not 1; restore the file")
    return text[: places[0]] + new + text[places[0] :]


def _list_among_others(text: str, name: str) -> str:
    """Add a method to the list of those that use cameras in the sampler only."""
    head, found, rest = text.partition(_CAMERAS)
    names, end, tail = rest.partition("\n\n")
    if not (found and end):
        raise UsageError(f"{PAGE}: no line begins with '{_CAMERAS}'; restore the file")
    listed = sorted({*re.findall(r"`(\w+)`", names), name})
    line = f"{_CAMERAS} {', '.join(f'`{each}`' for each in listed)}."
    return head + textwrap.fill(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False) + end + tail


def _generate(words: Sequence[str], root: Path) -> None:
    """Run a generator in a process of its own, which imports the new method."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise UsageError(f"python -m {' '.join(words)} failed, so nothing was changed: {last[0]:.300}")


def _restore(root: Path, paths: Sequence[str], former: Mapping[str, bytes]) -> None:
    for path in paths:
        if path in former:
            if (root / path).read_bytes() != former[path]:
                write_bytes(root / path, former[path])
        else:
            with suppress(FileNotFoundError):
                (root / path).unlink()
