"""Which services are in planned maintenance: of them nobody is told."""

from __future__ import annotations

from collections.abc import Iterable

from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Filter


def in_maintenance(store: Store, environments: Iterable[str], now_us: int) -> frozenset[AlertSubject]:
    """Return the services of some environments that are in maintenance now."""
    planned: list[AlertSubject] = []
    for environment in environments:
        with store.asking(Filter(environment=environment)) as moment:
            planned += [
                AlertSubject("service", history.service.name, environment)
                for history in moment.services.histories(now_us)
                if any(start <= now_us < end for start, end in history.planned)
            ]
    return frozenset(planned)
