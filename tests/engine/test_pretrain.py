from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from components.encoder import EncoderConfig, build_encoder, load_weights
from datasets.source import open_dataset
from engine.config import load_config
from engine.pretrain import Recipe, pretrain, visible_people
from engine.registry import UsageError
from engine.source import SHIPPED, open_start

TINY = Recipe(people=("synthetic:size=tiny",), width=8, steps=3, clusters=2, instances=2)


def test_pretraining_repeats_and_copies_the_visible_stem(tiny_people: dict[str, Path]) -> None:
    people = visible_people([str(tiny_people["sysu"])])
    state = torch.get_rng_state()
    first, second = (pretrain(TINY, *people).state_dict() for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in first:
        if name.startswith("visible."):
            assert torch.equal(first[name], first[name.replace("visible.", "infrared.", 1)])


def test_only_visible_pictures_are_learned_from(tiny_people: dict[str, Path]) -> None:
    dataset, _ = open_dataset("sysu", str(tiny_people["sysu"]))
    pixels, identities, cameras = visible_people([str(tiny_people["sysu"])])
    assert len(pixels) == len(dataset.train().visible) + len(dataset.test().visible)
    assert len(identities.unique()) == 22
    assert set(cameras.tolist()) == {1, 2, 4, 5}


def test_the_shipped_weights_fit_and_say_how_they_were_made() -> None:
    (path,) = SHIPPED.glob("*.pth")
    note = json.loads(path.with_suffix(".json").read_text())
    assert note["recipe"] == json.loads(json.dumps(Recipe().__dict__))
    encoder = build_encoder(EncoderConfig("small", note["recipe"]["width"]), 0)
    assert load_weights(encoder, path) == note["sha256"]


def test_synthetic_people_start_from_the_shipped_weights(tiny_people: dict[str, Path]) -> None:
    dataset, _ = open_dataset("sysu", str(tiny_people["sysu"]))
    config = load_config("untrained", "sysu_all", profile="synthetic_sysu")
    start = open_start(None, dataset, config)
    assert start.source == "small16.pth"
    assert start.sha256 is not None
    assert open_start("random", dataset, config).sha256 is None
    narrow = load_config("untrained", "sysu_all", profile="synthetic_sysu", settings=["encoder.width=8"])
    assert open_start(None, dataset, narrow).source == "random"


def test_people_whom_the_shipped_weights_have_seen_are_refused(tiny_people: dict[str, Path]) -> None:
    dataset, _ = open_dataset("sysu", str(tiny_people["sysu"]))
    dataset.synthetic = {"spec": {"seed": 9000}}
    config = load_config("untrained", "sysu_all", profile="synthetic_sysu")
    with pytest.raises(UsageError, match="trained on synthetic people of seed 9000"):
        open_start(None, dataset, config)
