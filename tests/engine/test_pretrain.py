from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import usvi_bench.engine.pretrain
from usvi_bench.cli.main import main
from usvi_bench.components.augment import MEAN, STD, AugmentConfig, augment
from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.resnet_networks import ResNet50Config, SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.components.encoder.weights import load_weights
from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.open import open_dataset
from usvi_bench.engine.load_config import load_config, parse_settings
from usvi_bench.engine.pretrain import STEPS, Recipe, change_tone, pretrain, recipe_of, visible_people
from usvi_bench.engine.start_weights import SHIPPED, open_start, shipped_weights, weights_file
from usvi_bench.synthetic.spec import GENERATOR_VERSIONS

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


def test_another_tone_is_that_of_each_image_s_own_draw() -> None:
    levels = torch.randint(0, 256, (3, 8, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
    images = augment(levels, "infrared", AugmentConfig(), torch.Generator())
    found = change_tone(images, torch.Generator().manual_seed(5))
    draws = torch.Generator().manual_seed(5)
    bend, gain, shift, grain = (torch.rand(3, 1, 1, 1, generator=draws).flatten().tolist() for _ in range(4))
    noise = torch.randn(3, 1, 8, 4, generator=draws)
    for row in range(3):
        for y in range(8):
            for x in range(4):
                level = min(max(images[row, 0, y, x].item() * 0.229 + 0.485, 0), 1)
                level = level ** math.exp(-1.1 + 1.5 * bend[row]) * (0.8 + 0.7 * gain[row]) - 0.1 + 0.25 * shift[row]
                level = min(max(level + 0.03 * grain[row] * noise[row, 0, y, x].item(), 0), 1)
                for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
                    assert found[row, channel, y, x].item() == pytest.approx((level - mean) / std, abs=1e-4)


def test_the_share_without_colour_and_the_share_of_other_tone_are_those_asked_for(
    tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(usvi_bench.engine.pretrain, "change_tone", lambda grey, _: seen.append(len(grey)) or grey)
    pretrain(
        replace(TINY, clusters=4, steps=1, colourless=0.5, toned=0.75), *visible_people([str(tiny_people["sysu"])])
    )
    assert seen == [3]


def test_an_encoder_is_pretrained_with_the_settings_that_it_has() -> None:
    assert Recipe(width=8).encoder_config() == SmallConfig(width=8)
    assert Recipe(encoder="resnet50").encoder_config() == ResNet50Config()
    assert shipped_weights(SmallConfig(width=8)).name == "small8.safetensors"
    assert shipped_weights(EncoderConfig("vit_s16")).name == "vit_s16.safetensors"


@pytest.mark.parametrize("layout", [None, *STEPS])
def test_the_shipped_weights_fit_and_their_note_has_the_recipe(layout: str | None) -> None:
    path = weights_file(SmallConfig(), layout)
    assert path.stat().st_size <= 3e6
    note = json.loads(path.with_suffix(".json").read_text())
    assert note["recipe"] == json.loads(json.dumps(recipe_of(layout).__dict__))
    assert note["generator_version"] == GENERATOR_VERSIONS["sysu"]
    encoder = build_encoder(SmallConfig(width=note["recipe"]["width"]), 0)
    assert load_weights(encoder, path) == note["sha256"]


def test_only_weights_of_known_layouts_are_shipped() -> None:
    assert set(SHIPPED.glob("*.safetensors")) == {weights_file(SmallConfig(), layout) for layout in (None, *STEPS)}
    with pytest.raises(UsageError, match="--layout llcm: it has no weights of its own"):
        recipe_of("llcm")


def test_a_note_of_each_earlier_file_is_kept_for_the_records_that_start_from_it() -> None:
    notes = {path.stem: json.loads(path.read_text()) for path in SHIPPED.glob("*.json")}
    assert {name for name, note in notes.items() if note["generator_version"] < GENERATOR_VERSIONS["sysu"]} == {
        "small16-version3"
    }
    assert len({note["sha256"] for note in notes.values()}) == len(notes)


def test_a_layout_with_its_own_weights_starts_from_them(tiny_people: dict[str, Path]) -> None:
    dataset, _ = open_dataset("regdb", str(tiny_people["regdb"]))
    config = load_config("untrained", "regdb_v2i", profile="synthetic_regdb")
    assert open_start(None, dataset, config).source == "small16-regdb.safetensors"
    assert open_start("small16", dataset, config).source == "small16.safetensors"


def test_synthetic_people_start_from_the_shipped_weights(tiny_people: dict[str, Path]) -> None:
    dataset, _ = open_dataset("sysu", str(tiny_people["sysu"]))
    config = load_config("untrained", "sysu_all", profile="synthetic_sysu")
    start = open_start(None, dataset, config)
    assert start.source == "small16.safetensors"
    assert start.sha256 is not None
    assert open_start("random", dataset, config).sha256 is None
    assert open_start("small16", dataset, config) == start
    with pytest.raises(UsageError, match="--weights small17: no such file"):
        open_start("small17", dataset, config)
    narrow = load_config(
        "untrained", "sysu_all", profile="synthetic_sysu", settings=parse_settings(["encoder.width=8"])
    )
    assert open_start(None, dataset, narrow).source == "random"


def test_people_whom_the_shipped_weights_have_seen_are_refused(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    dataset, _ = open_dataset("sysu", str(tiny_people["sysu"]))
    dataset.synthetic = {"spec": {"seed": 9000}}
    config = load_config("untrained", "sysu_all", profile="synthetic_sysu")
    renamed = tmp_path / "mine.safetensors"
    shutil.copy(shipped_weights(SmallConfig()), renamed)
    for weights in (None, str(renamed)):
        with pytest.raises(UsageError, match="trained on synthetic people of seed 9000"):
            open_start(weights, dataset, config)


def test_the_command_writes_weights_and_recipe(
    tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, path = (str(tiny_people["sysu"]),), tmp_path / "own.safetensors"
    monkeypatch.setattr(usvi_bench.engine.pretrain, "visible_people", lambda trees: visible_people(people))
    monkeypatch.setattr(
        usvi_bench.engine.pretrain, "pretrain", lambda recipe, *parts: pretrain(replace(TINY, steps=1), *parts)
    )
    monkeypatch.setattr(
        usvi_bench.engine.pretrain, "open_dataset", lambda kind, tree, **more: open_dataset(kind, people[0], **more)
    )
    assert main(["pretrain", "--width", "8", "--out", str(path)]) == 0
    note = json.loads(path.with_suffix(".json").read_text())
    assert load_weights(build_encoder(SmallConfig(width=8), 0), path) == note["sha256"]
    assert (note["recipe"]["encoder"], note["recipe"]["width"], note["identities"]) == ("small", 8, 22)
    assert note["recipe"]["people"] == list(Recipe.people)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoder", "smal"], "did you mean small"),
        (["--width", "10"], "multiple of 8"),
        (["--out", "weights.pth"], "safetensors"),
    ],
)
def test_mistakes_are_found_before_any_work(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pretrain", *arguments]) == 2
    assert message in capsys.readouterr().err
