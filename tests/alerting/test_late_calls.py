"""Senders that tell of calls in batches, on a history that a clock drives: silence is told by the rhythm of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from otel_measure.alerting.absences import ABSENCES, CallAbsences
from otel_measure.alerting.in_force import BY_KEY
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.protocol import Store
from otel_measure.store.types.alerts import LateDay
from otel_measure.store.types.streams import Sender
from otel_measure.testing import Capture
from tests.facts import DAY, HOUR, MINUTE, NOON, inference

SHOP: Final = Origin("shop", "test")
RULES: Final = [rule for rule in BY_KEY.values() if rule.judge in ABSENCES]
EVERY: Final = 4 * MINUTE  # 14 calls are 56 minutes
MIDNIGHT: Final = NOON - 12 * HOUR
IDS: Final = count()


@pytest.fixture
def store() -> Iterator[Store]:
    """Yield the store of a process in the environment "test"."""
    with Capture(Settings(store=":memory:", environment="test")) as capture:
        assert capture.runtime.store is not None
        yield capture.runtime.store


def calls(start: int, end: int, model: str = "m", service: Origin = SHOP) -> list[Inference]:
    """Return a call every four minutes."""
    return [inference(f"{next(IDS)}", at, model=model, origin=service) for at in range(start, end, EVERY)]


class SilenceEvaluation:
    """What evaluates a store, and what it said."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.absences = CallAbsences(store, RULES, ZoneInfo("UTC"))
        self.beyond: dict[tuple[str, str], list[int]] = {}
        self.sentences: list[str] = []

    def watch(self, start: int, end: int) -> None:
        """Note that somebody evaluated all the time."""
        for at in range(start, end, 3 * MINUTE):
            self._store.alerts.take_term("a", "x", at, at + 3 * MINUTE)

    def turn(self, now: int) -> None:
        """Judge once."""
        self._store.alerts.take_term("a", "x", now, now + 3 * MINUTE)
        for one in self.absences.judge(now):
            if one.outcome == "beyond":
                self.beyond.setdefault((one.rule, one.subject.name), []).append(now)
                self.sentences.append(one.sentence)


def learnt(
    store: Store, days: Iterable[int], begins: int, ends: int, every: int, models: Iterable[str] = ("m",)
) -> SilenceEvaluation:
    """Return an evaluation that saw on some days, counted back, what is called from a time to another come in batches.

    What was called in the twelve days before at any other time has come by itself.
    """
    evaluation, known_until = SilenceEvaluation(store), NOON - 12 * DAY
    for day in days:
        first = begins - day * DAY
        store.accept([call for model in models for call in calls(known_until, first, model)])
        for at in range(first + every, ends - day * DAY + 1, every):
            evaluation.turn(at - MINUTE)
            store.accept([call for model in models for call in calls(at - every, at, model)])
            evaluation.turn(at)
        known_until = ends - day * DAY
    evaluation.beyond.clear()
    evaluation.sentences.clear()
    return evaluation


@pytest.mark.parametrize(("minutes", "told_after"), [(4, 53), (16, 71), (60, 121)])
def test_who_tells_in_batches_is_silent_when_a_batch_is_missed(store: Store, minutes: int, told_after: int) -> None:
    """While they come as usual nothing is told; when the sender dies, as soon as what is missing should be known."""
    every, begins = minutes * MINUTE, NOON - 4 * HOUR
    evaluation = learnt(store, (3, 2, 1), begins, NOON, every)
    store.accept(calls(NOON - DAY, begins))
    evaluation.watch(begins - 3 * HOUR, begins)
    for now in range(begins + MINUTE, NOON + 3 * HOUR, MINUTE):
        if now <= NOON and (now - begins) % every == 0:
            store.accept(calls(now - every, now))
        evaluation.turn(now)
    assert list(evaluation.beyond) == [("sender_silence", "shop")]
    assert (evaluation.beyond["sender_silence", "shop"][0] - NOON) // MINUTE == told_after


def nightly(store: Store, days: Iterable[int]) -> SilenceEvaluation:
    """Return an evaluation that saw calls of a day, to midnight, come two hours later."""
    evaluation = SilenceEvaluation(store)
    for day in days:
        midnight = MIDNIGHT - day * DAY
        evaluation.turn(midnight + 2 * HOUR - MINUTE)
        store.accept(calls(midnight - DAY, midnight))
        evaluation.turn(midnight + 2 * HOUR)
    return evaluation


def test_who_tells_at_night_is_silent_when_a_night_is_missed(store: Store) -> None:
    """After three nights nothing is told until the next one, and an eighth of its 26 hours, have gone by."""
    evaluation = nightly(store, range(11, 0, -1))
    evaluation.beyond.clear()
    evaluation.watch(MIDNIGHT - 2 * DAY, MIDNIGHT)
    for now in range(MIDNIGHT, MIDNIGHT + 9 * HOUR, 10 * MINUTE):
        evaluation.watch(now - 10 * MINUTE, now)
        evaluation.turn(now)
    told = {key: (at[0] - MIDNIGHT) / HOUR for key, at in evaluation.beyond.items()}
    assert list(told) == [("sender_silence", "shop")]
    assert told["sender_silence", "shop"] == pytest.approx(26 * 9 / 8 - 24 + 53 / 60, abs=1 / 6)
    assert evaluation.sentences[-1].endswith(
        "calls of models or more on each of the 7 days before; its calls become known up to 1 day, 5:15:00 h late"
    )


def test_a_model_is_missed_although_its_sender_tells_in_batches(store: Store) -> None:
    """Who tells by the hour lives until the next batch is due, and what is not in its batches is not called."""
    every, begins = HOUR, NOON - 4 * HOUR
    evaluation = learnt(store, (3, 2, 1), begins, NOON, every, ("m", "other"))
    store.accept([*calls(NOON - DAY, begins), *calls(NOON - DAY, begins, "other")])
    evaluation.watch(begins - 3 * HOUR, begins)
    for now in range(begins + MINUTE, NOON + 4 * HOUR, MINUTE):
        if (now - begins) % every == 0:
            store.accept([*(calls(now - every, now) if now <= NOON else ()), *calls(now - every, now, "other")])
        evaluation.turn(now)
    told = [(at - NOON) // MINUTE for at in evaluation.beyond["model_silence", "m"]]
    assert (set(evaluation.beyond), told[0], told[-1]) == ({("model_silence", "m")}, 121, 239)
    assert len(told) == 239 - 121 + 1


@pytest.mark.parametrize(("days", "told_after"), [(2, 53), (3, 53 + 2 * 60 * 9 // 8)])
def test_three_days_are_a_habit_and_two_are_not(store: Store, days: int, told_after: int) -> None:
    """What came late on three days puts off the next alert by as much, also after a restart; on two it does not."""
    late, dies = 2 * HOUR, NOON - 2 * HOUR
    store.accept(calls(NOON - 12 * DAY, NOON - days * DAY - late))
    evaluation = SilenceEvaluation(store)
    for day in range(days, 0, -1):
        at = NOON - day * DAY
        evaluation.turn(at - MINUTE)
        store.accept(calls(at - late, at))
        evaluation.turn(at)
        store.accept(calls(at, at + DAY - late))
    service = AlertSubject("service", "shop", "test")
    with store.asking() as known:
        kept = [one for one in known.alerts.late_days("test") if one.subject == service]
    assert kept == [LateDay(service, (NOON - day * DAY) // DAY, late) for day in range(days, 0, -1)]
    again = SilenceEvaluation(store)
    again.watch(NOON - 6 * HOUR, dies)
    for now in range(dies, dies + 4 * HOUR, MINUTE):
        again.turn(now)
    assert [(at[0] - dies) // MINUTE for at in again.beyond.values()] == [told_after]


def test_who_is_heard_of_between_batches_is_missed_at_once(store: Store) -> None:
    """A service whose metrics come every minute and whose calls come by the hour is silent once nothing comes."""
    every, begins = HOUR, NOON - 4 * HOUR
    store.accept(calls(NOON - 12 * DAY, begins))
    evaluation = SilenceEvaluation(store)
    evaluation.watch(begins - 3 * HOUR, begins)
    for now in range(begins + MINUTE, NOON + HOUR, MINUTE):
        if now <= NOON:
            store.note_senders([Sender("shop", "test", "i", {}, now)])
            if (now - begins) % every == 0:
                store.accept(calls(now - every, now))
        evaluation.turn(now)
    assert (evaluation.beyond["sender_silence", "shop"][0] - NOON) // MINUTE == 53
