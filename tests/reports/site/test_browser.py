"""The site in a real browser, from ``file://``: no errors, and all interactive elements work with the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reports.site.conftest import Made

selenium = pytest.importorskip("selenium", reason="selenium is not installed: the site is not tried in a browser")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from tests.reports.site.chromium import BROWSER, DRIVER, problems, requested  # noqa: E402

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="Chromium is not installed (apt-get install chromium chromium-driver)"
)
RUN = "runs/sysu_all/sclhm-seed0/index.html"


@pytest.fixture
def page(browser: webdriver.Chrome, made: Made) -> Iterator[webdriver.Chrome]:
    browser.set_window_size(1280, 1000)
    yield browser
    assert problems(browser) == []


def open_page(browser: webdriver.Chrome, made: Made, page: str) -> None:
    browser.get((made.site / page).as_uri())


def wait(browser: webdriver.Chrome, script: str) -> None:
    WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(f"return Boolean({script})"))


def column(browser: webdriver.Chrome, number: int) -> list[str]:
    rows = browser.find_elements(By.CSS_SELECTOR, "table.sortable tbody tr")
    return [row.find_elements(By.CSS_SELECTOR, "th, td")[number].text.split(" ")[0] for row in rows]


def heading(browser: webdriver.Chrome, number: int) -> WebElement:
    return browser.find_elements(By.CSS_SELECTOR, "table.sortable thead th")[number]


def all_pages(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


def test_every_page_loads_without_console_messages(page: webdriver.Chrome, made: Made) -> None:
    for width in (1280, 500):
        page.set_window_size(width, 900)
        for name in all_pages(made.site):
            open_page(page, made, name)
            assert problems(page) == [], name
            assert page.find_element(By.TAG_NAME, "h1").text, name
            overflow = page.execute_script("return document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{name} is {overflow} pixels wider than a window of {width}"


def test_no_network_request_is_made(page: webdriver.Chrome, made: Made) -> None:
    requested(page)
    open_page(page, made, RUN)
    wait(page, "document.getElementById('features').dataset.ready")
    asked = requested(page)
    assert any(name.endswith("plotly.min.js") for name in asked)
    assert all(name.startswith(("file://", "blob:", "data:")) for name in asked)


def test_headings_sort_by_mouse_and_by_keyboard(page: webdriver.Chrome, made: Made) -> None:
    open_page(page, made, "leaderboard.html")
    assert column(page, 0)[:2] == ["supervised", "sclhm"]
    heading(page, 0).find_element(By.TAG_NAME, "button").click()
    names = column(page, 0)
    assert names == sorted(names)
    assert heading(page, 0).get_attribute("aria-sort") == "ascending"
    first = heading(page, 2).find_element(By.TAG_NAME, "button")
    first.send_keys(Keys.ENTER)
    values = list(map(float, column(page, 2)))
    assert values == sorted(values, reverse=True)
    first.send_keys(Keys.SPACE)
    assert list(map(float, column(page, 2))) == values[::-1]
    assert heading(page, 2).get_attribute("aria-sort") == "ascending"
    assert heading(page, 0).get_attribute("aria-sort") is None


def test_unknown_figures_sort_last_in_both_directions(page: webdriver.Chrome, made: Made) -> None:
    open_page(page, made, "leaderboard.html")
    seeds = [cell.text for cell in page.find_elements(By.CSS_SELECTOR, "thead th")].index("seeds")
    for _ in range(2):
        heading(page, seeds).find_element(By.TAG_NAME, "button").click()
        assert column(page, seeds)[-1] == "-"


def test_hover_shows_the_picture_and_the_same_person(page: webdriver.Chrome, made: Made) -> None:
    open_page(page, made, RUN)
    wait(page, "document.getElementById('features').dataset.ready")
    page.execute_script("document.getElementById('features').scrollIntoView({block: 'center', behavior: 'instant'})")
    point = page.find_elements(By.CSS_SELECTOR, "#features .scatterlayer .trace .point")[0]
    ActionChains(page).move_to_element(point).perform()
    wait(page, "document.querySelector('#feature-card img')")
    wait(page, "document.querySelector('#feature-card img').naturalWidth > 0")
    assert "Person" in page.find_element(By.ID, "feature-card").text
    assert page.execute_script("return document.getElementById('features').data[2].x.length") == 6  # images of a person


def test_arrow_keys_step_through_the_map_and_buttons_switch_panels(page: webdriver.Chrome, made: Made) -> None:
    open_page(page, made, RUN)
    wait(page, "document.getElementById('features').dataset.ready")
    plot = page.find_element(By.ID, "features")
    plot.send_keys(Keys.ARROW_RIGHT)
    first = page.find_element(By.ID, "feature-card").text
    plot.send_keys(Keys.ARROW_RIGHT)
    assert page.find_element(By.ID, "feature-card").text != first
    plot.send_keys(Keys.ARROW_LEFT)
    assert page.find_element(By.ID, "feature-card").text == first
    positions = "return Array.from(document.getElementById('features').data[0].x)"
    after = page.execute_script(positions)
    before, _ = page.find_elements(By.CSS_SELECTOR, "#panels button")
    before.send_keys(Keys.ENTER)
    assert page.execute_script(positions) != after
    assert before.get_attribute("aria-pressed") == "true"


def test_ranked_lists_are_browsed(page: webdriver.Chrome, made: Made) -> None:
    open_page(page, made, RUN)
    words = page.find_element(By.CSS_SELECTOR, ".verdict").text
    assert words.startswith("Query 1 of 18: person 0, average precision 100.0 %, 3 of the first 10 right")
    assert not page.find_element(By.ID, "previous").is_enabled()
    page.find_element(By.ID, "next").click()
    assert page.find_element(By.CSS_SELECTOR, ".verdict").text.startswith("Query 2 of 18")
    page.find_element(By.ID, "query").send_keys(Keys.END)
    assert page.find_element(By.CSS_SELECTOR, ".verdict").text.startswith("Query 18 of 18")
    assert not page.find_element(By.ID, "next").is_enabled()
    marks = [mark.get_attribute("aria-label") for mark in page.find_elements(By.CSS_SELECTOR, ".tiles b")]
    assert set(marks) == {"the same person", "another person"}


def test_figures_open_enlarged_and_escape_closes_them(page: webdriver.Chrome, made: Made) -> None:
    open_page(page, made, RUN)
    link = page.find_element(By.CSS_SELECTOR, "a.zoom")
    link.send_keys(Keys.ENTER)
    image = page.find_element(By.CSS_SELECTOR, "dialog[open] img")
    width = image.size["width"]
    page.switch_to.active_element.send_keys("+")
    assert image.size["width"] > width
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.find_elements(By.CSS_SELECTOR, "dialog[open]")
    assert page.switch_to.active_element == link


def test_the_first_tab_skips_to_the_content(page: webdriver.Chrome, made: Made) -> None:
    open_page(page, made, "index.html")
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to content"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.switch_to.active_element.get_attribute("id") == "main"


CONTRAST = """
const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const luminance = colour => {
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(v => linear(v / 255));
  return .2126 * r + .7152 * g + .0722 * b;
};
const paper = luminance(getComputedStyle(document.body).backgroundColor);
const ratio = element => {
  const [light, dark] = [luminance(getComputedStyle(element).color), paper].sort((a, b) => b - a);
  return (light + .05) / (dark + .05);
};
return [...document.querySelectorAll('main *, header *, footer *')]
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
  .filter(e => !e.closest('svg, #features, button:disabled, .quietly, script'))
  .filter(e => ratio(e) < 4.5)
  .map(e => `${ratio(e).toFixed(2)} ${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)}`);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(page: webdriver.Chrome, made: Made, scheme: str) -> None:
    """Check the contrast of 4.5 to 1 that WCAG 2.1 AA requires."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for name in ("index.html", "leaderboard.html", "methods/sclhm.html", "published.html", RUN):
        open_page(page, made, name)
        assert page.execute_script(CONTRAST) == [], name
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
