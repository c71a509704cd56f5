"""What models did, where there is no store: from the histograms and counters of our own scope."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.sdk.metrics.export import ExponentialHistogramDataPoint, MetricsData, NumberDataPoint

from otel_measure.conventions import instruments, semconv
from otel_measure.definitions.model_use import ModelUse
from otel_measure.telemetry.collected import DataPoint, attributes_of, data_points, histogram_of


def model_use(collected: Iterable[MetricsData]) -> list[ModelUse]:
    """Return what models did, from the histograms of our own scope, sorted by name and version."""
    uses: dict[tuple[str, str], ModelUse] = {}
    for scope, metric, point in data_points(collected):
        attributes = attributes_of(point)
        version = attributes.get(semconv.ATTR_MODEL_VERSION)
        if scope == semconv.SCOPE_AI and version is not None:
            model = attributes.get(semconv.ATTR_GEN_AI_REQUEST_MODEL, semconv.OTHER)
            use = uses.setdefault((model, version), ModelUse(model, version))
            _add(use, metric.name, point, attributes)
    for use in uses.values():
        # Which calls had a cost is not known here, but for when all of them had.
        use.priced_tokens = use.input_tokens + use.output_tokens if use.priced == use.requests else 0
    return [uses[key] for key in sorted(uses)]


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
    seconds = histogram_of(point)
    use.latency_unit_ms = 1000.0
    use.latency = seconds if use.latency is None else use.latency + seconds
