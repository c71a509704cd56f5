"""What joins the domains: every KPI with its verdict, the alerts, and all of it on one page."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec

from exporter.http.query import EnvironmentQuery
from exporter.http.types import API, AnyRoute, Call, NoBody, get
from otel_measure.ai.reports import Models
from otel_measure.alerting.report import RuleAlerts
from otel_measure.judging.alerts import Alert, alerts
from otel_measure.judging.scorecard import Reading, Scorecard, scorecard
from otel_measure.users.reports import UsersSummary


class Dashboard(msgspec.Struct, frozen=True):
    """The three domains, every KPI and what fires; `users` is null without a store."""

    infrastructure: dict[str, Any]
    ai: Models
    users: UsersSummary | None
    kpis: tuple[Reading, ...]
    alerts: tuple[Alert, ...]


class AlertsOfAll(msgspec.Struct, frozen=True):
    """The KPIs beyond their alert threshold now, and how the alerts of rules stand."""

    alerts: tuple[Alert, ...]
    evaluated: int
    unknown: int
    timestamp: dt.datetime
    environment: str
    rules: RuleAlerts


def kpis(call: Call[EnvironmentQuery, NoBody]) -> Scorecard:
    """Answer how everything stands against its KPIs."""
    return scorecard(call.runtime.overview(environment=call.query.environment))


def fired(call: Call[EnvironmentQuery, NoBody]) -> AlertsOfAll:
    """Answer what fires now."""
    runtime = call.runtime
    of_kpis = alerts(scorecard(runtime.overview(environment=call.query.environment)))
    return AlertsOfAll(
        of_kpis.alerts,
        of_kpis.evaluated,
        of_kpis.unknown,
        of_kpis.timestamp,
        of_kpis.environment,
        runtime.rule_alerts(environment=of_kpis.environment),
    )


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
        "What is beyond its alert threshold now", "The alerts, each a sentence; of rules also what happened.",
    ),
)  # fmt: skip
