"""The derived gauges of watched services: computed when they are asked for, so that every process tells the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isnan
from typing import TypeAlias

from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.instruments import Instrument
from otel_measure.conventions.labels import escaped
from otel_measure.definitions.exposition import Family, Sample
from otel_measure.infrastructure.availability import Availability

Attributes: TypeAlias = tuple[tuple[str, str], ...]
Value: TypeAlias = tuple[Instrument, float, Attributes]


def service_families(recent: Iterable[Availability], lifetimes: Iterable[tuple[Availability, bool]]) -> list[Family]:
    """Return what is known of every watched service; an unknown value is left out, for an absent series is no zero.

    Args:
        recent: over the window in which targets are judged.
        lifetimes: since registration, and whether the service is down now.
    """
    found: dict[str, Family] = {}
    for instrument, value, attributes in (*_lifetime_values(lifetimes), *_recent_values(recent)):
        if isnan(value):
            continue
        family = found.setdefault(
            instrument.name,
            Family(instrument.name, instrument.kind, instrument.unit, instrument.description, (), []),
        )
        if len(family.samples) < instruments.EXPOSED_ATTRIBUTE_SETS:
            family.samples.append(Sample(escaped(attributes), value))
    return sorted(found.values(), key=lambda family: family.name)


def _lifetime_values(lifetimes: Iterable[tuple[Availability, bool]]) -> Iterator[Value]:
    for service, down in lifetimes:
        own = ((semconv.ATTR_MONITORED_SERVICE_NAME, service.service_name),)
        yield instruments.OTEL_MEASURE_SERVICE_UP, float(not down), own
        yield instruments.OTEL_MEASURE_SERVICE_INCIDENTS, float(service.incidents), own
        for state, seconds in (
            ("up", service.uptime_seconds),
            ("down", service.downtime_seconds),
            ("unknown", service.unknown_seconds),
        ):
            labels = (*own, (semconv.ATTR_MONITORED_SERVICE_STATE, state))
            yield instruments.OTEL_MEASURE_SERVICE_STATE_TIME, seconds, labels


def _recent_values(recent: Iterable[Availability]) -> Iterator[Value]:
    for service in recent:
        own = ((semconv.ATTR_MONITORED_SERVICE_NAME, service.service_name),)
        yield instruments.OTEL_MEASURE_SERVICE_AVAILABILITY_RATIO, service.availability_percent / 100, own
        yield instruments.OTEL_MEASURE_SERVICE_COVERAGE_RATIO, service.coverage_ratio, own
        budget = service.error_budget_remaining_ratio
        yield instruments.OTEL_MEASURE_SERVICE_ERROR_BUDGET_REMAINING_RATIO, budget, own
