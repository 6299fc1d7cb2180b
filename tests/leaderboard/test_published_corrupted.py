"""Published figures on corrupted images: the data file, the documentation and the table of a run agree."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from tests.leaderboard.records import HEADLINE, make_record
from usvi_bench.leaderboard.published_corrupted import METRICS, beside, read_figures

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "robustness.md"
PROTOCOLS = ("sysu_all_c", "sysu_indoor_c", "regdb_v2i_c", "regdb_i2v_c")
COLUMNS = [(method, condition) for method in ("AGW", "CIL") for condition in ("clean", "corrupted")]


def test_the_page_has_the_figures_of_the_file() -> None:
    figures = read_figures()
    text = PAGE.read_text()
    lines = text[text.index("| | AGW, clean") :].splitlines()[2:6]
    assert len(figures) == len(PROTOCOLS) * len(COLUMNS)
    for protocol, line in zip(PROTOCOLS, lines, strict=True):
        shown = [[float(number) for number in cell.split("/")] for cell in line.strip("| ").split("|")[1:]]
        assert shown == [[figures[protocol, *column][name] for name in METRICS] for column in COLUMNS]
    assert "leaderboard/published_corrupted.csv" in text


def test_a_run_on_corrupted_real_images_is_shown_beside_them() -> None:
    kind = {**HEADLINE, "gallery": "seeded+corrupted"}
    record = make_record("pgm", 0, [0.3], real=True, protocol="sysu_all_c", headline=kind)
    scores = [replace(score, gallery=kind["gallery"]) for score in record.result.scores]
    record = replace(record, result=replace(record.result, scores=scores))
    table = beside(record)
    assert table is not None
    assert [cell.text for cell in table.rows[1].cells] == ["AGW", "corrupted", "34.42", "29.99", "14.73"]
    mean = record.means()["mAP"]
    assert table.rows[-1].cells[3].text == f"{100 * mean:.2f}"
    assert re.search("trained with identities", " ".join(table.notes))


def test_other_images_and_protocols_have_no_such_table() -> None:
    kind = {**HEADLINE, "gallery": "seeded+corrupted"}
    assert beside(make_record("pgm", 0, [0.3], protocol="sysu_all_c", headline=kind)) is None  # synthetic
    both = {**HEADLINE, "gallery": "seeded+corrupted+infrared"}
    assert beside(make_record("pgm", 0, [0.3], real=True, protocol="sysu_all_c", headline=both)) is None
    assert beside(make_record("pgm", 0, [0.3], real=True)) is None
