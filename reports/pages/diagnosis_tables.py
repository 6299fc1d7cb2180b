"""Documentation tables of quality of pseudo-labels, joint clusters and parts of methods, and of open-set rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from usvi_bench.core.errors import UsageError
from usvi_bench.core.formatting import MISSING
from usvi_bench.core.types import MODALITIES
from usvi_bench.reports.pages.page_table import PageTable, format_mean_sd, quoted
from usvi_bench.reports.pages.score_tables import UPPER
from usvi_bench.reports.pages.sources import PROTOCOL, Sources

QUALITY = {
    "visible ARI": "visible_ari",
    "infrared ARI": "infrared_ari",
    "precision": "match_precision",
    "recall": "match_recall",
}
JOINT = {"precision": "joint_precision", "recall": "joint_recall"}
"""Columns of ``label_quality.csv`` by table heading; ``JOINT`` is for joint clusters."""
RATES = ("TAR", "FAR", "DIR", "FPIR")
"""Columns of ``open_set.csv``."""


def label_table(name: str) -> PageTable:
    """Specify a table of the first and last epoch of each ranked method's last stage, and its mAP.

    Values are means over seeds in percent.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        for method in sources.ranked():
            own = sources.labels(method)
            ends = [own[own["epoch"] == epoch] for epoch in (own["epoch"].min(), own["epoch"].max())]
            cells = []
            for column in QUALITY.values():
                values = [end[column] for end in ends]
                known = all((value != "").all() for value in values)
                means = (f"{100 * value.astype(float).mean():.0f}" for value in values if known)
                cells.append(" to ".join(means) or MISSING)
            score = f"{sources.scores(PROTOCOL, method).mean():.1f}"
            yield [quoted(method), str(own["seed"].nunique()), *cells, score]

    return PageTable(name, ["", "n", *QUALITY, "mAP"], rows)


def joint_table(name: str, *lines: tuple[str, str]) -> PageTable:
    """Specify a table of joint clusters by epoch of the last stage, means over seeds.

    Args:
        name: name of the table.
        lines: pairs of a method and a row of its grid; an empty string is the full method.
    """

    def rows(sources: Sources) -> Iterator[list[str]]:
        for method, row in lines:
            own = sources.labels(method, row)
            own = own[own["joint_precision"] != ""]
            means = [own[column].astype(float).groupby(own["epoch"]).mean() for column in JOINT.values()]
            cells = [", ".join(f"{value:.2f}" for value in mean) for mean in means]
            yield [f"{quoted(method)}, {row or 'whole method'}", str(own["seed"].nunique()), *cells]

    return PageTable(name, ["", "n", *JOINT], rows, left=JOINT)


def part_table(method: str, figures: Sequence[str]) -> PageTable:
    """Specify a table of figures from ``part_quality.csv`` about parts of a method, means over seeds."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        found = sources.parts(method)
        for figure in figures:
            own = found[found["figure"] == figure]
            if own.empty or (own["value"] == "").any():
                raise UsageError(f"'{figure}' of {method}: missing for some runs in part_quality.csv")
            means = own["value"].astype(float).groupby(own["modality"]).mean()
            yield [figure, str(own["seed"].nunique()), *(f"{means[modality]:.2f}" for modality in MODALITIES)]

    return PageTable(f"parts-{method}", ["", "n", *MODALITIES], rows)


def open_set_table(name: str) -> PageTable:
    """Specify a table of the open-set rates of all ranked methods and of the upper reference, means over seeds."""

    def rows(sources: Sources) -> Iterator[list[str]]:
        for label, method in (UPPER | {quoted(method): method for method in sources.ranked()}).items():
            found = sources.open_set(method).set_index("seed")
            yield [label, str(len(found)), *(format_mean_sd(found[rate].astype(float)) for rate in RATES)]

    return PageTable(name, ["", "n", *RATES], rows)
