"""How long calls took lately, judged: the models of all environments of a store that had a call within an hour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import nan
from typing import Final

from otel_measure.ai.latency import percentiles
from otel_measure.alerting.histories import loosest, targets_of
from otel_measure.definitions.alerting.calls import CallHistory, CallMinute, judge_latency, own_threshold
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Filter

_FIVE_MINUTES_US: Final = 5 * MINUTE_US
_SECOND_US: Final = 1_000_000
_Steps = Mapping[int, ModelUse]


def models_slow(store: Store, rules: Sequence[AlertRule], now_us: int) -> list[Judgement]:
    """Return what rules about latency say of every model that was called within their long window.

    Args:
        store: knows the calls.
        rules: their threshold is in milliseconds.
        now_us: microseconds.
    """
    with store.asking() as known:
        environments = known.environments
    return [
        judge_latency(rule, history, now_us)
        for environment in environments
        for rule in rules
        for history in _histories(store, environment, rule, now_us)
    ]


def _histories(store: Store, environment: str, rule: AlertRule, now_us: int) -> Iterator[CallHistory]:
    made = _steps(rule, now_us)
    with store.asking(Filter(environment=environment)) as known:
        by_version = known.models.use_by_step(made, "version")
        targets = {(name, version): targets_of(known.models, name, version) for name, version in by_version}
    for name in sorted({name for name, _ in by_version}):
        versions = [key for key in by_version if key[0] == name]
        of_model = loosest(targets[name, version] for _, version in versions)
        threshold_ms = own_threshold(rule, of_model)
        uses = _together(by_version[key] for key in versions)
        yield CallHistory(
            AlertSubject("model", name, environment),
            [_minute(made.edges[step], uses[step], threshold_ms) for step in sorted(uses)],
            _p95_ms(uses, made, now_us - rule.window_s * _SECOND_US),
            targets=of_model,
        )


def _steps(rule: AlertRule, now_us: int) -> Steps:
    """Return minutes for the short window of a rule, and five minutes at a time for the rest of the long one."""
    start, minutes_from = (
        at - at % _FIVE_MINUTES_US
        for at in (now_us - rule.long_window_s * _SECOND_US, now_us - rule.window_s * _SECOND_US)
    )
    end = now_us - now_us % MINUTE_US + MINUTE_US
    edges = (*range(start, minutes_from, _FIVE_MINUTES_US), *range(minutes_from, end + 1, MINUTE_US))
    return Steps(edges, MINUTE_US // _SECOND_US, ())


def _together(versions: Iterable[_Steps]) -> dict[int, ModelUse]:
    """Return the uses of all versions, added."""
    together: dict[int, ModelUse] = {}
    for uses in versions:
        for step, use in uses.items():
            together.setdefault(step, ModelUse("", "")).add(use)
    return together


def _minute(start: int, use: ModelUse, threshold_ms: float) -> CallMinute:
    """Return how many calls took too long; of others' histograms, those of which that is certain."""
    timed = slow = 0
    if use.latency is not None:
        timed, slow = use.latency.count, use.latency.explicit((threshold_ms,))[1]
    if use.binned is not None:
        timed, slow = timed + max(use.binned.count, 0), slow + use.binned.above(threshold_ms)
    return CallMinute(start, use.requests, use.errors, timed, slow)


def _p95_ms(uses: _Steps, made: Steps, since_us: int) -> float:
    """Return the percentile of the short window."""
    short = ModelUse("", "")
    for step, use in uses.items():
        if made.edges[step + 1] > since_us:
            short.add(use)
    return percentiles(short, (0.95,))[0] if short.latency is not None or short.binned is not None else nan
