"""Description of a data folder for ``run.py --check-data``: data set, counts and missing files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from usvi_bench.core.errors import UsageError
from usvi_bench.core.options import similar_paths
from usvi_bench.core.paths import is_file, is_folder
from usvi_bench.core.registry import DATASETS
from usvi_bench.datasets.folder import FolderData
from usvi_bench.datasets.grey_depth import EACH_IMAGE
from usvi_bench.datasets.locate import explain_folder, root_of
from usvi_bench.datasets.own_folders import lacking
from usvi_bench.datasets.own_report import listed, own_report
from usvi_bench.datasets.own_table import is_table
from usvi_bench.datasets.tree import TreeDataset, synthetic_note

NOT_DECODED = "No image was decoded: a run stops at the first damaged file, and names it."


class FolderReport(NamedTuple):
    """Folder report: the description of a folder, and whether a run accepts the folder as it is.

    Attributes:
        text: lines for the user.
        complete: False if there is no known data set, something cannot be read, or counts differ.
    """

    text: str
    complete: bool


def readers() -> list[type[TreeDataset]]:
    """List the registered readers of published layouts."""
    classes = [DATASETS.get(name) for name in DATASETS.names()]
    return [cls for cls in classes if issubclass(cls, TreeDataset)]


def check_folder(
    path: Path, camera: str = "", sheet: Path | None = None, depth_range: str = EACH_IMAGE
) -> FolderReport:
    """Describe a folder: data set, people and images of each split, missing files; and whether it is complete.

    Only listed people and images that exist are counted. Images are decoded only if they are own images, in folders
    or in a table; those of a generated tree are compared with their digest.

    Args:
        path: folder, or table of own images.
        camera: own images: regular expression of the camera in the names of files; empty for none.
        sheet: own images: picture to draw of some of them.
        depth_range: own images: grey values of more than 8 bits that become black and white (``data.depth_range``).

    Raises:
        UsageError: the path holds no known data set, or an option does not apply to the one that it holds.
    """
    if not is_folder(path) and not is_table(path):
        what = "this is a file" if is_file(path) else f"no such folder{similar_paths(path)}"
        raise UsageError(f"--check-data {path!s:.200}: {what}; give the folder of a data set, or a table of own images")
    found = [reader for reader in readers() if reader.recognises(path)]
    if not found:  # a run finds such a folder too
        inner = {root for reader in readers() if (root := root_of(reader, path)) is not None}
        if inner:
            each = [check_folder(root, camera, sheet, depth_range) for root in sorted(inner)]
            return FolderReport("\n\n".join(part.text for part in each), all(part.complete for part in each))
    if any(issubclass(reader, FolderData) for reader in found):
        return FolderReport(*own_report(path, camera, sheet, depth_range))
    if camera or sheet is not None or depth_range != EACH_IMAGE:
        raise UsageError(
            f"{path} holds no own images; leave out --camera-pattern, --contact-sheet and --set data.depth_range"
        )
    if not found:
        raise UsageError(_nothing(path))
    parts = [_report(reader, path) for reader in found]
    return FolderReport("\n\n".join(part.text for part in parts), all(part.complete for part in parts))


def _nothing(path: Path) -> str:
    other = "own images: docs/own_data.md; other layouts: docs/add_a_data_set.md"
    known = "; ".join(f"{reader.title}: {', '.join(reader.landmarks)}" for reader in readers())
    near = [why] if (why := lacking(path)) else []
    near += explain_folder(path, readers())
    lines = [f"{path} holds no known data set; give the folder that holds these files ({other}):", f"  {known}"]
    return "\n".join([*lines, f"  {'; '.join(near)}"] if near else lines)


def _report(reader: type[TreeDataset], path: Path) -> FolderReport:
    tree = reader.load(path)
    missing = list(tree.missing)
    try:
        synthetic = synthetic_note(path)
    except UsageError as error:
        synthetic = {}
        missing.append(str(error))
    differences = list(reader.differences(tree, synthetic))
    if synthetic and not missing and not differences:
        try:
            _ = reader(path).fingerprint
        except UsageError as error:  # other images than those that were generated
            missing.append(str(error))
    real = synthetic is None
    lines = [f"{path}: {reader.title} layout, {'real images' if real else 'synthetic people'}", ""]
    lines += _table({name: reader.counts(part) for name, part in tree.parts.items()})
    if details := reader.details(tree, path):
        lines += ["", *details]
    if missing:
        lines += ["", "cannot be read:", *listed(missing)]
    if differences:
        lines += ["", f"differs from the {'published' if real else 'generated'} counts:", *listed(differences)]
    if not missing and not any(reader.published(part) for part in tree.parts):
        lines += ["", "complete: nothing is missing, no counts are published"]
    elif not missing and not differences:
        lines += ["", f"complete: all counts are the {'published' if real else 'generated'} ones"]
    if real and not missing:
        lines += ["", NOT_DECODED]
    if missing:
        lines += ["", "A run refuses this folder. Restore what is missing from the original data set."]
    elif differences:
        lines += ["", "A run refuses this folder unless --set data.check_counts=false is given."]
    return FolderReport("\n".join(lines), not missing and not differences)


def _table(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    if not counts:
        return ["no split: no id list was found"]
    columns = list(next(iter(counts.values())))
    width = max(len(name) for name in [*counts, "split"])
    header = "split".ljust(width) + "".join(f"{column:>10}" for column in columns)
    rows = [name.ljust(width) + "".join(f"{row[column]:>10}" for column in columns) for name, row in counts.items()]
    return [header, *rows]
