"""Whose providers this process's telemetry goes through: the application's own, else ours become the global ones.

Ours give way: the application may set its own later. Propagators are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from otel_measure.config import Settings
from otel_measure.conventions import semconv
from otel_measure.records.kinds import Json
from otel_measure.telemetry.proxies import OwnMeterProvider
from otel_measure.telemetry.sdk_internals import give_way, logger_provider, resource_of

if TYPE_CHECKING:
    from otel_measure.telemetry.sdk_internals import LoggerProvider


class Providers(NamedTuple):
    """Whose instruments and loggers to use instead of the global ones."""

    meters: MeterProvider
    loggers: LoggerProvider | None = None
    tracers: TracerProvider | None = None


class ProcessResource:
    """What is said of this process to whom it sends to."""

    def __init__(self, settings: Settings, instance_id: str, host: str) -> None:
        self._settings: Final = settings
        self._instance_id: Final = instance_id
        self._host: Final = host
        self._known: dict[str, Json] = {}

    def make(self) -> Resource:
        """Return it as the resource of a provider."""
        own: dict[str, Any] = {
            semconv.ATTR_SERVICE_NAME: self._settings.service_name,
            semconv.ATTR_SERVICE_INSTANCE_ID: self._instance_id,
            semconv.ATTR_OWN_FACTS: True,
        }
        if self._settings.environment:
            own[semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME] = self._settings.environment
        resource = Resource.create(own)
        if self._host and semconv.ATTR_HOST_NAME not in resource.attributes:
            resource = resource.merge(Resource({semconv.ATTR_HOST_NAME: self._host}))
        return resource

    def attributes(self, provider: MeterProvider | None, instance_id: str) -> Mapping[str, Json]:
        """Return its attributes, under the id that the metrics of a provider carry, else under the one given."""
        if not self._known:
            # Once: the SDK asks its detectors on threads, and at the end of a process there can be no new ones.
            self._known = dict(self.make().attributes)  # type: ignore[arg-type]  # of scalars
        known_as = resource_of(provider).get(semconv.ATTR_SERVICE_INSTANCE_ID) or instance_id
        return self._known | {semconv.ATTR_SERVICE_INSTANCE_ID: str(known_as)}


def meter_provider(given: Providers | None) -> MeterProvider | None:
    """Return the MeterProvider of the SDK that there is, ours or the application's."""
    provider = given.meters if given is not None else metrics.get_meter_provider()
    return provider if isinstance(provider, MeterProvider) else None


def set_meter_provider(readers: Sequence[MetricReader], resource: Resource) -> MeterProvider:
    """Make a MeterProvider of ours the global one."""
    ours = OwnMeterProvider(readers, resource)
    metrics.set_meter_provider(ours)
    if metrics.get_meter_provider() is ours:  # and not refused, for the sake of one that is not the SDK's
        give_way("metrics")
    return ours


def tracer_provider(given: Providers | None) -> TracerProvider | None:
    """Return the TracerProvider of the SDK that there is."""
    provider = given.tracers if given is not None else trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


def set_tracer_provider(resource: Resource, export: SpanProcessor | None) -> TracerProvider:
    """Make a TracerProvider of ours, which samples everything, the global one."""
    ours = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    if export is not None:
        ours.add_span_processor(export)
    trace.set_tracer_provider(ours)
    if trace.get_tracer_provider() is ours:
        give_way("traces")
    return ours


def event_provider(given: Providers | None) -> LoggerProvider | None:
    """Return the LoggerProvider of the SDK that there is."""
    return given.loggers if given is not None else logger_provider()
