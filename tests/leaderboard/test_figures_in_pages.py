"""Tables in README and the findings agree with the records; every figure is computed again, without the pages' code."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from itertools import combinations, product
from pathlib import Path
from statistics import fmean, stdev

import pandas as pd
import pytest
from scipy import stats

from usvi_bench.core.record import read_record
from usvi_bench.core.table import csv_text

ROOT = Path(__file__).resolve().parents[2]
LEADERBOARD = ROOT / "leaderboard"
PEOPLE, OTHERS = 1000, 1001
SYSU, REGDB = ("sysu_all", "sysu_indoor"), ("regdb_v2i", "regdb_i2v")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("findings*.md"), *(ROOT / "docs/findings").glob("*.md")])

Seeds = dict[int, float]
Key = tuple[str, str, str, int, float]
Cells = list[list[str]]


def tables(name: str) -> Cells:
    """Return the cells of all copies of a table, with their header rows."""
    marks = rf"<!-- table: {re.escape(name)} -->(.*?)<!-- end of table -->"
    found = [block for page in PAGES for block in re.findall(marks, page.read_text(), re.DOTALL)]
    assert found, name
    assert len(set(found)) == 1, f"copies of {name} differ"
    lines = [line.strip("| ").split(" | ") for line in found[0].strip().splitlines()]
    return [lines[0], *lines[2:]]


def body(name: str) -> Cells:
    return tables(name)[1:]


def words(cell: str) -> list[str]:
    """Return the names in a cell that are set as code."""
    return re.findall(r"`([^`]+)`", cell)


def mean_sd(values: list[float], sign: bool = False) -> str:
    mean = re.sub(r"^[+-]0\.0$", "0.0", f"{fmean(values):{'+' if sign else ''}.1f}")
    return f"{mean} ± {stdev(values):.1f}" if len(values) > 1 else mean


def each(values: list[float]) -> str:
    return re.sub(r"-(0\.0)\b", r"\1", ", ".join(f"{value:.1f}" for value in values))


def paired(ours: Seeds, theirs: Seeds) -> list[float]:
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def score(path: Path) -> float:
    """Compute mAP in percent of a record: mean over trials, then over folds."""
    result = json.loads(path.read_text())["result"]
    folds = defaultdict(list)
    for trial in result["scores"]:
        if result["headline"].items() <= trial.items():
            folds[trial["fold"]].append(trial["metrics"]["mAP"])
    return 100 * fmean(fmean(values) for values in folds.values())


@pytest.fixture(scope="module")
def every() -> dict[Key, Seeds]:
    """Return mAP by (protocol, method, form, data seed, share of strangers), then by seed."""
    found: dict[Key, Seeds] = defaultdict(dict)
    for path in sorted((LEADERBOARD / "records").rglob("*.json")):
        result = json.loads(path.read_text())["result"]
        spec = result["dataset"]["synthetic"]["spec"]
        form = result["config"]["method"].get("form", "repaired")
        key = (result["protocol"], result["method"], form, spec["seed"], float(spec.get("foreign", 0)))
        assert result["seed"] not in found[key], f"{path}: a second record of {key}"
        found[key][result["seed"]] = score(path)
    return dict(found)


@pytest.fixture(scope="module")
def scores(every: dict[Key, Seeds]) -> dict[tuple[str, str], Seeds]:
    """Return the scores of methods in their default form on the people of the leaderboard."""
    return {key[:2]: seeds for key, seeds in every.items() if key[2:] == ("repaired", PEOPLE, 0)}


Scores = dict[tuple[str, str], Seeds]


def ranked(scores: Scores) -> list[str]:
    return sorted({method for _, method in scores} - {"supervised", "untrained"})


def test_scores(scores: Scores) -> None:
    methods = []
    for name, *figures in body("scores")[:-1]:
        methods += words(name)
        expected = []
        for group in (SYSU, REGDB):
            found = [list(scores[protocol, methods[-1]].values()) for protocol in group]
            expected += [str(len(found[0])), *map(mean_sd, found)]
        assert figures == expected, name
    order = sorted(ranked(scores), key=lambda method: -fmean(scores["sysu_all", method].values()))
    assert methods == ["supervised", *order, "untrained"]


def p_values(found: list[list[float]]) -> list[str]:
    """Return the p values of t-tests of means against 0, with Holm's correction."""
    values = [float(stats.ttest_1samp(each, 0).pvalue) for each in found]
    order = sorted(values)
    steps = [min(1, max((len(values) - at) * order[at] for at in range(order.index(p) + 1))) for p in values]
    return ["< 0.001" if p < 0.001 else f"{p:.3f}" for p in steps]


@pytest.mark.parametrize(("name", "protocols"), [("leads", SYSU), ("leads-in-regdb", REGDB)])
def test_leads(scores: Scores, name: str, protocols: tuple[str, ...]) -> None:
    def lead(protocol: str, method: str) -> list[float]:
        return paired(scores[protocol, method], scores[protocol, "cluster_contrast"])

    shown = body(name)
    found = {cell: [lead(protocol, *words(cell)) for protocol in protocols] for cell, *_ in shown}
    corrected = p_values([values for by_protocol in found.values() for values in by_protocol])
    for cell, *figures in shown:
        expected = [[mean_sd(values, sign=True), corrected.pop(0), each(values)] for values in found[cell]]
        assert figures == [text for texts in expected for text in texts], cell
    assert sorted(words(cell)[0] for cell, *_ in shown) == sorted({*ranked(scores)} - {"cluster_contrast"})


def grid_scores(folder: Path) -> dict[str, Seeds]:
    """Return mAP by row and seed from the records of a grid."""
    grid = json.loads((folder / "grid.json").read_text())
    return {
        row["name"]: {int(seed): score(folder / place / "record.json") for seed, place in row["runs"].items()}
        for row in grid["rows"]
    }


@pytest.mark.parametrize(("suffix", "protocol"), [("", "sysu_all"), ("-in-regdb", "regdb_v2i")])
def test_leads_over_longer_training(scores: Scores, suffix: str, protocol: str) -> None:
    control = grid_scores(LEADERBOARD / "ablations" / f"sclhm-{protocol}")["cluster contrast, continued"]
    shown = body(f"leads-over-longer-training{suffix}")
    found = [paired(scores[protocol, words(cell)[0]], control) for cell, *_ in shown]
    assert len(found) == 11
    for (cell, *figures), values, p in zip(shown, found, p_values(found), strict=True):
        assert figures == [mean_sd(values, sign=True), p, each(values)], cell


def test_distinguished_pairs(scores: Scores) -> None:
    def share(values: list[float]) -> str:
        """Count the values that Holm's correction leaves below 0.05."""
        rejected = [p * (len(values) - place) < 0.05 for place, p in enumerate(sorted(values))]
        count = next((place for place, each in enumerate(rejected) if not each), len(values))
        return f"{count} ({100 * count / len(values):.0f} %)"

    for cell, *figures in body("distinguished-pairs"):
        found = pd.DataFrame({method: scores[words(cell)[0], method] for method in ranked(scores)})
        seeds, methods = found.shape
        pairs = [(found[one], found[other]) for one, other in combinations(found, 2)]
        alone = [float(stats.ttest_rel(one, other).pvalue) for one, other in pairs]
        left = found.sub(found.mean(axis=1), axis=0)
        freedom = (seeds - 1) * (methods - 1)
        variance = float(((left - left.mean()) ** 2).to_numpy().sum()) / freedom
        shared = [
            2 * float(stats.t.sf(abs(one.mean() - other.mean()) / (2 * variance / seeds) ** 0.5, freedom))
            for one, other in pairs
        ]
        assert figures == [str(seeds), str(len(pairs)), share(alone), share(shared)], cell


def tau(first: list[float], second: list[float]) -> float:
    return float(stats.kendalltau(first, second).statistic)


def test_agreement_of_orders(scores: Scores, every: dict[Key, Seeds]) -> None:
    def means(protocol: str, seeds: tuple[int, ...] = (), people: int = PEOPLE) -> list[float]:
        by_method = (every[protocol, method, "repaired", people, 0] for method in ranked(scores))
        return [fmean(found[seed] for seed in seeds or found) for found in by_method]

    published = (LEADERBOARD / "PUBLISHED.md").read_text().split("Our and the published ranking on ")
    usual = [page for page in published[1:] if f", people {PEOPLE} (" in page.splitlines()[0]]
    ranks = {words(page)[0]: re.findall(r"^\| \w+ \| [\d.]+ \| .*$", page, re.MULTILINE) for page in usual}
    for cell, methods, value, low, high in body("order-agreement"):
        protocols = words(cell)
        if "people" in cell:
            values = [tau(means(protocols[0]), means(protocols[0], people=OTHERS))]
        elif len(protocols) == 2:
            values = [tau(means(protocols[0]), means(protocols[1]))]
        elif "halves" in cell:
            seeds = sorted(scores[protocols[0], "pgm"])
            halves = [(half, tuple(set(seeds) - set(half))) for half in combinations(seeds, len(seeds) // 2)]
            values = [tau(means(protocols[0], one), means(protocols[0], other)) for one, other in halves]
            assert [low, high] == [f"{end:.2f}" for end in (min(values), max(values))], cell
        else:
            lines = [line.strip("| ").split(" | ") for line in ranks[protocols[0]]]
            ours, theirs = ([float(line[column]) for line in lines] for column in (2, 4))
            values = [tau(ours, theirs)]
            assert methods == str(len(lines))
        assert value == f"{fmean(values):.2f}", cell
        assert float(low) <= float(value) <= float(high)


def test_scores_on_corrupted_images(scores: Scores) -> None:
    for cell, *figures in body("corrupted"):
        (method,) = words(cell)
        expected = []
        for protocol in ("sysu_all", "regdb_v2i"):
            clean, corrupted = scores[protocol, method], scores[f"{protocol}_c", method]
            kept = [100 * corrupted[seed] / clean[seed] for seed in clean]
            found = (list(clean.values()), list(corrupted.values()), kept)
            expected += [str(len(kept)), *map(mean_sd, found)]
        assert figures == expected, cell


def test_scores_of_released_forms(every: dict[Key, Seeds]) -> None:
    for cell, *figures in body("released-code"):
        (method,) = words(cell)
        ours, theirs = (every["sysu_all", method, form, PEOPLE, 0] for form in ("repaired", "released"))
        shared = sorted(ours.keys() & theirs.keys())
        means = [mean_sd([seeds[seed] for seed in shared]) for seeds in (ours, theirs)]
        differences = paired(ours, theirs)
        assert figures == [str(len(shared)), *means, mean_sd(differences, sign=True), each(differences)], cell


def test_scores_on_other_people(every: dict[Key, Seeds]) -> None:
    lines = body("other-people")
    assert len(lines) == 15  # eleven methods and the baseline, supervised, untrained and chance
    for cell, *figures in lines[:-1]:
        (method,) = words(cell)
        both = product(("sysu_all", "regdb_v2i"), (PEOPLE, OTHERS))
        found = [every[protocol, method, "repaired", people, 0] for protocol, people in both]
        assert figures == [mean_sd(list(seeds.values())) for seeds in found], cell


def test_scores_with_strangers(every: dict[Key, Seeds]) -> None:
    header, *lines = tables("strangers")
    levels = [float(cell) for cell in header if re.fullmatch(r"[\d.]+", cell)]
    assert levels == [0, 0.25, 0.5, 1]
    assert len(lines) == 6
    for cell, *figures in lines:
        both = [
            [every["sysu_all", name, "repaired", PEOPLE, level] for level in levels]
            for name in (*words(cell), "cluster_contrast")
        ]
        shared = sorted(set.intersection(*(set(seeds) for found in both for seeds in found)))
        means = [mean_sd([seeds[seed] for seed in shared]) for seeds in both[0]]
        gains = [[a[seed] - b[seed] for seed in shared] for a, b in zip(*both, strict=True)]
        ends = [mean_sd(gain, sign=True) for gain in (gains[0], gains[-1])]
        expected = ["-", "-"] if words(cell) == ["cluster_contrast"] else ends
        assert figures == [str(len(shared)), *means, *expected], cell


GRIDS = [f"{method}-sysu_all" for method in ("dmic", "pclhd", "sclhm", "soft_prototype", "hil")] + ["sclhm-regdb_v2i"]


def table_name(kind: str, grid: str) -> str:
    return f"{kind}-{grid.removesuffix('-sysu_all')}"


@pytest.mark.parametrize("grid", GRIDS)
def test_rows_of_grids(grid: str) -> None:
    found = grid_scores(LEADERBOARD / "ablations" / grid)
    first = next(iter(found.values()))
    shown = body(table_name("grid", grid))
    assert [name for name, *_ in shown] == [*found]
    for name, seeds, mean, gained in shown:
        gain = "-" if found[name] is first else mean_sd(paired(found[name], first), sign=True)
        assert [seeds, mean, gained] == [str(len(found[name])), mean_sd(list(found[name].values())), gain], name


@pytest.mark.parametrize("grid", GRIDS)
def test_effects_of_settings(grid: str) -> None:
    folder = LEADERBOARD / "ablations" / grid
    found = grid_scores(folder)
    rows = json.loads((folder / "grid.json").read_text())["rows"]
    for cell, pairs, seeds, mean, by_seed in body(table_name("effects", grid)):
        setting, value, other = re.fullmatch(r"`([\w.]+)` (.+), not (.+)", cell).groups()  # type: ignore[union-attr]
        gains = [
            {seed: found[one["name"]][seed] - found[two["name"]][seed] for seed in found[one["name"]]}
            for one in rows
            for two in rows
            if (str(one["values"][setting]), str(two["values"][setting])) == (value, other)
            and {**one["values"], setting: 0} == {**two["values"], setting: 0}
        ]
        values = [fmean(gain[seed] for gain in gains) for seed in sorted(gains[0])]
        shown = [str(len(gains)), str(len(values)), mean_sd(values, sign=True), each(values)]
        assert [pairs, seeds, mean, by_seed] == shown, cell


def diagnosis(file: str, method: str, row: str = "") -> pd.DataFrame:
    found = pd.read_csv(LEADERBOARD / file, keep_default_na=False)
    usual = (found["people"] == f"seed={PEOPLE}") & (found["form"] != "released") & (found["protocol"] == "sysu_all")
    return found[usual & (found["method"] == method) & (found["row"] == csv_text(row))]


def test_label_quality(scores: Scores) -> None:
    columns = ("visible_ari", "infrared_ari", "match_precision", "match_recall")
    for name, *figures in body("label-quality"):
        own = diagnosis("label_quality.csv", *words(name))
        own = own[own["stage"] == own["stage"].max()]
        expected = [str(len(set(own["seed"])))]
        for column in columns:
            ends = [own[own["epoch"] == epoch][column] for epoch in (own["epoch"].min(), own["epoch"].max())]
            means = [f"{100 * fmean(map(float, end)):.0f}" if "" not in list(end) else "-" for end in ends]
            expected.append(" to ".join(means) if "-" not in means else "-")
        expected.append(f"{fmean(scores['sysu_all', words(name)[0]].values()):.1f}")
        assert figures == expected, name


def test_precision_of_joint_clusters() -> None:
    for name, *figures in body("joint-clusters"):
        own = diagnosis("label_quality.csv", words(name)[0], name.partition(", ")[2].replace("whole method", ""))
        own = own[(own["stage"] == own["stage"].max()) & (own["joint_precision"] != "")]
        expected = [str(len(set(own["seed"])))]
        for column in ("joint_precision", "joint_recall"):
            epochs = [[float(value) for value in own[own["epoch"] == epoch][column]] for epoch in range(1, 7)]
            expected.append(", ".join(f"{fmean(values):.2f}" for values in epochs))
        assert figures == expected, name


@pytest.mark.parametrize("method", ["soft_prototype", "sclhm", "hil"])
def test_quality_of_parts(method: str) -> None:
    own = diagnosis("part_quality.csv", method)
    shown = body(f"parts-{method}")
    assert {name for name, *_ in shown} == set(own["figure"])
    for name, *figures in shown:
        lines = own[own["figure"] == name]
        values = [
            [float(line["value"]) for _, line in lines.iterrows() if line["modality"] == modality]
            for modality in ("visible", "infrared")
        ]
        assert figures == [str(len(values[0])), *(f"{fmean(value):.2f}" for value in values)], name


def test_open_set_rates() -> None:
    header, *lines = tables("open-set")
    for name, seeds, *figures in lines:
        own = diagnosis("open_set.csv", *words(name))
        assert int(seeds) == len(own)
        assert figures == [mean_sd(list(map(float, own[rate]))) for rate in header[1:]], name


def test_every_record_named_in_the_findings_exists() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for name in re.findall(r"`(leaderboard/[\w/.*-]+)`", text):
        found = list(ROOT.glob(name))
        assert found, name
        for path in found:
            if path.suffix == ".json" and path.name != "grid.json":
                read_record(path)


def test_records_are_clean_and_of_equal_data() -> None:
    """Records of the leaderboard and its grids: no uncommitted changes, and one digest for each set of people."""
    files = [*(LEADERBOARD / "records").rglob("*.json"), *(LEADERBOARD / "ablations").rglob("record.json")]
    digests = defaultdict(set)
    for path in files:
        record = read_record(path)
        data = record.result.dataset
        assert not record.provenance["dirty"], path
        digests[data["name"], json.dumps(data["synthetic"]["spec"], sort_keys=True)].add(data["fingerprint"])
    assert all(len(found) == 1 for found in digests.values()), digests
