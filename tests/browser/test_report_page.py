"""A real browser opens a report: charts draw, nothing complains, nothing is fetched, all fits."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from sample_run import sample_run, write_sample

from testbed import report

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("TESTBED_CHROMIUM") or shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
]
CHARTS = 9


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium here; `apt-get install chromium` brings it")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = write_sample(tmp_path_factory.mktemp("runs") / "drive-lte-1a2b3c4d", sample_run())
    return report.write(folder).as_uri()


class Visit:
    """A page, opened, with everything it said and asked for."""

    def __init__(self, browser, address: str, width: int) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("html[data-drawn=yes]", timeout=60_000)

    def plots(self) -> list[dict]:
        """Return each plot's name, number of drawn shapes, and size."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll(".plot")].map((plot) => ({
                name: plot.id,
                shapes: plot.querySelectorAll("svg.main-svg .trace, svg.main-svg .point").length,
                width: plot.querySelector("svg.main-svg")?.getBoundingClientRect().width,
                room: plot.getBoundingClientRect().width,
                height: plot.querySelector("svg.main-svg")?.getBoundingClientRect().height,
            }))"""
        )


@pytest.fixture(scope="module", params=[1280, 375], ids=["desktop", "phone"])
def visit(request, browser, address, tmp_path_factory):
    visit = Visit(browser, address, request.param)
    shot: Path = tmp_path_factory.mktemp("shots") / f"report-{request.param}.png"
    visit.page.screenshot(path=shot, full_page=True)
    yield visit
    visit.page.close()


def test_every_chart_is_drawn_and_fits_its_place(visit):
    plots = visit.plots()

    assert len(plots) == CHARTS
    for plot in plots:
        assert plot["shapes"] > 0, plot
        assert plot["height"] > 100, plot
        assert 0 < plot["width"] <= plot["room"] + 0.5, plot


def test_the_console_is_clean_and_nothing_is_fetched(visit, address):
    assert visit.said == []
    assert visit.asked == [address]


def test_nothing_overflows_sideways(visit):
    assert visit.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def test_another_policy_can_be_chosen_for_the_timeline_with_the_keyboard(visit):
    drawn = "document.querySelector('#timeline-plot').data.map((trace) => trace.line?.color)"
    before = visit.page.evaluate(drawn)
    select = visit.page.locator("#timeline-choice")
    select.focus()
    visit.page.keyboard.press("ArrowDown")

    assert select.input_value() == "narrow"
    assert visit.page.evaluate(drawn) != before


def test_the_states_of_the_power_are_stacked_and_differ_in_pattern(visit):
    """Readable without colour: one area per state, told apart by its pattern as well."""
    areas = visit.page.evaluate(
        """() => document.querySelector("#power-plot").data.map((area) => ({
            name: area.name, stack: area.stackgroup, pattern: area.fillpattern.shape,
        }))"""
    )
    patterns = visit.page.evaluate(
        """() => [...document.querySelectorAll("#power-plot .fills path")].filter(
            (path) => path.style.fill.startsWith("url(")).length"""
    )

    assert len(areas) >= 4
    assert {area["stack"] for area in areas} == {"power"}
    assert len({area["pattern"] for area in areas}) == len(areas)
    assert patterns == len(areas) - 1  # plain, for one of them, is a pattern too


def test_wide_tables_scroll_within_themselves_and_can_be_reached(visit):
    regions = visit.page.evaluate(
        """() => [...document.querySelectorAll(".scroll")].map((region) => ({
            focusable: region.tabIndex === 0, named: region.ariaLabel.length > 0,
        }))"""
    )

    assert regions
    assert all(region == {"focusable": True, "named": True} for region in regions)


def test_text_has_contrast_enough(visit):
    """WCAG AA: 4.5 to 1 for every text colour on its background, computed by the browser."""
    ratio = visit.page.evaluate(
        """() => {
            const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
            const light = ([r, g, b]) => {
                const [x, y, z] = [r, g, b].map((v) => {
                    v /= 255;
                    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * x + 0.7152 * y + 0.0722 * z;
            };
            const behind = (node) => {
                for (; node; node = node.parentElement) {
                    const colour = parse(getComputedStyle(node).backgroundColor);
                    if (colour.length === 3 || colour[3] > 0) return colour;
                }
                return [255, 255, 255];
            };
            let worst = 21;
            const all = "h1,h2,h3,p,li,dt,dd,th,td,small,figcaption,summary,a,label,select";
            for (const node of document.querySelectorAll(all)) {
                const a = light(parse(getComputedStyle(node).color)), b = light(behind(node));
                worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
            }
            return worst;
        }"""
    )

    assert ratio >= 4.5


def test_a_page_printed_keeps_its_charts_within_the_paper(browser, address, tmp_path):
    visit = Visit(browser, address, 1280)
    pdf = tmp_path / "report.pdf"
    visit.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    widths = {round(plot["width"]) for plot in visit.plots()}
    unfolded = visit.page.evaluate("document.querySelectorAll('details:not([open])').length")
    visit.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    visit.page.pdf(path=pdf, format="A4")
    visit.page.close()

    assert widths == {680}
    assert unfolded == 0
    assert pdf.stat().st_size > 20_000
