"""The page over the demo, in a real browser: drawn, live, silent, alone with its own server."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from tests.components import free_port, requires_binary, requires_module, running

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Page

pytestmark = pytest.mark.e2e

FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
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
LINES: Final = [[0x2F, 0x6F, 0xDE], [0x0F, 0x8A, 0x7E]]  # where two lines lie upon each other, one of them is seen
MOST_PX: Final = 6000
MOST_BYTES: Final = 150_000
# How many pixels of a canvas have the colour of a line; axes, grid and labels are grey.
DRAWN: Final = """(canvas, lines) => {
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d", { willReadFrequently: true });  // without it Chromium warns in the console
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let i = 0; i < pixels.length; i += 4)
    if (pixels[i + 3] > 200
        && lines.some(line => Math.max(...line.map((value, j) => Math.abs(pixels[i + j] - value))) < 8)) found += 1;
  return found;
}"""
# How far what was seen moved while the page loaded; `web-vitals` calls it CLS.
SHIFTED: Final = """new Promise(resolve => {
  let moved = 0;
  const observer = new PerformanceObserver(list => list.getEntries().forEach(entry => moved += entry.value));
  observer.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(moved), 100);
})"""
VIOLATIONS: Final = """addEventListener(
  "securitypolicyviolation", event => console.error("policy", event.violatedDirective, event.blockedURI))"""


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


class Seen:
    """What a page said and asked for."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _dialog(self, dialog: Dialog) -> None:
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture(scope="module")
def opened(address: str) -> Iterator[tuple[Page, Seen]]:
    """The page, once the demo has played the days before today and something fires."""
    playwright = requires_module("playwright.sync_api")
    with tempfile.TemporaryDirectory() as profile, playwright.sync_playwright() as started:
        context = started.chromium.launch_persistent_context(
            profile,
            executable_path=requires_binary("chromium", "chromium"),
            args=list(FLAGS),
            locale="en-GB",
            color_scheme="light",
        )
        # A violation of the content security policy also where no console message tells of it.
        context.add_init_script(VIOLATIONS)
        page = context.new_page()
        page.set_default_timeout(60_000)
        seen = Seen(page)
        page.goto(f"{address}#/alerts")
        page.locator(".alerts", has_text="drift score of ticket-router").wait_for()
        page.goto(f"{address}#/models")
        page.locator(".listing tbody tr", has_text="severe drift").wait_for()
        yield page, seen
        context.close()


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
    for canvas in page.locator(".plot canvas").all()[:charts]:
        for _attempt in range(200):
            if canvas.evaluate(DRAWN, LINES) >= 3:
                break
            page.wait_for_timeout(200)  # the machine is noted every ten seconds
        assert canvas.evaluate(DRAWN, LINES) >= 3
    assert page.evaluate("document.documentElement.scrollHeight") < MOST_PX
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 720})
    assert page.locator("#problem:visible").count() == 0


def test_what_the_overview_costs(opened: tuple[Page, Seen], address: str) -> None:
    """The first visit transfers under 150 kB, compressed where that helps, and what is seen does not move."""
    page, _ = opened
    session = page.context.new_cdp_session(page)
    asked: dict[str, str] = {}
    received: dict[str, float] = {}  # the first answer of each address: a slow machine may be at the next round already

    def finished(event: dict[str, Any]) -> None:
        received.setdefault(asked.get(event["requestId"], ""), event["encodedDataLength"])

    session.on("Network.requestWillBeSent", lambda event: asked.update({event["requestId"]: event["request"]["url"]}))
    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(".tiles .spark path")
    page.wait_for_load_state("networkidle")
    session.detach()
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
