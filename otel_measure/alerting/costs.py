"""What calls of models cost lately, judged: the models of all environments of a store that were called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from otel_measure.alerting.environments import environments_of
from otel_measure.alerting.histories import together
from otel_measure.conventions.instruments import NANO
from otel_measure.definitions.alerting.cost import PricedCalls, judge_cost
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Filter


def models_dear(store: Store, rules: Sequence[AlertRule], now_us: int) -> list[Judgement]:
    """Return what rules about cost say of every model that was called within their window, all versions together.

    Args:
        store: knows the calls.
        rules: their threshold is in dollars.
        now_us: microseconds.
    """
    return [
        judgement
        for environment in environments_of(store)
        for rule in rules
        for judgement in _of_environment(store, environment, rule, now_us)
    ]


def _of_environment(store: Store, environment: str, rule: AlertRule, now_us: int) -> Iterator[Judgement]:
    with store.asking(Filter(environment=environment)) as known:
        sums = known.calls.call_sums(now_us - rule.window_s * SECOND_US, now_us + 1)
        called = together(known.models, environment, sums)
    for model in called:
        spent = PricedCalls(
            sum(version.requests for version in model.versions),
            sum(version.priced for version in model.versions),
            sum(version.cost_nano_usd for version in model.versions) / NANO,
        )
        yield judge_cost(rule, model.subject, spent, model.targets)
