"""What joins the domains: every KPI with its verdict, the alerts, and all of it on one page."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from exporter.http.types import API, AnyRoute, Call, NoBody, NoQuery, get
from otel_measure.ai.reports import Models
from otel_measure.errors import NoStore
from otel_measure.judging.scorecard import Alert, Alerts, Reading, Scorecard
from otel_measure.users.reports import UsersSummary


class Dashboard(msgspec.Struct, frozen=True):
    """The three domains, every KPI and what fires; `users` is null without a store."""

    infrastructure: dict[str, Any]
    ai: Models
    users: UsersSummary | None
    kpis: tuple[Reading, ...]
    alerts: tuple[Alert, ...]


def kpis(call: Call[NoQuery, NoBody]) -> Scorecard:
    """Answer how everything stands against its KPIs."""
    return call.runtime.scorecard()


def alerts(call: Call[NoQuery, NoBody]) -> Alerts:
    """Answer what fires now."""
    return call.runtime.alerts()


def dashboard(call: Call[NoQuery, NoBody]) -> Dashboard:
    """Answer everything at once."""
    runtime = call.runtime
    try:
        users = runtime.users.get_users_summary()
    except NoStore:
        users = None
    return Dashboard(
        runtime.infrastructure.get_metrics_summary(),
        runtime.ai.list_models(),
        users,
        runtime.scorecard().kpis,
        runtime.alerts().alerts,
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        f"{API}/dashboard", dashboard, NoQuery,
        "The three domains, every KPI and what fires", "Everything a dashboard shows.",
    ),
    get(f"{API}/kpis", kpis, NoQuery, "Every KPI with value, target, alert threshold and verdict", "The scorecard."),
    get(f"{API}/alerts", alerts, NoQuery, "What is beyond its alert threshold now", "The alerts, each a sentence."),
)  # fmt: skip
