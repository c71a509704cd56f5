"""From what the metrics of others have grown by to what models did: calls, latencies, tokens and their price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from otel_measure import semconv
from otel_measure.ai.pricing import Pricer
from otel_measure.meanings import ModelSeries, Role
from otel_measure.measurements import Measurement
from otel_measure.stats.binned import Binned
from otel_measure.store.base import Growth, Learn, Learnt, ModelUse

MS_PER_UNIT: Final = {"s": 1000.0, "ms": 1.0, "us": 0.001, "ns": 0.000001}
_SECONDS: Final = 1000.0


def learner(pricer: Pricer) -> Learn:
    """Return what tells the meaning of grown series; tokens get their price from `pricer` unless their cost comes."""

    def learn(growths: Sequence[Growth]) -> list[Learnt]:
        return [_LEARN[means.role](growth, means, pricer) for growth in growths if (means := growth.point.means)]

    return learn


def _calls(growth: Growth, means: ModelSeries, _: Pricer) -> Learnt:
    use = ModelUse(means.model, means.version, requests=growth.count)
    use.errors = growth.count if means.error_type else 0
    unit = MS_PER_UNIT.get(growth.point.unit, _SECONDS)
    use.binned = Binned()
    use.binned.extend(
        ((low * unit, high * unit, n) for low, high, n in growth.bins),
        round(growth.value * unit * 1000),
        *(None if edge is None else edge * unit for edge in (growth.point.minimum, growth.point.maximum)),
    )
    outcome = semconv.OUTCOME_ERROR if means.error_type else semconv.OUTCOME_OK
    attributes = _of_model(means, (semconv.ATTR_OUTCOME, outcome), (semconv.ATTR_ERROR_TYPE, means.error_type))
    return _learnt(growth, means, use, Measurement(semconv.OTEL_MEASURE_AI_INFERENCES, growth.count, attributes))


def _tokens(growth: Growth, means: ModelSeries, pricer: Pricer) -> Learnt:
    """Tokens of one kind, with their part of the price: those of the other kind come in a series of their own."""
    tokens = round(growth.value)
    is_input = means.role == "input_tokens"
    use = ModelUse(means.model, means.version)
    if is_input:
        use.input_tokens, use.input_known = tokens, max(growth.count, 1)
    else:
        use.output_tokens, use.output_known = tokens, max(growth.count, 1)
    kind = semconv.TOKEN_TYPE_INPUT if is_input else semconv.TOKEN_TYPE_OUTPUT
    attributes = _of_model(means, (semconv.ATTR_GEN_AI_TOKEN_TYPE, kind))
    sums = [Measurement(semconv.OTEL_MEASURE_AI_TOKENS, tokens, attributes)]
    price = (
        None
        if growth.cost_comes
        else pricer.price_aggregate(
            means.model,
            tokens if is_input else 0,
            0 if is_input else tokens,
            # Calls of both kinds are the same ones: a price per request is charged with the tokens that they read.
            requests=growth.count if is_input else 0,
            ts=growth.point.ts,
            provider=means.provider,
            response_model=means.response_model,
        )
    )
    if price is not None or growth.cost_comes:
        use.priced_tokens = tokens
    if price is not None:
        use.cost_nano_usd = round(price.usd * semconv.NANO)
        use.priced = growth.count if is_input else 0
        use.sources = {price.source: growth.count} if is_input else {}
        sums.append(_cost_sum(means, price.usd, price.source))
    return _learnt(growth, means, use, *sums)


def _cost(growth: Growth, means: ModelSeries, _: Pricer) -> Learnt:
    calls = max(growth.count, 1)
    use = ModelUse(means.model, means.version, cost_nano_usd=round(growth.value * semconv.NANO), priced=calls)
    use.sources = {"provider": calls}
    return _learnt(growth, means, use, _cost_sum(means, growth.value, "provider"))


def _cost_sum(means: ModelSeries, usd: float, source: str) -> Measurement:
    return Measurement(semconv.OTEL_MEASURE_AI_COST_USD, usd, _of_model(means, (semconv.ATTR_COST_SOURCE, source)))


def _of_model(means: ModelSeries, *more: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    by_model = ((semconv.ATTR_GEN_AI_REQUEST_MODEL, means.model), (semconv.ATTR_MODEL_VERSION, means.version))
    return tuple(sorted((*by_model, *((key, value) for key, value in more if value is not None))))


def _learnt(growth: Growth, means: ModelSeries, use: ModelUse, *sums: Measurement) -> Learnt:
    return Learnt(growth.point.ts, means.origin, use, sums)


_LEARN: Final[dict[Role, Callable[[Growth, ModelSeries, Pricer], Learnt]]] = {
    "calls": _calls,
    "input_tokens": _tokens,
    "output_tokens": _tokens,
    "cost": _cost,
}
