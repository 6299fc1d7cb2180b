"""Open-set report of a features file with identities."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.markdown import plain
from usvi_bench.core.types import MODALITIES
from usvi_bench.engine.feature_file import FeatureFile, read_features
from usvi_bench.protocols.rules import RULES
from usvi_bench.reports.open_set_section import add_pairs
from usvi_bench.reports.page import Report, write
from usvi_bench.reports.style import LITERAL, styled


def report_features(path: Path, query: str, rule: str, output: Path) -> Path:
    """Write the open-set report of a features file: all images of one modality query all of the other.

    Images without an identity are left out.

    Args:
        path: the features file.
        query: modality of the queries.
        rule: rule by which images are ignored, see :mod:`usvi_bench.protocols.rules`.
        output: folder of the report.

    Returns:
        Path of ``report.md``.

    Raises:
        UsageError: an argument or the file is wrong, or the file has too few identities; nothing is written.
    """
    for option, value, known in (("--query", query, MODALITIES), ("--rule", rule, RULES)):
        if value not in known:
            raise UsageError(f"{option}: '{show(value)}': {did_you_mean(value, known)}")
    content = read_features(path)
    report = Report(
        kind="open_set",
        title=f"Open set: {path.name}",
        summary=[f"Features {plain(str(content.about['feature']))} of {plain(path.name)}, sha256 {content.sha256}."],
        pictures_shown=False,
        pictures_why="a features file has no pictures",
    )
    with styled(LITERAL):
        _add(content, query, rule, path, report)
        if not report.sections:
            raise UsageError(f"{path}: {' '.join(report.notes)} Give other features.")
        return write(report, output)


def _add(content: FeatureFile, query: str, rule: str, path: Path, report: Report) -> None:
    sides = [np.flatnonzero((content.modality == MODALITIES.index(query)) == own) for own in (True, False)]
    rows = [part[content.identities[part] >= 0] for part in sides]
    for name, part in zip(("query", "gallery"), rows, strict=True):
        if not len(part):
            raise UsageError(f"{path}: no {name} image has an identity; write identities, or choose another --query")
        if rule != "regdb" and (content.cameras[part] < 0).any():
            raise UsageError(f"{path}: {name} images without a camera: --rule {rule} needs them; use --rule regdb")
    people = [content.identities[part] for part in rows]
    cameras = [content.cameras[part] for part in rows]
    images = " and ".join(f"{len(part)} {name} images" for name, part in zip(("query", "gallery"), rows, strict=True))
    foot = f"{path.name}; n = {images}; rule {rule}"
    first, second = (content.features[part] for part in rows)
    masks = RULES[rule](*people, *cameras)
    add_pairs(report, (first, second), masks, (people[0], people[1]), "All images with an identity", foot)
