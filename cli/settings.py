"""``run.py settings``: every setting of a run, with its meaning and its value in force."""

from __future__ import annotations

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict

from usvi_bench.cli.model_options import add_set_option
from usvi_bench.core.errors import UsageError, closest, printable, show
from usvi_bench.core.options import Parser, add_import_option, command, program
from usvi_bench.core.settings import SHARED

WIDTHS = (60, 100)
"""Smallest and largest width of the lines."""


def parser() -> ArgumentParser:
    """Build the parser of the command ``settings``."""
    made = Parser(
        prog=f"{program()} settings",
        description="List every setting that --set changes: name, value in force, default, meaning, type and range. "
        f"What 'paper' and 'released' change is listed by '{command('describe', 'METHOD')}'.",
    )
    add_import_option(made)
    made.add_argument("method", nargs="?", metavar="METHOD", help="method, for its hyper-parameters (method.*)")
    made.add_argument(
        "--filter", nargs="+", default=[], metavar="WORD", help="list the settings whose name or meaning has all words"
    )
    made.add_argument("--protocol", default="sysu_all", metavar="P", help="protocol (default: sysu_all)")
    made.add_argument(
        "--data", default="auto", metavar="SPEC", help="data whose settings are in force, as for a run (default: auto)"
    )
    made.add_argument("--setting", default=SHARED, metavar="NAME", help="as for a run: 'shared' (default) or 'paper'")
    made.add_argument("--schedule", metavar="NAME|FILE", help="as for a run")
    add_set_option(made, "as for a run", training=True)
    made.add_argument("--json", action="store_true", help="print the list as JSON")
    return made


def main(arguments: Sequence[str]) -> None:
    """Print the list.

    Raises:
        UsageError: an unknown name, or a setting that a run refuses.
    """
    options = parser().parse_args(arguments)
    if options.method is None and options.setting != SHARED:
        raise UsageError(f"--setting {options.setting} differs between methods: give METHOD")
    from usvi_bench.core.plugins import import_plugins
    from usvi_bench.core.registry import METHODS
    from usvi_bench.engine.find_setting import all_groups, similar_settings
    from usvi_bench.engine.list_settings import find_profile, list_settings, select
    from usvi_bench.engine.load_config import load_config, parse_settings

    import_plugins(options.imports)
    unknown = options.method is not None and options.method not in METHODS.names()
    if unknown and not closest(options.method, METHODS.names(), 0.8) and similar_settings(options.method, all_groups()):
        raise UsageError(f"unknown method '{show(options.method)}'; to find settings, give --filter {options.method}")
    profile = find_profile(options.protocol, options.data)
    config = load_config(
        options.method or "untrained",
        options.protocol,
        profile=profile,
        settings=parse_settings(options.settings),
        setting=options.setting,
        schedule=options.schedule,
    )
    found = select(list_settings(config), options.filter)
    about = {"method": options.method, "protocol": options.protocol, "data": profile, "setting": options.setting}
    if options.json:
        print(json.dumps({**about, "schedule": options.schedule, "settings": list(map(asdict, found))}, indent=1))
        return
    schedule = f", schedule '{options.schedule}'" if options.schedule else ""
    print(printable(f"Values in force for data of the kind '{profile}', setting '{options.setting}'{schedule}."))
    print("In brackets: defaults without the files in configs/, if they differ.\n")
    width = min(max(shutil.get_terminal_size().columns, WIDTHS[0]), WIDTHS[1])
    print("\n".join(printable(setting.to_text(width)) for setting in found))
    if options.method is None:
        print(f"\nHyper-parameters of a method (method.*): {command('settings', 'METHOD')}")
