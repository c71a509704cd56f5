"""From what the metrics of others have grown by to what models did: calls, latencies, tokens and their price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from otel_measure.ai.pricing import Pricer
from otel_measure.conventions import dialects, instruments, semconv
from otel_measure.definitions.measurements import Measurement
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.signals import ModelSeries, Role
from otel_measure.definitions.streams import Increment
from otel_measure.stats.binned import Binned
from otel_measure.store.types.streams import Interpreted, Interpreter


def interpreter(pricer: Pricer) -> Interpreter:
    """Return what tells the meaning of grown series; tokens get their price from `pricer` unless their cost comes."""

    def interpret(increments: Sequence[Increment]) -> list[Interpreted]:
        return [
            _INTERPRETERS[series.role](increment, series, pricer)
            for increment in increments
            if (series := increment.point.model_series)
        ]

    return interpret


def _calls(increment: Increment, series: ModelSeries, _: Pricer) -> Interpreted:
    use = ModelUse(series.model, series.version, requests=increment.count)
    use.errors = increment.count if series.error_type else 0
    unit = dialects.MS_PER_UNIT.get(increment.point.unit, dialects.MS_PER_UNIT["s"])
    use.binned = Binned()
    use.binned.extend(
        ((low * unit, high * unit, n) for low, high, n in increment.bins),
        round(increment.value * unit * 1000) if increment.point.has_sum else None,
        *(None if edge is None else edge * unit for edge in (increment.point.minimum, increment.point.maximum)),
    )
    outcome = semconv.OUTCOME_ERROR if series.error_type else semconv.OUTCOME_OK
    attributes = _of_model(series, (semconv.ATTR_OUTCOME, outcome), (semconv.ATTR_ERROR_TYPE, series.error_type))
    return _interpreted(
        increment, series, use, Measurement(instruments.OTEL_MEASURE_AI_INFERENCES, increment.count, attributes)
    )


def _tokens(increment: Increment, series: ModelSeries, pricer: Pricer) -> Interpreted:
    """Tokens of one kind, with their part of the price: those of the other kind come in a series of their own."""
    tokens = round(increment.value)
    is_cached = series.role == "cached_input_tokens"
    is_input = is_cached or series.role == "input_tokens"
    calls = 0 if is_cached else max(increment.count, 1)  # those of the cache are calls of the other series too
    use = ModelUse(series.model, series.version)
    if is_cached:
        use.cached_input_tokens, use.cached_known = tokens, max(increment.count, 1)
    if is_input:
        use.input_tokens, use.input_known = tokens, calls
    else:
        use.output_tokens, use.output_known = tokens, max(increment.count, 1)
    kind = semconv.TOKEN_TYPE_INPUT if is_input else semconv.TOKEN_TYPE_OUTPUT
    attributes = _of_model(series, (semconv.ATTR_GEN_AI_TOKEN_TYPE, kind))
    sums = [Measurement(instruments.OTEL_MEASURE_AI_TOKENS, tokens, attributes)]
    price = (
        None
        if increment.cost_comes
        else pricer.price_aggregate(
            series.model,
            tokens if is_input else 0,
            0 if is_input else tokens,
            # Calls of both kinds are the same ones: a price per request is charged with the tokens that they read.
            requests=increment.count if is_input and not is_cached else 0,
            cached_input_tokens=tokens if is_cached else 0,
            ts=increment.point.ts,
            provider=series.provider,
            response_model=series.response_model,
        )
    )
    if price is not None or increment.cost_comes:
        use.priced_tokens = tokens
    if price is not None:
        use.cost_nano_usd = round(price.usd * instruments.NANO)
        use.sources_nano_usd = {price.source: use.cost_nano_usd}
        use.priced = calls if is_input else 0
        use.sources = {price.source: use.priced} if use.priced else {}
        sums.append(_cost_sum(series, price.usd, price.source))
    return _interpreted(increment, series, use, *sums)


def _cost(increment: Increment, series: ModelSeries, _: Pricer) -> Interpreted:
    calls = max(increment.count, 1)
    use = ModelUse(series.model, series.version, cost_nano_usd=round(increment.value * instruments.NANO), priced=calls)
    use.sources, use.sources_nano_usd = {"instrumentation": calls}, {"instrumentation": use.cost_nano_usd}
    return _interpreted(increment, series, use, _cost_sum(series, increment.value, "instrumentation"))


def _cost_sum(series: ModelSeries, usd: float, source: str) -> Measurement:
    return Measurement(instruments.OTEL_MEASURE_AI_COST_USD, usd, _of_model(series, (semconv.ATTR_COST_SOURCE, source)))


def _of_model(series: ModelSeries, *more: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    by_model = ((semconv.ATTR_GEN_AI_REQUEST_MODEL, series.model), (semconv.ATTR_MODEL_VERSION, series.version))
    return tuple(sorted((*by_model, *((key, value) for key, value in more if value is not None))))


def _interpreted(increment: Increment, series: ModelSeries, use: ModelUse, *sums: Measurement) -> Interpreted:
    return Interpreted(increment.point.ts, series.origin, use, sums)


_INTERPRETERS: Final[dict[Role, Callable[[Increment, ModelSeries, Pricer], Interpreted]]] = {
    "calls": _calls,
    "input_tokens": _tokens,
    "cached_input_tokens": _tokens,
    "output_tokens": _tokens,
    "cost": _cost,
}
