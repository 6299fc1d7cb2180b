"""Plug-ins are imported once, named with the hash of their source, and refused in one line where they are wrong."""

from __future__ import annotations

import hashlib
import linecache
import os
import py_compile
import sys
from pathlib import Path
from types import ModuleType

import pytest

from usvi_bench.cli.main import main
from usvi_bench.core import entry_points
from usvi_bench.core.errors import UsageError
from usvi_bench.core.missing_parts import missing_parts
from usvi_bench.core.plugins import absolute, check_unchanged, import_plugins, part_keys, used_plugins
from usvi_bench.core.registry import DATASETS, METHODS, PROTOCOLS, Registry
from usvi_bench.core.sources import hash_source, sources_of
from usvi_bench.datasets.tree import TreeDataset
from usvi_bench.methods.base import Method
from usvi_bench.protocols.base import Protocol

ROOT = Path(__file__).resolve().parent.parent.parent
HEAD = """
from dataclasses import dataclass
from usvi_bench.core.registry import DATASETS, ENCODERS, LR_SCHEDULES, METHODS, PROTOCOLS
from usvi_bench.datasets.tree import TreeDataset
from usvi_bench.methods.base import Method, MethodConfig
from usvi_bench.protocols.base import Protocol
"""
MINE = (
    HEAD
    + """
@METHODS.register("mine")
class Mine(Method):
    summary = "mine"
    stages = classmethod(lambda cls, config: ())
"""
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def registered(kind: str, body: str) -> str:
    return f"{HEAD}\n@{kind}.register('mine')\nclass Mine({body}"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("absent.py", None, "no such file or folder"),
        ("absent_module", None, "there is no module 'absent_module'"),
        ("os.absent_part", None, "there is no module 'os.absent_part'"),
        ("not-a-module", None, "neither the name of a module nor the path of a .py file"),
        ("notes.txt", "notes", "this is not a Python file; its name must end in .py"),
        ("mine.py", "x = 1\ny = = 2\n", "mine.py, line 2: SyntaxError: invalid syntax"),
        ("mine.py", "x = '\0'\n", "SyntaxError: source code string cannot contain null bytes"),
        ("mine.py", "def f():\n    return 1 / 0\nf()\n", "mine.py, line 2: ZeroDivisionError: division by zero"),
        ("mine.py", "import absent_dependency\n", "line 1: ModuleNotFoundError: No module named 'absent_dependency'"),
        ("mine.py", "raise SystemExit(3)\n", "mine.py, line 1: SystemExit: 3"),
        ("mine.py", "raise ValueError('two\\nlines')\n", "mine.py, line 1: ValueError: two lines"),
        ("mine.py", "x = 1\n", "registers no method, encoder, data set, protocol or learning-rate schedule"),
        ("json", None, "registers no method, encoder, data set, protocol"),
        (
            "mine.py",
            MINE.replace('"mine"', '"pgm"', 1),
            "the method 'pgm' is already registered, by usvi_bench.methods.pgm (",
        ),
        (
            "mine.py",
            MINE.replace('"mine"', '"pgm-lite"', 1),
            "'pgm-lite' is not a valid name of a method: use letters",
        ),
        ("mine.py", MINE.replace('"mine"', '"pgm-lite"', 1), "such as pgm_lite"),
        ("mine.py", registered("METHODS", "Method):\n    pass"), "no attribute 'summary'"),
        ("mine.py", registered("METHODS", "Method):\n    pass"), "no method 'begin_epoch'; no method 'loss'"),
        ("mine.py", registered("METHODS", "Method):\n    Config = dict"), "'Config' must be a frozen dataclass"),
        (
            "mine.py",
            registered("METHODS", "Method):\n    @dataclass\n    class Config:\n        a: int = 1"),
            "'Config' must be a frozen dataclass that derives from MethodConfig",
        ),
        (
            "mine.py",
            registered(
                "METHODS", "Method):\n    @dataclass(frozen=True)\n    class Config(MethodConfig):\n        a: int"
            ),
            "'Config' has a field without a default",
        ),
        ("mine.py", registered("METHODS", "dict):\n    pass"), "must be a class that derives from usvi_bench.methods"),
        (
            "mine.py",
            HEAD + "METHODS.register('mine')(lambda: 1)",
            "must be a class that derives from usvi_bench.methods",
        ),
        ("mine.py", registered("PROTOCOLS", "Protocol):\n    name = 'mine'"), "no method 'galleries'"),
        ("mine.py", registered("PROTOCOLS", "Protocol):\n    name = 'mine'"), "no attribute 'query'"),
        ("mine.py", registered("PROTOCOLS", "Protocol):\n    name = 'other'"), "its attribute 'name' is 'other'"),
        ("mine.py", registered("DATASETS", "TreeDataset):\n    name = 'mine'"), "no attribute 'landmarks'"),
        ("mine.py", registered("DATASETS", "TreeDataset):\n    pass"), "no method 'load'"),
        (
            "mine.py",
            registered("METHODS", "Method):\n    summary = 3"),
            "'summary': expected text, found 3",
        ),
        ("mine.py", registered("METHODS", "Method):\n    summary = 'a\\nb'"), "'summary' is not one line"),
        ("mine.py", registered("METHODS", "Method):\n    headline = None"), "its attribute 'headline': expected text"),
        (
            "mine.py",
            registered("METHODS", "Method):\n    uses_identities = 'no'"),
            "'uses_identities': expected true or",
        ),
        ("mine.py", registered("METHODS", "Method):\n    visible_views = 'plain'"), "views' must be a tuple"),
        (
            "mine.py",
            registered("METHODS", "Method):\n    infrared_views = ('infra',)"),
            "did you mean infrared",
        ),
        (
            "mine.py",
            registered(
                "METHODS",
                "Method):\n    @dataclass(frozen=True)\n    class Config(MethodConfig):\n        a: float = 1e999",
            ),
            "the defaults of 'Config' are refused: method.a=inf is not a finite number",
        ),
        (
            "mine.py",
            registered("PROTOCOLS", "Protocol):\n    query = 'thermal'"),
            "'query'=thermal: choose one",
        ),
        ("mine.py", registered("PROTOCOLS", "Protocol):\n    trials_per_fold = 0"), "is 0, it must be at least 1"),
        ("mine.py", registered("PROTOCOLS", "Protocol):\n    trials_per_fold = '1'"), "expected a whole number"),
        ("mine.py", registered("DATASETS", "TreeDataset):\n    profile = '../x'"), "'profile' is '../x': known: "),
        ("mine.py", registered("DATASETS", "TreeDataset):\n    profile = 'sysuu'"), "did you mean sysu"),
        ("mine.py", "class Stop(BaseException): pass\nraise Stop('now')\n", "mine.py, line 2: Stop: now"),
        (
            "mine.py",
            HEAD + "LR_SCHEDULES.register('mine')(3)",
            "the learning-rate schedule 'mine' is neither a class nor a function: 3",
        ),
    ],
)
def test_a_wrong_plugin_is_refused_in_one_line(
    name: str, text: str | None, message: str, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        write(outside, name, text)
    assert main(["--import", name, "--list"]) == 2
    error = capsys.readouterr().err
    assert f"--import {name}: " in error
    assert message in error
    assert error.count("\n") == 1
    assert "mine" not in METHODS.names(), "nothing of it is left"


@pytest.mark.parametrize(
    "words",
    [
        ["--check-data", "."],
        ["--method", "mine", "--protocol", "sysu_all"],
        ["pretrain", "--encoder", "mine", "--out", "weights.safetensors"],
        ["ablation", "--method", "mine", "--protocol", "sysu_all"],
    ],
)
def test_every_command_that_looks_up_names_imports_plugins(
    words: list[str], outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--import", "os", "--import", "absent.py"]) == 2
    assert "--import os: it registers no method" in capsys.readouterr().err


def test_a_part_of_the_suite_is_never_replaced(outside: Path) -> None:
    own = METHODS.get("pgm")
    with pytest.raises(UsageError, match=r"the method 'pgm' is already registered, by usvi_bench\.methods\.pgm"):
        import_plugins([str(ROOT / "methods" / "pgm.py")])
    assert METHODS.get("pgm") is own


def test_the_parts_of_the_suite_are_complete() -> None:
    for registry, base in ((METHODS, Method), (PROTOCOLS, Protocol), (DATASETS, TreeDataset)):
        for name in registry.names():
            assert missing_parts(registry.get(name), name, base) == []
            assert registry.sources(name) == ()
            assert part_keys([(registry, name)]) == {}


def test_a_file_is_imported_once_and_anew_after_an_edit(outside: Path) -> None:
    path = write(outside, "mine.py", MINE)
    import_plugins(["mine.py"])
    first = METHODS.get("mine")
    import_plugins([str(path)])
    assert METHODS.get("mine") is first
    before = path.stat()
    path.write_text(MINE.replace('summary = "mine"', 'summary = "ours"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # an edit of equal size within a second
    import_plugins(["mine.py"])
    assert METHODS.get("mine").summary == "ours"
    assert METHODS.sources("mine")[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text("x =")
    with pytest.raises(UsageError, match=r"mine\.py, line 1: SyntaxError"):
        import_plugins(["mine.py"])
    assert "mine" not in METHODS.names(), "the older source is not used in place of a broken one"


def test_two_files_of_one_name_are_two_plugins(outside: Path) -> None:
    write(outside, "a/mine.py", MINE)
    write(outside, "b/mine.py", MINE.replace('"mine"', '"yours"', 1))
    import_plugins(["a/mine.py", "b/mine.py"])
    assert {"mine", "yours"} <= set(METHODS.names())
    write(outside, "c/mine.py", MINE)
    with pytest.raises(UsageError, match=r"'mine' is already registered, by .*a/mine.py.* for the one in .*c/mine.py"):
        import_plugins(["c/mine.py"])


def test_a_module_that_has_changed_is_refused(outside: Path) -> None:
    write(outside, "my_package/__init__.py", "")
    write(outside, "my_package/parts.py", MINE)
    import_plugins(["my_package.parts"])
    import_plugins(["my_package.parts"])
    check_unchanged([(METHODS, "mine")])
    write(outside, "my_package/helper.py", "x = 1")
    with pytest.raises(UsageError, match=r"my_package.* has changed since it was imported; start Python again"):
        import_plugins(["my_package.parts"])
    with pytest.raises(UsageError, match=r"my_package has changed since it was imported: name the file in --import"):
        check_unchanged([(METHODS, "mine")])


def test_a_module_that_imports_what_registers_is_a_plugin(outside: Path) -> None:
    write(outside, "parts_of_mine.py", MINE)
    write(outside, "all_of_mine.py", "import parts_of_mine")
    import_plugins(["all_of_mine"])
    found = used_plugins(["all_of_mine"], [(METHODS, "mine")])
    assert [(plugin["name"], plugin["parts"]) for plugin in found] == [
        ("all_of_mine", []),
        ("parts_of_mine", ["method mine"]),
    ]


def test_the_hash_of_a_package_covers_all_its_files(outside: Path) -> None:
    for name, text in (("p/__init__.py", ""), ("p/b.py", "b"), ("p/a/__init__.py", ""), ("p/a/c.py", "c")):
        write(outside, name, text)
    lines = "".join(
        f"{name} {hashlib.sha256((outside / 'p' / name).read_bytes()).hexdigest()}\n"
        for name in ("__init__.py", "a/__init__.py", "a/c.py", "b.py")
    )
    assert hash_source(outside / "p") == hashlib.sha256(lines.encode()).hexdigest()
    write(outside, "p/notes.txt", "text")
    assert hash_source(outside / "p") == hashlib.sha256(lines.encode()).hexdigest()


def test_a_class_has_the_sources_of_its_bases(outside: Path) -> None:
    write(outside, "base_of_mine.py", MINE)
    write(outside, "mine.py", MINE.replace("Mine(Method)", "Mine(base_of_mine.Mine)").replace('"mine"', '"child"', 1))
    path = outside / "mine.py"
    path.write_text("import base_of_mine\n" + path.read_text())
    import_plugins(["base_of_mine", "mine.py"])
    hashes = [hash_source(outside / name) for name in ("mine.py", "base_of_mine.py")]
    assert part_keys([(METHODS, "child")]) == {"method child": hashes}


def test_a_method_is_named_as_it_is_registered_whatever_its_file(outside: Path) -> None:
    text = MINE.replace("    stages = classmethod(lambda cls, config: ())\n", "")
    parts = ("label", "begin_epoch", "loss")
    write(outside, "a-file.py", text + "".join(f"    def {name}(self, *_): ...\n" for name in parts))
    import_plugins(["a-file.py"])
    cls = METHODS.get("mine")
    assert [stage.method for stage in cls.stages(cls.Config())] == ["mine"]


def run_cell(text: str, name: str, keep: bool) -> None:
    """Run a cell of a notebook; IPython keeps its lines where :mod:`linecache` finds them."""
    if keep:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), sys.modules["__main__"].__dict__)


def test_a_notebook_registers_again_and_keeps_the_source_of_its_cell(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    run_cell(MINE, "<cell 1>", keep=True)
    (plugin,) = used_plugins([], [(METHODS, "mine")])
    sha256 = hashlib.sha256(MINE.encode()).hexdigest()
    assert plugin == {"name": "notebook", "origin": "notebook", "parts": ["method mine"], "sha256": sha256}
    run_cell(MINE.replace('summary = "mine"', 'summary = "ours"'), "<cell 2>", keep=True)
    assert METHODS.get("mine").summary == "ours"
    assert used_plugins([], [(METHODS, "mine")])[0]["sha256"] != sha256

    run_cell(MINE, "<cell 3>", keep=False)
    keys = part_keys([(METHODS, "mine")])
    assert used_plugins([], [(METHODS, "mine")])[0]["sha256"] is None
    assert part_keys([(METHODS, "mine")]) == keys, "the same class has the same key"
    run_cell(MINE, "<cell 3>", keep=False)
    assert part_keys([(METHODS, "mine")]) != keys, "what unknown source has trained is not reused"


def test_cells_of_a_notebook_are_sources_of_their_own(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    child = '@METHODS.register("child")\nclass Child(Mine):\n    def models(self):\n        return super().models()\n'
    run_cell(MINE, "<cell 1>", keep=True)
    run_cell(child, "<cell 2>", keep=True)
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (child, MINE)]
    assert part_keys([(METHODS, "child")]) == {"method child": hashes}
    found = used_plugins([], [(METHODS, "child"), (METHODS, "mine")])
    assert [(plugin["sha256"], plugin["parts"]) for plugin in found] == [
        (hashes[0], ["method child"]),
        (hashes[1], ["method child", "method mine"]),
    ]


def install(folder: Path, text: str) -> None:
    """Put an installed package with an entry point on the path."""
    write(folder, "installed_plugin.py", text)
    write(folder, "my_plugin-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
    write(folder, "my_plugin-1.0.dist-info/entry_points.txt", "[usvi_bench.plugins]\nmine = installed_plugin\n")
    sys.path.insert(0, str(folder))


def test_an_entry_point_is_imported_on_the_first_look_up(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(outside / "site", MINE)
    Registry("thing", "usvi_bench.core.files")
    assert "installed_plugin" not in sys.modules
    assert main(["--list"]) == 0
    assert "\n  mine " in capsys.readouterr().out
    (plugin,) = used_plugins([], [(METHODS, "mine"), (METHODS, "pgm")])
    assert (plugin["name"], plugin["origin"], plugin["parts"]) == ("installed_plugin", "entry point", ["method mine"])
    assert used_plugins([], [(METHODS, "pgm")])[0]["parts"] == [], "it was imported all the same"
    assert "mine" in METHODS.names()
    assert "mine" not in METHODS.own_names(), "tables and defaults of the suite leave it out"


def test_an_entry_point_that_registers_nothing_is_refused(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(outside / "site", "x = 1\n")
    record = outside / "record.json"
    record.write_text("{}")
    for words in (["--list"], ["check", str(record)]):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert "the plug-in 'mine' of my-plugin cannot be imported: it registers nothing; repair or" in error
        assert error.count("\n") == 1
        assert "record.json" not in error


@pytest.mark.parametrize("name", ["mine", "mine.parts"])
def test_an_edited_module_runs_as_it_is_hashed(outside: Path, name: str) -> None:
    """Python would use the compiled file: the edit keeps size and time of the source."""
    file = f"{name.replace('.', '/')}.py"
    if "." in name:
        write(outside, "mine/__init__.py", "")
    write(outside, file, MINE + "\nVERSION = 1\n")
    sys.path.insert(0, str(outside))
    py_compile.compile(str(outside / file))
    before = (outside / file).stat()
    write(outside, file, MINE + "\nVERSION = 2\n")
    os.utime(outside / file, ns=(before.st_atime_ns, before.st_mtime_ns))
    import_plugins([name])
    assert sys.modules[name].VERSION == 2


def test_a_module_that_changes_while_it_is_imported_is_refused(outside: Path) -> None:
    change = "\nfrom pathlib import Path\nPath(__file__).write_text('VERSION = 3')\n"
    for name in ("mine", "mine.py"):
        write(outside, "mine.py", MINE + change)
        with pytest.raises(UsageError, match=r"mine\.py changed while it was imported"):
            import_plugins([name])


def test_a_protocol_of_an_unknown_data_set_is_refused(outside: Path) -> None:
    text = registered("PROTOCOLS", "Protocol):\n    name = 'mine'\n    dataset = 'sysuu'\n    summary = 's'\n")
    text += "    query, gallery, trials_per_fold = 'visible', 'infrared', 1\n    def galleries(self, d, f): ...\n"
    write(outside, "mine.py", text)
    with pytest.raises(UsageError, match="scores the data set 'sysuu', which is not registered: did you mean sysu"):
        import_plugins(["mine.py"])


def test_an_interruption_of_an_import_is_one(outside: Path) -> None:
    write(outside, "mine.py", MINE + "\nraise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        import_plugins(["mine.py"])
    assert "mine" not in METHODS.names()


def test_an_entry_point_that_fails_names_its_package(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(outside / "site", "\nraise ValueError('broken')\n")
    for _ in range(2):
        assert main(["--list"]) == 2
        error = capsys.readouterr().err
        assert "the plug-in 'mine' of my-plugin cannot be imported: " in error
        assert "installed_plugin.py, line 2: ValueError: broken; repair or uninstall my-plugin" in error
    assert entry_points.entry_point_sources() == []


def test_paths_are_made_absolute_and_modules_are_not(outside: Path) -> None:
    write(outside, "mine.py", MINE)
    assert absolute(["mine.py", "my_package.parts"]) == (str(outside / "mine.py"), "my_package.parts")


def test_only_classes_from_outside_have_sources() -> None:
    assert sources_of(METHODS.get("pclhd")) == ()
    assert [source.path for source in sources_of(type("Here", (Method,), {"__module__": __name__}))] == [Path(__file__)]
