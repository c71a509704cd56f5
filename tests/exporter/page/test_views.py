"""What each view of the page shows, in a real browser, for answers of ours."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.app import ROUTES
from tests.exporter.page.answers import (
    ABOVE,
    ALERTS,
    FIRED,
    KPI,
    MODEL,
    STATUS,
    answer,
    answer_models,
    eventually,
    texts,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.e2e


def test_an_empty_system_says_what_to_do(page: Page, server: str) -> None:
    """Against a fresh server the page is calm, and the lines that it offers are of this very server."""
    answer(page, "status", STATUS)  # the machine of the test may be busy enough to fire
    page.goto(server)
    page.wait_for_selector(".empty .snippet")
    page.wait_for_selector("#status:has-text('nothing fires')")
    assert texts(page, ".snippet .name") == ["curl", "OpenTelemetry"]
    line, variables = page.locator(".snippet code").all_inner_texts()
    assert line.startswith(f"curl -X POST {server}api/v1/metrics/ai/inferences/record \\\n")
    body = re.search(r"-d '(.*)'", line)
    assert body is not None
    assert json.loads(body[1]) == {
        "model_name": "gpt-4", "model_version": "1.0", "latency_ms": 150.5, "input_tokens": 100, "output_tokens": 200
    }  # fmt: skip
    assert variables == (
        f"export OTEL_EXPORTER_OTLP_ENDPOINT={server.rstrip('/')}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
    )
    assert page.said == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("view", ["models", "spending", "agents", "users", "experiments", "services", "senders"])
def test_an_empty_view_says_what_to_do(page: Page, server: str, view: str) -> None:
    """An empty view gives a line that writes into the store of this server, as its routes want it."""
    page.goto(f"{server}#/{view}")
    page.wait_for_selector(".empty .snippet")
    snippets = page.locator(".snippet code").all_inner_texts()
    assert any(server.rstrip("/") in code for code in snippets)
    for line in snippets:
        if told := re.search(rf"-X POST {server.rstrip('/')}(\S+) .* -d '(.*)'", line, re.DOTALL):
            (route,) = [row for row in ROUTES if (row.method, row.path) == ("POST", told[1])]
            msgspec.json.decode(told[2], type=route.body)
    assert page.said == []  # type: ignore[attr-defined]


def test_an_example_is_copied(page: Page, server: str) -> None:
    """One click puts an example into the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server}#/models")
    page.get_by_role("button", name="Copy the Python example").click()
    page.get_by_text("Copied").wait_for()
    assert "record_inference" in page.evaluate("navigator.clipboard.readText()")


def test_the_worst_is_said(page: Page, server: str) -> None:
    """The overview says what the server says of everything, and adds no word of its own, such as "healthy"."""
    answer(page, "status", STATUS | {"look": "bad", "sentence": "api and db are down."})
    answer(page, "infrastructure/summary", {"status": "healthy", "platform": "Linux"})
    page.goto(server)
    page.wait_for_selector("#worst.bad")
    assert texts(page, "#worst") == ["api and db are down."]
    assert "healthy" not in page.locator("body").inner_text()


def test_what_fires_is_told(page: Page, server: str) -> None:
    """An alert of a rule stands with its cause and since when, one of a KPI with its threshold; both lead further."""
    answer(page, "status", STATUS | {"firing": [FIRED, ABOVE]})
    answer(page, "alerts", ALERTS)
    page.goto(f"{server}#/alerts")
    page.wait_for_selector(".alerts li")
    first, second = texts(page, ".alerts li")
    assert re.fullmatch(
        r"page Half of the calls of gpt-4o 1 fail\. rate limits · since \d+ d \d+ h"
        r" · also model latency, health score · what to do",
        first,
    )
    assert second == "critical Disk usage is 95 %, above 90 % Disk > 90 % · a KPI beyond its threshold now · what to do"
    links = [link.get_attribute("href") for link in page.locator(".alerts a").all()]
    assert links == ["#/models/gpt-4o/1", "#/rules/model_errors", "#/machines", "#/rules/host_disk"]
    assert texts(page, "#status") == ["2 alerts firing"]


def test_a_flood_of_alerts_is_paged(page: Page, server: str) -> None:
    """Of 100 alerts that fire the server is asked for the 25 that are shown, and all of them are counted."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(f"{server}api/v1/metrics/")))
    fired = [FIRED | {"subject": f"m{n} 1", "sentence": f"m{n} fails."} for n in range(75, 100)]
    answer(page, "status", STATUS | {"firing": fired}, total=100)
    answer(page, "alerts", ALERTS)
    page.goto(f"{server}#/alerts?firing_page=4")
    page.wait_for_selector(".alerts li")
    assert texts(page, ".alerts div > a") == [f"m{n} fails." for n in range(75, 100)]
    assert texts(page, "#status") == ["100 alerts firing"]
    assert "status?limit=25&offset=75" in asked
    page.get_by_role("button", name="Previous").click()
    page.wait_for_url("**/#/alerts?firing_page=3")
    eventually(page, lambda: "status?limit=25&offset=50" in asked)


def test_the_models(page: Page, server: str) -> None:
    """Every figure stands with its unit, and an unknown one is a dash that says so."""
    answer_models(page, MODEL)
    page.goto(f"{server}#/models")
    page.wait_for_selector(".listing tbody tr")
    assert texts(page, ".listing tbody tr > *") == [
        "gpt-4o 2024-08-06 · nlp generation", "1,234", "0.5 %", "42.3 ms", "1.23 s", "$0.005", "99.5 %", "–", "–"
    ]  # fmt: skip
    titles = [dash.get_attribute("aria-label") for dash in page.locator("td abbr.unknown").all()]
    assert titles == ["no inputs were recorded", "unknown"]
    assert page.said == []  # type: ignore[attr-defined]


def test_a_health_that_is_not_judged_yet_says_so(page: Page, server: str) -> None:
    """The score of a model of few calls stands there with what it lacks; that of one that is judged stands alone."""
    answer_models(page, *(MODEL | {"health_score": 100.0, "model_name": name} for name in ("new", "old")))
    kpi = KPI | {"key": "health_score", "value": 100.0}
    lacks = "needs 20 calls; there are 2 so far"
    kpis = [kpi | {"subject": "new 2024-08-06", "missing": lacks}, kpi | {"subject": "old 2024-08-06"}]
    answer(page, "kpis", {"kpis": kpis, "verdicts": {}})
    page.goto(f"{server}#/models")
    page.wait_for_selector("td small")
    assert texts(page, "tbody td:last-child") == ["100 not enough calls", "100"]
    assert page.locator("td small").get_attribute("title") == lacks


def test_the_kpis(page: Page, server: str) -> None:
    """Each stands with value, target, threshold and verdict; verdicts are words, not only colours."""
    kpis = [
        KPI | {"key": "c", "title": "Availability", "subject": "api", "value": 99.899, "target": 99.9}
        | {"alert": 99.9, "verdict": "alert"},
        KPI | {"key": "d", "title": "Errors", "unit": "ratio", "value": 0.0500004, "target": 0.01}
        | {"alert": 0.05, "verdict": "alert"},
        KPI | {"value": 81.3, "verdict": "warning"},
        KPI | {"key": "b", "title": "Network", "unit": "bytes_per_second"}
        | {"value": 2048, "target": None, "alert": None, "verdict": "ok"},
        KPI | {"key": "c", "title": "Availability", "subject": "db", "value": 99.96064, "target": 99.9}
        | {"alert": 99.9, "verdict": "ok"},
        KPI | {"key": "a", "title": "Cost", "subject": "gpt-4o 1", "unit": "usd"}
        | {"value": None, "target": None, "alert": 0.05, "verdict": "unknown", "missing": "needs a call"},
    ]  # fmt: skip
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(f"{server}api/v1/metrics/")))
    answer(page, "kpis", {"kpis": kpis, "verdicts": {"alert": 2, "warning": 1, "ok": 2, "unknown": 1}})
    page.goto(f"{server}#/kpis")
    page.wait_for_selector("tbody tr")
    assert texts(page, "tbody tr > *") == [
        "Availability api", "alert", "99.899 %", "99.9 %", "99.9 %", "5m",
        "Errors", "alert", "5.00004 %", "1 %", "5 %", "5m",
        "CPU usage", "warning", "81.3 %", "80 %", "90 %", "5m",
        "Network", "ok", "2 KiB/s", "none", "none", "5m",
        "Availability db", "ok", "99.96 %", "99.9 %", "99.9 %", "5m",
        "Cost gpt-4o 1", "unknown needs a call", "–", "none", "$0.05", "5m",
    ]  # fmt: skip
    assert texts(page, ".head p") == ["2 alerts, 1 warning, 2 ok, 1 unknown"]
    assert "kpis?sort=verdict&limit=25" in asked  # the worst first


def experiment(**changes: object) -> dict[str, Any]:
    """Return a test as the API tells it."""
    effect = {"absolute": 0.1, "absolute_ci": [-0.02, 0.22], "adjusted_p_value": 0.2}
    told: dict[str, Any] = {
        "test_id": "form", "test_name": "Form", "control_variant": "old", "variant_users": {"old": 150, "new": 151},
        "variant_conversions": {"old": 15, "new": 30}, "variant_conversion_rates": {"old": 0.1, "new": 0.2},
        "variant_conversion_rates_ci": {"old": [0.06, 0.16], "new": [0.14, 0.27]}, "compared_within_hours": 0,
        "compared_users": {"old": 120, "new": 121}, "compared_conversions": {"old": 12, "new": 24},
        "effects": {"new": effect}, "users": 301, "conversions": 45, "crossed_over": 0, "excluded_users": 0,
        "sample_ratio_p_value": 1.0, "sample_ratio_mismatch": False, "p_value": 0.2, "verdict": "no_winner_yet",
        "winner": None, "coverage": 1.0, "created_at": "2026-01-01T00:00:00Z", "stopped_at": None,
        "served_variant": None, "explanation": "", "reasons": [], "needs": None,
    }  # fmt: skip
    return told | changes


def test_a_verdict_is_a_sentence(page: Page, server: str) -> None:
    """The verdict of a test is the sentence of its answer, with what it rests on."""
    answer(page, "experiments/form", experiment(explanation="No winner yet: +10.", reasons=["One.", "Two."]))
    answer(page, "experiments/form/series", "none", 404)
    page.goto(f"{server}#/experiments/form")
    page.wait_for_selector("#verdict")
    assert texts(page, "#verdict") == ["No winner yet: +10."]
    assert texts(page, ".reasons li") == ["One.", "Two."]
    assert texts(page, ".listing tbody tr > *")[:5] == ["old control", "150", "10 %", "6 % to 16 %", "control"]


def test_a_definition_is_one_click_away(page: Page, server: str) -> None:
    """The name of a number leads to its section of the definitions, whose links lead to other sections."""
    answer_models(page, MODEL)
    page.goto(f"{server}#/models")
    page.get_by_role("link", name="Cost", exact=True).click()
    page.wait_for_selector(".prose-page table")
    assert texts(page, ".prose-page h2") == ["Cost"]
    assert "total_usd" in texts(page, ".prose-page tbody th")[0]
    assert page.evaluate("document.documentElement.scrollHeight") < 6000
    assert page.said == []  # type: ignore[attr-defined]
