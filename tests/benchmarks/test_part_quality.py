"""Whether parts of methods know what is right: against naive loops, and asked of real runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.part_quality import gate, main, majority, prototype_purity, trust
from engine.cli import main as run

QUICK = (
    "train.epochs=1 train.iterations=2 train.visible_clusters=2 train.infrared_clusters=2 method.k1=6 method.eps=0.5"
)
METHODS = ("soft_prototype", "sclhm", "hil")


def draws(seed: int = 0, images: int = 40, clusters: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Clusters, all present and some images in none, and identities that mostly agree with them."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, clusters, (images,), generator=generator)
    labels[:clusters] = torch.arange(clusters)
    wrong = torch.rand(images, generator=generator) < 0.3
    identities = torch.where(wrong, torch.randint(0, 9, (images,), generator=generator), 10 + labels)
    return labels, identities


def test_purity_of_prototypes_is_that_of_a_loop() -> None:
    labels, identities = draws()
    owners = majority(labels, identities)
    right = (labels >= 0) & (owners[labels] == identities)
    picked = [(labels == c).nonzero().flatten()[: 1 + c].tolist() for c in range(4)]
    index = torch.tensor([[own[k % len(own)] for k in range(4)] for own in picked])
    counts = torch.tensor([[k < len(own) for k in range(4)] for own in picked])
    weights = torch.rand(4, 4, generator=torch.Generator().manual_seed(1)) * counts
    weights /= weights.sum(1, keepdim=True)
    found = prototype_purity(index, counts, weights, labels, right)

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


def test_trust_is_that_of_a_loop() -> None:
    labels, identities = draws(2)
    owners = majority(labels, identities)
    labels, identities = labels[labels >= 0], identities[labels >= 0]
    owners[3] = owners[0]  # two clusters of one person
    soft = torch.rand(len(labels), 4, generator=torch.Generator().manual_seed(3)).softmax(1)
    found = trust(soft, labels, owners, identities)
    own = {True: [], False: []}
    person = {True: [], False: []}
    for row, label, identity in zip(soft.tolist(), labels.tolist(), identities.tolist(), strict=True):
        right = int(owners[label]) == identity
        own[right].append(row[label])
        person[right].append(sum(row[k] for k in range(4) if int(owners[k]) == identity))
    more = [(a > b) + 0.5 * (a == b) for a in own[True] for b in own[False]]
    expected = [
        len(own[True]) / len(labels),
        sum(own[True]) / len(own[True]),
        sum(own[False]) / len(own[False]),
        sum(more) / len(more),
        sum(person[True] + person[False]) / len(labels),
        sum(person[False]) / len(person[False]),
    ]
    assert list(found.values()) == pytest.approx(expected)


def test_the_gate_counts_right_labels_on_both_sides() -> None:
    passes = torch.tensor([True, True, True, False, False])
    right = torch.tensor([True, False, True, True, False])
    assert list(gate(passes, right).values()) == pytest.approx([3 / 5, 2 / 3, 1 / 2])


@pytest.fixture(scope="module")
def runs(tiny_people: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    output = tmp_path_factory.mktemp("runs")
    for name in (*METHODS, "untrained"):
        settings = QUICK.split() if name != "untrained" else ["train.epochs=1"]
        settings += ["method.scheduled=false"] if name == "soft_prototype" else []
        words = ["--method", name, "--protocol", "sysu_all", "--data", "synthetic:size=tiny", "--output", str(output)]
        assert run([*words, "--no-report", "--set", *settings]) == 0
    return {name: next((output / "sysu_all").glob(f"{name}-*")) for name in (*METHODS, "untrained")}


def test_figures_of_real_runs_are_shares_and_repeat(runs: dict[str, Path], tmp_path: Path) -> None:
    folders = [str(runs[name]) for name in METHODS]
    for name in ("first.csv", "second.csv"):
        assert main([*folders, "--csv", str(tmp_path / name)]) == 0
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()
    found = pd.read_csv(tmp_path / "first.csv", keep_default_na=False)
    assert set(found["method"]) == set(METHODS)
    assert {*found["modality"]} == {"visible", "infrared"}
    known = found[found["value"] != ""]["value"].astype(float)  # tiny clusters can be right throughout
    assert known.between(0, 1).all()
    assert len(known) > len(found) / 2


def test_what_cannot_be_asked_is_told(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing to ask"):
        main([str(runs["untrained"])])
    shutil.copytree(runs["hil"].parent.parent, tmp_path / "runs")
    for folder in (tmp_path / "runs" / "stages").glob("hil-*"):
        shutil.rmtree(folder)
    with pytest.raises(SystemExit, match="train it again"):
        main([str(tmp_path / "runs" / "sysu_all" / runs["hil"].name)])
