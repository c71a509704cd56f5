"""What joins the domains: every KPI with its verdict, the alerts, and all of it on one page."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any, Final

import msgspec

from exporter.http.query import PageQuery
from exporter.http.types import API, AnyRoute, Call, NoBody, NoQuery, get
from otel_measure.ai.reports import Models
from otel_measure.alerting.report import RuleAlerts
from otel_measure.definitions.verdicts import Verdict
from otel_measure.definitions.windows import CountedBy
from otel_measure.judging.alerts import Alert, alerts
from otel_measure.judging.environments import Environments
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import page_of
from otel_measure.judging.status import Status
from otel_measure.users.reports import UsersSummary


class Dashboard(msgspec.Struct, frozen=True):
    """The three domains, every KPI and what fires; `users` is null without a store.

    Of models, KPIs and alerts there is a page each; how many there are stands in `ai`, `total_kpis` and `total_alerts`.
    """

    infrastructure: dict[str, Any]
    ai: Models
    users: UsersSummary | None
    kpis: tuple[Reading, ...]
    total_kpis: int
    alerts: tuple[Alert, ...]
    total_alerts: int


class KpiPage(msgspec.Struct, frozen=True):
    """A page of the readings; `total` and `verdicts` count all of them."""

    kpis: tuple[Reading, ...]
    total: int
    verdicts: dict[Verdict, int]
    timestamp: dt.datetime
    definitions: CountedBy
    environment: str


class AlertsOfAll(msgspec.Struct, frozen=True):
    """A page of the KPIs beyond their alert threshold now, of `total`, and how the alerts of rules stand."""

    alerts: tuple[Alert, ...]
    total: int
    evaluated: int
    unknown: int
    timestamp: dt.datetime
    environment: str
    rules: RuleAlerts


def kpis(call: Call[PageQuery, NoBody]) -> KpiPage:
    """Answer how everything stands against its KPIs."""
    query, runtime = call.query, call.runtime
    card = runtime.scorecard(runtime.overview(environment=query.environment))
    page = page_of(card.kpis, query.limit, query.offset)
    return KpiPage(page, len(card.kpis), card.verdicts, card.timestamp, card.definitions, card.environment)


def fired(call: Call[PageQuery, NoBody]) -> AlertsOfAll:
    """Answer what fires now."""
    query, runtime = call.query, call.runtime
    of_kpis = alerts(runtime.scorecard(runtime.overview(environment=query.environment)))
    return AlertsOfAll(
        page_of(of_kpis.alerts, query.limit, query.offset),
        len(of_kpis.alerts),
        of_kpis.evaluated,
        of_kpis.unknown,
        of_kpis.timestamp,
        of_kpis.environment,
        runtime.rule_alerts(environment=of_kpis.environment),
    )


def environments(call: Call[NoQuery, NoBody]) -> Environments:
    """Answer which environments and services there are to ask about."""
    return call.runtime.environments()


def status(call: Call[PageQuery, NoBody]) -> Status:
    """Answer with the worst of everything in a sentence, and a page of what fires."""
    query, runtime = call.query, call.runtime
    told = runtime.status(runtime.overview(environment=query.environment))
    return replace(told, firing=told.firing[query.offset : query.offset + query.limit])


def dashboard(call: Call[PageQuery, NoBody]) -> Dashboard:
    """Answer everything at once, from one reading of everything."""
    query, runtime = call.query, call.runtime
    overview = runtime.overview(environment=query.environment)
    card = runtime.scorecard(overview)
    firing = alerts(card).alerts
    models = overview.models.models[query.offset : query.offset + query.limit]
    users = overview.users.summary if overview.users is not None else None
    return Dashboard(
        overview.machine,
        replace(overview.models, models=models),
        users,
        page_of(card.kpis, query.limit, query.offset),
        len(card.kpis),
        page_of(firing, query.limit, query.offset),
        len(firing),
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        f"{API}/dashboard", dashboard, PageQuery,
        "The three domains, every KPI and what fires", "Everything a dashboard shows.",
    ),
    get(
        f"{API}/environments", environments, NoQuery,
        "Which environments and services there are", "What `environment` and `service` of other questions may be.",
    ),
    get(
        f"{API}/status", status, PageQuery,
        "The worst of everything in a sentence, and what fires", "One sentence, and the alerts of rules and KPIs.",
    ),
    get(
        f"{API}/kpis", kpis, PageQuery,
        "Every KPI with value, target, alert threshold and verdict", "The scorecard.",
    ),
    get(
        f"{API}/alerts", fired, PageQuery,
        "What is beyond its alert threshold now", "The alerts, each a sentence; of rules also what happened.",
    ),
)  # fmt: skip
