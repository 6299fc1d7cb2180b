"""Figures in README and the findings agree with the records."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev

import pandas as pd
import pytest
from scipy import stats

from usvi_bench.core.record import Record, read_record
from usvi_bench.leaderboard.build import load_records
from usvi_bench.reports.ablation_effects import effects
from usvi_bench.reports.ablation_table import read_ablation
from usvi_bench.synthetic.spec import SyntheticSpec

ROOT = Path(__file__).resolve().parents[2]
LEADERBOARD = ROOT / "leaderboard"
USUAL = SyntheticSpec(size="small").knobs()

Seeds = dict[int, float]
Scores = dict[tuple[str, str], Seeds]


def score(record: Record) -> float:
    """Compute mAP in percent, mean over folds and trials."""
    return 100 * record.means()["mAP"]


@pytest.fixture(scope="module")
def everything() -> dict[tuple[str, str, str, str, float], Seeds]:
    """Return mAP by (protocol, method, form, varied knob or empty, its level), then by seed."""
    found: dict[tuple[str, str, str, str, float], Seeds] = defaultdict(dict)
    configurations: dict[tuple[str, str, str, str, float], str] = {}
    for name, record in load_records(LEADERBOARD / "records").items():
        result = record.result
        spec = (result.dataset["synthetic"] or {}).get("spec", {})
        if (spec.get("size"), spec.get("seed"), result.setting) != ("small", 0, "shared"):
            continue
        ((knob, level),) = [(k, v) for k, v in spec.items() if v != USUAL.get(k, v)] or [("", 0.0)]
        key = (result.protocol, result.method, result.config["method"].get("form", "repaired"), knob, level)
        assert configurations.setdefault(key, result.config_hash) == result.config_hash, f"{name}: other settings"
        seeds = found[key]
        assert result.seed not in seeds, f"{name}: a second record of its kind; tell them apart here"
        seeds[result.seed] = score(record)
    return found


@pytest.fixture(scope="module")
def scores(everything: dict[tuple[str, str, str, str, float], Seeds]) -> Scores:
    """Return the scores of methods in their default form on the default people."""
    return {key[:2]: seeds for key, seeds in everything.items() if key[2:4] == ("repaired", "")}


def format_mean_sd(values: list[float], sign: bool = False) -> str:
    mean = re.sub(r"^[+-]0\.0$", "0.0", f"{fmean(values):{'+' if sign else ''}.1f}")
    return f"{mean} ± {stdev(values):.1f}" if len(values) > 1 else mean


def paired(ours: Seeds, theirs: Seeds) -> list[float]:
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def format_each(values: list[float]) -> str:
    return re.sub(r"-(0\.0)\b", r"\1", ", ".join(f"{value:.1f}" for value in values))


def section(page: str, title: str) -> str:
    text = (ROOT / page).read_text()
    (found,) = re.findall(rf"^## {re.escape(title)}.*?$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


def rows(text: str, pattern: str) -> list[list[str]]:
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(pattern, line)]
    assert found
    return found


def names(cell: str) -> list[str]:
    return re.findall(r"`([\w=.]+)`", cell)


def test_the_results_in_the_readme_agree_with_the_records(scores: Scores) -> None:
    text = (ROOT / "README.md").read_text()
    protocols = names(next(line for line in text.splitlines() if line.startswith("|  | n | `sysu_all`")))
    methods = set()
    for name, *figures in rows(text, r"\| `\w+`( \(true identities\))? \| \d"):
        (method,) = names(name)
        methods.add(method)
        counts = [str(len(scores[protocol, method])) for protocol in protocols]
        assert counts[0] == counts[1]
        assert counts[2] == counts[3]
        cells = [format_mean_sd(list(scores[protocol, method].values())) for protocol in protocols]
        assert figures == [counts[0], *cells[:2], counts[2], *cells[2:]], method
    assert methods == {method for _, method in scores}


def test_the_differences_in_the_findings_agree_with_the_records(scores: Scores) -> None:
    for pair, *figures in rows(section("docs/findings/methods.md", "SYSU-MM01's layout"), r"\| `\w+` - `\w+` \|"):
        first, second = names(pair)
        differences = [paired(scores[p, first], scores[p, second]) for p in ("sysu_all", "sysu_indoor")]
        assert figures == [
            cell for values in differences for cell in (format_mean_sd(values, sign=True), format_each(values))
        ], pair


def control() -> Seeds:
    """Return the scores of the first stage with doubled training and no ties: the first row of SCLHM's grid."""
    line = read_ablation(LEADERBOARD / "ablations" / "sclhm-sysu_all").rows[0]
    return {int(seed): 100 * value for seed, value in line.scores["mAP"].items()}


def test_the_differences_to_the_longer_training_agree_with_the_records(scores: Scores) -> None:
    for pair, *figures in rows(section("docs/findings/methods.md", "SYSU-MM01's layout"), r"\| `\w+` - continued \|"):
        values = paired(scores["sysu_all", names(pair)[0]], control())
        assert figures == [format_mean_sd(values, sign=True), format_each(values)], pair


def regdb_differences(scores: Scores, method: str) -> list[float]:
    """Return differences to clustering alone by seed, mean of both directions."""
    both = [paired(scores[p, method], scores[p, "cluster_contrast"]) for p in ("regdb_v2i", "regdb_i2v")]
    return [fmean(pair) for pair in zip(*both, strict=True)]


def test_the_differences_in_the_layout_of_regdb_agree_with_the_records(scores: Scores) -> None:
    for pair, *figures in rows(section("docs/findings/methods.md", "RegDB's layout"), r"\| `\w+` - `\w+` \|"):
        values = regdb_differences(scores, names(pair)[0])
        assert figures == [format_mean_sd(values, sign=True), format_each(values)], pair


def ranked(scores: Scores) -> list[str]:
    return sorted({method for _, method in scores} - {"supervised", "untrained"})


def test_distinguished_pairs_agree_with_the_records(scores: Scores) -> None:
    title = "How far the order can be trusted"
    for cell, seeds, pairs, found in rows(section("docs/findings/methods.md", title), r"\| `\w+` \| \d"):
        by_method = [scores[names(cell)[0], method] for method in ranked(scores)]
        differences = [paired(one, other) for one, other in combinations(by_method, 2)]
        values = sorted(float(stats.ttest_1samp(each, 0).pvalue) for each in differences)
        rejected = [p * (len(values) - place) < 0.05 for place, p in enumerate(values)]
        count = next((place for place, each in enumerate(rejected) if not each), len(values))
        share = f"{count} ({100 * count / len(values):.0f} %)"
        assert [seeds, pairs, found] == [str(len(by_method[0])), str(len(values)), share], cell


def test_the_agreement_of_orders_agrees_with_the_records(scores: Scores) -> None:
    def tau(first: list[float], second: list[float]) -> float:
        pairs = combinations(range(len(first)), 2)
        return fmean((first[a] > first[b]) == (second[a] > second[b]) for a, b in pairs) * 2 - 1

    def means(protocol: str, seeds: tuple[int, ...] = ()) -> list[float]:
        by_method = (scores[protocol, method] for method in ranked(scores))
        return [fmean(found[seed] for seed in seeds or found) for found in by_method]

    shown = rows(section("docs/findings/methods.md", "How far the order can be trusted"), r"\| `\w+`( and|,)")
    pages = (ROOT / "leaderboard/PUBLISHED.md").read_text().split("Our and the published ranking on ")
    both = {names(page)[0]: rows(page, r"\| \w+ \| \d") for page in pages[1:]}
    for protocol, ranks in both.items():
        (line,) = [line for line in shown if line[0] == f"`{protocol}` and the published order"]
        here, elsewhere = ([float(rank[column]) for rank in ranks] for column in (2, 4))
        assert line[1:3] == [str(len(ranks)), f"{tau(here, elsewhere):.2f}"]
    assert len(both) == 4
    boards = [names(line[0]) for line in shown if len(names(line[0])) == 2]
    for first, second in boards:
        (line,) = [line for line in shown if names(line[0]) == [first, second]]
        assert line[2] == f"{tau(means(first), means(second)):.2f}"
    halved = [line for line in shown if line[0].endswith("halves of the seeds")]
    assert len(boards) == 3
    assert len(halved) == 4
    for line in halved:
        (protocol,) = names(line[0])
        every = sorted(scores[protocol, "pgm"])
        halves = [(half, tuple(set(every) - set(half))) for half in combinations(every, len(every) // 2)]
        values = [tau(means(protocol, one), means(protocol, other)) for one, other in halves]
        assert line[2:] == [f"{figure:.2f}" for figure in (fmean(values), min(values), max(values))], line[0]


def test_the_cost_of_released_defects_agrees_with_the_records(
    everything: dict[tuple[str, str, str, str, float], Seeds],
) -> None:
    for name, *figures in rows(section("docs/findings/methods.md", "Released and repaired code"), r"\| `\w+` \|"):
        (method,) = names(name)
        ours, theirs = (everything["sysu_all", method, form, "", 0.0] for form in ("repaired", "released"))
        shared = sorted(ours.keys() & theirs.keys())
        means = [format_mean_sd([seeds[seed] for seed in shared]) for seeds in (ours, theirs)]
        differences = paired(ours, theirs)
        assert figures == [
            str(len(shared)),
            *means,
            format_mean_sd(differences, sign=True),
            format_each(differences),
        ], method


def mismatch_rows(
    everything: dict[tuple[str, str, str, str, float], Seeds], levels: list[float]
) -> Iterator[tuple[str, list[str]]]:
    """Return mAP of a method at each level over shared seeds, then its lead over clustering alone."""
    for method in ("cluster_contrast", "pgm", "pclhd", "sclhm", "dmic"):
        found = {}
        for name in (method, "cluster_contrast"):
            usual = everything["sysu_all", name, "repaired", "", 0.0]
            turned = {x: everything["sysu_all", name, "repaired", "mismatch", x] for x in levels if x}
            found[name] = [turned[x] if x else usual for x in levels]
        shared = set.intersection(*(set(seeds) for seeds in [*found[method], *found["cluster_contrast"]]))
        cells = [format_mean_sd([seeds[s] for s in sorted(shared)]) for seeds in found[method]]
        leads = [
            format_mean_sd([a[s] - b[s] for s in sorted(shared)], sign=True)
            for a, b in zip(found[method], found["cluster_contrast"], strict=True)
        ]
        yield method, [str(len(shared)), *cells, *(leads if method != "cluster_contrast" else ["-"] * len(levels))]


def test_the_effect_of_mismatch_agrees_with_the_records(
    everything: dict[tuple[str, str, str, str, float], Seeds],
) -> None:
    text = section("docs/findings/people.md", "People seen in one modality only")
    header = next(line for line in text.splitlines() if line.startswith("|  | n | 0 |"))
    levels = [float(cell) for cell in header.strip("| ").split(" | ") if re.fullmatch(r"[\d.]+", cell)]
    expected = dict(mismatch_rows(everything, levels))
    for name, *figures in rows(text, r"\| `\w+` \|"):
        assert figures == expected[names(name)[0]], name


def test_the_effect_of_other_knobs_agrees_with_the_records(
    everything: dict[tuple[str, str, str, str, float], Seeds],
) -> None:
    text = section("docs/findings/people.md", "Other knobs")
    methods = names(next(line for line in text.splitlines() if line.startswith("| knob |")))
    for name, *figures in rows(text, r"\| `\w+=[\d.]+` \|"):
        knob, level = names(name)[0].split("=")
        place = ("", 0.0) if USUAL[knob] == float(level) else (knob, float(level))
        turned = {key[1] for key in everything if key[0] == "sysu_all" and key[3] == knob}
        found = [everything["sysu_all", m, "repaired", *place] if m in turned else {} for m in methods]
        assert any(found)
        assert figures == [f"{seeds[0]:.1f}" if seeds else "-" for seeds in found], name


def test_label_quality_agrees_with_the_table() -> None:
    found = pd.read_csv(LEADERBOARD / "label_quality.csv", keep_default_na=False)
    found = found[(found["protocol"] == "sysu_all") & (found["people"] == "") & (found["form"] != "released")]
    found = found[found["row"] == ""]
    columns = ("visible_ari", "infrared_ari", "match_precision", "match_recall")
    for name, *figures in rows(
        section("docs/findings/labels.md", "Pseudo-labels and matched clusters"), r"\| `\w+` \|"
    ):
        own = found[found["method"] == names(name)[0]]
        own = own[own["stage"] == own["stage"].max()]
        expected = [str(len(set(own["seed"])))]
        for column in columns:
            ends = [own[own["epoch"] == epoch][column] for epoch in (own["epoch"].min(), own["epoch"].max())]
            means = [f"{100 * fmean(map(float, end)):.0f}" if "" not in list(end) else "-" for end in ends]
            expected.append(" to ".join(means) if "-" not in means else "-")
        assert figures == expected, name


JOINT = ("joint_precision", "joint_recall")


def test_precision_of_joint_clusters_agrees_with_the_table() -> None:
    found = pd.read_csv(LEADERBOARD / "label_quality.csv", keep_default_na=False)
    found = found[(found["people"] == "") & (found["form"] != "released") & (found["protocol"] == "sysu_all")]
    text = section("docs/findings/labels.md", "Joint clusters")
    for name, *figures in rows(text, r"\| `\w+`, "):
        method, row = names(name)[0], name.partition(", ")[2].replace("whole method", "")
        own = found[(found["method"] == method) & (found["row"] == row) & (found["stage"] == 2)]
        own = own[own["joint_precision"] != ""]
        expected = [str(len(set(own["seed"])))]
        for column in JOINT:
            epochs = [[float(value) for value in own[own["epoch"] == epoch][column]] for epoch in range(1, 7)]
            expected.append(", ".join(f"{fmean(values):.2f}" for values in epochs))
        assert figures == expected, name


def test_quality_of_parts_agrees_with_the_table() -> None:
    found = pd.read_csv(LEADERBOARD / "part_quality.csv", keep_default_na=False)
    text = section("docs/findings/labels.md", "Do soft weights, a teacher and a gate separate right from wrong labels?")
    blocks = re.findall(r"<!-- table: parts-(\w+) -->(.*?)<!-- end", text, re.DOTALL)
    assert {method for method, _ in blocks} == set(found["method"])
    for method, block in blocks:
        own = found[(found["method"] == method) & (found["row"] == "")]
        shown = rows(block, r"\| [^:|]+ \| \d")
        assert {name for name, *_ in shown} == set(own["figure"])
        for name, *figures in shown:
            lines = own[own["figure"] == name]
            values = [
                [float(line["value"]) for _, line in lines.iterrows() if line["modality"] == modality]
                for modality in ("visible", "infrared")
            ]
            assert figures == [str(len(values[0])), *(f"{fmean(value):.2f}" for value in values)], name


def test_gains_of_parts_agree_with_the_grids() -> None:
    text = section("docs/findings/parts.md", "Ablation of each method")
    parts = re.findall(r"^### `(\w+)`.*?$(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL)
    assert parts
    for title, part in parts:
        folder = LEADERBOARD / "ablations" / f"{title}-sysu_all"
        committed = (folder / "table.md").read_text().partition("\n## ")[0]
        shown = {row[0]: row for row in rows(committed, r"\| [^:]")}
        place = {name: i for i, name in enumerate(shown["Row"])}
        for name, *figures in rows(part, r"\| [^:|`]+ \| \d+ \| [\d.]+ "):
            row = [re.sub(r"^[+-]0\.0", "0.0", cell).partition(" of ")[0] for cell in shown[name]]
            assert figures == [row[place["n"]], row[place["mAP"]], row[place["ΔmAP first"]]], name


def test_the_effect_of_a_setting_is_its_main_effect() -> None:
    text = section("docs/findings/parts.md", "Ablation of each method")
    for title, part in re.findall(r"^### `(\w+)`.*?$(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL):
        found = {e.label: e for e in effects(read_ablation(LEADERBOARD / "ablations" / f"{title}-sysu_all"))}
        shown = [row for row in rows(part, r"\| ") if row[0].startswith("`method.")]
        assert {name for name, *_ in shown} == set(found), title
        for name, *figures in shown:
            effect = found[name]
            gains = [100 * gain for gain in effect.gains["mAP"]]
            assert figures == [
                str(effect.pairs),
                str(len(gains)),
                format_mean_sd(gains, sign=True),
                format_each(gains),
            ], name


def test_every_record_named_in_the_findings_exists() -> None:
    text = "".join(page.read_text() for page in [ROOT / "docs/findings.md", *(ROOT / "docs/findings").glob("*.md")])
    for name in re.findall(r"`(leaderboard/[\w/.*-]+)`", text):
        found = list(ROOT.glob(name))
        assert found, name
        for path in found:
            if path.suffix == ".json" and path.name != "grid.json":
                read_record(path)


FIRST_SEED = {
    "`dmic`: second phase": ("dmic-sysu_all", "CC-1, IC-1, CC-2", "CC-1, IC-1"),
    "`hil`: labels transferred both ways": ("more_seeds/hil-sysu_all", "transfer both ways", "HIL"),
    "`dmic`: plain joint clusters, over the first phase": ("dmic-sysu_all", "VC", "CC-1, IC-1"),
    "`pgm`: memories moved by each sample": ("more_seeds/pgm-sysu_all", "memories moved by each sample", "PGM"),
    "`pgm`: memories moved by means": ("more_seeds/pgm-sysu_all", "memories moved by means", "PGM"),
    "`pclhd`: cross contrast": ("pclhd-sysu_all", "PCLHD", "without cross contrast"),
}
EFFECTS = {
    "`sclhm`: hybrid memory": ("sclhm-sysu_all", "method.hml"),
    "`dmic`: balanced expansion": ("dmic-sysu_all", "method.mie"),
    "`dmic`: changing neighbourhood": ("dmic-sysu_all", "method.dnc"),
    "`pclhd`: hard prototypes": ("pclhd-sysu_all", "method.hard"),
    "`pclhd`: dynamic prototypes": ("pclhd-sysu_all", "method.dynamic"),
    "`pclhd`: joint clusters": ("pclhd-sysu_all", "method.joint"),
}


def test_gains_of_the_first_seed_and_of_the_others_agree_with_the_grids() -> None:
    gains = {}
    for name, (folder, ours, theirs) in FIRST_SEED.items():
        found = {row.name: row.scores["mAP"] for row in read_ablation(LEADERBOARD / "ablations" / folder).rows}
        gains[name] = {seed: 100 * (found[ours][seed] - found[theirs][seed]) for seed in range(3)}
    for name, (folder, setting) in EFFECTS.items():
        (effect,) = (
            e for e in effects(read_ablation(LEADERBOARD / "ablations" / folder)) if e.label.startswith(f"`{setting}`")
        )
        gains[name] = {seed: 100 * effect.gains["mAP"][seed] for seed in range(3)}
    shown = rows(section("docs/findings/parts.md", "How far one seed can be trusted"), r"\| `\w+`: ")
    assert {name for name, *_ in shown} == set(gains)
    for name, *figures in shown:
        first, *others = (gains[name][seed] for seed in range(3))
        assert figures == [format_mean_sd([first], sign=True), format_mean_sd([fmean(others)], sign=True)], name
    halved = [name for name, gain in gains.items() if fmean([gain[1], gain[2]]) < gain[0] / 2]
    assert len(halved) == 5, "the text below the table counts them"
