"""A sum that reaches what a column holds stays there; it never makes a store refuse later records."""

from __future__ import annotations

from otel_measure.definitions.cells import LARGEST
from otel_measure.records.kinds import Inference, Origin
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase


def test_sums_saturate_and_recording_goes_on(engine: EngineCase) -> None:
    """After more than 64 bits of nano-dollars a model still takes records, counts them, and is rebuilt the same."""
    store = engine.open()
    for i in range(12):
        record = Inference(
            id=f"i{i}", ts=1_000_000, origin=Origin("s"), model="m", version="1", latency_ms=1.0,
            input_tokens=10**18, cost_usd=1e9, cost_source="caller",
        )  # fmt: skip
        assert store.accept([record])[0].outcome == "accepted"
    (use,) = asked(store, lambda m: m.models.model_use(0, 60_000_000))
    assert (use.requests, use.cost_nano_usd, use.input_tokens) == (12, LARGEST, LARGEST)
    before = asked(store, lambda m: m.streams.families(2_000_000))
    store.rebuild()
    assert asked(store, lambda m: m.streams.families(2_000_000)) == before
    store.close()
