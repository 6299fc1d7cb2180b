"""Specifications of all generated tables in README, CONTRIBUTING and the findings."""

from __future__ import annotations

from usvi_bench.reports.pages.diagnosis_tables import joint_table, label_table, open_set_table, part_table
from usvi_bench.reports.pages.difficulty_table import difficulty_tables
from usvi_bench.reports.pages.method_cost import method_cost_table
from usvi_bench.reports.pages.order_tables import agreement_table, separation_table
from usvi_bench.reports.pages.page_table import PageTable
from usvi_bench.reports.pages.readings_table import readings_table
from usvi_bench.reports.pages.score_tables import (
    BASELINE,
    corruption_table,
    effect_table,
    form_table,
    grid_table,
    lead_table,
    level_table,
    people_table,
    score_table,
)
from usvi_bench.reports.pages.sources import CONTROL

SYSU, REGDB = ("sysu_all", "sysu_indoor"), ("regdb_v2i", "regdb_i2v")
CORRUPTED = (("sysu_all", "sysu_all_c"), ("regdb_v2i", "regdb_v2i_c"))
OTHER_PEOPLE = {SYSU[0]: 1001, REGDB[0]: 1001}
"""Data seed of the second set of people by protocol."""
UNPAIRED = ("supervised", "dmic", "pclhd", "pgm", "sclhm", BASELINE)
"""Methods that are also trained on people of whom some are seen in one modality only."""
GRIDS = ("dmic", "pclhd", "sclhm", "soft_prototype", "hil")
"""Methods whose ablations are tables."""
PARTS = {
    "soft_prototype": [
        "all images of a cluster",
        "its prototypes",
        "its prototypes, by their weights",
        "its other images",
    ],
    "sclhm": [
        "right labels",
        "teacher's mass on the label, where right",
        "teacher's mass on the label, where wrong",
        "a right label has more mass than a wrong one",
        "teacher's mass on clusters of the person",
        "wrong labels whose person has a cluster",
        "teacher's mass on it, for these",
    ],
    "hil": ["labels that pass the gate", "right among them", "right among the others"],
}

TABLES = [
    score_table("scores", SYSU, REGDB),
    lead_table("leads", *SYSU),
    lead_table("leads-over-longer-training", SYSU[0], over=CONTROL),
    lead_table("leads-in-regdb", *REGDB),
    lead_table("leads-over-longer-training-in-regdb", REGDB[0], over=CONTROL),
    separation_table("distinguished-pairs", (*SYSU, *REGDB)),
    agreement_table("order-agreement", [SYSU, REGDB, (SYSU[0], REGDB[0]), *CORRUPTED], (*SYSU, *REGDB), OTHER_PEOPLE),
    people_table("other-people", OTHER_PEOPLE),
    corruption_table("corrupted", *CORRUPTED),
    form_table("released-code", "pclhd", "hil", "pgm"),
    *map(grid_table, GRIDS),
    *map(effect_table, GRIDS),
    grid_table("sclhm", REGDB[0]),
    effect_table("sclhm", REGDB[0]),
    joint_table(
        "joint-clusters",
        *(("dmic", row) for row in ("VC", "VC, DNC", "MIE", "")),
        *(("pclhd", row) for row in ("+ joint clusters", "hard, joint", "dynamic, joint", "")),
        *((method, "") for method in ("bmil", "mmm")),
    ),
    *(part_table(method, figures) for method, figures in PARTS.items()),
    label_table("label-quality"),
    level_table("strangers", "foreign", (0, 0.25, 0.5, 1), *UNPAIRED),
    open_set_table("open-set"),
    method_cost_table("method-cost"),
    readings_table("sclhm-readings"),
    *difficulty_tables(),
]
BY_NAME: dict[str, PageTable] = {table.name: table for table in TABLES}
