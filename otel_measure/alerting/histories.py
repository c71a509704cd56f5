"""What was called lately, judged: the models of all environments of a store that had a call in six hours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from otel_measure.alerting.environments import environments_of
from otel_measure.definitions.alerting.calls import (
    REACH_US,
    CallHistory,
    CallMinute,
    CallsInWindow,
    judge_errors,
    may_be_beyond,
    own_threshold,
    with_error_types,
)
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.store.model_questions import CallQuestions, StoredModels
from otel_measure.store.protocol import Store
from otel_measure.store.questions import Moment
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import CallCount, CallTotals, ModelKey

_FIVE_MINUTES_US: Final = 5 * MINUTE_US
_FAILURES_LOOKED_AT: Final = 1000  # of a version: they tell what most are as well as all would


V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CalledModel(Generic[V]):
    """A model that was called, all its versions together.

    Attributes:
        versions: what is known of each.
        targets: the loosest of those that were registered, by the key of the KPI.
    """

    subject: AlertSubject
    versions: list[V]
    targets: dict[str, float]


def models_failing(store: Store, rules: Sequence[AlertRule], now_us: int) -> list[Judgement]:
    """Return what rules about errors say of every model that was called in six hours, all its versions together.

    Most models are well, which what their calls add up to tells: only others are looked at minute by minute.

    Args:
        store: knows the calls.
        rules: their threshold is a share of the calls.
        now_us: microseconds.
    """
    judged: list[Judgement] = []
    for environment in environments_of(store):
        with store.asking(Filter(environment=environment)) as known:
            judged += _of_environment(known, environment, rules, now_us)
    return judged


def _of_environment(known: Moment, environment: str, rules: Sequence[AlertRule], now_us: int) -> Iterator[Judgement]:
    windows = {REACH_US, *(rule.long_window_s * SECOND_US for rule in rules)}
    sums = {window_us: known.calls.call_sums(_first(window_us, now_us), now_us + 1) for window_us in windows}
    called = together(known.models, environment, sums[REACH_US])
    by_name = {window_us: _by_name(of_window) for window_us, of_window in sums.items()}
    suspects = {
        (rule.key, model.subject.name)
        for rule in rules
        for model in called
        if may_be_beyond(
            own_threshold(rule, model.targets),
            by_name[REACH_US][model.subject.name],
            by_name[rule.long_window_s * SECOND_US].get(model.subject.name, CallsInWindow()),
        )
    }
    minutes = _minutes(known.calls, {name for _, name in suspects}, now_us)
    for rule in rules:
        for model in called:
            if (rule.key, model.subject.name) in suspects:
                history = CallHistory(model.subject, minutes[model.subject.name], targets=model.targets)
                yield _with_cause(known.calls, judge_errors(rule, history, now_us), rule, now_us)
            else:
                yield _well(rule, model)


def _well(rule: AlertRule, model: CalledModel[Any]) -> Judgement:
    """Return that a model is within by what its calls add up to; its value was not reckoned."""
    threshold, severity = own_threshold(rule, model.targets), rule.severity_of(rule.kpi in model.targets)
    return Judgement(rule.key, model.subject, "within", threshold=threshold, severity=severity)


def _first(window_us: int, now_us: int) -> int:
    """Return where the cells of a window begin: before the last hour they are five minutes long."""
    start = now_us - window_us
    return start if window_us <= HOUR_US else start + -start % _FIVE_MINUTES_US


def _by_name(sums: Mapping[ModelKey, CallTotals]) -> dict[str, CallsInWindow]:
    """Return what calls add up to, all versions of a model together."""
    by_name: dict[str, CallsInWindow] = {}
    for (name, _), totals in sums.items():
        known = by_name.get(name, CallsInWindow())
        by_name[name] = CallsInWindow(known.calls + totals.requests, known.bad + totals.errors)
    return by_name


def _minutes(known: CallQuestions, names: Collection[str], now_us: int) -> dict[str, list[CallMinute]]:
    """Return the calls of six hours of some models, all versions of each together."""
    start, minutes_from = (at - at % _FIVE_MINUTES_US for at in (now_us - REACH_US, now_us - HOUR_US))
    by_version: dict[str, list[list[CallCount]]] = {}
    for (name, _), counts in known.call_counts(start, minutes_from, now_us + 1, names).items():
        by_version.setdefault(name, []).append(counts)
    return {name: _added(versions) for name, versions in by_version.items()}


def _with_cause(known: CallQuestions, judgement: Judgement, rule: AlertRule, now_us: int) -> Judgement:
    """Return a judgement with what most of the last failures were, where a model is beyond."""
    if judgement.outcome != "beyond":
        return judgement
    start = min(judgement.since_us, now_us - rule.window_s * SECOND_US)
    return with_error_types(
        judgement, known.error_types(judgement.subject.name, start, now_us + 1, _FAILURES_LOOKED_AT)
    )


def together(models: StoredModels, environment: str, by_version: Mapping[ModelKey, V]) -> list[CalledModel[V]]:
    """Return what is known of models by version, all versions of a model together, sorted by name.

    Args:
        models: know what was registered for each version.
        environment: that the calls are of.
        by_version: name and version, and what is known of it.
    """
    by_name: dict[str, list[ModelKey]] = {}
    for key in sorted(by_version):
        by_name.setdefault(key[0], []).append(key)
    return [
        CalledModel(
            AlertSubject("model", name, environment),
            [by_version[key] for key in keys],
            _loosest(_targets(models, key) for key in keys),
        )
        for name, keys in by_name.items()
    ]


def _targets(models: StoredModels, key: ModelKey) -> Mapping[str, float]:
    """Return what was registered for one version."""
    return next((model.targets or {} for model in models.models(key)), {})


def _added(versions: Iterable[Iterable[CallCount]]) -> list[CallMinute]:
    """Return the cells of all versions, added."""
    first, *others = versions
    if not others:
        return [CallMinute(*count) for count in first]
    versions = (first, *others)
    minutes: dict[int, CallMinute] = {}
    for counts in versions:
        for start, requests, errors in counts:
            known = minutes.get(start, CallMinute(start))
            minutes[start] = known._replace(calls=known.calls + requests, errors=known.errors + errors)
    return [minutes[start] for start in sorted(minutes)]


def _loosest(versions: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the targets of versions that are judged together: of two the larger, which both may reach."""
    loosest: dict[str, float] = {}
    for targets in versions:
        for key, target in targets.items():
            loosest[key] = max(target, loosest.get(key, target))
    return loosest
