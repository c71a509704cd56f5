"""The page over the demo, in a real browser: drawn, live, silent, alone with its own server."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
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
LINES: Final = {"#cpu-plot": (0x2F, 0x6F, 0xDE), "#memory-plot": (0x0F, 0x8A, 0x7E)}
# How many pixels of a canvas have the colour of its line; axes, grid and labels are grey.
DRAWN: Final = """(canvas, [red, green, blue]) => {
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d", { willReadFrequently: true });  // without it Chromium warns in the console
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let i = 0; i < pixels.length; i += 4)
    if (Math.max(Math.abs(pixels[i] - red), Math.abs(pixels[i + 1] - green), Math.abs(pixels[i + 2] - blue)) < 8
        && pixels[i + 3] > 200) found += 1;
  return found;
}"""
FIGURES: Final = "['cpu-now', 'cpu-note', 'network'].map(id => document.getElementById(id).innerText).join()"
UPDATED: Final = "document.getElementById('updated').innerText"
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
        started.wait_http(f"{url}readyz")
        body = json.dumps({"model_name": EVIL, "model_version": EVIL, "latency_ms": 1}).encode()
        request = urllib.request.Request(
            f"{url}api/v1/metrics/ai/inferences/record", body, {"Content-Type": "application/json"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
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
    """The page, once every section has something to show."""
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
        page.set_default_timeout(40_000)
        seen = Seen(page)
        page.goto(address)
        for selector in ("#users div", "#models tbody tr", "#kpi-rows tr", "#alert-list li", "#experiments tbody"):
            page.wait_for_selector(selector)
        # The past is played day by day: when the drift is found, all of it is there.
        page.locator("#alert-list", has_text="drift score of ticket-").wait_for()
        page.locator("#kpi-rows", has_text="ticket-router").wait_for()
        yield page, seen
        context.close()


def test_the_plots_are_drawn(opened: tuple[Page, Seen]) -> None:
    """Each canvas has a line in its own colour, where at first there are only axes."""
    page, _ = opened
    for plot, colour in LINES.items():
        canvas = page.locator(f"{plot} canvas")
        for _attempt in range(20):
            if canvas.evaluate(DRAWN, colour) >= 10:
                break
            page.wait_for_timeout(500)  # two readings make a line, and one comes every two seconds
        assert canvas.evaluate(DRAWN, colour) >= 10


def wait_for_another(page: Page, expression: str, before: object) -> None:
    """Wait until an expression has another value; the page's policy lets nobody evaluate one from inside."""
    for _attempt in range(400):
        if page.evaluate(expression) != before:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{expression} is still {before!r}")


def test_the_values_change(opened: tuple[Page, Seen]) -> None:
    """Within seconds the machine's figures, the time of the last answer and the plot are others."""
    page, _ = opened
    figures, updated = page.evaluate(FIGURES), page.evaluate(UPDATED)
    picture = page.locator("#cpu-plot canvas").evaluate("canvas => canvas.toDataURL()")
    wait_for_another(page, FIGURES, figures)
    wait_for_another(page, UPDATED, updated)
    assert page.locator("#cpu-plot canvas").evaluate("canvas => canvas.toDataURL()") != picture


def test_it_shows_every_domain(opened: tuple[Page, Seen]) -> None:
    """Machine, models, users, experiments, KPIs with value, target and verdict, and the alerts of the drift."""
    page, _ = opened
    titles = page.locator("main h2:visible").all_inner_texts()
    assert titles == ["Alerts", "Machine", "Models", "Users", "Experiments", "KPIs"]
    rows = [row.locator("th, td").all_inner_texts() for row in page.locator("#kpi-rows tr").all()]
    drift = [row for row in rows if row[0].startswith("Model drift score") and "ticket-router" in row[0]]
    assert len(rows) > 20
    assert [row[2:] for row in drift] == [["0.1", "0.3", "alert"]]
    assert any("drift score of ticket-router" in text for text in page.locator("#alert-list li").all_inner_texts())
    group, *variants = [re.sub(r"\s+", " ", text) for text in page.locator("#experiments tbody tr").all_inner_texts()]
    assert group.startswith("Shorter sign-up form")
    assert [text.split()[0] for text in variants] == ["control", "short_form"]


def test_an_evil_name_is_text(opened: tuple[Page, Seen]) -> None:
    """A model named like an element that runs a script is shown letter by letter, and nothing runs."""
    page, seen = opened
    name = page.locator("#models tbody th", has_text=EVIL)
    assert name.count() == 1
    assert name.inner_text().startswith(EVIL)
    assert page.locator("main img").count() == 0
    assert not [said for said in seen.said if said.startswith("dialog")]


def test_it_says_nothing_and_asks_nobody_else(opened: tuple[Page, Seen], address: str) -> None:
    """No error, warning or violation stands in the console, and every request went to the server of the page."""
    page, seen = opened
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(500)
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
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
        assert response.status == 200
    page.reload()
    page.locator("#experiments tbody", has_text="stopped, all get short_form").wait_for()
