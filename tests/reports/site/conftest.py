"""Fake site and a browser for all tests of the folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.leaderboard.records import make_record
from tests.reports.site.fake_site import make_ablation, make_leaderboard, make_run, three_seeds
from usvi_bench.cli.site import write_site

if TYPE_CHECKING:
    from selenium import webdriver


@dataclass(frozen=True)
class Made:
    """Made site, with the paths of its sources."""

    leaderboard: Path
    runs: Path
    site: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("site")
    records = three_seeds()
    leaderboard, runs = make_leaderboard(folder / "leaderboard", records), folder / "runs"
    make_run(runs / "sysu_all" / "sclhm-seed0-abc", records["sysu_all/sclhm-seed0.json"])
    make_run(runs / "sysu_all" / "hil-seed7-def", make_record("hil", 7, [0.5]))
    make_run(runs / "row-of-an-ablation", make_record("hil", 8, provenance={"ablation": "hil-sysu_all: + neighbours"}))
    make_run(runs / "real" / "adca-seed0", make_record("adca", 0, [0.5], real=True), shown=False)
    make_ablation(runs / "ablation-sclhm")
    write_site(leaderboard, runs, folder / "site")
    return Made(leaderboard, runs, folder / "site")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    from tests.reports.site.chromium import chromium  # selenium may be missing

    profile = tmp_path_factory.mktemp("profile")
    with chromium(profile) as driver:
        yield driver
    shutil.rmtree(profile, ignore_errors=True)
