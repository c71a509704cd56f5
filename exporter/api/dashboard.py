"""What joins the domains: every KPI with its verdict, the alerts, and all of it on one page."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from exporter.http.query import EnvironmentQuery
from exporter.http.types import API, AnyRoute, Call, NoBody, get
from otel_measure.ai.reports import Models
from otel_measure.judging.alerts import Alert, Alerts, alerts
from otel_measure.judging.scorecard import Reading, Scorecard, scorecard
from otel_measure.users.reports import UsersSummary


class Dashboard(msgspec.Struct, frozen=True):
    """The three domains, every KPI and what fires; `users` is null without a store."""

    infrastructure: dict[str, Any]
    ai: Models
    users: UsersSummary | None
    kpis: tuple[Reading, ...]
    alerts: tuple[Alert, ...]


def kpis(call: Call[EnvironmentQuery, NoBody]) -> Scorecard:
    """Answer how everything stands against its KPIs."""
    return scorecard(call.runtime.overview(environment=call.query.environment))


def fired(call: Call[EnvironmentQuery, NoBody]) -> Alerts:
    """Answer what fires now."""
    return alerts(scorecard(call.runtime.overview(environment=call.query.environment)))


def dashboard(call: Call[EnvironmentQuery, NoBody]) -> Dashboard:
    """Answer everything at once, from one reading of everything."""
    overview = call.runtime.overview(environment=call.query.environment)
    card = scorecard(overview)
    users = overview.users.summary if overview.users is not None else None
    return Dashboard(overview.machine, overview.models, users, card.kpis, alerts(card).alerts)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        f"{API}/dashboard", dashboard, EnvironmentQuery,
        "The three domains, every KPI and what fires", "Everything a dashboard shows.",
    ),
    get(
        f"{API}/kpis", kpis, EnvironmentQuery,
        "Every KPI with value, target, alert threshold and verdict", "The scorecard.",
    ),
    get(
        f"{API}/alerts", fired, EnvironmentQuery,
        "What is beyond its alert threshold now", "The alerts, each a sentence.",
    ),
)  # fmt: skip
