"""How long calls took lately, judged: the models of all environments of a store that had a call within an hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import nan
from typing import Final

from otel_measure.ai.latency import percentiles
from otel_measure.alerting.environments import environments_of
from otel_measure.alerting.histories import together
from otel_measure.definitions.alerting.calls import CallHistory, CallMinute, judge_latency, own_threshold
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.store.model_questions import StoredModels
from otel_measure.store.protocol import Store
from otel_measure.store.questions import Moment
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ModelChoice, TimedCount

_FIVE_MINUTES_US: Final = 5 * MINUTE_US


def models_slow(store: Store, rules: Sequence[AlertRule], now_us: int) -> list[Judgement]:
    """Return what rules about latency say of every model that was called within their long window.

    Args:
        store: knows the calls.
        rules: their threshold is in milliseconds.
        now_us: microseconds.
    """
    judged: list[Judgement] = []
    for environment in environments_of(store):
        with store.asking(Filter(environment=environment)) as known:
            for rule in rules:
                judged += _of_environment(known, environment, rule, now_us)
    return judged


def _of_environment(known: Moment, environment: str, rule: AlertRule, now_us: int) -> Iterator[Judgement]:
    """Yield what a rule says; the percentile of a model is reckoned only where it is beyond, and told."""
    start, minutes_from = (
        at - at % _FIVE_MINUTES_US
        for at in (now_us - rule.long_window_s * SECOND_US, now_us - rule.window_s * SECOND_US)
    )
    called = together(known.models, environment, known.calls.call_sums(start, now_us + 1))
    thresholds = {model.subject.name: own_threshold(rule, model.targets) for model in called}
    by_version: dict[str, list[list[TimedCount]]] = {}
    for (name, _), counts in known.calls.timed_counts(start, minutes_from, now_us + 1, thresholds).items():
        by_version.setdefault(name, []).append(counts)
    for model in called:
        minutes = _added(by_version[model.subject.name])
        judgement = judge_latency(rule, CallHistory(model.subject, minutes, targets=model.targets), now_us)
        if judgement.outcome == "beyond":
            judgement = replace(judgement, value=_p95_ms(known.models, model.subject.name, rule, now_us))
        yield judgement


def _added(versions: Sequence[Sequence[TimedCount]]) -> list[CallMinute]:
    """Return the cells of all versions of a model, added."""
    minutes: dict[int, CallMinute] = {}
    for start, timed, slow in (count for counts in versions for count in counts):
        known = minutes.get(start)
        if known is not None:
            timed, slow = timed + known.timed, slow + known.slow
        minutes[start] = CallMinute(start, timed=timed, slow=slow)
    return [minutes[start] for start in sorted(minutes)]


def _p95_ms(known: StoredModels, name: str, rule: AlertRule, now_us: int) -> float:
    """Return the percentile of the short window of a rule, all versions of a model together."""
    start, end = now_us - rule.window_s * SECOND_US, now_us + 1
    made = Steps((start - start % MINUTE_US, end + -end % MINUTE_US), rule.window_s, ())
    uses = known.use_by_step(made, "model", ModelChoice(name)).get((name,), {})
    return percentiles(uses[0], (0.95,))[0] if uses else nan
