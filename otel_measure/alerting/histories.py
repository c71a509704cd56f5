"""What was called lately, judged: the models of all environments of a store that had a call in six hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from otel_measure.definitions.alerting.calls import REACH_US, CallHistory, CallMinute, judge_errors
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.store.protocol import Store
from otel_measure.store.questions import StoredModels
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import CallCount

_FIVE_MINUTES_US: Final = 5 * MINUTE_US


def models_failing(store: Store, rules: Sequence[AlertRule], now_us: int) -> list[Judgement]:
    """Return what rules about errors say of every model that was called in six hours, all its versions together.

    Args:
        store: knows the calls.
        rules: their threshold is a share of the calls.
        now_us: microseconds.
    """
    with store.asking() as known:
        environments = known.environments
    return [
        judge_errors(rule, history, now_us)
        for environment in environments
        for history in _histories(store, environment, now_us)
        for rule in rules
    ]


def _histories(store: Store, environment: str, now_us: int) -> Iterator[CallHistory]:
    start, minutes_from = (at - at % _FIVE_MINUTES_US for at in (now_us - REACH_US, now_us - HOUR_US))
    with store.asking(Filter(environment=environment)) as known:
        by_version = known.models.call_counts(start, minutes_from, now_us + 1)
        targets = {key: targets_of(known.models, *key) for key in by_version}
    for name in sorted({name for name, _ in by_version}):
        versions = [key for key in by_version if key[0] == name]
        yield CallHistory(
            AlertSubject("model", name, environment),
            _together(by_version[key] for key in versions),
            targets=loosest(targets[key] for key in versions),
        )


def targets_of(models: StoredModels, name: str, version: str) -> Mapping[str, float]:
    """Return what was registered for one version."""
    return next((model.targets or {} for model in models.models((name, version))), {})


def _together(versions: Iterable[Iterable[CallCount]]) -> list[CallMinute]:
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


def loosest(versions: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the targets of versions that are judged together: of two the larger, which both may reach."""
    loosest: dict[str, float] = {}
    for targets in versions:
        for key, target in targets.items():
            loosest[key] = max(target, loosest.get(key, target))
    return loosest
