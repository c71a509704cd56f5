"""What the API tells the page in its tests, and how a test waits for what the page makes of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from exporter.api import ROUTES
from otel_measure.ai.model_pages import SEARCHED
from otel_measure.definitions.columns import Column
from otel_measure.definitions.pages import Page as PageAsked
from otel_measure.definitions.pages import rows_of

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

API: Final = "**/api/v1/metrics/"
NOTHING: dict[str, Any] = {
    "active": [],
    "silenced": 0,
    "recent": [],
    "silences": [],
    "evaluated": None,
}
ALERTS: dict[str, Any] = {
    "alerts": [],
    "rules": NOTHING,
    "environment": "",
    "timestamp": "2026-01-31T12:00:00Z",
}
STATUS: dict[str, Any] = {
    "look": "good", "sentence": "No alert fires.", "firing": [], "verdicts": {}, "evaluated": None,
    "timestamp": "2026-01-31T12:00:00Z", "definitions": "current", "environment": "",
}  # fmt: skip
MODEL: dict[str, Any] = {
    "model_name": "gpt-4o", "model_version": "2024-08-06", "model_type": "nlp_generation", "health_score": None,
    "latency": {"p50_ms": 42.25, "p95_ms": 1234.5}, "cost": {"total_usd": 0.005, "priced_ratio": 0.9949},
    "errors": {"count": 1, "rate": 0.005}, "inference_count": 1234, "drift": None,
}  # fmt: skip
KPI: dict[str, Any] = {
    "key": "cpu_usage_percent", "domain": "infrastructure", "title": "CPU usage", "subject": "", "window": "5m",
    "unit": "percent", "value": 50.0, "target": 80, "alert": 90, "verdict": "ok", "missing": "",
}  # fmt: skip
FIRED: dict[str, Any] = {
    "rule": "model_errors", "kpi": "error_rate", "severity": "page", "kind": "model", "subject": "gpt-4o",
    "environment": "", "version": "1", "evidence": 20, "also": ["model_latency", "health_score"], "told": [],
    "docs": "https://measure.example.com/#/rules/model_errors",
    "sentence": "Half of the calls of gpt-4o 1 fail.", "cause": "rate limits", "value": 0.5, "threshold": 0.05,
    "since": "2026-01-31T11:00:00Z",
}  # fmt: skip
ABOVE: dict[str, Any] = {
    "rule": "", "kpi": "disk_usage_percent", "severity": "critical", "kind": "host", "subject": "web-1",
    "environment": "", "version": "", "evidence": 0, "also": [], "told": [],
    "docs": "https://measure.example.com/#/rules/host_disk",
    "sentence": "Disk usage is 95 %, above 90 %", "cause": "Disk > 90 %", "value": 95.0, "threshold": 90.0,
    "since": None,
}  # fmt: skip


def answer(page: Page, path: str, data: Any, status: int = 200, total: int | None = None) -> None:
    """Let the page get `data` for a path of the API, whatever the question narrows it to; `total` of its first list."""
    body: dict[str, Any] = {"status": "error", "message": data}
    if status == 200:
        body = {"status": "success", "data": data, "lists": lists_of(path, data)}
        if total is not None:
            next(iter(body["lists"].values())).update(total=total, matched=total)
    page.route(re.compile(rf"/api/v1/metrics/{re.escape(path)}(\?|$)"), lambda route: fulfill(route, body, status))


def lists_of(path: str, data: Any) -> dict[str, dict[str, int]]:
    """Return how long the lists of an answer are, as its envelope says it."""
    keys = [each.key for route in ROUTES if route.path == f"/api/v1/metrics/{path}" for each in route.lists]
    lengths = {key: len(reduce(lambda part, name: part[name], key.split("."), data)) for key in keys}
    return {key: {"total": length, "matched": length} for key, length in lengths.items()}


def fulfill(route: Route, body: object, status: int) -> None:
    """Give an answer of our own."""
    route.fulfill(status=status, content_type="application/json", body=json.dumps(body))


def answer_models(page: Page, *models: dict[str, Any]) -> None:
    """Let the page get some models, the part of them that it asks for."""

    def part(route: Route) -> None:
        asked = dict(parse_qsl(urlsplit(route.request.url).query))
        wanted = PageAsked(
            int(asked["limit"]), int(asked.get("offset", "0")), asked.get("sort", ""), asked.get("q", "")
        )
        rows, total, matched = rows_of(models, wanted, map(Column, {*SEARCHED, wanted.column} - {""}), SEARCHED)
        data = {"models": list(rows), "total_inferences": 1}
        lists = {"models": {"total": total, "matched": matched}}
        fulfill(route, {"status": "success", "data": data, "lists": lists}, 200)

    page.route(re.compile(r"/api/v1/metrics/ai/models\?"), part)


def texts(page: Page, selector: str) -> list[str]:
    """Return what stands in some elements, as a person reads it."""
    return [re.sub(r"\s+", " ", text).strip() for text in page.locator(selector).all_inner_texts()]


def eventually(page: Page, holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait until something holds; Playwright tells of requests only while it is waited by its own means."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
