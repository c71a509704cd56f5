"""Every private name of OpenTelemetry that something of ours stands on; they stand in no other module.

There is no public way to do these things. Where a name is not there any more, its function here answers as if there
were nothing to see: what `INTERNALS` says is lost, and nothing else. `otel-measure doctor` says what is missing.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

if TYPE_CHECKING:
    from opentelemetry._logs import Logger as Logger
    from opentelemetry.sdk._logs import LoggerProvider as LoggerProvider
    from opentelemetry.sdk._logs import ReadableLogRecord as ReadableLogRecord

Collect: TypeAlias = Callable[..., MetricsData | None]
Signal: TypeAlias = Literal["metrics", "logs", "traces"]

# ------------------------------------------------------------ a MeterProvider


def readers_of(provider: object) -> tuple[MetricReader, ...] | None:
    """Return every reader of a provider, whenever it was added; `None` where that cannot be seen."""
    storages = _storages(provider)
    return tuple(storages) if storages is not None else None


def _storages(provider: object) -> Mapping[MetricReader, object] | None:
    storages = getattr(getattr(provider, "_measurement_consumer", None), "_reader_storages", None)
    return storages if isinstance(storages, Mapping) else None


def leave_out(provider: object, reader: MetricReader, histogram: object) -> bool:
    """Keep one reader from aggregating a histogram that it has not seen yet; tell whether that could be done."""
    storage = (_storages(provider) or {}).get(reader)
    matches = getattr(storage, "_instrument_view_instrument_matches", None)
    if not isinstance(matches, dict) or not isinstance(histogram, Histogram):  # of a disabled SDK it is another
        return False
    matches[histogram] = []  # the views of the reader that take the instrument in: none
    return True


def resource_of(provider: object) -> Mapping[str, Any]:
    """Return the attributes of a provider's resource; after a fork the SDK changes them."""
    resource = getattr(getattr(provider, "_sdk_config", None), "resource", None)
    return resource.attributes if isinstance(resource, Resource) else {}


def add_to_resource(provider: object, attributes: Mapping[str, Any]) -> None:
    """Add attributes to the resource of a provider, once."""
    update, known = getattr(provider, "_update_resource", None), resource_of(provider)
    if callable(update) and any(known.get(key) != value for key, value in attributes.items()):
        update(Resource(dict(attributes)))


def views_of(provider: object) -> tuple[object, ...]:
    """Return the Views of a provider."""
    return tuple(getattr(getattr(provider, "_sdk_config", None), "views", ()))


# ------------------------------------------------------------ a MetricReader


def endpoint_of(reader: object) -> str:
    """Return where a reader sends to; empty for one that does not send."""
    return str(getattr(getattr(reader, "_exporter", None), "_endpoint", ""))


def intercept_collect(reader: MetricReader, between: Callable[[Collect], Collect]) -> bool:
    """Put something between a reader and its provider; tell whether that could be done."""
    collect = getattr(reader, "_collect", None)
    register = getattr(reader, "_set_collect_callback", None)
    if not callable(collect) or not callable(register):
        return False
    register(between(collect))
    return True


def renew_export(reader: PeriodicExportingMetricReader, exporter: MetricExporter) -> None:
    """Give a reader of a forked child an exporter of its own, and a lock that no thread of the parent holds."""
    for name, value in (("_export_lock", threading.Lock()), ("_exporter", exporter)):
        if hasattr(reader, name):
            setattr(reader, name, value)


# ------------------------------------------------------------ locks

_LOCKS: Final = (type(threading.Lock()), type(threading.RLock()))
_WALKED: Final = ("opentelemetry.", "otel_measure.telemetry.")
# Their locks belong to classes: no provider leads to them, and every exponential histogram takes them to rescale.
_MAPPINGS: Final = "opentelemetry.sdk.metrics._internal.exponential_histogram.mapping"
_SHARED: Final = (
    (f"{_MAPPINGS}.exponent_mapping", "ExponentMapping"),
    (f"{_MAPPINGS}.logarithm_mapping", "LogarithmMapping"),
)


def free_locks(root: object) -> None:
    """Free the SDK's locks, below `root` and shared: in a forked child those who held them do not exist.

    The SDK renews some of them by itself; one of those it does not, held by a thread of the application at the moment
    of the fork, would stop the child at its first measurement.
    """
    seen: set[int] = set()
    waiting = [root, *_shared_locks()]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, _LOCKS):
            value._at_fork_reinit()  # type: ignore[union-attr]  # what the standard library itself calls after a fork
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            waiting.extend(value)
        elif type(value).__module__.startswith(_WALKED) and hasattr(value, "__dict__"):
            waiting.extend(vars(value).values())


def _shared_locks() -> Iterator[object]:
    for module, name in _SHARED:
        owner = getattr(sys.modules.get(module), name, None)
        yield getattr(owner, "_mappings_lock", None)


# ------------------------------------------------------------ the global providers

_SET_ONCE: Final[Mapping[Signal, tuple[str, str]]] = {
    "metrics": ("opentelemetry.metrics._internal", "_METER_PROVIDER_SET_ONCE"),
    "logs": ("opentelemetry._logs._internal", "_LOGGER_PROVIDER_SET_ONCE"),
    "traces": ("opentelemetry.trace", "_TRACER_PROVIDER_SET_ONCE"),
}


def give_way(signal: Signal) -> None:
    """Let the application set its own global provider once, although ours is set."""
    module, name = _SET_ONCE[signal]
    once = _once(module, name)
    if once is not None:
        setattr(import_module(module), name, type(once)())


def _once(module: str, name: str) -> object:
    try:
        once = getattr(import_module(module), name, None)
    except ImportError:
        return None
    return once if hasattr(once, "do_once") else None


# ------------------------------------------------------------ logs, whose modules are named as private ones

try:
    from opentelemetry import _logs as logs_api
    from opentelemetry.sdk import _logs as logs_sdk
    from opentelemetry.sdk._logs import export as logs_export

    HAS_LOGS = True
except ImportError:
    HAS_LOGS = False


def logger_provider() -> LoggerProvider | None:
    """Return the LoggerProvider of the SDK that is the global one, if there is one."""
    provider = logs_api.get_logger_provider() if HAS_LOGS else None
    return provider if HAS_LOGS and isinstance(provider, logs_sdk.LoggerProvider) else None


def set_otlp_logger_provider(endpoint: str, resource: Resource) -> None:
    """Make a provider the global one whose events leave for an endpoint, by a queue in memory."""
    if HAS_LOGS:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

        ours = logs_sdk.LoggerProvider(resource=resource, shutdown_on_exit=False)
        ours.add_log_record_processor(logs_export.BatchLogRecordProcessor(OTLPLogExporter(endpoint=endpoint)))
        logs_api.set_logger_provider(ours)
        if logs_api.get_logger_provider() is ours:
            give_way("logs")


def in_memory_logger_provider() -> tuple[LoggerProvider | None, Callable[[], Sequence[ReadableLogRecord]]]:
    """Return a provider that keeps its events, and what returns them; for tests."""
    if not HAS_LOGS:
        return None, tuple
    exporter = logs_export.InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = logs_sdk.LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(logs_export.SimpleLogRecordProcessor(exporter))
    return provider, exporter.get_finished_logs


def emit_event(logger: Logger, name: str, time_ns: int, context: Context | None, attributes: Mapping[str, Any]) -> None:
    """Emit an event by a logger of one of these providers."""
    logger.emit(
        timestamp=time_ns,
        context=context,
        severity_number=logs_api.SeverityNumber.INFO,
        event_name=name,
        attributes=attributes,
    )


# ------------------------------------------------------------ what is lost without them


class Probe(NamedTuple):
    """A provider and a reader of the SDK to try the names on."""

    provider: MeterProvider
    reader: PeriodicExportingMetricReader

    @classmethod
    def make(cls) -> Probe:
        """Return one that is never read and sends to nobody."""
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint="http://localhost/v1/metrics"), math.inf)
        return cls(MeterProvider([reader], Resource({"probe": True}), shutdown_on_exit=False), reader)


class Internal(NamedTuple):
    """Private names that one feature of ours stands on.

    Attributes:
        names: where they are.
        lost: what does not work without them.
        works: tries them.
    """

    names: str
    lost: str
    works: Callable[[Probe], bool]


def _adds_to_resource(probe: Probe) -> bool:
    add_to_resource(probe.provider, {"added": True})
    return resource_of(probe.provider).get("added") is True


def _leaves_out(probe: Probe) -> bool:
    return leave_out(probe.provider, probe.reader, probe.provider.get_meter("probe").create_histogram("probe"))


def _renews_export(probe: Probe) -> bool:
    return all(hasattr(probe.reader, name) for name in ("_export_lock", "_exporter"))


def _gives_way(signal: Signal) -> Callable[[Probe], bool]:
    return lambda _: _once(*_SET_ONCE[signal]) is not None


def _shares_locks(_: Probe) -> bool:
    for module, _name in _SHARED:
        import_module(module)
    return all(isinstance(lock, _LOCKS) and hasattr(lock, "_at_fork_reinit") for lock in _shared_locks())


INTERNALS: Final = (
    Internal(
        "MeterProvider._measurement_consumer._reader_storages",
        "instruments are fed where nobody reads them as well (recording costs more), and metrics leave twice where the"
        " application sends them to the same endpoint",
        lambda probe: readers_of(probe.provider) == (probe.reader,),
    ),
    Internal(
        "MetricReaderStorage._instrument_view_instrument_matches",
        "what has facts is aggregated for the store as well, which does not need it: recording costs more",
        _leaves_out,
    ),
    Internal(
        "MeterProvider._sdk_config.resource",
        "events of this process may carry another service.instance.id than the metrics of the application's provider",
        lambda probe: resource_of(probe.provider).get("probe") is True,
    ),
    Internal(
        "MeterProvider._update_resource",
        "a receiver does not learn that calls of models come as facts: it may count them by their metrics as well",
        _adds_to_resource,
    ),
    Internal(
        "MeterProvider._sdk_config.views",
        "doctor does not see Views that change our instruments",
        lambda probe: hasattr(getattr(probe.provider, "_sdk_config", None), "views"),
    ),
    Internal(
        "PeriodicExportingMetricReader._exporter._endpoint",
        "metrics leave twice where the application sends them to the same endpoint",
        lambda probe: endpoint_of(probe.reader) == "http://localhost/v1/metrics",
    ),
    Internal(
        "MetricReader._collect, ._set_collect_callback",
        "a child tells what its parent had counted, a fork may meet a collection, a slow callback fails an answer",
        lambda probe: intercept_collect(probe.reader, lambda collect: collect),
    ),
    Internal(
        "PeriodicExportingMetricReader._export_lock, ._exporter",
        "a forked child sends metrics over the connection of its parent",
        _renews_export,
    ),
    Internal(
        "ExponentMapping._mappings_lock, LogarithmMapping._mappings_lock, lock._at_fork_reinit",
        "a child that is forked while another thread rescales a histogram may hang",
        _shares_locks,
    ),
    Internal(
        "opentelemetry.metrics._internal._METER_PROVIDER_SET_ONCE",
        "a MeterProvider that the application sets after ours is refused",
        _gives_way("metrics"),
    ),
    Internal(
        "opentelemetry._logs._internal._LOGGER_PROVIDER_SET_ONCE",
        "a LoggerProvider that the application sets after ours is refused",
        _gives_way("logs"),
    ),
    Internal(
        "opentelemetry.trace._TRACER_PROVIDER_SET_ONCE",
        "a TracerProvider that the application sets after ours is refused",
        _gives_way("traces"),
    ),
    Internal(
        "opentelemetry._logs, opentelemetry.sdk._logs",
        "events do not leave by a LoggerProvider",
        lambda _: HAS_LOGS,
    ),
)


def missing_internals() -> list[Internal]:
    """Return those of `INTERNALS` that the installed OpenTelemetry does not have as we know them."""
    probe = Probe.make()
    missing = [internal for internal in INTERNALS if not _works(internal, probe)]
    probe.provider.shutdown()
    return missing


def _works(internal: Internal, probe: Probe) -> bool:
    try:
        return internal.works(probe)
    except Exception:  # whatever has changed there, it is not as we know it
        return False
