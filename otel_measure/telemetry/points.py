"""What a metric reader's data mean: points to be stored as streams, or (without a store) what models did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from opentelemetry.sdk.metrics.export import (
    ExponentialHistogramDataPoint,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)

from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.labels import escaped
from otel_measure.definitions.signals import model_series, source_of
from otel_measure.records.kinds import Origin
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.store.types.models import ModelUse
from otel_measure.store.types.streams import Point, StreamScope

Counted: TypeAlias = Callable[[str], bool]
DataPoint: TypeAlias = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint
# (prefix of the instrument's name, whose reading it is); everything else adds, or is a gauge of its process
_SCOPES: Final[tuple[tuple[str, StreamScope], ...]] = (
    ("system.", "host"),
    ("otel_measure.system.", "host"),
    ("container.", "host"),
    ("otel_measure.container.", "host"),
    ("process.", "instance"),
    ("otel_measure.process.", "instance"),
)
_LOW: Final = 1e-9
_HIGH: Final = 1e12


class StreamIdentity(NamedTuple):
    """Whose streams these are."""

    service: str
    environment: str
    instance: str
    host: str

    @property
    def origin(self) -> Origin:
        """Service and environment."""
        return Origin(self.service, self.environment)

    @property
    def source(self) -> str:
        """The process, told apart from those of all services."""
        return source_of(self.origin, self.instance)


def points(
    data: MetricsData | None, facts: frozenset[str], identity: StreamIdentity, counted: Counted | None = None
) -> list[Point]:
    """Return every point of the data as a stream point, but for the scopes whose facts are kept.

    Args:
        data: of a reader.
        facts: those scopes.
        identity: whose streams these are.
        counted: tells which models have facts anyhow; what other instrumentations say of their calls is left out of
            the models, and `None` leaves out all of it.
    """
    found = []
    for scope, metric, data_point in _walk(data):
        if scope in facts:
            continue
        means = model_series(metric.name, _texts(data_point), identity.origin, identity.source)
        if means is None:
            found.append(_point(metric, data_point, identity))
        elif counted is not None:
            known = counted(means.model)
            found.append(replace(_point(metric, data_point, identity), means=None if known else means))
    return found


def _walk(data: MetricsData | None) -> Iterator[tuple[str, Metric, DataPoint]]:
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for data_point in metric.data.data_points:
                    yield scope.scope.name, metric, data_point


def stream_scope(name: str, kind: str) -> StreamScope:
    """Return how a stream of this name behaves over several processes."""
    for prefix, scope in _SCOPES:
        if name.startswith(prefix):
            return scope
    return "instance" if kind == "gauge" else "add"


def kind_of(metric: Metric) -> str:
    """Return which kind of instrument a metric comes from."""
    if isinstance(metric.data, Gauge):
        return "gauge"
    if isinstance(metric.data, Sum):
        return "counter" if metric.data.is_monotonic else "updowncounter"
    return "histogram"


def _point(metric: Metric, data_point: DataPoint, identity: StreamIdentity) -> Point:
    kind = kind_of(metric)
    scope = stream_scope(metric.name, kind)
    host, instance = (semconv.ATTR_HOST_NAME, identity.host), (semconv.ATTR_SERVICE_INSTANCE_ID, identity.instance)
    service = (
        (semconv.ATTR_SERVICE_NAME, identity.service),
        (semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME, identity.environment),
    )
    own = {"host": (host,), "instance": (*service, instance), "add": service}[scope]
    attributes = _texts(data_point).items()
    value, count, bounds, buckets = _figures(metric, data_point)
    return Point(
        name=metric.name,
        kind=kind,
        unit=metric.unit or "",
        description=metric.description or "",
        labels=escaped((*attributes, *own)),
        scope=scope,
        instance=identity.host if scope == "host" else identity.instance,
        # A host's counters go on over our restarts, so its streams begin once.
        start=0 if scope == "host" else (data_point.start_time_unix_nano or 0) // 1000,
        ts=data_point.time_unix_nano // 1000,
        value=value,
        count=count,
        bounds=bounds,
        buckets=buckets,
    )


def _texts(data_point: DataPoint) -> dict[str, str]:
    return {key: _text(value) for key, value in (data_point.attributes or {}).items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _figures(metric: Metric, data_point: DataPoint) -> tuple[float, int, tuple[float, ...], tuple[int, ...]]:
    if isinstance(data_point, NumberDataPoint):
        return data_point.value, 0, (), ()
    if isinstance(data_point, HistogramDataPoint):
        return data_point.sum, data_point.count, tuple(data_point.explicit_bounds), tuple(data_point.bucket_counts)
    known = instruments.BY_NAME.get(metric.name)
    bounds = known.buckets if known else instruments.BUCKETS_DURATION
    return data_point.sum, data_point.count, bounds, tuple(_histogram(data_point).explicit(bounds))


def _histogram(point: ExponentialHistogramDataPoint) -> ExponentialHistogram:
    return ExponentialHistogram.from_otel(
        point.scale,
        point.positive.offset,
        point.positive.bucket_counts,
        point.zero_count,
        point.sum,
        point.min,
        point.max,
        low=_LOW,
        high=_HIGH,
        units_per_value=instruments.MICRO,
    )


# ---------------------------------------------------------------- models without a store


def model_use(data: MetricsData | None) -> list[ModelUse]:
    """Return what models did, from the histograms of our own scope, sorted by name and version."""
    found: dict[tuple[str, str], ModelUse] = {}
    for scope, metric, point in _walk(data):
        attributes = {key: _text(value) for key, value in (point.attributes or {}).items()}
        version = attributes.get(semconv.ATTR_MODEL_VERSION)
        if scope == semconv.SCOPE_AI and version is not None:
            model = attributes.get(semconv.ATTR_GEN_AI_REQUEST_MODEL, semconv.OTHER)
            use = found.setdefault((model, version), ModelUse(model, version))
            _add(use, metric.name, point, attributes)
    for use in found.values():
        # Which calls had a cost is not known here, but for when all of them had.
        use.priced_tokens = use.input_tokens + use.output_tokens if use.priced == use.requests else 0
    return [found[key] for key in sorted(found)]


def _add(use: ModelUse, name: str, point: DataPoint, attributes: dict[str, str]) -> None:
    if name == instruments.OTEL_MEASURE_AI_INFERENCES.name and isinstance(point, NumberDataPoint):
        use.requests += int(point.value)
        if attributes.get(semconv.ATTR_OUTCOME) == semconv.OUTCOME_ERROR:
            use.errors += int(point.value)
        return
    if not isinstance(point, ExponentialHistogramDataPoint):
        return
    if name == instruments.GEN_AI_CLIENT_OPERATION_DURATION.name:
        _add_latency(use, point)
    elif name == instruments.GEN_AI_CLIENT_TOKEN_USAGE.name:
        _add_tokens(use, point, attributes.get(semconv.ATTR_GEN_AI_TOKEN_TYPE, ""))
    elif name == instruments.OTEL_MEASURE_AI_INFERENCE_COST_USD.name:
        source = attributes.get(semconv.ATTR_COST_SOURCE, "caller")
        use.cost_nano_usd += round(point.sum * instruments.NANO)
        use.priced += point.count
        use.sources[source] = use.sources.get(source, 0) + point.count


def _add_tokens(use: ModelUse, point: ExponentialHistogramDataPoint, token_type: str) -> None:
    if token_type == semconv.TOKEN_TYPE_INPUT:
        use.input_tokens += round(point.sum)
        use.input_known += point.count
    else:
        use.output_tokens += round(point.sum)
        use.output_known += point.count


def _add_latency(use: ModelUse, point: ExponentialHistogramDataPoint) -> None:
    """Add a histogram in its own unit, seconds: moving its buckets to milliseconds would cost exactness."""
    seconds = _histogram(point)
    use.latency_unit_ms = 1000.0
    use.latency = seconds if use.latency is None else use.latency + seconds
