"""Silence, judged from the calls of a store: on a history that a clock drives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from otel_measure.alerting.absences import ABSENCES, CallAbsences
from otel_measure.alerting.in_force import BY_KEY
from otel_measure.config import Settings
from otel_measure.definitions.alerting.absence import fewest_calls
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.protocol import Store
from otel_measure.testing import Capture
from tests.facts import DAY, HOUR, MINUTE, NOON, inference

SHOP: Final = Origin("shop", "test")
RULES: Final = [rule for rule in BY_KEY.values() if rule.judge in ABSENCES]
WEEK: Final = 8
SILENT: Final = range(15, 60)  # minutes after noon


@pytest.fixture
def store() -> Iterator[Store]:
    """Yield the store of a process in the environment "test"."""
    with Capture(Settings(store=":memory:", environment="test")) as capture:
        assert capture.runtime.store is not None
        yield capture.runtime.store


def calls(model: str, times: Iterable[int], service: Origin = SHOP, version: str = "1") -> list[Inference]:
    """Return calls of a model at some times."""
    return [
        inference(f"{service.service}/{model}/{version}/{at}", at, model=model, origin=service, version=version)
        for at in times
    ]


def days_before(days: int = WEEK) -> list[int]:
    """Return a time each minute around noon, and each half hour else, of the days before."""
    day = (*range(-8 * HOUR, -HOUR, HOUR // 2), *range(-HOUR, 2 * HOUR, MINUTE))
    return [NOON - k * DAY + at for k in range(1, days + 1) for at in day]


def turns(store: Store, absences: CallAbsences, minutes: Iterable[int]) -> dict[tuple[str, str], dict[int, str]]:
    """Return the sentences of each rule and subject that is beyond, by the minute after noon."""
    said: dict[tuple[str, str], dict[int, str]] = {}
    for minute in minutes:
        now = NOON + minute * MINUTE
        store.alerts.take_term("a", "x", now, now + 3 * MINUTE)
        for one in absences.judge(now):
            if one.outcome == "beyond":
                said.setdefault((one.rule, one.subject.name), {})[minute] = one.sentence
    return said


def watched(store: Store, until: int = NOON) -> CallAbsences:
    """Return a judge of a store that somebody has evaluated for an hour."""
    for at in range(until - HOUR, until + 1, MINUTE):
        store.alerts.take_term("a", "x", at, at + 3 * MINUTE)
    return CallAbsences(store, RULES, ZoneInfo("UTC"))


def test_no_call_at_all_is_told_within_half_an_hour_and_resolved_by_the_next_call(store: Store) -> None:
    """At a call a minute under two versions; whoever calls the model goes on calling another one."""
    store.accept([*calls("m", days_before()), *calls("m", days_before(1), version="2"), *calls("other", days_before())])
    absences = watched(store)
    said: dict[tuple[str, str], dict[int, str]] = {}
    for minute in range(75):
        at = NOON + minute * MINUTE
        store.accept([*calls("other", [at]), *(calls("m", [at]) if minute not in SILENT else [])])
        for key, sentences in turns(store, absences, [minute + 1]).items():
            said.setdefault(key, {}).update(sentences)
    assert list(said) == [("model_silence", "m")]
    told = said["model_silence", "m"]
    assert list(told) == list(range(SILENT.start + 14, SILENT.stop + 1))
    assert told[30] == (
        "m was not called since 2026-01-15 12:15 UTC, and shop goes on sending; at the same time of day it had 15 calls"
        " or more on each of the 7 days before"
    )


def test_when_nothing_comes_of_a_sender_it_is_the_sender_that_is_silent(store: Store) -> None:
    """The model that only it calls is not told of; one that somebody else calls too is."""
    api = Origin("api", "test")
    store.accept([*calls("m", days_before()), *calls("both", days_before()), *calls("both", days_before(), api)])
    store.accept(calls("m", range(NOON, NOON + 15 * MINUTE, MINUTE)))
    absences = watched(store)
    said: dict[tuple[str, str], dict[int, str]] = {}
    for minute in range(15, 46):
        store.accept(calls("third", [NOON + minute * MINUTE], api))
        said |= turns(store, absences, [minute])
    assert set(said) == {("sender_silence", "shop"), ("model_silence", "both")}
    assert said["sender_silence", "shop"] == {
        45: "nothing came from shop since 2026-01-15 12:15 UTC; at the same time of day it made 60 calls of models or"
        " more on each of the 7 days before"
    }


def test_calls_that_come_late_count_where_they_lie(store: Store) -> None:
    """They end a silence that they lie in, shorten one that goes on, and tell nothing of one that is over."""
    store.accept([*calls("m", days_before()), *calls("other", days_before())])
    absences = watched(store)
    store.accept(calls("other", range(NOON, NOON + HOUR, MINUTE)))
    silent = [("model_silence", "m")]
    assert list(turns(store, absences, range(1, 31))) == silent
    store.accept(calls("m", [NOON + 12 * MINUTE]))
    assert list(turns(store, absences, [31])) == silent
    store.accept(calls("m", [NOON + 29 * MINUTE]))
    assert turns(store, absences, [32]) == {}
    store.accept([*calls("m", [NOON + 46 * MINUTE]), *calls("m", [NOON - 20 * MINUTE])])
    assert turns(store, absences, [46]) == {}


def test_after_a_start_nothing_is_told_before_it_was_watched_in_full(store: Store) -> None:
    """A server that was away for hours waits as long as if the last call had come when it began."""
    store.accept([*calls("m", days_before()), *calls("other", days_before())])
    store.accept(calls("other", range(NOON, NOON + HOUR, MINUTE)))
    absences = watched(store, NOON - 15 * HOUR)
    told = turns(store, absences, range(61))["model_silence", "m"]
    assert list(told) == list(range(14, 61))


def test_models_that_are_not_called_any_more_are_not_asked_about(store: Store) -> None:
    """What had no call in eight days has no judgement; what is called is within."""
    store.accept([*calls("gone", [NOON - 9 * DAY]), *calls("m", [NOON - MINUTE])])
    judged = {(one.rule, one.subject): one.outcome for one in watched(store).judge(NOON)}
    model, service = AlertSubject("model", "m", "test"), AlertSubject("service", "shop", "test")
    assert judged == {
        ("model_silence", model): "within",
        ("model_silence_young", model): "within",
        ("model_batch_missed", model): "within",
        ("sender_silence", service): "within",
    }


def test_who_had_too_few_calls_to_be_missed_is_not_looked_at(store: Store) -> None:
    """Three times the smallest threshold is enough; whoever is called is looked at from then on."""
    few = [NOON - 2 * HOUR - k * MINUTE for k in range(41)]
    store.accept([*calls("few", few), *calls("enough", [*few, NOON - 3 * HOUR])])
    absences = watched(store)
    said = []
    for minute in (0, 1, 2):
        said.append({one.subject.name for one in absences.judge(NOON + minute * MINUTE) if one.subject.kind == "model"})
        store.accept(calls("few", [NOON]))
    assert said == [{"enough"}, {"enough", "few"}, {"enough", "few"}]
    assert fewest_calls(RULES) == 42


def test_a_server_tells_of_a_model_that_is_not_called() -> None:
    """Silence is an alert in `/alerts` after the next turn."""
    with Capture(Settings(store=":memory:", environment="test")) as capture:
        runtime = capture.runtime
        assert runtime.store is not None
        assert runtime.alerts is not None
        capture.clock.now_us = now = NOON + 20 * MINUTE
        runtime.store.accept([*calls("m", [*days_before(), NOON - MINUTE]), *calls("other", [now - MINUTE])])
        watched(runtime.store, now - MINUTE)
        runtime.store.alerts.give_up_term("a")
        runtime.alerts.run_due()
        alerts = {alert.rule: (alert.title, alert.state, alert.severity) for alert in runtime.rule_alerts().active}
    assert alerts["model_silence"] == ("A model is not called any more", "firing", "page")
