"""How everything stands against its KPIs.

A KPI has one reading per subject (a model, a watched service), and one without a subject where nothing is there to be
read yet, so that every KPI is always on the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from math import nan
from typing import Any, Final, NamedTuple

from otel_measure.ai.reports import Models
from otel_measure.ai.reports import Snapshot as ModelSnapshot
from otel_measure.definitions.kpis import BY_KEY, KPIS, Kpi, Verdict, judge, with_target
from otel_measure.infrastructure.availability import Availability
from otel_measure.judging.overview import Overview
from otel_measure.records.enums import DriftStatus
from otel_measure.users.reports import CompleteWeek, UsersOverview

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


class _Unjudged(NamedTuple):
    """What a report says of one KPI of one subject."""

    key: str
    value: float
    subject: str = ""
    evidence: int | None = None
    at_worst: Verdict = "alert"  # what the value alone may mean, where more is needed than a value
    own_target: float | None = None


def scorecard(overview: Overview) -> Scorecard:
    """Judge every KPI; without a store those of users are unknown."""
    readings: dict[str, list[Reading]] = {kpi.key: [] for kpi in KPIS}
    for unjudged in _values(overview):
        readings[unjudged.key].append(_reading(BY_KEY[unjudged.key], unjudged))
    for kpi in KPIS:
        readings[kpi.key].sort(key=lambda reading: (_WORST_FIRST.index(reading.verdict), reading.subject))
    kpis = tuple(reading for kpi in KPIS for reading in readings[kpi.key] or [_reading(kpi, _Unjudged(kpi.key, nan))])
    counted = Counter(reading.verdict for reading in kpis)
    return Scorecard(kpis, {verdict: counted[verdict] for verdict in _WORST_FIRST}, overview.timestamp)


def _reading(kpi: Kpi, unjudged: _Unjudged) -> Reading:
    kpi = with_target(kpi, unjudged.own_target)
    verdict = judge(kpi, unjudged.value, evidence=unjudged.evidence)
    if _WORST_FIRST.index(verdict) < _WORST_FIRST.index(unjudged.at_worst):
        verdict = unjudged.at_worst
    return Reading(
        kpi.key,
        kpi.domain,
        kpi.title,
        kpi.unit,
        unjudged.subject,
        unjudged.value,
        kpi.target,
        kpi.alert,
        verdict,
        kpi.window,
        kpi.alert_rule,
    )


# ---------------------------------------------------------------- where each value comes from


def _values(overview: Overview) -> Iterator[_Unjudged]:
    yield from _machine(overview.machine, overview.observed_s)
    yield from _services(overview.services)
    yield from _models(overview.models)
    if overview.users is not None:
        yield from _users(overview.users)


def _machine(summary: dict[str, Any], observed_s: float) -> Iterator[_Unjudged]:
    # "for 5 minutes" needs 5 minutes seen; before that a high average is a warning.
    at_worst: Verdict = "alert" if observed_s >= 0.9 * _ALERT_FOR_S else "warning"
    network = summary["network"]
    yield _Unjudged("cpu_usage_percent", summary["cpu"]["average_percent"], at_worst=at_worst)
    yield _Unjudged("memory_usage_percent", summary["memory"]["average_percent"], at_worst=at_worst)
    yield _Unjudged("disk_usage_percent", summary["disk"]["used_percent"])
    yield _Unjudged(
        "network_throughput_bytes_per_second", network["sent_bytes_per_second"] + network["received_bytes_per_second"]
    )


def _services(services: Iterable[Availability]) -> Iterator[_Unjudged]:
    for service in services:
        yield _Unjudged("availability_percent", service.availability_percent, service.service_name)


def _models(models: Models) -> Iterator[_Unjudged]:
    for model in models.models:
        subject = f"{model.model_name} {model.model_version}"
        for key, value in _model(model):
            yield _Unjudged(key, value, subject, at_worst=_at_worst(key, model), own_target=model.targets.get(key))


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


def _users(users: UsersOverview) -> Iterator[_Unjudged]:
    summary = users.summary
    yield _Unjudged("stickiness", summary.engagement.stickiness)
    yield _Unjudged("bounce_rate", summary.engagement.bounce_rate)
    yield _Unjudged("conversion_rate", summary.conversion.conversion_rate)
    yield _Unjudged("day_7_retention", summary.retention.day_7_retention)
    yield _Unjudged("nps_score", summary.nps.nps_score)
    yield _dau_drop(users.last_week, users.week_before)
    yield _conversion_drop(users.last_week, users.week_before)


def _dau_drop(last_week: CompleteWeek, week_before: CompleteWeek) -> _Unjudged:
    """The last complete day against the same weekday a week before."""
    before = week_before.dau
    return _Unjudged("dau_drop", 1 - last_week.dau / before if before else nan, evidence=before)


def _conversion_drop(last_week: CompleteWeek, week_before: CompleteWeek) -> _Unjudged:
    """The last 7 complete days against the 7 before."""
    now, before = last_week.conversion, week_before.conversion
    drop = 1 - now.conversion_rate / before.conversion_rate if before.conversion_rate else nan
    return _Unjudged("conversion_drop", drop, evidence=min(before.entered_users, now.entered_users))
