"""The page at the root, in a real browser: what it shows, says when something is missing, and refuses."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.components import requires_binary, requires_module, running, wait_http

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Route

pytestmark = pytest.mark.e2e

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
API = "**/api/v1/metrics/"
STATIC = Path(__file__).parents[3] / "exporter" / "page" / "static"

SUMMARY = {
    "status": "degraded", "uptime_seconds": 90061.0, "services_down": 1, "platform": "Linux",
    "cpu": {
        "current_percent": 81.25, "average_percent": 40.0, "core_count": 2.0, "scope": "host",
        "load_average": {"1m": 1.5, "5m": 1.25, "15m": None},
    },
    "memory": {"used_percent": 50.0, "used_bytes": 2.0**30, "total_bytes": 2.0**31, "scope": "host"},
    "disk": {"used_percent": 25.0, "free_bytes": 3.0 * 2**40, "used_bytes": 2.0**40, "mount_point": "/"},
    "network": {
        "sent_bytes_per_second": 1023.0, "received_bytes_per_second": None,
        "errors_in": 1, "errors_out": 0, "drops_in": 2, "drops_out": 0,
    },
}  # fmt: skip
MODEL = {
    "model_name": "gpt-4o", "model_version": "2024-08-06", "model_type": "nlp_generation", "health_score": None,
    "latency": {"p50_ms": 42.25, "p95_ms": 1234.5}, "cost": {"total_usd": 0.005, "priced_ratio": 0.9949},
    "errors": {"count": 1, "rate": 0.005}, "inference_count": 1234,
}  # fmt: skip
ENGAGEMENT = {
    "dau": 0, "wau": 7, "mau": 28, "stickiness": 0.25, "sessions": 9, "avg_session_duration_seconds": 95.0,
    "bounce_rate": None, "return_rate": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run `otel-measure serve` on an empty store and return its address."""
    folder = tmp_path_factory.mktemp("page")
    env = {name: "" for name in os.environ if name.startswith("OTEL_MEASURE_")} | {
        "OTEL_MEASURE_STORE": str(folder / "a.db")
    }
    with running(
        [sys.executable, "-m", "exporter.cli", "serve", "--port", "0"], folder / "log.txt", env=env
    ) as started:
        address = _address(started.output)
        wait_http(f"{address}readyz")
        yield address


def _address(output: Callable[[], str]) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if url := re.search(r"page +(\S+)", output()):
            return url[1]
        time.sleep(0.05)
    pytest.fail(f"the server did not start: {output()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    """Start Debian's Chromium with a fresh profile."""
    executable = requires_binary("chromium", "chromium")
    playwright = requires_module("playwright.sync_api", "playwright")
    with tempfile.TemporaryDirectory() as profile, playwright.sync_playwright() as started:
        context = started.chromium.launch_persistent_context(
            profile, executable_path=executable, args=list(FLAGS), color_scheme="light", locale="en-GB"
        )
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """Open a tab, and fail when the console shows an error or a violation of the content security policy."""
    opened = browser.new_page()
    opened.set_default_timeout(10_000)
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.said = said  # type: ignore[attr-defined]
    yield opened
    opened.close()


def answer(page: Page, path: str, data: object, status: int = 200) -> None:
    """Let the page get `data` for a path of the API."""
    body = {"status": "success", "data": data} if status == 200 else {"status": "error", "message": data}
    page.route(API + path, lambda route: _fulfill(route, body, status))


def _fulfill(route: Route, body: object, status: int) -> None:
    route.fulfill(status=status, content_type="application/json", body=json.dumps(body))


def answer_all(page: Page, **changes: Any) -> None:
    """Let the page get an answer to every question."""
    page.route("**/openapi.json", lambda route: _fulfill(route, {"paths": changes.get("paths", {})}, 200))
    answer(page, "infrastructure/summary", SUMMARY | changes.get("summary", {}))
    answer(page, "ai/models", {"models": changes.get("models", [MODEL]), "total_models": 1, "total_inferences": 1})
    answer(page, "users/engagement", ENGAGEMENT | changes.get("engagement", {}))


def texts(page: Page, selector: str) -> list[str]:
    """Return what stands in some elements, as a person reads it."""
    return [re.sub(r"\s+", " ", text).strip() for text in page.locator(selector).all_inner_texts()]


def test_it_shows_the_figures(page: Page, server: str) -> None:
    """Every figure stands with its unit, an unknown one is a dash that says so, and no policy blocks anything."""
    answer_all(page)
    page.goto(server)
    page.wait_for_selector("#users div")
    page.wait_for_selector("#models tbody tr")
    page.wait_for_selector(".plot canvas")
    assert texts(page, "#status, #platform, #uptime") == ["critical, 1 down", "Linux", "up 1 d 1 h"]
    assert texts(page, ".figure") == ["81.3 %", "50 %", "25 %"]
    assert texts(page, ".cards .note") == [
        "average 40 % · 2 cores of this host", "1 GiB of 2 GiB used", "3 TiB free to use, 1 TiB used on /"
    ]  # fmt: skip
    assert texts(page, "#network dd") == ["1,023 B/s", "–", "3"]
    assert texts(page, "#load dd") == ["1.5", "1.25", "–"]
    assert texts(page, "#models tbody tr > *") == [
        "gpt-4o 2024-08-06 · nlp generation", "1,234", "0.5 %", "42.3 ms", "1.23 s", "$0.005", "99.5 %", "–"
    ]  # fmt: skip
    assert texts(page, "#users dd") == [
        "0 today so far", "7 last 7 days", "28 last 28 days", "25 % mean daily / monthly", "9",
        "1 min 35 s mean", "– sessions without engagement", "100 % seen before the window",
    ]  # fmt: skip
    assert page.locator("abbr.unknown").evaluate_all("found => [...new Set(found.map(e => e.title))]") == ["unknown"]
    assert page.locator("#cpu-plot").get_attribute("aria-label") == "CPU over the last minutes, now 81.3 %"
    hidden = "found => found.filter(e => e.hidden).map(e => e.id)"
    assert page.locator("#problem, #kpis, #alerts").evaluate_all(hidden) == ["problem", "alerts", "kpis"]
    assert page.said == []  # type: ignore[attr-defined]


def test_an_empty_system_says_what_to_do(page: Page, server: str) -> None:
    """Against a fresh server the page is calm, and the curl line it offers is one that works."""
    page.goto(server)
    page.wait_for_selector("#models-empty:not([hidden])")
    page.wait_for_selector("#users-empty:not([hidden])")
    assert page.locator("#models, #users").evaluate_all("found => found.map(e => e.hidden)") == [True, True]
    assert texts(page, ".snippet h4") == ["Python", "curl", "Python", "curl"]
    line = page.locator("#models-empty code").nth(1).inner_text()
    assert line.startswith(f"curl -X POST {server}api/v1/metrics/ai/inferences/record \\\n")
    body = re.search(r"-d '(.*)'", line)
    assert body is not None
    assert json.loads(body[1]) == {
        "model_name": "gpt-4", "model_version": "1.0", "latency_ms": 150.5, "input_tokens": 100, "output_tokens": 200
    }  # fmt: skip
    assert page.said == []  # type: ignore[attr-defined]


def test_an_example_is_copied(page: Page, server: str) -> None:
    """One click puts an example into the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(server)
    buttons = page.get_by_role("button", name="Copy the Python example")
    buttons.nth(1).wait_for()  # models and users have one each, and either may be answered first
    buttons.first.click()
    assert "record_inference" in page.evaluate("navigator.clipboard.readText()")


def test_what_the_server_sends_is_text(page: Page, server: str) -> None:
    """Markup in the name of a model, a platform or an error is shown as it is, and runs nowhere."""
    evil = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'
    answer_all(page, models=[MODEL | {"model_name": evil, "model_version": evil}], summary={"platform": evil})
    answer(page, "users/engagement", evil, 500)
    page.goto(server)
    page.wait_for_selector("#models tbody tr")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.title() == "otel-measure"
    assert page.locator("main img, main script, header img[src=x]").count() == 0
    assert page.locator("#platform").inner_text() == evil
    assert evil in page.locator("#problem").inner_text()


def test_a_server_that_is_gone(page: Page, server: str) -> None:
    """When no answer comes the page says since when, dims what is old, and recovers by itself."""
    answer_all(page)
    page.goto(server)
    page.wait_for_selector("#models tbody tr")
    page.route(API + "**", lambda route: route.abort())
    page.wait_for_selector("#problem:not([hidden])")
    assert re.fullmatch(
        r"The server does not answer since \d\d:\d\d:\d\d\. What is shown is older\. Trying again by itself\.",
        page.locator("#problem").inner_text(),
    )
    assert page.locator("body.stale #models tbody tr").count() == 1
    page.unroute(API + "**")
    page.wait_for_selector("#problem", state="hidden")
    assert page.locator("body.stale").count() == 0


def test_an_error_of_the_server_is_told(page: Page, server: str) -> None:
    """The server's own words about what is wrong stand in the banner."""
    answer_all(page)
    answer(page, "ai/models", "store unavailable (locked)", 503)
    page.goto(server)
    page.wait_for_selector("#problem:not([hidden])")
    assert re.fullmatch(
        r"The server answers with an error since \d\d:\d\d:\d\d: store unavailable \(locked\)",
        page.locator("#problem").inner_text(),
    )


def test_it_asks_for_a_token(page: Page, server: str) -> None:
    """A server that wants a token gets the one the reader types, from this tab only, and a wrong one is told."""
    asked: list[str | None] = []

    def guarded(route: Route) -> None:
        asked.append(route.request.headers.get("authorization"))
        if asked[-1] == "Bearer right":
            route.fallback()
        else:
            _fulfill(route, {"status": "error", "message": "a valid token is needed"}, 401)

    answer_all(page)
    page.route(API + "**", guarded)
    page.goto(server)
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 1
    page.get_by_label("Token", exact=True).fill("wrong")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_selector("#login-problem:not(:empty)")
    assert page.locator("#login-problem").inner_text() == "The server does not accept this token."
    page.get_by_label("Token", exact=True).fill("right")
    page.keyboard.press("Enter")
    page.wait_for_selector("#models tbody tr")
    assert page.locator("dialog[open]").count() == 0
    assert set(asked) == {None, "Bearer wrong", "Bearer right"}
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]


def test_kpis_and_alerts_are_shown_where_the_server_has_them(page: Page, server: str) -> None:
    """The panels appear when the description lists their paths; verdicts are words, not only colours."""
    answer_all(page, paths={"/api/v1/metrics/kpis": {}, "/api/v1/metrics/alerts": {}})
    kpi = {"key": "cpu", "title": "CPU usage", "subject": "", "window": "5m", "unit": "percent"}
    kpis = [
        kpi | {"value": 81.3, "target": 80, "alert": 90, "verdict": "warning"},
        kpi | {"title": "Cost", "subject": "gpt-4o 1", "unit": "usd"}
        | {"value": None, "target": None, "alert": 0.05, "verdict": "unknown"},
        kpi | {"title": "Network", "unit": "bytes_per_second"}
        | {"value": 2048, "target": None, "alert": None, "verdict": "ok"},
        kpi | {"title": "Availability", "subject": "api", "value": 99.899, "target": 99.9}
        | {"alert": 99.9, "verdict": "alert"},
        kpi | {"title": "Availability", "subject": "db", "value": 99.96064, "target": 99.9}
        | {"alert": 99.9, "verdict": "ok"},
        kpi | {"title": "Errors", "unit": "ratio", "value": 0.0500004, "target": 0.01}
        | {"alert": 0.05, "verdict": "alert"},
    ]  # fmt: skip
    answer(page, "kpis", {"kpis": kpis, "verdicts": {"warning": 1}})
    answer(page, "alerts", {"alerts": [{"severity": "critical", "message": "Disk is above 90 %"}], "total": 1})
    page.goto(server)
    page.wait_for_selector("#kpi-rows tr")
    page.wait_for_selector("#alert-list li")
    assert texts(page, "#kpi-rows tr > *") == [
        "CPU usage", "81.3 %", "80 %", "90 %", "warning",
        "Cost gpt-4o 1", "–", "none", "$0.05", "unknown",
        "Network", "2 KiB/s", "none", "none", "ok",
        "Availability api", "99.899 %", "99.9 %", "99.9 %", "alert",
        "Availability db", "99.96 %", "99.9 %", "99.9 %", "ok",
        "Errors", "5.00004 %", "1 %", "5 %", "alert",
    ]  # fmt: skip
    assert texts(page, "#alert-list li") == ["critical Disk is above 90 %"]
    assert texts(page, "#status") == ["critical, 1 down, 1 alert"]
    assert page.said == []  # type: ignore[attr-defined]


def test_a_health_that_is_not_judged_yet_says_so(page: Page, server: str) -> None:
    """The score of a model of few calls stands there with what it lacks; that of one that is judged stands alone."""
    answer_all(page, paths={"/api/v1/metrics/kpis": {}})
    model: dict[str, Any] = MODEL | {"health_score": 100.0}
    models = [model | {"model_name": name} for name in ("new", "old")]
    answer(page, "ai/models", {"models": models, "total_models": 2, "total_inferences": 3})
    kpi: dict[str, Any] = {
        "key": "health_score",
        "title": "Health score",
        "window": "24h",
        "unit": "points",
        "target": 90,
        "alert": 80,
    }
    lacks = "needs 20 calls; there are 2 so far"
    kpis = [
        kpi | {"subject": "new 2024-08-06", "value": 100.0, "verdict": "unknown", "missing": lacks},
        kpi | {"subject": "old 2024-08-06", "value": 100.0, "verdict": "ok", "missing": ""},
    ]
    answer(page, "kpis", {"kpis": kpis, "verdicts": {}})
    page.goto(server)
    page.wait_for_selector("#models td small")
    assert texts(page, "#models tbody td:last-child") == ["100 not enough calls", "100"]
    assert page.locator("#models td small").get_attribute("title") == lacks


def test_it_works_below_a_prefix(page: Page, server: str) -> None:
    """Every address of the page is relative, so it asks below the prefix it was loaded from."""
    asked: list[str] = []

    def below(route: Route) -> None:
        path = route.request.url.removeprefix(server)
        asked.append(path)
        route.fulfill(response=route.fetch(url=server + path.removeprefix("measure/")))

    page.route(server + "measure/**", below)
    page.goto(server + "measure/")
    page.wait_for_selector("#models-empty:not([hidden])")
    assert {path for path in asked if not path.startswith("measure/")} == set()
    assert {"measure/static/app.js", "measure/api/v1/metrics/ai/models"} <= set(asked)


def test_it_follows_the_colours_of_the_system(page: Page, server: str) -> None:
    """A dark system gets a dark page, also when it turns dark while the page is open."""
    answer_all(page)
    page.goto(server)
    page.wait_for_selector("#models tbody tr")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert (light, page.evaluate("getComputedStyle(document.body).backgroundColor")) == (
        "rgb(245, 246, 248)",
        "rgb(17, 20, 25)",
    )
    assert page.said == []  # type: ignore[attr-defined]


def test_nothing_is_written_as_markup() -> None:
    """No script of ours puts strings into the page as markup or runs strings."""
    for script in ("app.js", "format.js", "questions.js"):
        source = (STATIC / script).read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=|https?://", (STATIC / "index.html").read_text("utf-8"))
