"""The page over a large product: 200 models of which half fail, 30 services, 12 experiments, 8 hosts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.components import free_port, running
from tests.e2e.looking import SHIFTED, Seen, is_drawn, tab, transferred

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.e2e

PROGRAM: Final = Path(__file__).parent / "programs" / "crowd.py"
ROWS: Final = ".listing tbody tr"
HOST: Final = "ip-10-0-0-{}.eu-central-1.compute.internal"
# What each view shows, how many of it, and how many charts with lines it has.
VIEWS: Final = {
    "": (".alerts li", 6, 0),
    "alerts": (".alerts li", 25, 0),
    "models": (ROWS, 25, 2),
    "models/a-model-of-a-team-whose-names-are-long-198/2026-01-01": (".reasons li", 3, 4),
    "spending?by=model": (ROWS, 25, 0),
    "users": (".charts .chart", 4, 1),
    "experiments": (ROWS, 12, 0),
    "experiments/experiment-07": (ROWS, 2, 1),
    "machines": (f"{ROWS}:has-text('compute.internal')", 8, 1),
    "services": (ROWS, 25, 0),
    "services/service-10": (".timeline", 1, 0),
    "kpis": (ROWS, 25, 0),
}
MOST_PX: Final = 6000
MOST_BYTES: Final = 150_000


def readings(hosts: int) -> bytes:
    """Return what a Collector on each of some hosts would send, in the JSON of OTLP."""
    now = str(time.time_ns())

    def gauge(name: str, *values: tuple[float, str, str]) -> dict[str, object]:
        points = [
            {"timeUnixNano": now, "asDouble": value, "attributes": [{"key": key, "value": {"stringValue": text}}]}
            for value, key, text in values
        ]
        return {"name": name, "gauge": {"dataPoints": points}}

    def metrics(n: int) -> list[object]:
        return [
            gauge("system.cpu.utilization", (0.1 * n, "state", "user"), (1 - 0.1 * n, "state", "idle")),
            gauge("system.memory.usage", (2e9, "state", "used"), (6e9, "state", "free")),
            gauge("system.filesystem.utilization", (0.12 * n, "mountpoint", "/")),
        ]

    resources = [
        {
            "resource": {"attributes": [{"key": "host.name", "value": {"stringValue": HOST.format(n)}}]},
            "scopeMetrics": [{"scope": {"name": "hostmetrics"}, "metrics": metrics(n)}],
        }
        for n in range(hosts)
    ]
    return json.dumps({"resourceMetrics": resources}).encode()


def post(url: str, body: bytes) -> None:
    """Send JSON."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        assert response.status == 200


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Fill a store, serve it, and return the address."""
    folder = tmp_path_factory.mktemp("large")
    subprocess.run([sys.executable, str(PROGRAM), str(folder / "a.db")], check=True, timeout=280)
    port = free_port()
    args = [sys.executable, "-m", "exporter.cli", "serve", "--store", str(folder / "a.db"), "--port", str(port)]
    with running(args, folder / "log.txt") as started:
        url = f"http://127.0.0.1:{port}/"
        started.wait_http(f"{url}readyz", timeout_s=120)
        post(f"{url}v1/metrics", readings(8))
        yield url


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[Page, Seen]]:
    """A tab of a browser."""
    with tab() as (page, seen):
        yield page, seen


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_drawn(opened: tuple[Page, Seen], address: str, view: str) -> None:
    """Each view shows a page of what there is and lines in its charts, and is of bearable height."""
    page, _ = opened
    selector, number, charts = VIEWS[view]
    page.goto(f"{address}#/{view}")
    page.locator(selector).nth(number - 1).wait_for()
    assert page.locator(selector).count() == number
    for n in range(charts):
        page.locator(".plot canvas").nth(n).wait_for()
        assert is_drawn(page, page.locator(".plot canvas").nth(n))
    assert page.evaluate("document.documentElement.scrollHeight") < MOST_PX
    assert page.locator("#problem:visible").count() == 0


def test_what_the_overview_costs(opened: tuple[Page, Seen], address: str) -> None:
    """Where some hundred alerts fire the first visit transfers under 150 kB too, and what is seen does not move."""
    page, _ = opened
    received = transferred(page, address, ".tiles .spark path")
    fires = page.locator("#status").inner_text()
    assert int(fires.split()[0]) > 100
    assert sum(received.values()) < MOST_BYTES
    assert page.evaluate(SHIFTED) < 0.05


def test_a_link_that_is_sent_shows_the_same(opened: tuple[Page, Seen], address: str) -> None:
    """View, time range, search, order and page of a table come back from the address, and the way back leads to it."""
    page, _ = opened
    names = page.locator(f"{ROWS} th a")
    page.goto(f"{address}#/models?window=7d&q=long-1&sort=-cost&page=2")
    names.nth(24).wait_for()
    before = names.all_inner_texts()
    assert before == [f"a-model-of-a-team-whose-names-are-long-{n}" for n in range(174, 149, -1)]
    names.first.click()
    page.wait_for_selector("h1:text-is('a-model-of-a-team-whose-names-are-long-174 2026-01-01')")
    page.go_back()
    names.nth(24).wait_for()
    page.reload()
    names.nth(24).wait_for()
    assert names.all_inner_texts() == before
    assert page.get_by_label("Last").input_value() == "7d"
    assert page.get_by_label("Search in Models").input_value() == "long-1"


def test_a_selection_survives_three_refreshes(opened: tuple[Page, Seen], address: str) -> None:
    """Text that somebody has selected stays selected while the answers of the server come and go."""
    page, _ = opened
    page.clock.install()
    page.goto("about:blank")  # the rows of the test before would be there still
    page.goto(f"{address}#/models")
    page.locator(ROWS).nth(24).wait_for()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.listing tbody tr'))")
    selected = page.evaluate("getSelection().toString()")
    assert selected.startswith("a-model-of-a-team")
    for _ in range(3):
        with page.expect_response("**/ai/models?*"):
            page.clock.run_for(10_000)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("getSelection().toString()") == selected


def test_it_says_nothing_and_asks_nobody_else(opened: tuple[Page, Seen], address: str) -> None:
    """No error, warning or violation stands in the console, and every request went to the server of the page."""
    page, seen = opened
    page.goto(address)
    page.locator(".alerts li").first.wait_for()
    assert seen.said == []
    assert seen.hosts == {urlsplit(address).netloc}
