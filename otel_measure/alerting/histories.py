"""What was called lately, judged: the models of all environments of a store that had a call in six hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from otel_measure.alerting.environments import environments_of
from otel_measure.definitions.alerting.calls import REACH_US, CallHistory, CallMinute, judge_errors
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.store.protocol import Store
from otel_measure.store.questions import StoredModels
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import CallCount, ModelKey

_FIVE_MINUTES_US: Final = 5 * MINUTE_US


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

    Args:
        store: knows the calls.
        rules: their threshold is a share of the calls.
        now_us: microseconds.
    """
    return [
        judge_errors(rule, history, now_us)
        for environment in environments_of(store)
        for history in _histories(store, environment, now_us)
        for rule in rules
    ]


def _histories(store: Store, environment: str, now_us: int) -> Iterator[CallHistory]:
    start, minutes_from = (at - at % _FIVE_MINUTES_US for at in (now_us - REACH_US, now_us - HOUR_US))
    with store.asking(Filter(environment=environment)) as known:
        called = together(known.models, environment, known.models.call_counts(start, minutes_from, now_us + 1))
    for model in called:
        yield CallHistory(model.subject, _added(model.versions), targets=model.targets)


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
