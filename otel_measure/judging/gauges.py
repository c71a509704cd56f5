"""Gauges that no process owns: computed from reports when `/metrics` is asked, so every process gives the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from math import isnan
from typing import Protocol, TypeAlias

from otel_measure.ai.judged import KpiModels
from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.instruments import Instrument
from otel_measure.conventions.labels import escaped
from otel_measure.definitions.alerting.states import AlertState
from otel_measure.definitions.exposition import Family, Sample, overflow_family
from otel_measure.experiments.service import AbTestResults
from otel_measure.infrastructure.availability import Availability
from otel_measure.store.types.alerts import LastEvaluation
from otel_measure.users.reports import RETENTION_DAYS, Retention, UsersOverview

Attributes: TypeAlias = tuple[tuple[str, str], ...]
Value: TypeAlias = tuple[Instrument, float, Attributes]


class ServiceReports(Protocol):
    """Who answers about watched services."""

    def list_lifetimes(self) -> Iterable[tuple[Availability, bool]]:
        """Return the availability of every service since its registration, and whether it is down now."""

    def list_availability(self) -> Iterable[Availability]:
        """Return the availability of every service over the window in which its target is judged."""


def families(values: Iterator[Value], not_given: Mapping[Instrument, int] | None = None) -> list[Family]:
    """Return the known values as exposed; an unknown one is left out, for an absent series is not a zero.

    At most the exposed number of attribute sets per instrument, the first in the order given, and how many there are
    beyond.

    Args:
        values: instrument, value and attributes.
        not_given: how many attribute sets of an instrument are beyond and not among the values.
    """
    by_name: dict[str, Family] = {}
    beyond = Counter({instrument.name: n for instrument, n in (not_given or {}).items()})
    for instrument, value, attributes in values:
        if isnan(value):
            continue
        family = by_name.setdefault(
            instrument.name,
            Family(instrument.name, instrument.kind, instrument.unit, instrument.description, (), []),
        )
        if len(family.samples) < instruments.EXPOSED_ATTRIBUTE_SETS:
            family.samples.append(Sample(escaped(attributes), value))
        else:
            beyond[instrument.name] += 1
    shown = [family._replace(samples=sorted(family.samples, key=lambda s: s.labels)) for family in by_name.values()]
    return [*shown, overflow_family(sorted(beyond.items()))] if (beyond := +beyond) else shown


def service_values(machine: ServiceReports) -> Iterator[Value]:
    """Yield what is known of every watched service: since its registration, and over the window of its target."""
    for service, is_down in machine.list_lifetimes():
        own = _of_service(service)
        yield instruments.OTEL_MEASURE_SERVICE_UP, float(not is_down), own
        yield instruments.OTEL_MEASURE_SERVICE_INCIDENTS, float(service.incidents), own
        for state, seconds in (
            ("up", service.uptime_seconds),
            ("down", service.downtime_seconds),
            ("unknown", service.unknown_seconds),
            ("maintenance", service.maintenance_seconds),
        ):
            labels = (*own, (semconv.ATTR_MONITORED_SERVICE_STATE, state))
            yield instruments.OTEL_MEASURE_SERVICE_STATE_TIME, seconds, labels
    for service in machine.list_availability():
        own = _of_service(service)
        yield instruments.OTEL_MEASURE_SERVICE_AVAILABILITY_RATIO, service.availability_percent / 100, own
        yield instruments.OTEL_MEASURE_SERVICE_COVERAGE_RATIO, service.coverage_ratio, own
        yield instruments.OTEL_MEASURE_SERVICE_OBJECTIVE_RATIO, service.sla_target / 100, own
        budget = service.error_budget_remaining_ratio
        yield instruments.OTEL_MEASURE_SERVICE_ERROR_BUDGET_REMAINING_RATIO, budget, own


def _of(environment: str) -> Attributes:
    """Return the attribute that says whose a value is; none for the unnamed environment."""
    return ((semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME, environment),) if environment else ()


def _of_service(service: Availability) -> Attributes:
    return ((semconv.ATTR_MONITORED_SERVICE_NAME, service.service_name), *_of(service.window.environment))


def model_values(models: KpiModels) -> Iterator[Value]:
    """Yield accuracy, drift, health and data quality of every model."""
    for model in models.models:
        own = (
            (semconv.ATTR_GEN_AI_REQUEST_MODEL, model.model_name),
            (semconv.ATTR_MODEL_VERSION, model.model_version),
            *_of(models.window.environment),
        )
        yield instruments.OTEL_MEASURE_AI_HEALTH_SCORE, model.health_score, own
        if model.accuracy is not None:
            yield instruments.OTEL_MEASURE_AI_ACCURACY_RATIO, model.accuracy.accuracy, own
        if model.drift is not None:
            yield instruments.OTEL_MEASURE_AI_DRIFT_SCORE, model.drift.drift_score, own
        if model.data_quality is not None:
            yield instruments.OTEL_MEASURE_AI_DATA_QUALITY_RATIO, model.data_quality.score, own


def user_values(users: UsersOverview) -> Iterator[Value]:
    """Yield what is known of users; active users are those of complete days, as the KPIs have them."""
    complete, summary = users.last_week, users.summary
    own = _of(summary.engagement.window.environment)
    for window, persons in (("1d", complete.dau), ("7d", complete.wau), ("28d", complete.mau)):
        yield instruments.OTEL_MEASURE_USERS_ACTIVE, float(persons), ((semconv.ATTR_WINDOW, window), *own)
    yield instruments.OTEL_MEASURE_USERS_STICKINESS_RATIO, summary.engagement.stickiness, own
    yield instruments.OTEL_MEASURE_USERS_BOUNCE_RATIO, summary.engagement.bounce_rate, own
    yield instruments.OTEL_MEASURE_USERS_CONVERSION_RATIO, summary.conversion.conversion_rate, own
    for day, rate in zip(RETENTION_DAYS, _retention_rates(summary.retention), strict=True):
        yield instruments.OTEL_MEASURE_USERS_RETENTION_RATIO, rate, ((semconv.ATTR_RETENTION_DAY, str(day)), *own)
    yield instruments.OTEL_MEASURE_USERS_NPS_SCORE, summary.nps.nps_score, own
    yield instruments.OTEL_MEASURE_USERS_NPS_RESPONSES, float(summary.nps.responses), own


def alert_values(states: Iterable[AlertState], last: LastEvaluation | None) -> Iterator[Value]:
    """Yield every alert that is not inactive, and when alerts were evaluated last."""
    for state in states:
        kind, name, environment = state.subject
        labels = (
            (semconv.ATTR_ALERT_RULE, state.rule),
            (semconv.ATTR_ALERT_SEVERITY, state.severity),
            (semconv.ATTR_ALERT_STATE, state.phase),
            (semconv.ATTR_ALERT_SUBJECT_KIND, kind),
            (semconv.ATTR_ALERT_SUBJECT_NAME, name),
            *_of(environment),
        )
        yield instruments.OTEL_MEASURE_ALERT, 1.0, labels
    if last is not None and last.at_us:
        yield instruments.OTEL_MEASURE_ALERT_LAST_EVALUATION_TIMESTAMP, last.at_us / instruments.MICRO, ()


def _retention_rates(retention: Retention) -> tuple[float, float, float]:
    return retention.day_1_retention, retention.day_7_retention, retention.day_30_retention


def experiment_values(results: AbTestResults) -> Iterator[Value]:
    """Yield users, conversion, p-value and split of every experiment, as OpenTelemetry's feature flags name it."""
    for test in results.experiments:
        key = ((semconv.ATTR_FEATURE_FLAG_KEY, test.test_id), *_of(test.environment))
        for variant, users in test.variant_users.items():
            own = (*key, (semconv.ATTR_FEATURE_FLAG_RESULT_VARIANT, variant))
            yield instruments.OTEL_MEASURE_EXPERIMENT_USERS, float(users), own
            yield instruments.OTEL_MEASURE_EXPERIMENT_CONVERSION_RATIO, test.variant_conversion_rates[variant], own
            if variant in test.effects:
                yield instruments.OTEL_MEASURE_EXPERIMENT_P_VALUE, test.effects[variant].p_value, own
        yield instruments.OTEL_MEASURE_EXPERIMENT_SAMPLE_RATIO_P_VALUE, test.sample_ratio_p_value, key
