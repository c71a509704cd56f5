"""How everything stands against its KPIs.

A KPI has one reading per subject (a model, a watched service), and one without a subject where nothing is there to be
read yet, so that every KPI is always on the page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from math import isnan, nan
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from otel_measure.ai.fairness import FairnessReport
from otel_measure.ai.judged import KpiModel
from otel_measure.ai.reports import priced_evidence
from otel_measure.definitions.kpis import BY_KEY, Kpi
from otel_measure.definitions.verdicts import (
    WORST_FIRST,
    Verdict,
    judge,
    longest_verdict,
    missing,
    no_worse,
    with_target,
)
from otel_measure.definitions.windows import CountedBy
from otel_measure.infrastructure.availability import ENOUGH_COVERAGE, ENOUGH_OBSERVED_S, Availability
from otel_measure.judging.kept_readings import KeptReadings
from otel_measure.judging.overview import Overview
from otel_measure.judging.reading import Reading
from otel_measure.records.enums import DriftStatus
from otel_measure.stats.drops import Drop, proportion_drop, weekday_drop
from otel_measure.stats.intervals import Interval, wilson_interval
from otel_measure.users.reports import CompleteWeek, UsersOverview

DROP_P: Final = 0.001
_RANK: Final[Mapping[Verdict, int]] = {verdict: rank for rank, verdict in enumerate(WORST_FIRST)}


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Every reading, in the order of the KPI table, worst subject first.

    Attributes:
        verdicts: how many readings have each.
        definitions: by which the windows that were read are counted.
        environment: that services, models and users are of.
    """

    kpis: tuple[Reading, ...]
    verdicts: dict[Verdict, int]
    timestamp: datetime
    definitions: CountedBy
    environment: str = ""


class _HasKey(Protocol):
    """Is about one KPI."""

    @property
    def key(self) -> str:
        """The KPI."""


_OfKpi = TypeVar("_OfKpi", bound=_HasKey)


class _Unjudged(NamedTuple):
    """What a report says of one KPI of one subject."""

    key: str
    value: float
    subject: str = ""
    evidence: int | None = None
    interval: Interval | None = None
    at_worst: Verdict = "alert"  # what the value alone may mean, where more is needed than a value
    doubt: str = ""  # why it may mean no more than that
    own_target: float | None = None


def page_of(items: Sequence[_OfKpi], limit: int, offset: int) -> tuple[_OfKpi, ...]:
    """Return a page of readings or alerts, in their order: of every KPI the worst are on the first page.

    All pages together hold each item once.

    Args:
        items: those of one KPI stand together, the worst first.
        limit: how many the page has at most.
        offset: how many stand on the pages before.
    """
    of_kpi: Counter[str] = Counter()
    ranked = []
    for position, item in enumerate(items):
        ranked.append((of_kpi[item.key], position))
        of_kpi[item.key] += 1
    if len(ranked) > limit:
        ranked.sort()
    return tuple(items[position] for position in sorted(position for _, position in ranked[offset : offset + limit]))


def scorecard(overview: Overview, kpis: Mapping[str, Kpi] = BY_KEY, kept: KeptReadings | None = None) -> Scorecard:
    """Judge every KPI; without a store those of users are unknown.

    Args:
        overview: what every domain says.
        kpis: by their key, in their order; alert rules may have other thresholds than the table.
        kept: what was judged of models before, by these KPIs; `None` judges every one.
    """
    told = readings(overview, kpis, kept or KeptReadings())
    by_key: dict[str, list[Reading]] = {key: [] for key in kpis}
    for reading in chain(told.others, *told.of_models):
        by_key[reading.key].append(reading)
    for key in kpis:
        by_key[key].sort(key=worst_first)
    in_order = tuple(reading for key, kpi in kpis.items() for reading in by_key[key] or [_nothing_read(kpi)])
    counted = Counter(reading.verdict for reading in in_order)
    verdicts = {verdict: counted[verdict] for verdict in WORST_FIRST}
    return Scorecard(in_order, verdicts, overview.timestamp, overview.definitions, overview.environment)


class Readings(NamedTuple):
    """What all KPIs say, in no order of theirs.

    Attributes:
        others: of the machine, services and users; a KPI of which nothing is there to be read has none.
        of_models: of each model; the very same as before where it is as it was.
        environment: that services, models and users are of.
    """

    others: tuple[Reading, ...]
    of_models: Sequence[tuple[Reading, ...]]
    environment: str


def readings(overview: Overview, kpis: Mapping[str, Kpi], kept: KeptReadings) -> Readings:
    """Judge every KPI, in the time that those take which changed; arguments as for `scorecard`."""
    environment = overview.environment
    others = tuple(_reading(kpis[unjudged.key], unjudged) for unjudged in _but_models(overview))

    def judged(model: KpiModel) -> tuple[Reading, ...]:
        return tuple(_of_model(model, kpis))

    return Readings(others, [kept.of(environment, model, judged) for model in overview.models.models], environment)


def worst_first(reading: Reading) -> tuple[int, str]:
    """Return by what the readings of one KPI are sorted."""
    return _RANK[reading.verdict], reading.subject


def _nothing_read(kpi: Kpi) -> Reading:
    return _reading(kpi, _Unjudged(kpi.key, nan))


def _reading(kpi: Kpi, unjudged: _Unjudged, model_name: str = "", model_version: str = "") -> Reading:
    key, value, subject, evidence, interval, at_worst, doubt, own_target = unjudged
    kpi = with_target(kpi, own_target)
    verdict = judge(kpi, value, evidence=evidence, interval=interval)
    lacks = missing(kpi, value, evidence, interval)
    milder = no_worse(verdict, at_worst)
    if milder != verdict:
        verdict, lacks = milder, doubt
    return Reading(
        key,
        kpi.domain,
        kpi.title,
        kpi.unit,
        subject,
        value,
        interval,
        evidence,
        kpi.target,
        kpi.alert,
        verdict,
        lacks,
        kpi.window,
        kpi.alert_rule,
        model_name,
        model_version,
    )


# ---------------------------------------------------------------- where each value comes from


def _but_models(overview: Overview) -> Iterator[_Unjudged]:
    yield from _machine(overview.machine, overview.observed_s)
    yield from _services(overview.services)
    if overview.users is not None:
        yield from _users(overview.users)


def _machine(summary: dict[str, Any], observed_s: float) -> Iterator[_Unjudged]:
    network = summary["network"]
    for key, part in (("cpu_usage_percent", "cpu"), ("memory_usage_percent", "memory")):
        at_worst = longest_verdict(BY_KEY[key], observed_s)
        doubt = f"an alert needs {BY_KEY[key].alert_for_s} s of it; {observed_s:.0f} s were seen so far"
        yield _Unjudged(key, summary[part]["average_percent"], at_worst=at_worst, doubt=doubt)
    yield _Unjudged("disk_usage_percent", summary["disk"]["used_percent"])
    yield _Unjudged(
        "network_throughput_bytes_per_second", network["sent_bytes_per_second"] + network["received_bytes_per_second"]
    )


def _services(services: Iterable[Availability]) -> Iterator[_Unjudged]:
    for service in services:
        observed_s = service.uptime_seconds + service.downtime_seconds
        yield _Unjudged(
            "availability_percent",
            service.availability_percent,
            service.service_name,
            at_worst=_by_sla(service, observed_s),
            doubt="" if service.sla_status == "met" else _little_seen(service, observed_s),
            own_target=service.sla_target,
        )


def _by_sla(service: Availability, observed_s: float) -> Verdict:
    """The verdict that agrees with the SLA: where that is open, a missed target is a warning after an hour observed."""
    if service.sla_status != "insufficient_data":
        return "alert" if service.sla_status == "breached" else "ok"
    is_missed = service.availability_percent < service.sla_target and observed_s >= ENOUGH_OBSERVED_S
    return "warning" if is_missed else "unknown"


def _little_seen(service: Availability, observed_s: float) -> str:
    return (
        f"needs an hour observed, and {ENOUGH_COVERAGE:.0%} of the window; "
        f"{observed_s:,.0f} s were seen so far, {service.coverage_ratio:.1%} of it"
    )


def _of_model(model: KpiModel, kpis: Mapping[str, Kpi]) -> Iterator[Reading]:
    name, version, targets = model.model_name, model.model_version, model.targets
    subject = f"{name} {version}"
    alerting = False
    for unjudged in _components(model, subject):
        own_target = targets.get(unjudged.key) if targets else None
        if own_target is not None:
            unjudged = unjudged._replace(own_target=own_target)
        reading = _reading(kpis[unjudged.key], unjudged, name, version)
        alerting |= reading.verdict == "alert"
        yield reading
    unjudged = _health(model, subject, alerting)
    yield _reading(kpis[unjudged.key], unjudged, name, version)


def _components(model: KpiModel, subject: str) -> Iterator[_Unjudged]:
    calls, latency, cost, accuracy, drift, data = (
        *(model.inference_count, model.latency, model.cost),
        *(model.accuracy, model.drift, model.data_quality),
    )
    of_p95 = None if isnan(latency.p95_ms_ci[0]) else latency.p95_ms_ci
    yield _Unjudged("latency_p95_ms", latency.p95_ms, subject, evidence=latency.sample_count, interval=of_p95)
    yield _Unjudged("cost_per_request_usd", cost.per_request_usd, subject, evidence=priced_evidence(cost))
    yield _Unjudged(
        "error_rate", model.errors.rate, subject, evidence=calls, interval=wilson_interval(model.errors.count, calls)
    )
    if accuracy is not None:
        right = round(accuracy.accuracy * accuracy.labelled) if accuracy.labelled else 0
        interval = wilson_interval(right, accuracy.labelled)
        yield _Unjudged("accuracy", accuracy.accuracy, subject, evidence=accuracy.labelled, interval=interval)
    if model.fairness is not None and model.fairness.attributes:
        yield _fairness(model.fairness, subject, model.targets.get("fairness_gap"))
    if drift is not None:
        # A score whose own detector has looked and found nothing is chance.
        calm: Verdict = "ok" if drift.drift_status is DriftStatus.NO_DRIFT else "alert"
        doubt = "the detector of drift has looked and found none: a score by chance"
        yield _Unjudged("drift_score", drift.drift_score, subject, at_worst=calm, doubt=doubt)
    if data is not None:
        yield _Unjudged("data_quality", data.score, subject, evidence=data.samples, interval=data.score_ci)


def _fairness(report: FairnessReport, subject: str, own_target: float | None) -> _Unjudged:
    """The gap with the worst verdict; where none can be judged, the one that has most to go on."""
    of_most = max(report.attributes.values(), key=lambda one: one.smallest_group)
    worst = report.worst(own_target)
    shown = worst[1] if worst else of_most
    return _Unjudged(
        "fairness_gap",
        shown.demographic_parity_difference,
        subject,
        evidence=shown.smallest_group,
        interval=shown.demographic_parity_difference_ci,
    )


def _health(model: KpiModel, subject: str, alerting: bool) -> _Unjudged:
    """The score is always shown, and alerts only with one of its components: one error in 20 calls lowers it too."""
    is_measured = model.latency.sample_count and model.errors.rate == model.errors.rate
    evidence = min(model.inference_count, model.latency.sample_count) if is_measured else 0
    return _Unjudged(
        "health_score",
        model.health_score,
        subject,
        evidence=evidence,
        at_worst="alert" if alerting else "warning",
        doubt="no component of it alerts by its own rule",
    )


def _users(users: UsersOverview) -> Iterator[_Unjudged]:
    engagement, conversion, retention, nps = (
        *(users.summary.engagement, users.summary.conversion),
        *(users.summary.retention, users.summary.nps),
    )
    # The month of the last complete week is the one that stickiness is of.
    yield _Unjudged("stickiness", engagement.stickiness, evidence=users.last_week.mau)
    yield _Unjudged(
        "bounce_rate",
        engagement.bounce_rate,
        evidence=engagement.bounce_rate_n,
        interval=engagement.bounce_rate_ci,
    )
    yield _Unjudged(
        "conversion_rate",
        conversion.conversion_rate,
        evidence=conversion.entered_users,
        interval=conversion.conversion_rate_ci,
    )
    yield _Unjudged(
        "day_7_retention",
        retention.day_7_retention,
        evidence=retention.day_7_retention_n,
        interval=retention.day_7_retention_ci,
    )
    yield _Unjudged("nps_score", nps.nps_score, evidence=nps.responses, interval=nps.nps_score_ci)
    yield _dau_drop(users.daily_active)
    yield _conversion_drop(users.last_week, users.week_before)


def _dau_drop(daily_active: Sequence[int]) -> _Unjudged:
    drop = weekday_drop(daily_active)
    evidence = 0 if isnan(drop.before) else round(drop.before)
    return _drop("dau_drop", drop, evidence)


def _conversion_drop(last_week: CompleteWeek, week_before: CompleteWeek) -> _Unjudged:
    """The last 7 complete days against the 7 before."""
    now, before = last_week.conversion, week_before.conversion
    drop = proportion_drop(
        round(now.converted_users), now.entered_users, round(before.converted_users), before.entered_users
    )
    evidence = min(before.entered_users, now.entered_users)
    return _drop("conversion_drop", drop, evidence)


def _drop(key: str, drop: Drop, evidence: int) -> _Unjudged:
    """A drop that chance explains is a warning at most, however large."""
    at_worst: Verdict = "alert" if drop.p_value < DROP_P else "warning"
    doubt = f"chance explains it (p = {drop.p_value:.2g}; an alert needs p < {DROP_P})"
    return _Unjudged(key, drop.share, evidence=evidence, at_worst=at_worst, doubt=doubt)
