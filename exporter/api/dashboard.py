"""What joins the domains: every KPI with its verdict, the alerts, and all of it on one page."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec

from exporter.http.lists import Listing
from exporter.http.query import EnvironmentQuery
from exporter.http.types import API, AnyRoute, Call, NoBody, get
from otel_measure.ai.model_pages import SEARCHED
from otel_measure.ai.reports import Models
from otel_measure.alerting.report import RuleAlerts
from otel_measure.definitions.verdicts import Verdict
from otel_measure.definitions.windows import CountedBy
from otel_measure.judging.alerts import Alert, alerts
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import page_of
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


def kpis(call: Call[EnvironmentQuery, NoBody]) -> KpiPage:
    """Answer how everything stands against its KPIs."""
    runtime = call.runtime
    card = runtime.scorecard(runtime.overview(environment=call.query.environment))
    return KpiPage(card.kpis, len(card.kpis), card.verdicts, card.timestamp, card.definitions, card.environment)


def fired(call: Call[EnvironmentQuery, NoBody]) -> AlertsOfAll:
    """Answer what fires now."""
    runtime = call.runtime
    of_kpis = alerts(runtime.scorecard(runtime.overview(environment=call.query.environment)))
    return AlertsOfAll(
        of_kpis.alerts,
        len(of_kpis.alerts),
        of_kpis.evaluated,
        of_kpis.unknown,
        of_kpis.timestamp,
        of_kpis.environment,
        runtime.rule_alerts(environment=of_kpis.environment),
    )


def dashboard(call: Call[EnvironmentQuery, NoBody]) -> Dashboard:
    """Answer everything at once, from one reading of everything."""
    runtime = call.runtime
    overview = runtime.overview(environment=call.query.environment)
    card = runtime.scorecard(overview)
    firing = alerts(card).alerts
    users = overview.users.summary if overview.users is not None else None
    return Dashboard(overview.machine, overview.models, users, card.kpis, len(card.kpis), firing, len(firing))


# Of each KPI the worst stand on the first page.
_KPIS: Final = Listing("kpis", ("title", "subject", "verdict"), first=page_of)
_OF_RULES: Final = ("title", "subject.name", "sentence", "cause")
_OF_KPIS: Final = Listing("alerts", ("subject", "message"), first=page_of)

ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        f"{API}/dashboard", dashboard, EnvironmentQuery,
        "The three domains, every KPI and what fires", "Everything a dashboard shows.",
        lists=(Listing("ai.models", SEARCHED), _KPIS, _OF_KPIS),
    ),
    get(
        f"{API}/kpis", kpis, EnvironmentQuery,
        "Every KPI with value, target, alert threshold and verdict", "The scorecard.",
        lists=(_KPIS,),
    ),
    get(
        f"{API}/alerts", fired, EnvironmentQuery,
        "What is beyond its alert threshold now", "The alerts, each a sentence; of rules also what happened.",
        lists=(
            _OF_KPIS,
            Listing("rules.active", _OF_RULES),
            Listing("rules.recent", _OF_RULES),
            Listing("rules.silences", ("rule", "subject", "reason")),
        ),
    ),
)  # fmt: skip
