"""The documentation as a site: it builds without a warning, agrees with GitHub's reading, and needs no network."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import usvi_bench
from usvi_bench.reports.site.equations import read_equations

mkdocs_config = pytest.importorskip("mkdocs.config", reason="the extra 'docs' is not installed")
pytest.importorskip("material", reason="the extra 'docs' is not installed")
pytest.importorskip("mkdocstrings_handlers.python", reason="the extra 'docs' is not installed")
from mkdocs.commands.build import build  # noqa: E402

from tests.reports.site.chromium import BROWSER, DRIVER, chromium, problems, requested  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
COUNTED = {"blockquote", "h1", "h2", "h3", "h4", "li", "pre", "table", "td", "th"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    build(mkdocs_config.load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


class Reading(HTMLParser):
    """Reading of a page: its text without white space, and how many elements of each kind it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.words: list[str] = []
        self.feed(html)
        self.text = re.sub(r"[\s¶]+", "", "".join(self.words))

    def handle_starttag(self, tag: str, _: object) -> None:
        self.counts[tag] += tag in COUNTED

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def built(site: Path, page: Path) -> Path:
    path = site / page.relative_to(ROOT)
    return path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html")


def test_every_page_reads_as_on_github(site: Path) -> None:
    """mkdocs reads lists and tables otherwise than CommonMark if they are indented or escaped in other ways."""
    github = read_equations(MarkdownIt()).enable(["table", "strikethrough"])
    pages = [page for page in ROOT.rglob("*.md") if built(site, page).is_file()]
    assert len(pages) > 30
    for page in pages:
        text = re.sub(r"^([*-]) \[ \] ", r"\1 ", page.read_text(), flags=re.MULTILINE)  # a box is no text
        expected = Reading(github.render(text))
        article = re.findall(r"<article.*?</article>", built(site, page).read_text(), re.DOTALL)[0]
        found = Reading(article)
        assert found.counts == expected.counts, page
        assert found.text == expected.text, page


def test_the_navigation_has_the_order_of_the_index(site: Path) -> None:
    index = (ROOT / "docs/index.md").read_text()
    order = [(ROOT / "docs" / link).resolve() for link in re.findall(r"\]\(([\w/.]+\.md)\)", index)]
    assert {*ROOT.glob("docs/**/*.md")} <= {*order, ROOT / "docs/index.md"}
    home = (site / "index.html").read_text()
    links = re.findall(r'<a href="([^"#]+)" class="md-nav__link"', home)
    places = [links.index(built(site, page).relative_to(site).as_posix()) for page in order[1:]]
    assert places == sorted(places)


def test_examples_of_the_reference_are_code(site: Path) -> None:
    text = (site / "api/functions_and_classes.html").read_text()
    assert "```" not in text
    assert "doctest:" not in text
    blocks = [re.sub("<[^>]*>", "", block) for block in re.findall(r"<pre>.*?</pre>", text, re.DOTALL)]
    (run,) = [block for block in blocks if "&gt;&gt;&gt; record = run(" in block]
    assert run.count("&gt;&gt;&gt;") == 2, "an example of two lines is one block"


def test_the_reference_has_every_public_name(site: Path) -> None:
    text = "".join(path.read_text() for path in (site / "api").glob("*.html"))
    for home, names in usvi_bench._HOMES.items():
        assert all(f'id="{home}.{name}"' in text for name in names), home
    for module in ("methods.base.Method.label", "components.memory.cluster.ClusterMemory", "protocols.base.Protocol"):
        assert f'id="usvi_bench.{module}"' in text
    shown = Reading(text).text
    assert not re.search(r":(func|class|meth|mod|attr|data):", shown), "a role of Sphinx is shown as text"


@pytest.mark.skipif(not (BROWSER and DRIVER), reason="Chromium is not installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_search_works_from_disk_without_a_network(site: Path, tmp_path: Path, width: int) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    with chromium(tmp_path / "profile", width) as driver:
        driver.get(f"{(site / 'docs/running.html').as_uri()}?q=ClusterMemory")
        first = WebDriverWait(driver, 30).until(lambda d: d.find_elements(By.CSS_SELECTOR, ".md-search-result__link"))
        assert "api/memories.html" in first[0].get_attribute("href")
        assert not problems(driver)
        assert not [url for url in requested(driver) if url.startswith(("http", "ws"))]
