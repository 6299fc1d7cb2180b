"""Quality of parts of methods: compared with naive loops, and measured in real runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from usvi_bench.analysis.part_quality import (
    gate_quality,
    main,
    majority_identities,
    prototype_purity,
    reload_run,
    replay_epoch,
    teacher_quality,
)
from usvi_bench.cli.main import main as run
from usvi_bench.core.revision import ROOT
from usvi_bench.core.types import StageProgress
from usvi_bench.engine import checkpoint as checkpoints
from usvi_bench.engine.stages import row_orders

QUICK = (
    "train.epochs=1 train.iterations=2 train.visible_clusters=2 train.infrared_clusters=2 method.k1=6 method.eps=0.5"
)
METHODS = ("soft_prototype", "sclhm", "hil")


def draws(seed: int = 0, images: int = 40, clusters: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw clusters, all non-empty and with some outliers, and identities that mostly agree with them."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, clusters, (images,), generator=generator)
    labels[:clusters] = torch.arange(clusters)
    wrong = torch.rand(images, generator=generator) < 0.3
    identities = torch.where(wrong, torch.randint(0, 9, (images,), generator=generator), 10 + labels)
    return labels, identities


def test_purity_of_prototypes_is_that_of_a_loop() -> None:
    labels, identities = draws()
    picked = [(labels == c).nonzero().flatten()[: 1 + c].tolist() for c in range(4)]
    index = torch.tensor([[own[k % len(own)] for k in range(4)] for own in picked])
    counts = torch.tensor([[k < len(own) for k in range(4)] for own in picked])
    weights = torch.rand(4, 4, generator=torch.Generator().manual_seed(1)) * counts
    weights /= weights.sum(1, keepdim=True)
    found = prototype_purity(index, counts, weights, labels, identities)

    shares: dict[str, list[float]] = {name: [] for name in found}
    for c, own in enumerate(picked):
        members = [i for i in range(40) if labels[i] == c]
        person = max(sorted({int(identities[i]) for i in members}), key=[int(identities[i]) for i in members].count)
        hit = {i: float(identities[i] == person) for i in members}
        others = [i for i in members if i not in own]
        shares["all images of a cluster"].append(sum(hit.values()) / len(members))
        shares["its prototypes"].append(sum(hit[i] for i in own) / len(own))
        shares["its prototypes, by their weights"].append(sum(hit[i] * float(weights[c, k]) for k, i in enumerate(own)))
        shares["its other images"].append(sum(hit[i] for i in others) / len(others))
    assert found == pytest.approx({name: sum(values) / 4 for name, values in shares.items()})


def test_teacher_quality_is_that_of_a_loop() -> None:
    labels, identities = draws(2)
    owners = majority_identities(labels, identities)
    labels, identities = labels[labels >= 0], identities[labels >= 0]
    owners[3] = owners[0]  # two clusters of one person
    soft = torch.rand(len(labels), 4, generator=torch.Generator().manual_seed(3)).softmax(1)
    found = teacher_quality(soft, labels, owners, identities)
    own = {True: [], False: []}
    person = {True: [], False: []}
    there, found_mass = [], []
    for row, label, identity in zip(soft.tolist(), labels.tolist(), identities.tolist(), strict=True):
        right = int(owners[label]) == identity
        own[right].append(row[label])
        person[right].append(sum(row[k] for k in range(4) if int(owners[k]) == identity))
        there += [] if right else [identity in owners.tolist()]
        found_mass += [person[right][-1]] if not right and there[-1] else []
    more = [(a > b) + 0.5 * (a == b) for a in own[True] for b in own[False]]
    expected = [
        len(own[True]) / len(labels),
        sum(own[True]) / len(own[True]),
        sum(own[False]) / len(own[False]),
        sum(more) / len(more),
        sum(person[True] + person[False]) / len(labels),
        sum(there) / len(there),
        sum(found_mass) / len(found_mass),
    ]
    assert list(found.values()) == pytest.approx(expected)


def test_the_gate_counts_right_labels_on_both_sides() -> None:
    passes = torch.tensor([True, True, True, False, False])
    right = torch.tensor([True, False, True, True, False])
    assert list(gate_quality(passes, right).values()) == pytest.approx([3 / 5, 2 / 3, 1 / 2])


@pytest.fixture(scope="module")
def runs(tiny_people: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    output = tmp_path_factory.mktemp("runs")
    for name in (*METHODS, "untrained"):
        settings = QUICK.split() if name != "untrained" else ["train.epochs=1"]
        settings += ["method.scheduled=false"] if name == "soft_prototype" else []
        words = ["--method", name, "--protocol", "sysu_all", "--data", "synthetic:size=tiny", "--output", str(output)]
        assert run([*words, "--no-report", "--set", *settings, "engine.threads=1"]) == 0
    return {name: next((output / "sysu_all").glob(f"{name}-*")) for name in (*METHODS, "untrained")}


def test_a_method_has_the_weights_of_the_end_of_training(runs: dict[str, Path]) -> None:
    found = reload_run(runs["sclhm"])
    (plan,) = found.every_plan[-1:]
    method, epoch = replay_epoch(found, plan)
    saved = checkpoints.load(plan.folder / "epoch_0001.pt")
    for name, model in method.models().items():
        for key, value in model.state_dict().items():
            assert torch.equal(value, saved.models[name][key]), (name, key)
    split = found.dataset.train(1)
    names = split.visible.identities[row_orders(split, 0, 1, found.dataset.fingerprint)[0]]
    assert len(epoch.labels["visible"]) == len(names)
    assert torch.equal(
        epoch.identities["visible"][0] == epoch.identities["visible"], torch.from_numpy(names[0] == names)
    )


def journal_of_another_epoch(folder: Path) -> dict[str, float]:
    """Return the diagnostics that the method itself reports for the same batches."""
    found = reload_run(folder)
    method, epoch = replay_epoch(found, found.every_plan[-1])
    progress = StageProgress(0, 1, 0, epoch.steps, 0)
    with torch.no_grad():
        for _ in range(epoch.steps):
            method.loss(epoch.draw(), progress)
    return {name: float(value) for name, value in method.diagnostics().items()}


def test_the_gate_is_that_of_the_method(runs: dict[str, Path], tmp_path: Path) -> None:
    table = figures(runs["hil"], tmp_path)
    shares = [table[modality, "labels that pass the gate"] for modality in ("visible", "infrared")]
    assert sum(shares) / 2 == pytest.approx(journal_of_another_epoch(runs["hil"])["agreement"], abs=1e-4)


def test_the_teacher_is_that_of_the_method(runs: dict[str, Path], tmp_path: Path) -> None:
    table, means = figures(runs["sclhm"], tmp_path), []
    for modality in ("visible", "infrared"):
        right, *masses = (
            table[modality, name]
            for name in (
                "right labels",
                "teacher's mass on the label, where right",
                "teacher's mass on the label, where wrong",
            )
        )
        means.append(sum(p * mass for p, mass in zip((right, 1 - right), masses, strict=True) if p))
    assert sum(means) / 2 == pytest.approx(journal_of_another_epoch(runs["sclhm"])["consistency"], abs=3e-4)


def figures(folder: Path, scratch: Path) -> pd.Series:
    main([str(folder), "--csv", str(scratch / "table.csv")])
    return pd.read_csv(scratch / "table.csv").set_index(["modality", "figure"])["value"]


def test_figures_repeat_and_others_stay(runs: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    assert main([str(runs["hil"].parent), "--csv", str(file)]) == 0
    first = file.read_bytes()
    assert set(pd.read_csv(file)["method"]) == set(METHODS)
    assert main([str(runs["sclhm"]), "--csv", str(file), "--add"]) == 0
    assert file.read_bytes() == first


def test_the_figures_are_those_of_the_committed_table(runs: dict[str, Path], tmp_path: Path) -> None:
    main([str(runs["hil"].parent), "--csv", str(tmp_path / "table.csv")])
    committed = pd.read_csv(ROOT / "leaderboard" / "part_quality.csv")
    assert set(pd.read_csv(tmp_path / "table.csv")["figure"]) == set(committed["figure"])


def test_runs_that_cannot_be_analysed_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no finished runs with results"):
        main([str(runs["untrained"])])
    shutil.copytree(runs["hil"].parent.parent, tmp_path / "runs")
    lonely = tmp_path / "runs" / "sysu_all" / runs["hil"].name
    shutil.copytree(lonely, renamed := lonely.with_name("hil-seed0-00000000"))
    with pytest.raises(SystemExit, match=f"settings this is {lonely.name}"):
        main([str(renamed)])
    (stage,) = (tmp_path / "runs" / "stages").glob("hil-*")
    shutil.rmtree(stage)
    with pytest.raises(SystemExit, match="is missing; run it again"):
        main([str(lonely)])
    shutil.rmtree(stage.parent)
    with pytest.raises(SystemExit, match="contains stages/"):
        main([str(lonely)])
