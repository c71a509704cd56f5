"""The page over the demo, in a real browser: drawn, live, silent, alone with its own server."""

from __future__ import annotations

import csv
import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from tests.components import free_port, requires_binary, requires_module, running
from tests.e2e.looking import DESKTOP, PHONE, SHIFTED, Seen, findings, is_drawn, tab, transferred

if TYPE_CHECKING:
    from playwright.sync_api import Page
from tests.waiting import until

pytestmark = pytest.mark.e2e

EVIL: Final = "<img src=x onerror=alert(1)>"
# What each view shows over the demo, once it is drawn, and how many charts with lines it has.
VIEWS: Final = {
    "": ("#worst", 0),
    "alerts": (".alerts li", 0),
    "models": (".listing tbody tr", 2),
    "models/ticket-router/2.1": (".reasons li", 2),
    "models/gpt-4o/2024-08-06": (".tiles", 4),
    "models/credit-check/2": ("section:has-text('Fairness') tbody tr", 0),
    "spending": (".listing tbody tr", 0),
    "agents": (".empty .snippet", 0),
    "users": (".listing tbody tr", 4),
    "experiments": (".listing tbody tr", 0),
    "experiments/shorter-sign-up-form": ("#verdict", 1),
    "machines": (".listing tbody tr", 4),
    "services": (".timeline span", 0),
    "services/search-api": (".timeline span", 1),
    "senders": (".empty .snippet", 0),
    "kpis": (".listing tbody tr", 0),
    "definitions/cost": (".prose-page table", 0),
    "rules/model_silence": (".prose-page:has-text('What to do: look whether what calls the model is up') li", 0),
}
# The charts, tables and bars without a link that saves them; the small bars of a list are those of each service's view.
UNSAVED: Final = """[...document.querySelectorAll(".chart, .listing, .bars, .timeline:not(.small)")]
  .filter(each => !each.closest(".chart, .listing, section").querySelector("a.csv"))
  .map(each => each.outerHTML.slice(0, 200))"""
MOST_PX: Final = 6000
MOST_BYTES: Final = 150_000


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run `otel-measure serve --demo`, record a model with an evil name, and return the address."""
    requires_binary("chromium", "chromium")
    requires_module("playwright.sync_api", "playwright")
    port = free_port()
    args = [sys.executable, "-m", "exporter.cli", "serve", "--demo", "--port", str(port)]
    with running(args, tmp_path_factory.mktemp("demo") / "log.txt") as started:
        url = f"http://127.0.0.1:{port}/"
        started.wait_http(f"{url}readyz", timeout_s=120)
        post(url, "ai/inferences/record", {"model_name": EVIL, "model_version": EVIL, "latency_ms": 1})
        for version, latency_ms in (("1", 100.0), ("2", 150.0)):
            calls = [credit_check(version, latency_ms, i) for i in range(240)]
            post(url, "ai/inferences/batch", {"inferences": calls})
        yield url


def post(url: str, path: str, body: dict[str, Any]) -> None:
    """Write something into the store of a server."""
    request = urllib.request.Request(
        f"{url}api/v1/metrics/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        assert response.status in (200, 201)


def saved(link: str) -> str:
    """Return what is behind a link as comma-separated values."""
    request = urllib.request.Request(link, headers={"Accept": "text/csv"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        assert response.headers["Content-Type"].startswith("text/csv"), link
        text: str = response.read().decode()
        return text


def credit_check(version: str, latency_ms: float, i: int) -> dict[str, Any]:
    """Return a call of a model that treats two groups differently, and of which one in 20 fails, in a trace."""
    answer = i % 4 == 1 if i % 2 else i % 3 == 0
    return {
        "model_name": "credit-check", "model_version": version, "latency_ms": latency_ms + i % 7, "cost_usd": 0.002,
        "input_tokens": 500, "output_tokens": 20, "prediction": answer, "ground_truth": i % 5 != 0,
        "groups": {"age_band": "60+" if i % 2 else "18-59"},
        "error_type": "Timeout" if i % 20 == 0 else None,
    }  # fmt: skip


@pytest.fixture(scope="module")
def opened(address: str) -> Iterator[tuple[Page, Seen]]:
    """The page, once the demo has played the days before today and something fires."""
    with tab() as (page, seen):
        page.goto(f"{address}#/alerts")
        page.locator(".alerts", has_text="drift score of ticket-router").wait_for()
        page.goto(f"{address}#/models")
        page.locator(".listing tbody tr", has_text="severe drift").wait_for()
        yield page, seen


def show(page: Page, address: str, view: str) -> None:
    """Go to a view and wait until it is drawn."""
    page.goto(f"{address}#/{view}")
    selector, charts = VIEWS[view]
    page.wait_for_selector(selector)
    for n in range(charts):
        page.locator(".plot canvas").nth(n).wait_for()


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_drawn(opened: tuple[Page, Seen], address: str, view: str) -> None:
    """Each view shows figures of the demo and lines in its charts, is of bearable height, and makes no phone scroll."""
    page, _ = opened
    show(page, address, view)
    _, charts = VIEWS[view]
    assert all(is_drawn(page, canvas) for canvas in page.locator(".plot canvas").all()[:charts])
    assert page.evaluate("document.documentElement.scrollHeight") < MOST_PX
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size(DESKTOP)
    assert page.locator("#problem:visible").count() == 0


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_accessible(opened: tuple[Page, Seen], address: str, view: str) -> None:
    """axe-core has no serious and no critical finding, in the light and in the dark, on a desktop and on a phone."""
    page, _ = opened
    show(page, address, view)
    assert findings(page) == []


def test_what_the_overview_costs(opened: tuple[Page, Seen], address: str) -> None:
    """The first visit transfers under 150 kB, compressed where that helps, and what is seen does not move."""
    page, _ = opened
    received = transferred(page, address, ".tiles .spark path")
    assert len(received) > 20
    assert sum(received.values()) < MOST_BYTES
    assert page.evaluate(SHIFTED) < 0.05


def test_the_values_change(opened: tuple[Page, Seen], address: str) -> None:
    """The time of the last answer and the machine's figures become others by themselves."""
    page, _ = opened
    show(page, address, "machines")
    for selector in ("#updated", ".tile:nth-child(4)"):
        before = page.locator(selector).inner_text()
        for _attempt in range(600):
            if page.locator(selector).inner_text() != before:
                break
            page.wait_for_timeout(100)
        assert page.locator(selector).inner_text() != before


def test_a_version_stands_beside_another(opened: tuple[Page, Seen], address: str) -> None:
    """What is half as slow again is said to be; what cannot be told says why; the other version is in the address."""
    page, _ = opened
    show(page, address, "models/credit-check/2")
    compared = page.locator("section", has_text="Versions side by side").locator("tbody tr")
    compared.first.wait_for()
    said = {row.locator("th").inner_text(): row.locator("td").last.inner_text().split("\n") for row in compared.all()}
    assert said["Latency p95"] == ["higher"]
    assert said["Error rate"] == ["no clear difference"]
    assert said["Latency p99"] == ["too little to tell", "p99 needs 388 timed calls, 2 has 240"]
    page.goto(f"{address}#/models/credit-check/1?baseline=2")
    page.locator("section", has_text="Versions side by side").get_by_text("lower").first.wait_for()


def test_what_is_behind_the_numbers_of_a_model(opened: tuple[Page, Seen], address: str) -> None:
    """Its errors by type, its slowest and dearest calls, and each group that it treats."""
    page, _ = opened
    show(page, address, "models/credit-check/2")

    def rows(section: str) -> list[str]:
        """Return the texts of the rows of a section."""
        wanted = page.locator("section", has=page.get_by_role("heading", name=section)).locator("tbody tr")
        wanted.first.wait_for()
        return [" ".join(text.split()) for text in wanted.all_inner_texts()]

    (timeouts,) = rows("Errors by type")
    assert timeouts.startswith("Timeout 12 ")
    assert timeouts.endswith(" –")  # calls over HTTP are in no trace
    assert len(rows("Slowest calls")) == len(rows("Dearest calls")) == 5
    assert rows("Fairness") == ["18-59 120 33.3 % 33.3 % 33.3 %", "60+ 120 50 % 50 % 50 %"]


def test_which_model_is_the_dearest_and_whether_it_rose(opened: tuple[Page, Seen], address: str) -> None:
    """Three clicks from the overview: models, by cost, the first of them, whose cost says how it changed."""
    page, _ = opened
    show(page, address, "")
    page.get_by_role("navigation").get_by_role("link", name="Models").click()
    page.get_by_role("button", name="Cost", exact=True).click()
    page.locator(".listing th[aria-sort=descending]", has_text="Cost").wait_for()
    page.locator(".listing[aria-busy], .listing [aria-busy=true]").wait_for(state="detached")
    page.locator(".listing tbody tr th a").first.click()
    tile = page.locator(".tile", has=page.get_by_role("heading", name="Cost", exact=True))
    tile.get_by_text(re.compile(r"(against|as in|nothing in) the 24h before")).wait_for()


def test_what_fires_leads_to_what_is_wrong(opened: tuple[Page, Seen], address: str) -> None:
    """From what fires one click leads to the model that drifts, and to the feature that did."""
    page, _ = opened
    show(page, address, "alerts")
    page.locator(".alerts a", has_text=re.compile("drift score of ticket-router 2.1 is")).first.click()
    page.wait_for_selector("h1:text-is('ticket-router 2.1')")
    rows = page.locator(".listing tbody tr", has_text="message_chars")
    rows.wait_for()
    assert rows.locator("td").last.inner_text() == "drifted"
    assert "message_chars" in page.locator(".reasons").inner_text()


def test_an_evil_name_is_text(opened: tuple[Page, Seen], address: str) -> None:
    """A model named like an element that runs a script is shown letter by letter, and its own view opens."""
    page, seen = opened
    show(page, address, "models")
    name = page.locator(".listing tbody th", has_text=EVIL)
    assert name.count() == 1
    assert name.inner_text().startswith(EVIL)
    name.locator("a").click()
    page.wait_for_selector(".tiles")
    assert page.locator("h1").inner_text() == f"{EVIL} {EVIL}"
    assert page.locator("main img").count() == 0
    assert not [said for said in seen.said if said.startswith("dialog")]


def test_tables_and_charts_are_saved(opened: tuple[Page, Seen], address: str) -> None:
    """What a view shows is saved as CSV: the rows of its table in their order, the steps of a chart of its own."""
    page, _ = opened
    show(page, address, "models")
    for name, file, first in (
        ("Models as CSV", "ai-models.csv", "model_name"),
        ("Requests as CSV", "ai-series.csv", "start"),
    ):
        with page.expect_download() as saved:
            page.get_by_role("link", name=name).click()
        header, *rows = csv.reader(saved.value.path().read_text("utf-8").splitlines())
        assert (saved.value.suggested_filename, header[0]) == (file, first)
        assert len(rows) > 3
        assert {len(row) for row in rows} == {len(header)}


def test_every_table_and_chart_can_be_saved(opened: tuple[Page, Seen], address: str) -> None:
    """Each chart, table and row of bars of every view has a link, and behind each link are comma-separated values."""
    page, _ = opened
    links: set[str] = set()
    for view in VIEWS:
        show(page, address, view)
        page.wait_for_load_state("networkidle")
        try:  # what is drawn of an answer may come after it
            until(lambda: page.evaluate(UNSAVED) == [])
        finally:
            assert page.evaluate(UNSAVED) == [], view
        links |= set(page.evaluate("[...document.querySelectorAll('a.csv')].map(({ href }) => href)"))
    words = {urlsplit(link).path.removeprefix("/api/v1/metrics/").split("/")[0] for link in links}
    assert words >= {"ai", "users", "experiments", "infrastructure", "kpis", "alerts"}
    for table in ("features", "classes", "groups"):
        assert any(f"table={table}" in link for link in links), table
    for link in links:
        header, *rows = csv.reader(saved(link).splitlines())
        assert {len(row) for row in rows} <= {len(header)}, link


def test_it_says_nothing_and_asks_nobody_else(opened: tuple[Page, Seen], address: str) -> None:
    """No error, warning or violation stands in the console, and every request went to the server of the page."""
    page, seen = opened
    show(page, address, "users")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert seen.said == []
    assert seen.hosts == {urlsplit(address).netloc}


def test_a_stopped_experiment_says_so(opened: tuple[Page, Seen], address: str) -> None:
    """And what everybody gets since."""
    page, _ = opened
    post(address, "experiments/shorter-sign-up-form/stop", {"winner": "short_form"})
    show(page, address, "experiments/shorter-sign-up-form")
    page.get_by_text("stopped, all get short_form").wait_for()
