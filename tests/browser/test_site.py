"""The pages in Chromium: links, console, requests, width, accessibility, tables, search, sounds."""

from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

LINKS = """() => [...document.querySelectorAll("[href], [src]")].map(e => e.href || e.src)"""
IDS = """() => [...document.querySelectorAll("[id]")].map(e => e.id)"""
WIDTH = "document.documentElement.scrollWidth"
UNFOLD = """() => document.querySelectorAll("details").forEach(e => { e.open = true; })"""
SMALL = """() => [...document.querySelectorAll("figure > img")].filter(
  e => e.src.startsWith("data:image/svg")).map(e => 16 * e.width / e.naturalWidth)"""
RESULTS = ".found a"


def test_every_link_leads_somewhere(watched, addresses, site):
    """Also the part after #, and those to files."""
    opened = watched("index.html")
    links, ids = {}, {}
    for address in addresses:
        opened.open(address)
        links[address] = opened.page.evaluate(LINKS)
        ids[(site / address).as_uri()] = opened.page.evaluate(IDS)
    local = [(address, *urldefrag(link)) for address, found in links.items() for link in found
             if link.startswith("file:")]  # fmt: skip
    assert len(local) > 100
    for address, target, anchor in local:
        assert Path(unquote(urlsplit(target).path)).exists(), f"{address}: {target}"
        if anchor and target in ids:
            assert unquote(anchor) in ids[target], f"{address}: {target}#{anchor}"


@pytest.mark.parametrize("width", [1366, 390])
def test_no_error_no_request_and_no_sideways_scroll(watched, addresses, width):
    opened = watched("index.html", width)
    for address in addresses:
        opened.open(address)
        for unfolded in (False, True):
            if unfolded:
                opened.page.evaluate(UNFOLD)
            assert opened.page.evaluate(WIDTH) <= width, (address, unfolded)
    assert opened.problems == []
    assert {url.split(":")[0] for url in opened.requests} <= {"file", "data"}
    assert any(url.endswith("page.css") for url in opened.requests)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1366), ("dark", 390)])
def test_axe_finds_nothing_serious(watched, addresses, scheme, width):
    opened, found = watched("index.html", width, scheme), []
    for address in addresses:
        opened.open(address)
        opened.page.evaluate(UNFOLD)
        for violation in Axe().run(opened.page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                where = violation["nodes"][0]["html"][:150]
                found.append(f"{address}: {violation['id']}, {len(violation['nodes'])} x: {where}")
    assert found == []


def test_text_in_figures_can_be_read_on_a_phone(watched, addresses):
    """Text of 12 points, 16 pixels, in a figure as wide as the screen."""
    opened, sizes = watched("index.html", 390), {}
    for address in addresses:
        opened.open(address)
        sizes |= {(address, n): size for n, size in enumerate(opened.page.evaluate(SMALL))}
    assert sizes and min(sizes.values()) >= 8, sizes


def test_the_scheme_is_the_readers(watched):
    def background(opened):
        return opened.page.evaluate("getComputedStyle(document.body).backgroundColor")

    light, dark = (watched("index.html", scheme=scheme) for scheme in ("light", "dark"))
    assert background(light) == "rgb(255, 255, 255)" != background(dark)
    button = dark.page.get_by_role("button", name="Theme")
    button.click()
    assert button.text_content() == "Theme: light"
    assert background(dark) == background(light)
    dark.open("glossary.html")  # it is remembered
    assert background(dark) == background(light)


def column(page, number: int) -> list[str]:
    return page.locator(f"#numbers tbody tr:not([hidden]) > :nth-child({number})").all_inner_texts()


@pytest.fixture
def table(watched):
    """The list of runs, with rows of its own."""
    opened = watched("runs/index.html")
    opened.page.evaluate("""() => {
      const section = document.querySelector("section.data");
      const values = ["9.00 (1)", "–", "10.50 ± 1.00 (2)", "-3.00 (1)", "b", "+2.00", "7", "8"];
      section.id = "numbers";
      section.querySelector("tbody").innerHTML = values.map(
        (text, i) => `<tr><th scope="row">row ${i}</th><td>${text}</td></tr>`).join("");
      section.querySelectorAll("input, button").forEach((each) => each.remove());
      section.querySelectorAll("table").forEach(addSorting);
      addFilter(section);
    }""")
    return opened.page


def test_a_table_is_sorted_by_numbers_both_ways(table):
    button = table.get_by_role("button", name="Sort by Seed")
    button.click()
    numbers = ["-3.00 (1)", "+2.00", "7", "8", "9.00 (1)", "10.50 ± 1.00 (2)"]
    assert column(table, 2)[:6] == numbers  # then what is no number
    header = table.locator("#numbers thead th:nth-child(2)")
    assert header.get_attribute("aria-sort") == "ascending"
    button.press("Enter")  # by keyboard
    assert column(table, 2)[:6] == numbers[::-1]
    assert header.get_attribute("aria-sort") == "descending"


def test_a_table_is_filtered_by_words(table):
    table.get_by_label("Filter the rows").fill("ROW 3")
    assert column(table, 1) == ["row 3"]
    table.get_by_label("Filter the rows").fill("")
    assert len(column(table, 1)) == 8


def test_numbers_lead_to_their_runs(watched):
    page = watched("06_table3.html").page
    link = page.locator("td.number a").first
    name = link.get_attribute("href").split("/")[1]
    link.click()
    assert name in page.url and page.locator("h1").inner_text().startswith("Run ")
    page.get_by_role("link", name="All runs").first.click()
    assert page.locator("tbody tr").count() >= 2


def test_search_finds_text_on_other_pages(watched):
    opened = watched("runs/index.html")
    search = opened.page.get_by_label("Search all pages")
    search.fill("sound like")
    opened.page.wait_for_selector(RESULTS)
    assert opened.page.locator(RESULTS).first.inner_text() == "What the classes sound like"
    search.press("Enter")
    opened.page.wait_for_url("**/01_data_exploration.html#*")
    search = opened.page.get_by_label("Search all pages")
    search.fill("nothing-has-this")
    opened.page.wait_for_selector("text=Nothing found")
    search.press("Escape")
    assert not opened.page.locator(".found").is_visible()
    assert opened.problems == []


def test_code_is_shown_when_asked_for(watched):
    page = watched("06_table3.html").page
    code = page.locator("details.code pre").first
    assert not code.is_visible()
    page.get_by_role("button", name="Show code").click()
    assert code.is_visible()


def test_the_line_moves_over_the_spectrogram_as_the_sound_plays(watched):
    opened = watched("01_data_exploration.html")
    figure = opened.page.locator("figure.sound").first
    before = figure.locator(".cursor").bounding_box()["x"]
    assert figure.locator("audio").evaluate(
        """async (sound) => {
             sound.muted = true;
             sound.currentTime = 1.3;
             await new Promise((done) => sound.addEventListener("timeupdate", done));
             return sound.duration;
           }"""
    ) == pytest.approx(2.6, abs=0.01)
    moved = figure.locator(".cursor").bounding_box()["x"] - before
    assert moved == pytest.approx(figure.locator("img").bounding_box()["width"] / 2, abs=3)
    assert opened.problems == []
