from __future__ import annotations

import errno
import sys
import types

import pytest

from tests.datasets.trees import write_note, write_regdb, write_sysu
from usvi_bench.core.errors import UsageError
from usvi_bench.core.host import cache_folder
from usvi_bench.datasets.open import open_dataset
from usvi_bench.synthetic import digests as digests  # stays imported when the generator is replaced
from usvi_bench.synthetic.spec import SyntheticSpec, parse


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def generator(tmp_path, monkeypatch):
    """Replace the generator by a fake that records its calls."""
    module = types.ModuleType("usvi_bench.synthetic")
    module.calls = []

    def ensure(layout, spec, cache, progress):
        module.calls.append((layout, spec, cache))
        progress("10 of 10 images")
        root = cache / layout
        if not root.exists():
            {"sysu": write_sysu, "regdb": write_regdb}[layout](root)
        write_note(root, layout=layout, images=sum(path.suffix in (".jpg", ".bmp", ".png") for path in root.rglob("*")))
        return root

    module.parse, module.ensure = parse, ensure
    monkeypatch.setitem(sys.modules, "usvi_bench.synthetic", module)
    return module


def opened(kind, spec, **options):
    said = []
    data, sentence = open_dataset(kind, spec, progress=said.append, check_counts=False, **options)
    assert "\n" not in sentence
    return data, sentence, "\n".join(said)


def test_a_path_is_read(tmp_path):
    root = write_sysu(tmp_path / "mine")
    data, sentence, said = opened("sysu", str(root))
    assert data.root == root
    assert sentence == "images in the layout of SYSU-MM01, not checked against the published counts"
    assert said == f"reading {root}"


def test_a_folder_that_holds_the_data_set_will_do(tmp_path):
    root = write_regdb(tmp_path / "RegDB")
    assert opened("regdb", str(tmp_path))[0].root == root


def test_counts_are_checked_by_default(tmp_path):
    root = write_sysu(tmp_path / "mine")
    with pytest.raises(UsageError, match="is not the published SYSU-MM01"):
        open_dataset("sysu", str(root))


@pytest.mark.parametrize("make", ["nothing", "file", "empty"])
def test_a_wrong_path_is_an_error_and_never_a_fall_back(tmp_path, generator, make):
    path = tmp_path / "wrong"
    if make == "file":
        path.touch()
    elif make == "empty":
        path.mkdir()
    with pytest.raises(UsageError, match=str(path)):
        open_dataset("sysu", str(path))
    assert generator.calls == []


def test_the_other_data_set_is_called_by_its_name(tmp_path):
    root = write_regdb(tmp_path / "mine")
    with pytest.raises(UsageError, match="it holds RegDB, not SYSU-MM01"):
        open_dataset("sysu", str(root))


def test_an_unknown_kind_is_refused():
    with pytest.raises(UsageError, match="did you mean sysu"):
        open_dataset("sisu", "auto")


def test_auto_reads_the_environment_first(tmp_path, here, monkeypatch, generator):
    write_sysu(here / "data" / "SYSU-MM01")
    root = write_sysu(tmp_path / "mine")
    monkeypatch.setenv("USVI_DATA", str(root))
    assert opened("sysu", "auto")[0].root == root
    parent = tmp_path / "parent"
    write_sysu(parent / "SYSU-MM01")
    monkeypatch.setenv("USVI_DATA", str(parent))
    assert opened("sysu", "auto")[0].root == parent / "SYSU-MM01"
    assert generator.calls == []


def test_auto_reads_the_usual_folder_next(here, generator, monkeypatch, tmp_path):
    write_regdb(here / "data" / "RegDB")
    assert opened("regdb", "auto")[0].root.resolve() == here / "data" / "RegDB"
    monkeypatch.setenv("USVI_DATA", str(tmp_path))
    assert opened("regdb", "auto")[0].root.resolve() == here / "data" / "RegDB"
    assert generator.calls == []


def test_auto_falls_back_to_synthetic_people_with_a_message(here, tmp_path, monkeypatch, generator):
    data, sentence, said = opened("sysu", "auto")
    assert data.synthetic is not None
    assert sentence == "synthetic people in the layout of SYSU-MM01 (size=small, seed=0)"
    first = said.splitlines()[0]
    assert first == "using synthetic people: no SYSU-MM01 in data/SYSU-MM01 or in USVI_DATA (not set)"
    assert generator.calls == [("sysu", SyntheticSpec(), tmp_path / "cache" / "synthetic")]
    monkeypatch.setenv("USVI_DATA", str(write_regdb(tmp_path / "RegDB")))
    assert f"USVI_DATA ({tmp_path / 'RegDB'})" in opened("sysu", "auto")[2]


def test_auto_refuses_an_environment_that_points_nowhere(here, monkeypatch, tmp_path, generator):
    monkeypatch.setenv("USVI_DATA", str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"USVI_DATA=.*none is not a folder"):
        open_dataset("sysu", "auto")


def test_auto_does_not_hide_an_incomplete_data_set(here, generator):
    (write_sysu(here / "data" / "SYSU-MM01") / "exp" / "test_id.txt").unlink()
    with pytest.raises(UsageError, match=r"test_id\.txt"):
        open_dataset("sysu", "auto", check_counts=False)


def test_the_sentence_is_the_same_however_the_tree_was_found(here, generator):
    sentences = {opened("sysu", "auto")[1], opened("sysu", "synthetic")[1]}
    root = opened("sysu", "synthetic")[0].root
    assert {*sentences, opened("sysu", str(root))[1]} == sentences
    assert len(sentences) == 1


def test_knobs_reach_the_generator(generator):
    _, _, said = opened("regdb", "synthetic:size=tiny,seed=3")
    assert generator.calls[0][:2] == ("regdb", SyntheticSpec(size="tiny", seed=3))
    assert "10 of 10 images" in said


def test_a_full_disk_under_the_generator_is_reported(generator):
    def full(layout, spec, cache, progress):
        raise OSError(errno.ENOSPC, "No space left on device")

    generator.ensure = full
    with pytest.raises(UsageError, match=r"No space left on device; free some space or set USVI_CACHE"):
        open_dataset("sysu", "synthetic")


def test_the_real_generator_writes_what_the_reader_reads():
    synthetic = pytest.importorskip("usvi_bench.synthetic")
    if not hasattr(synthetic, "ensure"):
        pytest.skip("the generator is not there")
    data, sentence = open_dataset("regdb", "synthetic:size=tiny")
    assert data.synthetic is not None
    assert len(data.test(data.folds[0]).infrared)
    assert data.fingerprint.startswith("synthetic-")
    assert "size=tiny" in sentence


@pytest.mark.parametrize("variable", ["", "USVI_DATA", "USVI_CACHE"])
def test_the_home_of_nobody_is_refused(variable, here, monkeypatch):
    path = "~nobody-of-this-name/x"
    monkeypatch.setenv(variable or "UNUSED", path)
    with pytest.raises(UsageError, match=f"{path}: no home folder of this user is known; write the whole path"):
        cache_folder() if variable == "USVI_CACHE" else open_dataset("sysu", "auto" if variable else path)
