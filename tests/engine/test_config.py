from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest
from mmengine.config import Config

from usvi_bench.components.ema import alpha_for
from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.engine.config import RunConfig, TrainConfig, changed_settings
from usvi_bench.engine.load_config import build, load_config, nested, parse_settings
from usvi_bench.engine.read_settings import CONFIGS

PROFILES = ["sysu", "regdb", "llcm", "synthetic_sysu", "synthetic_regdb", "synthetic_llcm"]
PROTOCOLS = {"sysu": "sysu_all", "regdb": "regdb_v2i", "llcm": "llcm_v2i"}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("method", METHODS.names())
def test_every_shipped_setting_is_typed(method: str, profile: str) -> None:
    config = load_config(method, PROTOCOLS[profile.removeprefix("synthetic_")], profile=profile)
    assert config.setting == "shared"
    with pytest.raises(FrozenInstanceError):
        config.train.epochs = 3  # type: ignore[misc]


def paper_files() -> list[tuple[str, str]]:
    return sorted((path.parent.name, path.stem) for path in (CONFIGS / "paper").glob("*/*.py"))


@pytest.mark.parametrize(("method", "profile"), paper_files())
def test_every_setting_of_a_paper_is_typed_and_differs_from_the_shared_one(method: str, profile: str) -> None:
    protocol = "sysu_all" if "sysu" in profile else "regdb_v2i"
    paper = load_config(method, protocol, profile=profile, setting="paper")
    assert paper.setting == "paper"
    assert paper != replace(load_config(method, protocol, profile=profile), setting="paper")


def test_papers_have_their_own_batches_and_schedules() -> None:
    def loaded(method: str, profile: str) -> RunConfig:
        protocol = {"sysu": "sysu_all", "regdb": "regdb_i2v"}[profile]
        return load_config(method, protocol, profile=profile, setting="paper")

    for method in ("adca", "pgm"):
        for profile, iterations, eps in (("sysu", 200, 0.6), ("regdb", 100, 0.3)):
            c = loaded(method, profile)
            assert (c.train.infrared_clusters, c.train.visible_clusters, c.train.instances) == (16, 8, 16)
            assert (c.train.iterations, c.method_config.eps, c.encoder.bn_groups) == (iterations, eps, 4)  # type: ignore[attr-defined]
            assert (c.encoder.non_local, c.augment.jitter) == ((True, 0.5) if method == "pgm" else (False, 0.0))
    pgm = {profile: loaded("pgm", profile) for profile in ("sysu", "regdb")}
    assert [(c.train.epochs, c.train.drop_epochs(c.train.epochs)) for c in pgm.values()] == [(50, 20), (30, 10)]
    assert [(c.method_config.update, c.method_config.momentum) for c in pgm.values()] == [
        ("hard", 0.2),
        ("sequential", 0.2),
    ]  # type: ignore[attr-defined]
    nulc = {profile: loaded("nulc", profile) for profile in ("sysu", "regdb")}
    assert [(c.train.iterations, c.train.visible_clusters, c.encoder.non_local) for c in nulc.values()] == [
        (200, 8, False),
        (100, 8, False),
    ]
    for c, eps, neighbours in zip(nulc.values(), (0.6, 0.2), (30, 20), strict=True):
        assert (c.train.epochs, c.train.infrared_clusters, c.encoder.bn_groups, c.augment.jitter) == (50, 16, 4, 0.5)
        m = c.method_config
        assert (m.eps, m.momentum, m.update, m.neighbours) == (eps, 0.2, "sequential", neighbours)  # type: ignore[attr-defined]
        assert (m.balance, m.sharpness, m.cross_weight) == (0.7, 10, 3)  # type: ignore[attr-defined]
    released = [loaded(method, "sysu").method_config for method in ("adca", "sclhm")]
    assert [c.normalise_features for c in released] == [False, False]  # type: ignore[attr-defined]
    assert not released[0].normalise_rows  # type: ignore[attr-defined]
    hil = {profile: loaded("hil", profile) for profile in ("sysu", "regdb")}
    lengths = [[s.epochs or c.train.epochs for s in METHODS.get("hil").stages(c.method_config)] for c in hil.values()]
    assert [(own, c.train.iterations) for own, c in zip(lengths, hil.values(), strict=True)] == [
        ([60, 30], 100),
        ([30, 30], 50),
    ]
    short = load_config("hil", "sysu_all", profile="sysu", setting="paper", schedule="full_short")
    assert [s.epochs for s in METHODS.get("hil").stages(short.method_config)] == [None, None], (
        "a schedule is for all stages"
    )
    first = METHODS.get("pgm").stages(pgm["sysu"].method_config)[0]
    assert (first.config.momentum, first.config.update) == (0.2, "sequential")


def test_the_mapping_of_a_caller_does_not_change() -> None:
    mine = {"lr": 0.1}
    assert nested({"train": mine, "train.epochs": 3}) == {"train": {"lr": 0.1, "epochs": 3}}
    assert mine == {"lr": 0.1}


def test_a_method_without_a_paper_setting_names_those_with_one() -> None:
    with pytest.raises(UsageError, match=r"'untrained' has no paper .*methods that have one: adca, .*pgm.*; leave"):
        load_config("untrained", "sysu_all", profile="sysu", setting="paper")
    with pytest.raises(UsageError, match="unknown setting 'papers': did you mean paper"):
        load_config("adca", "sysu_all", profile="sysu", setting="papers")


def test_real_data_has_the_published_schedule() -> None:
    sysu = load_config("cluster_contrast", "sysu_all", profile="sysu")
    regdb = load_config("cluster_contrast", "regdb_v2i", profile="regdb")
    assert (sysu.data.height, sysu.data.width) == (288, 144)
    assert (sysu.train.epochs, sysu.train.iterations, sysu.train.drop_epochs(50)) == (50, 200, 20)
    assert (sysu.train.visible_clusters, sysu.train.infrared_clusters, sysu.train.instances) == (8, 8, 16)
    assert (sysu.train.lr, sysu.train.weight_decay, sysu.train.lr_factor) == (3.5e-4, 5e-4, 0.1)
    assert (sysu.method_config.eps, regdb.method_config.eps) == (0.6, 0.3)  # type: ignore[attr-defined]
    for profile, protocol in (("sysu", "sysu_all"), ("regdb", "regdb_v2i")):
        c = load_config("sclhm", protocol, profile=profile)
        assert alpha_for(c.method_config.ema_window, c.train.epochs * c.train.iterations) == pytest.approx(0.999)  # type: ignore[attr-defined]
    assert (regdb.train.iterations, regdb.train.visible_clusters) == (100, 4)
    llcm = load_config("cluster_contrast", "llcm_i2v", profile="llcm")
    assert replace(llcm.method_config, k1=30) == sysu.method_config
    assert llcm.method_config.k1 == 25  # type: ignore[attr-defined]
    assert (llcm.data, llcm.train) == (sysu.data, sysu.train)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_method_setting_of_a_profile_is_known_to_some_method(profile: str) -> None:
    known = {item.name for name in METHODS.names() for item in fields(METHODS.get(name).Config)}
    values = Config.fromfile(str(CONFIGS / "shared" / f"{profile}.py"), lazy_import=False).to_dict()
    assert set(values.get("method", {})) <= known


def test_overrides_win_and_take_the_type_of_their_field() -> None:
    settings = ["train.epochs=3", "method.eps=0.45", "data.folds=1,2", "data.check_counts=false", "evaluate_every=2"]
    config = load_config("cluster_contrast", "regdb_i2v", profile="regdb", settings=parse_settings(settings))
    assert config.train.epochs == 3
    assert config.method_config.eps == 0.45  # type: ignore[attr-defined]
    assert config.data.folds == (1, 2)
    assert config.data.check_counts is False
    assert config.evaluate_every == 2


def test_optional_values_accept_none_and_a_number() -> None:
    for text, value in (("none", None), ("7", 7)):
        config = load_config(
            "sclhm", "sysu_all", profile="sysu", settings=parse_settings([f"method.warmup_epochs={text}"])
        )
        assert config.method_config.warmup_epochs == value  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.epoch=3", "unknown setting 'train.epoch': did you mean train.epochs"),
        ("trian.epochs=3", "unknown setting 'trian.epochs': did you mean train.epochs"),
        ("method.epss=0.4", "unknown setting 'method.epss': did you mean method.eps"),
        ("train.epochs=many", "train.epochs=many: expected a whole number"),
        ("train.epochs=2.5", "train.epochs=2.5: expected a whole number"),
        ("method.eps=wide", "method.eps=wide: expected a number"),
        ("data.check_counts=perhaps", "expected true or false"),
        ("data.filter=nearest", "choose one of bicubic, bilinear, lanczos"),
        ("train.precision=fp8", "choose one of fp32, tf32, bf16, fp16"),
        ("train.epochs=0", "epochs=0 must be from 1 to"),
        ("train.lr=-1", "train.lr=-1.0 must be above 0"),
        ("train.weight_decay=-1", "train.weight_decay=-1.0 must be from 0 to"),
        ("train.lr=inf", "train.lr=inf: expected a finite number"),
        ("method.k1=0", "method.k1=0 must be from 1 to"),
        ("method.eps=1.5", "method.eps=1.5 must be from"),
        ("method.temperature=0", "method.temperature=0.0 must be"),
        ("method.momentum=3", "method.momentum=3.0 must be from 0 to 1"),
        ("encoder.name=resnet51", "unknown encoder 'resnet51': did you mean resnet50"),
        ("encoder.non_locl=true", "unknown setting 'encoder.non_locl': did you mean encoder.non_local"),
        ("encoder.width=8", "unknown setting 'encoder.width': it is a setting of small"),
        ("encoder=resnet50", "'encoder' is a group of settings"),
        ("encoder.bn=shared", "encoder.bn=shared: choose sync, per_gpu or groups=g"),
        ("encoder.bn_groups=0", "encoder.bn_groups=0 must be from 1 to"),
        ("protocol.shots=3", "protocol.shots=3: choose 1 or 10"),
        ("train=3", "'train' is a group of settings"),
        ("epochs", "give it as name=value"),
        ("evaluate_every=-1", "evaluate_every=-1 must be from 0 to 100,000"),
        ("data.folds=one", "data.folds=one: expected a whole number"),
    ],
)
def test_a_wrong_setting_stops_with_its_name_and_the_remedy(setting: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config("cluster_contrast", "sysu_all", profile="sysu", settings=parse_settings([setting]))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_batch_norm_policy_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match=r"encoder\.bn=\['sync'\]: choose sync, per_gpu or groups=g"):
        load_config("pgm", "sysu_all", profile="sysu", settings={"encoder.bn": ["sync"]})


def test_batch_norm_is_set_by_one_name_at_a_time() -> None:
    with pytest.raises(UsageError, match=r"encoder\.bn=sync and encoder\.bn_groups=4: give one of them only"):
        load_config("pgm", "sysu_all", profile="sysu", settings={"encoder.bn": "sync", "encoder.bn_groups": 4})
    paper = load_config("pgm", "sysu_all", profile="sysu", setting="paper", settings={"encoder.bn": "sync"})
    assert paper.encoder.bn_groups == 1, "what is asked for replaces the setting's 4"


def test_the_encoder_s_settings_are_those_of_the_named_one() -> None:
    config = load_config("pgm", "sysu_all", profile="sysu", settings={"encoder.name": "small", "encoder.width": "8"})
    assert config.encoder == SmallConfig(width=8)
    assert config.settings()["encoder"] == {"name": "small", "bn_groups": 1, "width": 8, "non_local": False}
    assert load_config("pgm", "sysu_all", profile="synthetic_sysu").encoder == SmallConfig()
    with pytest.raises(UsageError, match=r"unknown setting 'encoder\.width': it is a setting of small"):
        load_config("pgm", "sysu_all", profile="sysu", settings={"encoder.name": "vit_s16", "encoder.width": "8"})


def test_another_encoder_takes_those_of_the_setting_s_values_that_it_has() -> None:
    """The paper's setting of PGM has four parts for batch norm and non-local blocks, which a ViT has not."""
    settings = {"encoder.name": "vit_s16"}
    config = load_config("pgm", "sysu_all", profile="sysu", setting="paper", settings=settings)
    assert config.encoder == EncoderConfig("vit_s16", bn_groups=4)
    assert config.settings()["encoder"] == {"name": "vit_s16", "bn_groups": 4}


def test_an_encoder_s_own_settings_count_in_hashes_where_they_differ_from_its_defaults() -> None:
    def changed(**encoder: object) -> dict[str, object]:
        settings = {f"encoder.{name}": value for name, value in encoder.items()}
        config = load_config("pgm", "sysu_all", profile="sysu", settings=settings)
        found = changed_settings(config.settings(), "pgm")
        return {name: value for name, value in found.items() if name.startswith("encoder.")}

    assert changed() == {}
    assert changed(name="resnet50", non_local=True) == {"encoder.non_local": True}
    assert changed(name="small") == {"encoder.name": "small"}
    assert changed(name="small", width=8) == {"encoder.name": "small", "encoder.width": 8}
    settings = load_config("pgm", "sysu_all", profile="sysu").settings()
    older = {**settings, "encoder": {**settings["encoder"], "width": 16}}
    assert changed_settings(older, "pgm") == changed_settings(settings, "pgm"), "as records of resnet50 once had it"
    assert changed(name="vit_s16", bn_groups=2) == {"encoder.name": "vit_s16", "encoder.bn_groups": 2}


def test_unknown_names_are_answered_with_the_closest() -> None:
    with pytest.raises(UsageError, match="did you mean sclhm"):
        load_config("schlm", "sysu_all", profile="sysu")
    with pytest.raises(UsageError, match="did you mean sysu_all"):
        load_config("sclhm", "sysu_al", profile="sysu")


def test_schedules_are_fractions_of_the_stage() -> None:
    assert [TrainConfig().drop_epochs(n) for n in (50, 30, 10, 2, 1)] == [20, 12, 4, 1, 1]


def test_the_value_of_a_setting_may_hold_an_equal_sign_and_the_last_value_counts() -> None:
    assert parse_settings(["a.b=0", "a.b.c=1=2", "a.b=1"]) == {"a.b": "1", "a.b.c": "1=2"}


def test_settings_are_given_as_text_or_typed() -> None:
    typed = {"train.epochs": 3, "method.eps": 0.45, "data.folds": (1, 2), "data.check_counts": False}
    text = {"train.epochs": "3", "method.eps": "0.45", "data.folds": "1,2", "data.check_counts": "false"}
    one, two = (load_config("pgm", "sysu_all", profile="sysu", settings=settings) for settings in (typed, text))
    assert one == two


def test_build_refuses_a_value_of_the_wrong_kind() -> None:
    with pytest.raises(UsageError, match=r"train\.lr=True: expected a number"):
        build(TrainConfig, {"lr": True}, "train")


def test_threads_are_no_part_of_the_resolved_settings() -> None:
    one = load_config("sclhm", "sysu_all", profile="sysu", settings=parse_settings(["engine.threads=1"]))
    two = load_config("sclhm", "sysu_all", profile="sysu", settings=parse_settings(["engine.threads=2"]))
    assert one.settings() == two.settings()


def test_a_message_about_a_schedule_names_its_file(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    for content, reason in {
        "method = 3": "group of settings",
        "train = [1]": "group of settings",
        "[train]\nepoch = 3": "train.epoch'",
    }.items():
        own.write_text(content)
        with pytest.raises(UsageError, match=rf"own\.toml: .*{reason}"):
            load_config("pgm", "sysu_all", profile="sysu", schedule=str(own))
    own.write_text("[train]\nepochs = 3")
    with pytest.raises(UsageError, match=r"^unknown setting 'train\.epoch'"):
        load_config("pgm", "sysu_all", profile="sysu", schedule=str(own), settings={"train.epoch": 3})
