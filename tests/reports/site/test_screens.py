"""Every kind of page on three widths, light and dark: fits the window, no text on another, no violation of axe-core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.reports.fake_run import make_run
from tests.reports.site.conftest import Made
from usvi_bench.reports.report import write_report

selenium = pytest.importorskip("selenium", reason="selenium is not installed: the site is not tried in a browser")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from tests.reports.site.chromium import BROWSER, DRIVER  # noqa: E402

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="Chromium is not installed (apt-get install chromium chromium-driver)"
)
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
WIDTHS = (390, 768, 1280)
RUN = "runs/sysu_all/sclhm-seed0/index.html"
KINDS = (
    "index.html",
    "leaderboard.html",
    "methods/index.html",
    "methods/sclhm.html",
    "methods/bmil.html",
    "runs/index.html",
    RUN,
    "runs/sysu_all/adca-seed0/index.html",
    "knobs.html",
    "published.html",
)
"""A page of each kind: of a method with and without results, and of a run with and without a report."""


def show(browser: webdriver.Chrome, page: Path, width: int, scheme: str) -> None:
    """Open a page in a window of this inner width, which may be smaller than Chromium's smallest window."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get("about:blank")
    browser.get(page.as_uri())
    ready = "return document.readyState === 'complete'"  # scripts with "defer" have run by then
    WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(ready))


OVERLAPS = """
const boxes = [];
const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, parent = node.parentElement;
  const hidden = parent.closest('.quietly, script, math, #features, details:not([open])');
  if (hidden || !node.textContent.trim()) continue;
  const scroll = parent.closest('.scroll')?.getBoundingClientRect();
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const {left, right, top, bottom} of range.getClientRects()) {
    if (right - left < 1 || scroll && (left < scroll.left - 1 || right > scroll.right + 1)) continue;
    boxes.push({left, right, top, bottom, words: node.textContent.trim().slice(0, 30)});
  }
}
const found = [];
boxes.sort((a, b) => a.top - b.top);
for (let i = 0; i < boxes.length; i++)
  for (let j = i + 1; j < boxes.length && boxes[j].top < boxes[i].bottom; j++) {
    const [a, b] = [boxes[i], boxes[j]];
    const [wide, high] = [Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - b.top];
    if (wide > 1.5 && high > 0.35 * Math.min(a.bottom - a.top, b.bottom - b.top)) found.push(`${a.words} | ${b.words}`);
  }
return found;
"""
"""Texts of which one covers another; those that are scrolled out of a table do not count."""


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_the_window_and_no_text_covers_another(browser: webdriver.Chrome, made: Made, width: int) -> None:
    for page in KINDS:
        show(browser, made.site / page, width, "light")
        assert browser.execute_script("return innerWidth") == width
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, page
        assert browser.execute_script(OVERLAPS) == [], page


def test_every_page_of_a_method_fits_a_phone(browser: webdriver.Chrome, made: Made) -> None:
    pages = [f"methods/{path.name}" for path in sorted((made.site / "methods").glob("*.html"))]
    assert len(pages) > 10
    for page in pages:
        show(browser, made.site / page, 390, "light")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390, page


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_a_report_fits_the_window(browser: webdriver.Chrome, tmp_path: Path, width: int) -> None:
    run = make_run(tmp_path, lean=True)
    write_report(run)
    show(browser, run / "report" / "report.html", width, "light")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(OVERLAPS) == []


def test_covering_texts_are_found(browser: webdriver.Chrome, made: Made) -> None:
    show(browser, made.site / "index.html", 1280, "light")
    browser.execute_script("document.querySelector('.lead').style.marginTop = '-3rem'")
    assert browser.execute_script(OVERLAPS)


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (768, "dark"), (1280, "light"), (1280, "dark")])
def test_axe_finds_no_serious_violation(browser: webdriver.Chrome, made: Made, width: int, scheme: str) -> None:
    for page in KINDS:
        show(browser, made.site / page, width, scheme)
        assert serious(browser) == [], page


def test_axe_finds_a_violation_that_is_there(browser: webdriver.Chrome, made: Made) -> None:
    show(browser, made.site / "index.html", 1280, "light")
    browser.execute_script("document.querySelector('main img').removeAttribute('alt')")
    assert [found.split(":")[0] for found in serious(browser)] == ["image-alt"]


def serious(browser: webdriver.Chrome) -> list[str]:
    """Return the serious and critical violations of a page, with the first place of each."""
    browser.execute_script(AXE)
    script = "axe.run(document, {resultTypes: ['violations']}).then(r => arguments[0](r.violations))"
    found: list[dict[str, Any]] = browser.execute_async_script(script)
    return [
        f"{each['id']}: {each['help']}; {len(each['nodes'])} places, first {each['nodes'][0]['html']}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


COLOURS = ("backgroundColor", "color")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_and_its_charts_follow_the_scheme(browser: webdriver.Chrome, made: Made, scheme: str) -> None:
    for page in KINDS:
        show(browser, made.site / page, 1280, scheme)
        paper, ink = (browser.execute_script(f"return getComputedStyle(document.body).{name}") for name in COLOURS)
        light = sum(map(int, paper[4:-1].split(","))) > 3 * 128
        assert light == (scheme == "light"), page
        assert paper != ink
    picture = browser.find_element(By.CSS_SELECTOR, ".over-years img").get_property("currentSrc")
    assert picture.endswith("published-dark.svg" if scheme == "dark" else "published.svg")


def test_a_phone_gets_the_narrow_plot(browser: webdriver.Chrome, made: Made) -> None:
    show(browser, made.site / "published.html", 390, "dark")
    picture = browser.find_element(By.CSS_SELECTOR, ".over-years img").get_property("currentSrc")
    assert picture.endswith("published-narrow-dark.svg")


def tip(browser: webdriver.Chrome) -> str:
    """Return the shown explanation; empty if none is shown."""
    return browser.find_element(By.ID, "tip").text


def test_terms_are_explained_on_hover_focus_and_touch(browser: webdriver.Chrome, made: Made) -> None:
    show(browser, made.site / "index.html", 390, "light")
    (heading,) = browser.find_elements(By.XPATH, "//th/button[.='mAP']")
    word = browser.find_element(By.XPATH, "//abbr[.='chance']")
    assert tip(browser) == ""
    ActionChains(browser).move_to_element(heading).perform()
    assert tip(browser).startswith("Mean average precision")
    browser.execute_script("arguments[0].focus()", word)
    assert tip(browser).startswith("Score of a random ranking")
    assert word.get_attribute("aria-describedby") == "tip"
    box = browser.find_element(By.ID, "tip").rect
    assert 0 <= box["x"] <= 390 - box["width"]
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert tip(browser) == ""
    assert word.get_attribute("aria-describedby") is None
    browser.execute_script("arguments[0].blur()", word)
    place = browser.execute_script("const b = arguments[0].getBoundingClientRect(); return [b.x + 5, b.y + 5]", word)
    point = {"x": place[0], "y": place[1]}
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert tip(browser).startswith("Score of a random ranking")


TERMS = {
    "index.html": {"mAP", "R1", "mINP", "seeds", "chance", "reference"},
    "leaderboard.html": {"shared setting", "repaired form", "single-shot", "R5", "reference"},
    RUN: {"Setting", "Start", "headline", "chance"},
}


@pytest.mark.parametrize("page", TERMS)
def test_the_terms_of_a_page_can_be_reached(browser: webdriver.Chrome, made: Made, page: str) -> None:
    show(browser, made.site / page, 1280, "light")
    found = browser.find_elements(By.CSS_SELECTOR, "abbr[tabindex='0'], th button")
    assert TERMS[page] <= {element.text for element in found}
