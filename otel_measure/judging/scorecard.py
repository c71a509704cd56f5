"""How everything stands against its KPIs: what joins the domains on one page, and the alerts that follow.

A KPI has one reading per subject (a model, a watched service), and one without a subject where nothing is there to be
read yet, so that every KPI is always on the page. Alerts are evaluated when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import nan
from typing import Final, Literal, NamedTuple, Protocol

from otel_measure.ai.reports import Models
from otel_measure.ai.reports import Snapshot as ModelSnapshot
from otel_measure.definitions.kpis import BY_KEY, KPIS, Kpi, Verdict, format_value, judge, with_target
from otel_measure.errors import NoStore
from otel_measure.infrastructure.availability import Availability
from otel_measure.records.enums import DriftStatus
from otel_measure.users.reports import Conversion, Engagement, Nps, Retention

_ALERT_FOR_S: Final = BY_KEY["cpu_usage_percent"].alert_for_s
_WORST_FIRST: Final[tuple[Verdict, ...]] = ("alert", "warning", "ok", "unknown")


@dataclass(frozen=True, slots=True)
class Reading:
    """One KPI of one subject; `value` is `nan` and `verdict` "unknown" where there is no evidence."""

    key: str
    domain: str
    title: str
    unit: str
    subject: str
    value: float
    target: float | None
    alert: float | None
    verdict: Verdict
    window: str
    alert_rule: str


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Every reading, in the order of the KPI table, worst subject first; `verdicts` counts them."""

    kpis: tuple[Reading, ...]
    verdicts: dict[Verdict, int]
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """A KPI beyond its alert threshold, as a sentence for the person who is woken."""

    key: str
    domain: str
    subject: str
    value: float
    threshold: float
    rule: str
    message: str
    severity: Literal["critical"] = "critical"


@dataclass(frozen=True, slots=True)
class Alerts:
    """What fires now; `evaluated` readings were looked at, `unknown` of them had no evidence."""

    alerts: tuple[Alert, ...]
    evaluated: int
    unknown: int
    timestamp: datetime


class _Value(NamedTuple):
    key: str
    value: float
    subject: str = ""
    evidence: int | None = None
    at_worst: Verdict = "alert"  # what the value alone may mean, where more is needed than a value
    own_target: float | None = None


class Machine(Protocol):
    """What a scorecard asks about the machine."""

    def get_metrics_summary(self) -> dict[str, object]:
        """Return the machine at a glance."""

    def list_availability(self) -> Iterable[Availability]:
        """Return the availability of every registered service."""

    def observed_seconds(self) -> float:
        """Return how much of the last 5 minutes was seen."""


class ModelQuestions(Protocol):
    """What a scorecard asks about models."""

    def list_models(self) -> Models:
        """Return every model."""


class UserQuestions(Protocol):
    """What a scorecard asks about users."""

    def get_engagement_metrics(self, window: str = "30d", *, as_of: date | None = None) -> Engagement:
        """Return how engaged users are."""

    def get_conversion_metrics(
        self, conversion_event: str = "conversion", window: str = "30d", *, as_of: date | None = None
    ) -> Conversion:
        """Return who converted."""

    def get_retention_metrics(self) -> Retention:
        """Return who came back."""

    def get_nps_metrics(self) -> Nps:
        """Return who recommends."""


def readings(machine: Machine, models: ModelQuestions, users: UserQuestions, today: date) -> tuple[Reading, ...]:
    """Return every KPI; without a store those of users are unknown.

    Args:
        machine: the infrastructure service.
        models: the model service.
        users: the user service.
        today: the current local day.
    """
    found: dict[str, list[Reading]] = {kpi.key: [] for kpi in KPIS}
    for value in (*_machine(machine), *_models(models.list_models()), *_users(users, today)):
        found[value.key].append(_reading(BY_KEY[value.key], value))
    for kpi in KPIS:
        found[kpi.key].sort(key=lambda one: (_WORST_FIRST.index(one.verdict), one.subject))
    return tuple(one for kpi in KPIS for one in found[kpi.key] or [_reading(kpi, _Value(kpi.key, nan))])


def scorecard(found: tuple[Reading, ...], now: datetime) -> Scorecard:
    """Count the verdicts of the readings."""
    counted = Counter(reading.verdict for reading in found)
    return Scorecard(found, {verdict: counted[verdict] for verdict in _WORST_FIRST}, now)


def alerts(found: tuple[Reading, ...], now: datetime) -> Alerts:
    """Return the alerts that fire."""
    firing = tuple(_alert(reading) for reading in found if reading.verdict == "alert")
    return Alerts(firing, len(found), sum(reading.verdict == "unknown" for reading in found), now)


def _reading(kpi: Kpi, given: _Value) -> Reading:
    kpi = with_target(kpi, given.own_target)
    verdict = judge(kpi, given.value, evidence=given.evidence)
    if _WORST_FIRST.index(verdict) < _WORST_FIRST.index(given.at_worst):
        verdict = given.at_worst
    return Reading(
        kpi.key,
        kpi.domain,
        kpi.title,
        kpi.unit,
        given.subject,
        given.value,
        kpi.target,
        kpi.alert,
        verdict,
        kpi.window,
        kpi.alert_rule,
    )


def _alert(reading: Reading) -> Alert:
    kpi = BY_KEY[reading.key]
    threshold = nan if reading.alert is None else reading.alert
    side = "above" if kpi.direction == "below" else "below"
    of = f" of {reading.subject}" if reading.subject else ""
    return Alert(
        reading.key,
        reading.domain,
        reading.subject,
        reading.value,
        threshold,
        reading.alert_rule,
        f"{reading.title}{of} is {format_value(kpi, reading.value)}, {side} {format_value(kpi, threshold)}",
    )


# ---------------------------------------------------------------- where each value comes from


def _machine(machine: Machine) -> Iterator[_Value]:
    found = machine.get_metrics_summary()
    cpu, memory, disk, network = (_section(found, name) for name in ("cpu", "memory", "disk", "network"))
    # "for 5 minutes" needs 5 minutes seen; before that a high average is a warning.
    at_worst: Verdict = "alert" if machine.observed_seconds() >= 0.9 * _ALERT_FOR_S else "warning"
    yield _Value("cpu_usage_percent", cpu["average_percent"], at_worst=at_worst)
    yield _Value("memory_usage_percent", memory["average_percent"], at_worst=at_worst)
    yield _Value("disk_usage_percent", disk["used_percent"])
    yield _Value(
        "network_throughput_bytes_per_second", network["sent_bytes_per_second"] + network["received_bytes_per_second"]
    )
    with suppress(NoStore):
        for service in machine.list_availability():
            yield _Value("availability_percent", service.availability_percent, service.service_name)


def _section(summary: dict[str, object], name: str) -> dict[str, float]:
    section = summary[name]
    return section if isinstance(section, dict) else {}


def _models(found: Models) -> Iterator[_Value]:
    for model in found.models:
        subject = f"{model.model_name} {model.model_version}"
        for key, value in _model(model):
            yield _Value(key, value, subject, at_worst=_at_worst(key, model), own_target=model.targets.get(key))


def _at_worst(key: str, model: ModelSnapshot) -> Verdict:
    """Return "ok" for a drift score whose own detector has looked and found nothing: it is chance."""
    calm = model.drift is not None and model.drift.drift_status is DriftStatus.NO_DRIFT
    return "ok" if calm and key == "drift_score" else "alert"


def _model(model: ModelSnapshot) -> Iterator[tuple[str, float]]:
    yield "latency_p95_ms", model.latency.p95_ms
    yield "cost_per_request_usd", model.cost.per_request_usd
    yield "error_rate", model.errors.rate
    yield "health_score", model.health_score
    if model.accuracy is not None:
        yield "accuracy", model.accuracy.accuracy
    if model.drift is not None:
        yield "drift_score", model.drift.drift_score
        yield "data_quality", model.drift.data_quality_score


def _users(users: UserQuestions, today: date) -> Iterator[_Value]:
    try:
        engagement = users.get_engagement_metrics()
    except NoStore:
        return
    yield _Value("stickiness", engagement.stickiness)
    yield _Value("bounce_rate", engagement.bounce_rate)
    yield _Value("conversion_rate", users.get_conversion_metrics().conversion_rate)
    yield _Value("day_7_retention", users.get_retention_metrics().day_7_retention)
    yield _Value("nps_score", users.get_nps_metrics().nps_score)
    yield _dau_drop(users, today - timedelta(days=1))
    yield _conversion_drop(users, today - timedelta(days=1))


def _dau_drop(users: UserQuestions, last_day: date) -> _Value:
    """The last complete day against the same weekday a week before."""
    before = users.get_engagement_metrics(as_of=last_day - timedelta(days=7)).dau
    now = users.get_engagement_metrics(as_of=last_day).dau
    return _Value("dau_drop", 1 - now / before if before else nan, evidence=before)


def _conversion_drop(users: UserQuestions, last_day: date) -> _Value:
    """The last 7 complete days against the 7 before."""
    before = users.get_conversion_metrics(window="7d", as_of=last_day - timedelta(days=7))
    now = users.get_conversion_metrics(window="7d", as_of=last_day)
    drop = 1 - now.conversion_rate / before.conversion_rate if before.conversion_rate else nan
    return _Value("conversion_drop", drop, evidence=min(before.entered_users, now.entered_users))
