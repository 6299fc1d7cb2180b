"""Results of each query in the pages of runs: numbers, comparison with references, and what older records lack."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.leaderboard.queries import evaluate, scored_record, write_beside
from tests.reports.site.fake_site import make_leaderboard
from tests.reports.site.test_site import pages, rows_of
from usvi_bench.cli.site import write_site
from usvi_bench.core.record import write_record
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.sidecar import sidecar_path
from usvi_bench.reports.bootstrap import paired_difference
from usvi_bench.reports.cmc import SHOWN, cmc
from usvi_bench.reports.site.charts import curve, histogram
from usvi_bench.reports.site.query_results import ABSENT, precisions

METHODS = {"untrained": 4.0, "cluster_contrast": 1.6, "pgm": 1.2}
SCORED = {method: evaluate(noise, place) for place, (method, noise) in enumerate(METHODS.items())}
FOLDS = {1: SCORED["pgm"].queries}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a site of three methods with results of their queries, and one with an older record."""
    folder = tmp_path_factory.mktemp("site")
    leaderboard = make_leaderboard(folder / "leaderboard", {})
    records = leaderboard / "records" / "sysu_all"
    for method, evaluation in SCORED.items():
        write_beside(records / f"{method}-seed0.json", scored_record(method, 0, evaluation), evaluation)
    write_record(records / "adca-seed0.json", scored_record("adca", 0, evaluate(2.0, 9)))
    damaged = folder / "runs" / "hil" / "record.json"
    evaluation = evaluate(1.0, 8)
    write_beside(damaged, scored_record("hil", 0, evaluation), evaluation)
    sidecar_path(damaged).write_bytes(b"x")
    write_site(leaderboard, folder / "runs", folder / "site")
    return folder / "site"


def run_page(site: Path, method: str) -> Path:
    return site / "runs" / "sysu_all" / f"{method}-seed0" / "index.html"


def test_every_row_leads_to_a_page_that_has_the_results_or_says_why_not(site: Path) -> None:
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", (site / "leaderboard.html").read_text(), re.DOTALL)
    linked = [re.findall(r'href="(runs/[^"]+)"', row) for row in rows if "methods/" in row]
    assert len(linked) == 4
    for addresses in linked:
        (address,) = addresses
        text = (site / address).read_text()
        assert "Results of each query" in text
        assert (ABSENT in text) == ("adca" in address)
        assert ('<svg class="chart"' in text) == ("adca" not in address)


def test_the_page_has_the_cmc_and_the_distribution(site: Path) -> None:
    rows = rows_of(run_page(site, "pgm"))
    shares = cmc(FOLDS)
    ranks = [f"{100 * shares[rank - 1]:.1f}" for rank in (1, 2, 3, 5, 10, 20)]
    assert ["with a right image", *ranks] in rows
    rounded = np.float16(FOLDS[1].average_precision).astype(float)
    values = precisions({1: QueryScores(rounded, FOLDS[1].first_match_rank, FOLDS[1].identities, ())})
    quantiles = [f"{100 * value:.1f}" for value in np.quantile(values, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])]
    assert ["average precision", *quantiles] in rows


def test_the_cmc_equals_a_naive_loop_and_the_record() -> None:
    shares, first = cmc(FOLDS), FOLDS[1].first_match_rank
    for rank in range(1, SHOWN + 1):
        per_trial = []
        for trial in first.tolist():
            valid = [place for place in trial if place >= 0]
            per_trial.append(sum(place < rank for place in valid) / len(valid))
        assert shares[rank - 1] == pytest.approx(sum(per_trial) / len(per_trial))
    means = scored_record("pgm", 0, SCORED["pgm"]).means()
    assert shares[[0, 4, 9, 19]] == pytest.approx([means[name] for name in ("R1", "R5", "R10", "R20")])


def test_the_precision_of_a_query_is_the_mean_of_its_valid_trials() -> None:
    nan = np.nan
    precision = np.array([[0.2, nan, nan], [0.4, 0.5, nan]])
    scores = QueryScores(precision, np.where(np.isnan(precision), -1, 0), np.arange(3), ())
    assert precisions({1: scores}) == pytest.approx([0.3, 0.5])


def test_the_page_compares_a_row_with_the_start_and_the_baseline(site: Path) -> None:
    rows = [row for row in rows_of(run_page(site, "pgm")) if "pgm - " in row[0]]
    assert [row[:3] for row in rows] == [
        [f"pgm - {method}", metric, "person"]
        for method in ("untrained", "cluster_contrast")
        for metric in ("mAP", "R1")
    ]
    for row in rows:
        method = row[0].removeprefix("pgm - ")
        right = paired_difference([{1: SCORED[method].queries}], [FOLDS], row[1], "person")
        values = [100 * value for value in (right.difference, right.low, right.high)]
        assert [float(cell) for cell in row[3:6]] == pytest.approx(values, abs=0.1)
        assert row[6] == ("yes" if right.clear else "no")
    assert not [row for row in rows_of(run_page(site, "untrained")) if "- untrained" in row[0]]
    assert [row for row in rows_of(run_page(site, "untrained")) if row[0] == "untrained - cluster_contrast"]


def test_a_damaged_file_of_a_local_run_is_not_shown(site: Path) -> None:
    text = (site / "runs" / "local" / "hil" / "index.html").read_text()
    assert "The file with the results of each query is missing or damaged." in text


def test_no_page_is_named_after_a_report_that_it_lacks(site: Path) -> None:
    for page in pages(site):
        text = page.read_text()
        assert not re.search(r"<(title|h1)[^>]*>\s*Report", text), page
        assert "Report -" not in re.sub(r"\s*<[^>]+>\s*", " ", text), page
    rows = {row[0]: row[-1] for row in rows_of(site / "runs" / "index.html")}
    assert rows["sysu_all/pgm-seed0"] == "queries"
    assert rows["sysu_all/adca-seed0"] == "settings"


def test_charts_have_a_text_alternative_and_stay_in_their_frame() -> None:
    for drawing in (curve([0.0, 0.5, 1.0], "rank", "a <b>"), histogram([0.2, 0.0, 0.8], "AP", "a <b>")):
        assert 'role="img" aria-label="a &lt;b&gt;"' in drawing
        numbers = [float(word) for word in re.findall(r'(?:x|y|width|height)="([\d.]+)"', drawing)]
        assert 0 <= min(numbers) <= max(numbers) <= 320
    (points,) = re.findall(r'points="([^"]+)"', curve([0.0, 0.5, 1.0], "rank", ""))
    heights = [float(point.split(",")[1]) for point in points.split()]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2])
    assert heights[2] < heights[0]
