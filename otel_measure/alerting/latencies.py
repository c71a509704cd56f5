"""How long calls took lately, judged: the models of all environments of a store that had a call within an hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import nan
from typing import Final

from otel_measure.ai.latency import percentiles
from otel_measure.alerting.environments import environments_of
from otel_measure.alerting.histories import together
from otel_measure.definitions.alerting.calls import CallHistory, CallMinute, judge_latency, own_threshold
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.model_use import ModelUse, added_by_step
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Filter

_FIVE_MINUTES_US: Final = 5 * MINUTE_US


def models_slow(store: Store, rules: Sequence[AlertRule], now_us: int) -> list[Judgement]:
    """Return what rules about latency say of every model that was called within their long window.

    Args:
        store: knows the calls.
        rules: their threshold is in milliseconds.
        now_us: microseconds.
    """
    return [
        judge_latency(rule, history, now_us)
        for environment in environments_of(store)
        for rule in rules
        for history in _histories(store, environment, rule, now_us)
    ]


def _histories(store: Store, environment: str, rule: AlertRule, now_us: int) -> Iterator[CallHistory]:
    made = _steps(rule, now_us)
    with store.asking(Filter(environment=environment)) as known:
        uses = known.models.use_by_step(made, "version")
        called = together(known.models, environment, {(name, version): uses[name, version] for name, version in uses})
    for model in called:
        added, threshold_ms = added_by_step(model.versions), own_threshold(rule, model.targets)
        yield CallHistory(
            model.subject,
            [_minute(made.edges[step], added[step], threshold_ms) for step in sorted(added)],
            _p95_ms(added, made, now_us - rule.window_s * SECOND_US),
            targets=model.targets,
        )


def _steps(rule: AlertRule, now_us: int) -> Steps:
    """Return minutes for the short window of a rule, and five minutes at a time for the rest of the long one."""
    start, minutes_from = (
        at - at % _FIVE_MINUTES_US
        for at in (now_us - rule.long_window_s * SECOND_US, now_us - rule.window_s * SECOND_US)
    )
    end = now_us - now_us % MINUTE_US + MINUTE_US
    edges = (*range(start, minutes_from, _FIVE_MINUTES_US), *range(minutes_from, end + 1, MINUTE_US))
    return Steps(edges, MINUTE_US // SECOND_US, ())


def _minute(start: int, use: ModelUse, threshold_ms: float) -> CallMinute:
    """Return how many calls took too long; of others' histograms, those of which that is certain."""
    timed = slow = 0
    if use.latency is not None:
        timed, slow = use.latency.count, use.latency.explicit((threshold_ms,))[1]
    if use.binned is not None:
        timed, slow = timed + max(use.binned.count, 0), slow + use.binned.above(threshold_ms)
    return CallMinute(start, use.requests, use.errors, timed, slow)


def _p95_ms(uses: Mapping[int, ModelUse], made: Steps, since_us: int) -> float:
    """Return the percentile of the short window."""
    short = ModelUse("", "")
    for step, use in uses.items():
        if made.edges[step + 1] > since_us:
            short.add(use)
    return percentiles(short, (0.95,))[0] if short.latency is not None or short.binned is not None else nan
