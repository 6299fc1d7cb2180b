"""Commands in the pages of the project, and what their parsers and settings make of them."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import NoReturn
from unittest.mock import patch

from tests.pages import PAGES, ROOT, blocks, spans
from usvi_bench.cli.commands import COMMANDS
from usvi_bench.core.registry import METHODS, PROTOCOLS
from usvi_bench.engine.load_config import load_config, parse_settings

FIRST = re.compile(r"(\S*python|usvi-bench|run\.py|make|pip|torchrun|srun|git|tensorboard)( |$)")
SHELL = ("sh", "bash", "console")
OTHERS = {"git", "tensorboard", "export", "."}
"""Further programs whose arguments are not checked."""
ELIDED = re.compile(r"\.\.\.$|…$")
PLACEHOLDER = re.compile(r"[A-Z_]+(\.\.\.)?$|.*<\w+>|\.\.\.$")


@dataclass(frozen=True)
class Command:
    """Command of a page, without the comment behind it.

    Attributes:
        whole: it is a line of a block; code within a sentence may name a command without its arguments.
    """

    place: str
    words: tuple[str, ...]
    whole: bool

    @property
    def ours(self) -> list[str] | None:
        """Arguments of ``run.py``; None for another program."""
        for i, word in enumerate(self.words):
            if word == "usvi-bench" or word.endswith("run.py") or self.words[i - 1 : i + 1] == ("-m", "usvi_bench"):
                return [each for each in self.words[i + 1 :] if not ELIDED.fullmatch(each)]
        return None

    @property
    def elided(self) -> bool:
        return not self.whole or any(ELIDED.fullmatch(word) for word in self.words)


def commands() -> Iterator[Command]:
    """Yield the commands of all pages, those of blocks first."""
    for page in PAGES:
        for block in blocks(page):
            if block.language in SHELL or (not block.language and FIRST.match(block.text)):
                for line in block.text.replace("\\\n", " ").splitlines():
                    if words := shlex.split(line, comments=True):
                        yield Command(block.place, tuple(words), True)
    for page in PAGES:
        for line, text in spans(page):
            if FIRST.match(text):
                yield Command(f"{page.relative_to(ROOT)}:{line}", tuple(shlex.split(text)), False)
            elif text.split()[0] in COMMANDS and " --" in text:
                yield Command(f"{page.relative_to(ROOT)}:{line}", ("run.py", *shlex.split(text)), False)


def check(command: Command) -> None:
    """Raise an error if an option, or a name of a command, method, protocol, setting, target or module is wrong."""
    words = list(command.words)
    assert FIRST.match(f"{words[0]} ") or words[0] in OTHERS, f"unknown program {words[0]}"
    if (ours := command.ours) is not None:
        check_ours(ours, command.elided)
    elif "-c" in words:
        ast.parse(words[words.index("-c") + 1])
    elif "-m" in words and words[0].endswith("python") and not {"pip", "build"} & set(words):
        at = words.index("-m")
        check_module(words[at + 1], [word for word in words[at + 2 :] if not ELIDED.fullmatch(word)], command.elided)
    elif words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:2]) <= set(targets), f"the Makefile has no target {words[1]}"
    elif "pip" in words:
        extras = set(re.findall(r"\[(\w+)\]", command.words[-1]))
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert extras <= set(project["optional-dependencies"]), f"no extra {extras}"
    else:
        assert words[0] in OTHERS or len(words) == 1 or words[1:3] == ["-m", "build"], f"unknown command {words}"


def check_ours(words: list[str], elided: bool) -> None:
    """Check the arguments of ``run.py``."""
    name = words[0] if words and not words[0].startswith("-") else "train"
    assert name == "train" or name in COMMANDS, f"no command {name}"
    parser = import_module(COMMANDS.get(name, "usvi_bench.cli.train")).parser()
    given = words if name == "train" else words[1:]
    parse(parser, given, elided)
    named = values(given, "--method") + (given[:1] if name in ("describe", "settings", "verify") else [])
    methods = [each for each in named if not PLACEHOLDER.fullmatch(each) and not each.startswith("-")]
    protocols = [each for each in values(given, "--protocol") if not PLACEHOLDER.fullmatch(each)]
    settings = [each for each in values(given, "--set") if "=" in each]
    schedules = values(given, "--schedule")
    setting = [each for each in values(given, "--setting") if not PLACEHOLDER.fullmatch(each)]
    if "--import" in words:  # it may add any name
        return
    for method in methods or ["pgm"]:
        METHODS.get(method)
        for protocol in protocols or ["sysu_all"]:
            kind = PROTOCOLS.get(protocol).dataset
            own = [each for each in settings if methods or not each.startswith("method.")]
            own = [each for each in own if "encoder.name=mine" not in settings]
            load_config(
                method,
                protocol,
                profile={"regdb": "regdb"}.get(kind, "sysu"),
                settings=parse_settings(own),
                **({"setting": setting[0]} if setting else {}),
                **({"schedule": schedules[0]} if schedules else {}),
            )


def check_module(module: str, words: Sequence[str], elided: bool) -> None:
    """Check the arguments of ``python -m MODULE`` up to the moment when the module has parsed them."""
    found = find_spec(module)
    assert found is not None, f"no module {module}"
    main = import_module(module if found.submodule_search_locations is None else f"{module}.__main__").main
    if module == "tests.pretended_cuda.operations":  # it takes names of methods only
        return
    taken = main.__code__.co_argcount > 0
    kept = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, args: object = None, namespace: object = None) -> NoReturn:
        given = list(words)
        assert args is None or list(args) == given, f"{module} parses {args}"  # type: ignore[call-overload]
        with patch.object(argparse.ArgumentParser, "parse_args", kept):
            parse(parser, given, elided)
        raise Parsed

    with patch.object(argparse.ArgumentParser, "parse_args", stop), patch("sys.argv", [module, *words]):
        try:
            main(list(words)) if taken else main()
        except Parsed:
            return
    raise AssertionError(f"{module} parses no arguments")


class Parsed(Exception):  # noqa: N818
    """End of a program that has parsed its arguments."""


def parse(parser: argparse.ArgumentParser, words: Sequence[str], elided: bool) -> None:
    """Parse arguments; of an elided command, only the options must exist."""
    if not elided:
        try:
            parser.parse_args(list(words))
        except SystemExit as error:
            raise AssertionError(f"{parser.prog} refuses {' '.join(words)}") from error
    inner = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    known = {*parser._option_string_actions}.union(
        *(sub._option_string_actions for each in inner for sub in each.values())
    )
    for word in words:
        assert not word.startswith("--") or word in known, f"{parser.prog} has no option {word}"


def values(words: Sequence[str], option: str) -> list[str]:
    """Return the words behind an option, up to the next one."""
    found = []
    for i, word in enumerate(words):
        if word == option:
            for value in words[i + 1 :]:
                if value.startswith("--"):
                    break
                found.append(value)
    return found


@cache
def all_commands() -> tuple[Command, ...]:
    return tuple(commands())
