"""When models were called, by which services."""

from __future__ import annotations

from otel_measure.records.kinds import Origin
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ServiceModel
from tests.facts import HERE, HOUR, MINUTE, NOON, inference
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase

API = Origin("api", "test")
SHOP_M, API_M = ServiceModel("shop", "m"), ServiceModel("api", "m")


def test_calls_are_counted_by_service_and_model(engine: EngineCase) -> None:
    """All versions together, within one environment, by hour and minute; what had no call is left out."""
    store = engine.open()
    calls = [
        *((HERE, "1", NOON - HOUR), (HERE, "1", NOON), (HERE, "2", NOON + 30), (HERE, "2", NOON + 3 * MINUTE)),
        *((API, "1", NOON - 2 * HOUR), (Origin("shop", "staging"), "1", NOON + 5 * MINUTE)),
    ]
    store.accept([inference(str(k), at, origin=o, version=version) for k, (o, version, at) in enumerate(calls)])
    said = asked(
        store,
        lambda m: (
            m.call_times.active(NOON - 2 * HOUR, NOON + HOUR),
            m.call_times.active(NOON - 2 * HOUR, NOON),
            m.call_times.totals(NOON - 2 * HOUR, NOON + HOUR),
            m.call_times.totals(NOON, NOON + HOUR),
            m.call_times.called_since(NOON + 3 * MINUTE),
            m.call_times.called_since(NOON + 4 * MINUTE),
            m.call_times.last_minute(SHOP_M, NOON),
            m.call_times.last_minute(API_M, NOON),
            m.call_times.by_hour(SHOP_M, NOON - HOUR, NOON + HOUR),
            m.call_times.by_minute(SHOP_M, NOON, NOON + HOUR),
            m.call_times.by_minute(ServiceModel("shop", "other"), NOON, NOON + HOUR),
        ),
        Filter(environment="test"),
    )
    assert said == (
        {SHOP_M: NOON, API_M: NOON - 2 * HOUR},
        {SHOP_M: NOON - HOUR, API_M: NOON - 2 * HOUR},
        {SHOP_M: 4, API_M: 1},
        {SHOP_M: 3},
        {SHOP_M},
        set(),
        NOON + 3 * MINUTE,
        None,
        {NOON - HOUR: 1, NOON: 3},
        {NOON: 2, NOON + 3 * MINUTE: 1},
        {},
    )
