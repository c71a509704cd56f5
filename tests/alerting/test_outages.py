"""What wakes somebody, the whole way: calls in a store, a server's turns by a clock, and what a webhook was told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from otel_measure.alerting.evaluator import AlertRules
from otel_measure.alerting.in_force import BY_KEY, rules_in_force
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.records.kinds import Inference
from otel_measure.store.protocol import Store
from tests.alerting.evaluating import AlertServer
from tests.facts import DAY, HOUR, MINUTE, NOON, inference

DAYS_BEFORE: Final = 8
OUTAGE: Final = range(60, 105)  # minutes after noon
IN_OUTAGE: Final[dict[str, dict[str, Any] | None]] = {
    "model_errors": {"error_type": "Timeout"},
    "model_latency": {"latency_ms": 20_000.0},
    "model_silence": None,  # no calls
}
SENTENCES: Final = {
    "model_errors": "5 of the last 5 calls of m failed, 5 % may; since 13:00 UTC; 5 of 5 with Timeout",
    "model_latency": "7 of the last 15 calls of m took over 500 ms, 5 % may; since 13:00 UTC",
    "model_silence": (
        "m was not called since 2026-01-15 13:00 UTC, and shop goes on sending; at the same time of day it had 14 calls"
        " or more on each of the 7 days before"
    ),
}
LATER: Final = {"model_errors": [("firing", "ticket")], "model_latency": [], "model_silence": []}
WEEK: Final = 7 * DAY
BUSY_HOURS: Final = range(10, 15)


class Notified(NamedTuple):
    """What a webhook was told, so many minutes after noon."""

    minute: int
    body: Any


def call(at: int, model: str = "m", version: str = "1", **fields: Any) -> Inference:
    """Return a call of 120 ms."""
    return inference(f"{model}/{version}/{at}", at, model=model, version=version, **({"latency_ms": 120.0} | fields))


def day_of(noon: int, busy: range = BUSY_HOURS) -> Iterable[int]:
    """Yield a time each minute of the busy hours of a day, and each half hour of the others."""
    midnight = noon - 12 * HOUR
    for hour in range(24):
        yield from range(midnight + hour * HOUR, midnight + (hour + 1) * HOUR, MINUTE if hour in busy else HOUR // 2)


def rules(store: Store) -> AlertRules:
    """Return the rules of calls, as a server has them."""
    of_calls = [rule for rule in ALERT_RULES if rule.about in ("model", "service")]
    return rules_in_force(store, "web-1", lambda _: [], of_calls)


def told(server: AlertServer, minutes: Iterable[int], tells: Callable[[int], Iterable[Inference]]) -> list[Notified]:
    """Return what a webhook was told; what is told of a minute comes before its turn."""
    notifications = []
    for at in minutes:
        server.store.accept(list(tells(at)))
        server.now_us = at  # a turn comes a minute later
        assert server.minute()
        notifications += [Notified((at - NOON) // MINUTE + 1, body) for body in server.log.taken()]
    return notifications


@pytest.mark.parametrize(("rule", "within"), [("model_errors", 10), ("model_latency", 10), ("model_silence", 30)])
def test_an_outage_of_45_minutes_is_told_of_in_time_and_once_and_so_is_its_end(rule: str, within: int) -> None:
    """At a call a minute one notification says what is wrong, within minutes, and one that it is over."""
    server, outage = AlertServer(rules=rules), IN_OUTAGE[rule]
    before = [at for day in range(1, DAYS_BEFORE + 1) for at in day_of(NOON - day * DAY)]
    times = (*before, *range(NOON - 2 * HOUR, NOON, MINUTE))
    server.store.accept([call(at, model) for at in times for model in ("m", "other")])

    def tells(at: int) -> Iterator[Inference]:
        yield call(at, "other")
        if (at - NOON) // MINUTE not in OUTAGE:
            yield call(at)
        elif outage is not None:
            yield call(at, **outage)

    notifications = told(server, range(NOON + 50 * MINUTE, NOON + 220 * MINUTE, MINUTE), tells)
    first, *later, last = notifications
    assert OUTAGE.start < first.minute <= OUTAGE.start + within
    severity = BY_KEY[rule].severity_of(has_own_target=False)
    fired = first.body
    assert (fired["status"], fired["severity"], fired["subject"]["name"]) == ("firing", severity, "m")
    assert [(alert["rule"], alert["sentence"]) for alert in fired["alerts"]] == [(rule, SENTENCES[rule])]
    # Whoever was woken is told when what is left of it can wait.
    assert [(one.body["status"], one.body["severity"]) for one in later] == LATER[rule]
    assert OUTAGE.stop <= notifications[1].minute <= OUTAGE.stop + 25
    assert last.body["status"] == "resolved"
    assert {one.body["incident"] for one in notifications} == {fired["incident"]}


@pytest.mark.no_cover
def test_a_model_with_a_new_version_each_week_tells_nothing() -> None:
    """Ten versions follow each other, each time nobody is called for two minutes, and 2 % of all calls fail."""
    server = AlertServer(rules=rules)
    releases = [NOON + week * WEEK for week in range(10)]
    calls = []
    for version, release in enumerate(releases):
        times = (at for day in range(7) for at in day_of(release + day * DAY, range(12, 13)))
        calls += [
            call(at, version=str(version - (at < release)), error_type="Timeout" if at // MINUTE % 50 == 7 else None)
            for at in times
            if not release <= at < release + 2 * MINUTE
        ]
    waiting = deque(calls)

    def tells(now: int) -> Iterator[Inference]:
        while waiting and waiting[0].ts <= now:
            yield waiting.popleft()

    for release in releases:
        assert told(server, range(release - 4 * MINUTE, release + 40 * MINUTE, 4 * MINUTE), tells) == []
    assert len({one.version for one in calls}) == 11  # the one before the first release too


def test_a_model_that_gets_another_name_is_a_ticket() -> None:
    """Whoever called the one calls a new one instead, which nobody has to be woken for; if that stops, somebody is."""
    server = AlertServer(rules=rules)
    before = [at for day in range(1, DAYS_BEFORE + 1) for at in day_of(NOON - day * DAY)]
    server.store.accept(
        [call(at, model) for at in (*before, *range(NOON - HOUR, NOON, MINUTE)) for model in ("m", "o")]
    )

    def tells(at: int) -> Iterator[Inference]:
        yield call(at, "o")
        if NOON - 5 * MINUTE <= at < NOON + 40 * MINUTE:
            yield call(at, "m-2")

    told_first, told_then = (
        [(one.body["severity"], one.body["alerts"][0]["sentence"]) for one in told(server, minutes, tells)]
        for minutes in (range(NOON, NOON + 40 * MINUTE, MINUTE), range(NOON + 40 * MINUTE, NOON + 60 * MINUTE, MINUTE))
    )
    assert [severity for severity, _ in (*told_first, *told_then)] == ["ticket", "page"]
    assert told_first[0][1].startswith(
        "m was not called since 2026-01-15 12:00 UTC, and shop began to call m-2 instead;"
    )
    assert told_then[0][1].startswith("m was not called since 2026-01-15 12:00 UTC, and shop goes on sending;")


@pytest.mark.parametrize("goes_on", [25, 75], ids=["ends before the clock is as late again", "ends after it"])
@pytest.mark.parametrize("rule", ["model_errors", "model_silence"])
def test_a_clock_that_is_set_back_in_an_outage_pages_once(rule: str, goes_on: int) -> None:
    """An hour back, half an hour after its start: one page, and one end, once the clock is as late again."""
    server, outage = AlertServer(rules=rules), IN_OUTAGE[rule]
    before = [at for day in range(1, DAYS_BEFORE + 1) for at in day_of(NOON - day * DAY)]
    server.store.accept([call(at, m) for at in (*before, *range(NOON, NOON + HOUR, MINUTE)) for m in ("m", "other")])

    def tells(at: int, is_out: bool) -> Iterator[Inference]:
        yield call(at, "other")
        if not is_out:
            yield call(at)
        elif outage is not None:
            yield call(at, **outage)

    def again_tells(at: int) -> Iterator[Inference]:
        for one in tells(at, at < again.start + goes_on * MINUTE):
            yield msgspec.structs.replace(one, id=f"{one.id}/again")

    first = range(NOON + HOUR, NOON + 90 * MINUTE, MINUTE)
    again = range(NOON + 30 * MINUTE, NOON + 4 * HOUR, MINUTE)
    notifications = [
        *told(server, first, lambda at: tells(at, is_out=True)),
        *told(server, again, again_tells),
    ]
    fired, *later = (one.body for one in notifications)
    assert (fired["status"], fired["severity"], fired["alerts"][0]["rule"]) == ("firing", "page", rule)
    assert [(one["status"], one["severity"]) for one in later if one["severity"] == "page"] == (
        [] if LATER[rule] else [("resolved", "page")]
    )
    assert later[-1]["status"] == "resolved"
    assert {one["incident"] for one in later} == {fired["incident"]}
