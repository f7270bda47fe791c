# SPDX-License-Identifier: GPL-2.0-only
"""The report in a browser, as people open it: a file, without a network, on a phone, on paper."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from carveout.report.page import page as make_page
from carveout.report.questions import OF_THE_CONCLUSION, QUESTIONS
from carveout.report.write import read_tables
from carveout.wording.labels import Labels
from tests.unit.made_tables import NEEDS
from tests.unit.reading import Tables, read_number

FIGURES = (*OF_THE_CONCLUSION, *(name for question in QUESTIONS for name in question.figures))
WIDTHS = (400, 1600)
# What a sheet of A4 has between the margins of the page's style, at 96 pixels an inch.
PAPER_PX = int((210 - 2 * 11) / 25.4 * 96)


def made_figure(path: Path) -> Path:
    """A figure as wide as those are that are drawn, with words in it."""
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="454pt" viewBox="0 0 454 300">'
        '<rect id="a" width="454" height="300" fill="#cde"/>'
        f'<text x="40" y="60" font-size="14">{path.stem}</text></svg>'
    )
    return path


@pytest.fixture(scope="module")
def html(rich_tables: Path) -> Path:
    """The file of the page, beside the tables, with a figure of every name."""
    folder = rich_tables.parent
    caption = folder / "caption.rst"
    caption.write_text("**What it shows**\n\nAnd how it is read.\n")
    made = make_page(
        read_tables(rich_tables),
        Labels.read(sorted(Path("workflow/strategies").glob("*/strategy.yaml"))),
        needs=NEEDS,
        figures=[(made_figure(folder / f"{name}.svg"), caption) for name in FIGURES],
        template=Path("workflow/report/report.html.jinja"),
        reproduce={"To repeat it": "snakemake"},
        provenance={},
    )
    path = folder / "report.html"
    path.write_text(made, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def artefacts(request: pytest.FixtureRequest) -> Path:
    """Where pictures are kept, to be looked at."""
    folder: Path = request.config.getoption("--artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    program = shutil.which("chromium")
    assert program, "envs/system-packages.txt names chromium"
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Browser, html: Path) -> Iterator[Page]:
    """The page in a wide window, without a network."""
    context = browser.new_context(viewport={"width": 1600, "height": 900}, offline=True)
    yield open_page(context.new_page(), html)
    context.close()


def open_page(page: Page, html: Path, fragment: str = "") -> Page:
    """Opens the page and waits until its tables can sort and filter."""
    page.goto(f"{html.as_uri()}{fragment}")
    page.wait_for_selector("html[data-ready]", timeout=120_000)
    return page


def first_long_grid(page: Page) -> Locator:
    """The first table of the page that has a filter, in view."""
    grid = page.locator("#carry .machine[open] table.grid, #carry div.machine table.grid").first
    grid.scroll_into_view_if_needed()
    page.wait_for_selector("#carry table.grid.dataTable")
    return grid


def numbers_of(cells: Sequence[str | None]) -> list[float]:
    """Values of cells' numbers; of those that have none, less than any."""
    return [float(cell) if cell is not None else float("-inf") for cell in cells]


def column_values(grid: Locator, place: int) -> list[float]:
    """The values of a column, from the top."""
    script = "(cells) => cells.map((cell) => cell.querySelector('data')?.value ?? null)"
    cells: list[str | None] = grid.locator(f"tbody td:nth-child({place + 1})").evaluate_all(script)
    return numbers_of(cells)


def test_it_opens_without_errors_and_asks_nobody_for_anything(browser: Browser, html: Path) -> None:
    context = browser.new_context(offline=True)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    open_page(page, html)
    for section in page.locator("section").all():
        section.scroll_into_view_if_needed()
    page.wait_for_selector("#trials table.dataTable")
    assert said == []
    assert [url for url in asked if not url.startswith("blob:")] == [html.as_uri()]
    context.close()


def test_a_heading_sorts_by_the_numbers_that_are_meant(opened: Page) -> None:
    grid = first_long_grid(opened)
    heading = grid.locator("thead th.number").first
    before = column_values(grid, 1)
    heading.click()
    grid.locator("th[aria-sort=ascending]").wait_for()
    ascending = column_values(grid, 1)
    heading.click()
    grid.locator("th[aria-sort=descending]").wait_for()
    descending = column_values(grid, 1)
    assert len(set(before)) > 2
    assert ascending == sorted(before) != before
    assert descending == sorted(before, reverse=True)


def test_a_filter_keeps_the_rows_with_its_words(opened: Page) -> None:
    grid = first_long_grid(opened)
    rows = grid.locator("tbody tr")
    every = rows.count()
    field = opened.locator("#carry .dt-search input").first
    field.fill("huge")
    shown = [row.inner_text() for row in rows.all()]
    assert 0 < len(shown) < every
    assert all("huge" in row for row in shown)
    field.fill("")
    assert rows.count() == every


def test_a_name_in_a_table_leads_to_its_trials(opened: Page, rich_tables: Path) -> None:
    trials = Tables(rich_tables)["trials"]
    own = trials[(trials["strategy"] == "cma") & (trials["outcome"] != "not_available")]
    grid = first_long_grid(opened)
    grid.get_by_role("link", name="CMA area", exact=True).click()
    table = opened.locator("#trials table.rows")
    table.locator("tbody tr").first.wait_for()
    assert f"of {len(own):,} entries" in opened.locator("#trials .dt-info").inner_text()
    assert set(table.locator("tbody td:nth-child(3)").all_inner_texts()) == {"CMA area"}
    opened.locator("#trials .chosen button").click()
    opened.wait_for_function(
        f"document.querySelector('#trials .dt-info').textContent.includes('{len(trials):,}')"
    )


def trials_heads(page: Page) -> list[str]:
    """The headings of the table of trials."""
    return page.locator("#trials table.rows thead .dt-column-title").all_inner_texts()


def test_the_trials_are_sorted_by_a_heading(opened: Page, rich_tables: Path) -> None:
    opened.locator("#trials").scroll_into_view_if_needed()
    opened.wait_for_selector("#trials table.dataTable tbody tr")
    place = trials_heads(opened).index("lend")
    heading = opened.locator("#trials table.rows thead th").nth(place)
    heading.click()
    heading.click()
    opened.locator("#trials th[aria-sort=descending]").wait_for()
    table = opened.locator("#trials table.rows")
    shown = column_values(table, place)
    slowest = Tables(rich_tables)["trials"]["lend_ns"].nlargest(len(shown))
    assert shown == slowest.to_list()


def test_a_column_of_the_trials_is_filtered_by_itself(opened: Page) -> None:
    opened.locator("#trials").scroll_into_view_if_needed()
    opened.wait_for_selector("#trials table.dataTable tbody tr")
    place = trials_heads(opened).index("outcome")
    field = opened.locator("#trials table.rows tfoot input").nth(place)
    field.fill("refused")
    cells = opened.locator(f"#trials table.rows tbody td:nth-child({place + 1})")
    opened.wait_for_function(
        "document.querySelector('#trials .dt-info').textContent.includes('filtered')"
    )
    assert set(cells.all_inner_texts()) == {"refused"}


@pytest.mark.parametrize("name", ["summary", "comparisons", "trials"])
def test_what_the_script_writes_is_what_the_tables_have(
    opened: Page, rich_tables: Path, name: str
) -> None:
    opened.locator(f"#{name}").scroll_into_view_if_needed()
    opened.wait_for_selector(f"#{name} table.dataTable tbody tr")
    script = """(all) => all.map((own) => [own.textContent, own.value, own.dataset.table,
        Number(own.dataset.row), own.dataset.column])"""
    written: list[Any] = opened.locator(f"#{name} tbody data").evaluate_all(script)
    tables = Tables(rich_tables)
    assert len(written) > 50
    for text, value, table, row, column in written:
        there = float(tables.row(table, row)[column])
        quantity = str(tables.row(table, row).get("quantity", ""))
        shown, off = read_number(text, column)
        if "%" in text and "success" in quantity:
            shown, off = read_number(text, "share")
        assert float(value) == there
        assert abs(shown - there) <= off, (text, there, column)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_is_seen_and_nothing_is_wider_than_the_window(
    browser: Browser, html: Path, artefacts: Path, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page = open_page(context.new_page(), html)
    for section in page.locator("section").all():
        section.scroll_into_view_if_needed()
    page.wait_for_selector("#trials table.dataTable")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    drawn = page.locator("figure svg")
    assert drawn.count() == len(FIGURES)
    for figure in drawn.all():
        figure.scroll_into_view_if_needed()
        box = figure.bounding_box()
        assert box
        assert 0 <= box["x"] < width / 2
        assert box["width"] > 300
        assert box["height"] > 90
        words = figure.locator("text").bounding_box()
        assert words
        assert words["height"] >= 10, "legible"
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=artefacts / f"report-{width}.png", full_page=True)
    context.close()


def test_every_text_of_the_page_is_as_large_as_its_window_wants(opened: Page) -> None:
    small = opened.evaluate(
        """() => [...document.querySelectorAll("p, li, td, th, dd, figcaption")]
        .filter((part) => part.checkVisibility())
        .filter((part) => parseFloat(getComputedStyle(part).fontSize) < 12)
        .map((part) => part.textContent.slice(0, 40))"""
    )
    assert small == []


def test_no_table_is_wider_than_paper(browser: Browser, html: Path) -> None:
    context = browser.new_context(viewport={"width": PAPER_PX, "height": 1000}, offline=True)
    page = open_page(context.new_page(), html)
    page.click("button[data-open=all]")
    page.emulate_media(media="print")
    cut = page.evaluate(
        """() => [...document.querySelectorAll("table.grid")]
        .filter((table) => table.checkVisibility())
        .filter((table) => table.getBoundingClientRect().right > innerWidth + 1
            || [...table.querySelectorAll("td, th")]
                .some((cell) => cell.scrollWidth > cell.clientWidth + 2))
        .map((table) => [table.closest("section").id, table.getBoundingClientRect().right,
            table.tHead.textContent.slice(0, 80)])"""
    )
    assert cut == []
    context.close()


def test_it_prints_to_a_clean_pdf(opened: Page, artefacts: Path) -> None:
    path = artefacts / "report.pdf"
    opened.pdf(path=path, prefer_css_page_size=True)
    document = pypdfium2.PdfDocument(path)
    assert len(document) > 5
    texts = []
    for number, sheet in enumerate(document):
        width, height = sheet.get_size()
        assert (round(width), round(height)) == (595, 842), "A4"
        words = sheet.get_textpage()
        texts.append(words.get_text_bounded())
        boxes = [words.get_charbox(place) for place in range(words.count_chars())]
        margin = 20
        outside = [box for box in boxes if box[0] < margin or box[2] > width - margin]
        assert not [box for box in outside if box[2] > box[0]], f"page {number + 1}"
        if number < 6:
            sheet.render(scale=1.5).to_pil().save(artefacts / f"report-page-{number + 1}.png")
    text = re.sub(r"\s+", " ", " ".join(texts))
    for control in ("filter these rows", "Open all parts", "Showing 1 to"):
        assert control not in text
    for words in ("Conclusion", "What stood in the way?", "On paper this table is left out"):
        assert words in text
