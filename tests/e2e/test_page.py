"""The page over the demo, in a real browser: drawn, live, silent, alone with its own server."""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.components import free_port, requires_binary, requires_module, running
from tests.e2e.looking import DESKTOP, PHONE, SHIFTED, Seen, findings, is_drawn, tab, transferred

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.e2e

EVIL: Final = "<img src=x onerror=alert(1)>"
# What each view shows over the demo, once it is drawn, and how many charts with lines it has.
VIEWS: Final = {
    "": ("#worst", 0),
    "alerts": (".alerts li", 0),
    "models": (".listing tbody tr", 2),
    "models/ticket-router/2.1": (".reasons li", 2),
    "models/gpt-4o/2024-08-06": (".tiles", 4),
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
        body = json.dumps({"model_name": EVIL, "model_version": EVIL, "latency_ms": 1}).encode()
        request = urllib.request.Request(
            f"{url}api/v1/metrics/ai/inferences/record", body, {"Content-Type": "application/json"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
            assert response.status == 201
        yield url


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
    request = urllib.request.Request(
        f"{address}api/v1/metrics/experiments/shorter-sign-up-form/stop",
        json.dumps({"winner": "short_form"}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        assert response.status == 200
    show(page, address, "experiments/shorter-sign-up-form")
    page.get_by_text("stopped, all get short_form").wait_for()
