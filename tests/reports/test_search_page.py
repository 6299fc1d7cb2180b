"""Page of a search: strict HTML whatever the names are, and pictures of real people only if they are asked for."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.reports.site.hostile import PAYLOADS
from tests.reports.site.test_hostile import check_page
from usvi_bench.engine.feature_file import FeatureFile
from usvi_bench.engine.search import SearchResult
from usvi_bench.reports.search_page import ASKED, REAL, write_search

ABOUT = {"schema": 1, "feature": "bn+flip", "similarity": "dot"}


def result_of(root: Path | None, query: Path, names: tuple[str, ...], threshold: float | None = None) -> SearchResult:
    count = len(names)
    gallery = FeatureFile(
        features=np.eye(count, dtype=np.float32),
        paths=names,
        modality=np.zeros(count, np.uint8),
        cameras=np.full(count, 2),
        identities=np.full(count, -1),
        about=ABOUT,
    )
    rows, similarity = np.arange(count)[None], np.linspace(0.9, 0.1, count, dtype=np.float32)[None]
    return SearchResult((query,), "infrared", gallery, rows, similarity, threshold, root, "model <b>")


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 60), "red").save(path)
    return path


@pytest.mark.parametrize("name", PAYLOADS)
def test_names_stay_texts(tmp_path: Path, name: str) -> None:
    text = PAYLOADS[name]
    query = tmp_path / text.replace("/", "|").replace("\0", "")
    page = write_search(result_of(tmp_path, query, (text, "b.jpg")), tmp_path / "out", True)
    found = check_page(page, page.parent)
    assert found.scripts == []
    rows = list(csv.reader((page.parent / "search.csv").read_text().splitlines()))
    assert not any(cell.startswith(("=", "@")) for row in rows for cell in row)


def test_pictures_of_real_people_are_shown_only_if_they_are_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "own"
    query = picture(tmp_path / "q.png")
    picture(root / "a.png")
    result = result_of(root, query, ("a.png", "lost.png"), 0.5)
    page = write_search(result, tmp_path / "without", False)
    assert REAL in page.read_text()
    named = re.findall(r'<figcaption><span class="file">(.*?)</span>', page.read_text())
    assert named == ["q.png", "a.png", "lost.png"]
    assert not list(page.parent.rglob("*.jpg"))
    page = write_search(result, tmp_path / "with", True)
    text = page.read_text()
    assert ASKED in text
    assert "1 pictures could not be opened" in text
    assert text.count("not in the gallery") == 1
    assert len(list(page.parent.rglob("*.jpg"))) == 2
    check_page(page, page.parent)


def test_the_gallery_is_counted_by_modality(tmp_path: Path) -> None:
    result = result_of(None, picture(tmp_path / "q.png"), ("a.png", "b.png", "c.png"))
    gallery = replace(result.gallery, modality=np.array([0, 1, 1], np.uint8))
    text = write_search(replace(result, gallery=gallery), tmp_path / "out", False).read_text()
    assert "1 visible picture and 2 infrared pictures" in text
    assert "1 infrared picture<" in text.replace("\n", "")


def test_pictures_of_synthetic_people_are_shown(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    people = tiny_people["sysu"]
    names = tuple(sorted(path.relative_to(people).as_posix() for path in people.glob("cam1/*/*.jpg"))[:3])
    page = write_search(result_of(people, people / names[0], names), tmp_path / "out", False)
    assert len(list(page.parent.rglob("*.jpg"))) == 3, "the query is also in the gallery"
    assert "The people are synthetic." in page.read_text()
    real = picture(tmp_path / "q.png")
    page = write_search(result_of(people, real, names), tmp_path / "real", False)
    assert not list(page.parent.rglob("*.jpg")), "one of the people is real"


def test_links_out_of_the_folder_and_files_that_are_no_pictures_are_not_copied(tmp_path: Path) -> None:
    root = tmp_path / "own"
    query = picture(tmp_path / "q.png")
    root.mkdir()
    (root / "link.png").symlink_to(query)
    (root / "loop.png").symlink_to("loop.png")
    (root / "script.ps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    page = write_search(result_of(root, query, ("link.png", "loop.png", "script.ps")), tmp_path / "out", True)
    assert len(list(page.parent.rglob("*.jpg"))) == 1, "only the query"
    assert "3 pictures could not be opened" in page.read_text()
