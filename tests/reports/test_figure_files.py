"""Files of figures: their widths, fonts and equal bytes."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from usvi_bench.reports.output import REPORT
from usvi_bench.reports.page import Picture, Report, Section, write
from usvi_bench.reports.style import COLUMN, PAGE, SMALL, new_figure, save_figure, stamp, styled

DRAWN = """
import sys
from pathlib import Path
from usvi_bench.reports.style import PAGE, new_figure, save_figure, stamp, styled
with styled():
    figure, (axes,) = new_figure(width=PAGE)
    axes.plot([0, 1], [1, 0], label="a line")
    axes.set_title("überall ✓")
    stamp(figure, "n = 3 images")
    save_figure(figure, Path(sys.argv[1]) / "drawn")
"""


def test_files_have_equal_bytes_in_every_process(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        subprocess.run([sys.executable, "-c", DRAWN, tmp_path / seed], check=True, env={"PYTHONHASHSEED": seed})
    for kind in ("pdf", "svg", "png"):
        assert (tmp_path / "1" / f"drawn.{kind}").read_bytes() == (tmp_path / "2" / f"drawn.{kind}").read_bytes()


def test_the_pdf_embeds_its_fonts_and_has_no_date(tmp_path: Path) -> None:
    with styled():
        figure, (axes,) = new_figure()
        axes.set_title("letters")
        save_figure(figure, tmp_path / "drawn")
    content = (tmp_path / "drawn.pdf").read_bytes()
    assert b"/Subtype /TrueType" in content or b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, flags=re.S)
    shown = b"".join(zlib.decompress(part) for part in streams[:1])
    assert b"Tf" in shown  # text, not outlines


@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_a_note_fits_the_figure_and_is_at_least_6_points_high(width: float) -> None:
    with styled():
        figure, _ = new_figure(width=width)
        figure.suptitle("stage: 1 base", fontsize=SMALL)
        stamp(figure, "a, sysu_all (synthetic); n = 1000 visible and 1000 infrared images of 100 people; seed 0" * 2)
        figure.draw_without_rendering()
        title, note = figure.texts
        box = note.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
        assert note.get_fontsize() >= 6
        assert title.get_window_extent().y1 <= figure.bbox.height
        lines = note.get_text().split("\n")
        assert max(map(len, lines)) - min(map(len, lines)) < 20


def test_a_note_keeps_numbers_beside_their_words() -> None:
    for extra in range(40):
        figure, _ = new_figure()
        stamp(figure, f"sysu_all{'x' * extra}; cluster_contrast: seed 0; pgm: seed 0; n = 45 queries of 8 people")
        lines = figure.texts[-1].get_text().replace("\xa0", " ").split("\n")
        for words in ("pgm: seed 0", "n = 45"):
            assert any(words in line for line in lines)


def test_pictures_keep_their_pixels_in_both_widths(tmp_path: Path) -> None:
    pixels = [[[10 * i, 20 * j, 0] for j in range(8)] for i in range(16)]
    with styled():
        for name, width in (("narrow", COLUMN), ("wide", PAGE)):
            figure, (axes,) = new_figure(width=width)
            axes.imshow(pixels)
            save_figure(figure, tmp_path / name)
    sizes = {name: (tmp_path / f"{name}.pdf").stat().st_size for name in ("narrow", "wide")}
    assert abs(sizes["narrow"] - sizes["wide"]) < 500
    assert b"/Width 8" in (tmp_path / "wide.pdf").read_bytes()
    assert b"pixelated" not in (tmp_path / "wide.svg").read_bytes()
    with Image.open(tmp_path / "wide.png") as image:
        assert image.mode == "RGB"
        assert round(image.info["dpi"][0]) == 300


def test_a_document_in_the_folder_of_a_report_stays(tmp_path: Path) -> None:
    def report(*names: str) -> Report:
        section = Section("s", "S")
        section.pictures = [Picture(n, n, "c", "a", lambda width: new_figure(width=width)[0]) for n in names]
        return Report("run", "t", [], False, "", sections=[section])

    (tmp_path / "paper.pdf").write_bytes(b"own")
    with styled():
        write(report("old"), tmp_path)
        assert (tmp_path / REPORT).is_file()
        assert (tmp_path / "old-wide.pdf").is_file()
        write(report("new"), tmp_path)
    names = {path.name for path in tmp_path.glob("*.pdf")}
    assert names == {"paper.pdf", "new.pdf", "new-wide.pdf"}
