"""From records to OpenTelemetry and back: the only user of its SDK, whose private names stand in `sdk_internals`."""

from otel_measure.telemetry.providers import Providers
from otel_measure.telemetry.telemetry import Telemetry

__all__ = ["Providers", "Telemetry"]
