"""What joins the domains: every KPI with its verdict, the alerts, and all of it on one page."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec

from exporter.http.lists import Listed, Listing, ListTotal, asked_of
from exporter.http.query import ChangesQuery, EnvironmentQuery
from exporter.http.types import API, AnyRoute, Call, NoBody, NoQuery, get
from otel_measure.ai.model_pages import SEARCHED
from otel_measure.ai.reports import Models, Snapshot
from otel_measure.definitions.columns import columns_of
from otel_measure.definitions.verdicts import Verdict
from otel_measure.definitions.windows import CountedBy
from otel_measure.judging.alerts import Alert, Alerts
from otel_measure.judging.changes import Changes
from otel_measure.judging.environments import Environments
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import page_of
from otel_measure.judging.status import Status
from otel_measure.users.reports import UsersSummary


class Dashboard(msgspec.Struct, frozen=True):
    """The three domains, every KPI and what fires; `users` is null without a store.

    Of models, KPIs and alerts there is a page each.
    """

    infrastructure: dict[str, Any]
    ai: Models
    users: UsersSummary | None
    kpis: tuple[Reading, ...]
    alerts: tuple[Alert, ...]


class KpiPage(msgspec.Struct, frozen=True):
    """A page of the readings; `verdicts` counts all of them."""

    kpis: tuple[Reading, ...]
    verdicts: dict[Verdict, int]
    timestamp: dt.datetime
    definitions: CountedBy
    environment: str


def kpis(call: Call[EnvironmentQuery, NoBody]) -> KpiPage:
    """Answer how everything stands against its KPIs."""
    runtime = call.runtime
    card = runtime.scorecard(runtime.overview(environment=call.query.environment))
    return KpiPage(card.kpis, card.verdicts, card.timestamp, card.definitions, card.environment)


def fired(call: Call[EnvironmentQuery, NoBody]) -> Alerts:
    """Answer what fires now."""
    runtime = call.runtime
    return runtime.alerts_now(runtime.scorecard(runtime.overview(environment=call.query.environment)))


def changes(call: Call[ChangesQuery, NoBody]) -> Changes:
    """Answer what changed beyond chance."""
    return call.runtime.changes(call.query.window, service=call.query.service, environment=call.query.environment)


def environments(call: Call[NoQuery, NoBody]) -> Environments:
    """Answer which environments and services there are to ask about."""
    return call.runtime.environments()


def status(call: Call[EnvironmentQuery, NoBody]) -> Status:
    """Answer with the worst of everything in a sentence, and what fires."""
    runtime = call.runtime
    return runtime.status(runtime.overview(environment=call.query.environment))


def dashboard(call: Call[EnvironmentQuery, NoBody]) -> Listed[Dashboard]:
    """Answer everything at once, from one reading; of the models only those of the page are more than judged."""
    runtime, environment = call.runtime, call.query.environment
    page = asked_of(call.page, _MODELS.key, [column.name for column in columns_of(Snapshot) if column.is_scalar])
    judged, models, *counts = runtime.ai.judged_and_page(page, environment=environment)
    overview = runtime.overview(environment=environment, models=judged)
    card = runtime.scorecard(overview)
    firing = runtime.alerts_now(card).alerts
    users = overview.users.summary if overview.users is not None else None
    answer = Dashboard(overview.machine, models, users, card.kpis, firing)
    return Listed(answer, {_MODELS.key: ListTotal(*counts)})


_MODELS: Final = Listing("ai.models", SEARCHED)
# Of each KPI the worst stand on the first page.
_KPIS: Final = Listing("kpis", ("title", "subject", "verdict"), first=page_of)
_OF_KPIS: Final = Listing("alerts", ("subject", "message"), first=page_of)
_OF_RULES: Final = ("title", "subject.name", "sentence", "cause")

ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        f"{API}/dashboard", dashboard, EnvironmentQuery,
        "The three domains, every KPI and what fires", "Everything a dashboard shows.",
        lists=(_MODELS, _KPIS, _OF_KPIS),
    ),
    get(
        f"{API}/changes", changes, ChangesQuery,
        "What changed against the time before", "What is beyond chance after all that was compared, and 20 % or more.",
        lists=(Listing("changes", ("subject", "key")),),
    ),
    get(
        f"{API}/environments", environments, NoQuery,
        "Which environments and services there are", "What `environment` and `service` of other questions may be.",
        lists=(Listing("environments", ("name", "services")),),
    ),
    get(
        f"{API}/status", status, EnvironmentQuery,
        "The worst of everything in a sentence, and what fires", "One sentence, and the alerts of rules and KPIs.",
        lists=(Listing("firing", ("subject", "sentence", "cause", "rule", "kpi")),),
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
