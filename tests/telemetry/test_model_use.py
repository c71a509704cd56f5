from __future__ import annotations

from opentelemetry.metrics import Meter

from otel_measure.telemetry.model_use import model_use
from tests.telemetry.test_stream_points import collected


def test_models_are_read_from_our_own_scope_only() -> None:
    """A foreign series has no version of ours, and other instruments of the scope say nothing of use."""
    version = {"gen_ai.request.model": "m", "otel_measure.model.version": "1"}

    def use(meter: Meter) -> None:
        meter.create_counter("otel_measure.ai.inferences").add(1, {"gen_ai.request.model": "m"})
        meter.create_counter("otel_measure.ai.tokens").add(7, version)
        meter.create_histogram("gen_ai.client.operation.time_to_first_chunk").record(1.0, version)

    assert model_use(collected(use, scope="application")) == []
    (used,) = model_use(collected(use, scope="otel_measure.ai"))
    assert (used.model, used.version, used.requests, used.input_tokens) == ("m", "1", 0, 0)
