"""How often healthy models and services wake somebody, and how soon an outage is told of, by the rules as they are.

python -m tests.definitions.simulated_alerts [models days] judges every minute, and prints pages and tickets, then the
minutes until each rule tells of its outage.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from otel_measure.alerting.services import judge_burning, judge_down
from otel_measure.definitions.alerting.absence import (
    AbsenceHistory,
    judge_daily_batch,
    judge_sender,
    judge_silence,
    judge_young_silence,
)
from otel_measure.definitions.alerting.calls import CallHistory, CallMinute, judge_errors, judge_latency
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.past_calls import REACH_US, PastCalls
from otel_measure.definitions.alerting.rule import AlertRule, Judge
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.definitions.alerting.states import SECOND_US, AlertState, step
from otel_measure.definitions.days import micros
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.store.types.services import RegisteredService, ServiceHistory, StateChange

Counts = npt.NDArray[np.int64]
ZONE: Final = ZoneInfo("Europe/Berlin")
START_US: Final = micros(datetime(2026, 3, 9, tzinfo=UTC))  # a Monday; clocks are put forward on the 29th
DAY: Final = 1440
BEFORE: Final = REACH_US // MINUTE_US
"""Minutes of the weeks before, of which only calls are known."""
BY_JUDGE: Final[Mapping[Judge, tuple[AlertRule, ...]]] = {
    judge: tuple(rule for rule in ALERT_RULES if rule.judge == judge) for judge in {rule.judge for rule in ALERT_RULES}
}
OF_CALLS: Final[Mapping[Judge, Callable[[AlertRule, CallHistory, int], Judgement]]] = {
    "error_share": judge_errors,
    "slow_share": judge_latency,
}
OF_ABSENCE: Final[Mapping[Judge, Callable[[AlertRule, AbsenceHistory, int], Judgement]]] = {
    "silence": judge_silence,
    "young_silence": judge_young_silence,
    "daily_batch": judge_daily_batch,
    "sender_silence": judge_sender,
}
SHORTEST_US: Final = min(rule.window_s for judge in OF_ABSENCE for rule in BY_JUDGE[judge]) * SECOND_US
_FIRST_CELL: Final = BEFORE - 6 * 60 - 5
_WINDOWS: Final = sorted({rule.window_s // 60 for judge in OF_CALLS for rule in BY_JUDGE[judge]})
KEPT_US: Final = 6 * HOUR_US  # as long as a server keeps what it has read of the weeks before


class LocalTime(NamedTuple):
    """What the local clock says at each minute.

    Attributes:
        day: number of the local day.
        weekday: 0 is Monday.
        hour: with its fraction.
    """

    day: Counts
    weekday: Counts
    hour: npt.NDArray[np.float64]


def local_time(minutes: int) -> LocalTime:
    """Return what the local clock says, from the weeks before the start on."""
    first = datetime(2026, 3, 9, tzinfo=UTC) - timedelta(minutes=BEFORE)
    hours = [(first + timedelta(hours=k)).astimezone(ZONE) for k in range(-(-minutes // 60))]
    day, weekday, hour = (
        np.repeat([of(at) for at in hours], 60)[:minutes]
        for of in (datetime.toordinal, datetime.weekday, lambda at: at.hour)
    )
    return LocalTime(day, weekday, hour + np.resize(np.arange(60) / 60, minutes))


def steady(at: LocalTime, _: Counts) -> Counts:
    """Return where there are calls: always."""
    return np.ones_like(at.day)


def daily(at: LocalTime, _: Counts) -> Any:
    """Return how many calls there are: a tenth of the day's at night."""
    return 0.55 - 0.45 * np.cos(2 * np.pi * (at.hour - 3) / 24)


def office(at: LocalTime, late: Counts) -> Any:
    """Return where there are calls: on weekdays until five, from nine on or half an hour later."""
    return (at.weekday < 5) & (at.hour >= 9 + late / 2) & (at.hour < 17)


def nightly(at: LocalTime, late: Counts) -> Any:
    """Return where there are calls: for an hour from two on, or from as late as three."""
    return (at.hour >= 2 + late) & (at.hour < 3 + late)


def released(at: LocalTime, _: Counts) -> Any:
    """Return where there are calls: but for two minutes each Tuesday, when a version takes the place of another."""
    return ~((at.weekday == 1) & (at.hour >= 14) & (at.hour < 14 + 1 / 30))


SHAPES: Final = (steady, daily, office, nightly, released)


@dataclass(frozen=True)
class SimulatedModel:
    """A model: its calls of each minute, those that failed and those that were slow."""

    name: str
    calls: Counts
    errors: Counts
    slow: Counts

    def with_outage(self, what: str, first: int, minutes: int) -> SimulatedModel:
        """Return the same where all calls of some minutes fail, are slow, or do not come."""
        calls, errors, slow = (counts.copy() for counts in (self.calls, self.errors, self.slow))
        outage = slice(BEFORE + first, BEFORE + first + minutes)
        if what == "silence":
            for counts in (calls, errors, slow):
                counts[outage] = 0
        else:
            (errors if what == "errors" else slow)[outage] = calls[outage]
        return SimulatedModel(self.name, calls, errors, slow)


def simulated_models(number: int, days: int, seed: int = 13) -> Iterator[SimulatedModel]:
    """Yield models of all shapes, from a call an hour to 100 a minute; 0.5 to 2 % of the calls fail or are slow."""
    generator = np.random.default_rng(seed)
    at = local_time(BEFORE + days * DAY)
    shapes = cycle(SHAPES)
    rates = np.geomspace(1 / 60, 100, -(-number // len(SHAPES)))
    for k in range(number):
        shape, rate = next(shapes), rates[k // len(SHAPES)]
        late = generator.random(at.day[-1] - at.day[0] + 1)[at.day - at.day[0]]
        calls = generator.poisson(rate * shape(at, late))
        shares = generator.uniform(0.005, 0.02, 2)
        errors, slow = (generator.binomial(calls, share) for share in shares)
        yield SimulatedModel(f"{shape.__name__} {rate:.2g}/min", calls, errors, slow)


# ---------------------------------------------------------------- judged as a server does


class Told(NamedTuple):
    """An alert that fired, in minutes from the start."""

    minute: int
    rule: str
    severity: str
    sentence: str


class JudgedModel:
    """Judges one model minute by minute; what comes later is not looked at."""

    def __init__(self, model: SimulatedModel, kind: str = "model") -> None:
        self._subject = AlertSubject("service" if kind == "service" else "model", model.name, "")
        self._calls = model.calls
        self._minutes = self._cells(model, 1)
        self._fives = self._cells(model, 5)
        self._hours: list[int] = model.calls.reshape(-1, 60).sum(axis=1).tolist()
        self._last = np.maximum.accumulate(np.where(model.calls, np.arange(1, len(model.calls) + 1), 0)).tolist()
        self._call_sums, *self._bad_sums = (
            np.concatenate(([0], counts.cumsum())).tolist() for counts in (model.calls, model.errors, model.slow)
        )
        self._past = PastCalls(0, [])
        self._past_until: int | None = None
        self._judges = {j: OF_ABSENCE[j] for j in OF_ABSENCE if (j == "sender_silence") == (kind == "service")}

    def _cells(self, model: SimulatedModel, length: int) -> list[CallMinute]:
        calls, errors, slow = (
            counts[_FIRST_CELL:].reshape(-1, length).sum(axis=1).tolist()
            for counts in (model.calls, model.errors, model.slow)
        )
        return [
            CallMinute(self._us(_FIRST_CELL + k * length), *cell)
            for k, cell in enumerate(zip(calls, errors, calls, slow, strict=True))
        ]

    @staticmethod
    def _us(minute: int) -> int:
        return START_US + (minute - BEFORE) * MINUTE_US

    def judge(self, minute: int) -> Iterator[tuple[AlertRule, Judgement]]:
        """Yield what rules say at the end of a minute, counted from the start; what cannot be beyond is left out."""
        at, now = BEFORE + minute, self._us(BEFORE + minute)
        if self._subject.kind == "model" and self._may_be_beyond(at):
            hour_ago, reach = ((at - _FIRST_CELL - back) // 5 for back in (60, 360))
            cells = [*self._fives[reach:hour_ago], *self._minutes[hour_ago * 5 : at - _FIRST_CELL]]
            calls = CallHistory(self._subject, cells)
            for judge, judged in OF_CALLS.items():
                yield from ((rule, judged(rule, calls, now)) for rule in BY_JUDGE[judge])
        last_us = self._us(self._last[at - 1])
        if now - last_us >= SHORTEST_US:
            history = AbsenceHistory(
                self._subject, self._weeks_before(at, now), self._minutes_of, last_us, ((0, now),), ZONE, "shop"
            )
            for judge, absent in self._judges.items():
                yield from ((rule, absent(rule, history, now)) for rule in BY_JUDGE[judge])

    def _may_be_beyond(self, at: int) -> bool:
        """Tell whether a window holds four bad calls and more than 5 %; where it holds few calls, whether six hours do.

        Else no share of bad calls is beyond chance, and the rules need not be asked.
        """
        for sums in self._bad_sums:
            for minutes in _WINDOWS:
                calls, bad = (of[at] - of[at - minutes] for of in (self._call_sums, sums))
                if bad > max(0.05 * calls, 3) if calls >= 5 else sums[at] - sums[at - 360] > 3:
                    return True
        return False

    def _weeks_before(self, at: int, now_us: int) -> PastCalls:
        if self._past_until is None or now_us - self._past_until >= KEPT_US:
            hours = self._hours[max(at // 60 - REACH_US // HOUR_US, 0) : at // 60]
            self._past = PastCalls(self._us(at // 60 * 60) - len(hours) * HOUR_US, hours)
            self._past_until = now_us
        return self._past

    def _minutes_of(self, hour_us: int) -> dict[int, int]:
        first = (hour_us - START_US) // MINUTE_US + BEFORE
        return {self._us(first + k): int(n) for k, n in enumerate(self._calls[max(first, 0) : first + 60]) if n}


def told(judged: Callable[[int], Iterable[tuple[AlertRule, Judgement]]], minutes: Iterable[int]) -> Iterator[Told]:
    """Yield what fires, judged at the end of some minutes."""
    states: dict[str, AlertState] = {}
    for minute in minutes:
        now = START_US + minute * MINUTE_US
        said = {judgement.rule: (rule, judgement) for rule, judgement in judged(minute)}
        for key in {*states, *(key for key, (_, one) in said.items() if one.outcome == "beyond")}:
            rule, judgement = said.get(key) or _within(states[key])
            state, change = step(states.pop(key, None), judgement, rule, now)
            if state is not None:
                states[key] = state
            if change is not None and change.change == "fired":
                yield Told(minute, key, change.severity, judgement.sentence)


def _within(state: AlertState) -> tuple[AlertRule, Judgement]:
    rule = next(rule for rule in ALERT_RULES if rule.key == state.rule)
    return rule, Judgement(rule.key, state.subject, "within")


# ---------------------------------------------------------------- services


def simulated_services(number: int, days: int, seed: int = 14) -> Iterator[ServiceHistory]:
    """Yield services that are restarted once a week, for 10 to 45 seconds."""
    generator = np.random.default_rng(seed)
    for k in range(number):
        changes = []
        for week in range(-(-days // 7)):
            down = START_US + int((week * 7 + generator.uniform(0, 7)) * DAY) * MINUTE_US
            up = down + int(generator.uniform(10, 45)) * SECOND_US
            changes += [StateChange(down, "down", "restart", f"d{week}"), StateChange(up, "up", None, f"u{week}")]
        yield ServiceHistory(RegisteredService(f"service {k}", START_US - HOUR_US, 99.9), tuple(changes), ())


def judged_service(history: ServiceHistory) -> Callable[[int], Iterator[tuple[AlertRule, Judgement]]]:
    """Return what judges a service; without a change in six hours nothing is beyond."""

    def judge(minute: int) -> Iterator[tuple[AlertRule, Judgement]]:
        now = START_US + minute * MINUTE_US + 30 * SECOND_US
        if any(now - 6 * HOUR_US <= change.at <= now for change in history.changes):
            for rule in BY_JUDGE["down"]:
                yield rule, judge_down(rule, history, "", now)
            for rule in BY_JUDGE["burn_rate"]:
                yield rule, judge_burning(rule, history, "", now)

    return judge


# ---------------------------------------------------------------- figures


def healthy(models: int, services: int, days: int, every: int = 1) -> Iterator[tuple[str, Told]]:
    """Yield what fires although nothing is wrong, and of whom."""
    minutes = range(every, days * DAY + 1, every)
    for model in simulated_models(models, days):
        yield from ((model.name, one) for one in told(JudgedModel(model).judge, minutes))
        if model.name.startswith("steady"):
            yield from ((model.name, one) for one in told(JudgedModel(model, "service").judge, minutes))
    for history in simulated_services(services, days):
        yield from ((history.service.name, one) for one in told(judged_service(history), minutes))


OUTAGES: Final = {"errors": "model_errors", "slow": "model_latency", "silence": "model_silence"}


def minutes_to_detection(model: SimulatedModel, what: str, first: int, longest: int) -> int | None:
    """Return after how many minutes of an outage that lasts its rule tells; `None` where it does not."""
    hurt = JudgedModel(model.with_outage(what, first, longest))
    fired = told(hurt.judge, range(first, first + longest))
    return next((one.minute - first for one in fired if one.rule == OUTAGES[what]), None)


def detections(repeats: int, days: int = 10) -> Iterator[tuple[str, str, Sequence[int | None]]]:
    """Yield the minutes until outages of steady models are told of, by outage and rate; they last two days at most."""
    generator = np.random.default_rng(15)
    for rate in (1 / 60, 1 / 10, 1.0, 10.0, 100.0):
        calls = generator.poisson(rate, (repeats, BEFORE + days * DAY))
        for what in OUTAGES:
            found = []
            for of_one in calls:
                errors, slow = (generator.binomial(of_one, 0.01) for _ in range(2))
                model = SimulatedModel(f"steady {rate:.2g}/min", of_one, errors, slow)
                found.append(minutes_to_detection(model, what, 7 * DAY + int(generator.integers(DAY)), 2 * DAY))
            yield what, f"{rate:.2g}/min", found


def main(arguments: Sequence[str]) -> None:
    """Print the figures."""
    models, days = (int(given) for given in arguments or ("200", "30"))
    counted: Counter[tuple[str, str]] = Counter()
    for name, one in healthy(models, 30, days):
        counted[one.severity, one.rule] += 1
        print(f"{one.severity} {one.rule} of {name} at minute {one.minute}: {one.sentence}", flush=True)
    print(f"{models} models and 30 services over {days} days: {dict(counted) or 'nothing was told'}", flush=True)
    for what, rate, found in detections(9):
        known = sorted(one for one in found if one is not None)
        times = f"{known[len(known) // 2]} minutes in the median, {known[-1]} at most" if known else "never"
        print(f"{what} at {rate}: {len(known)} of {len(found)} told of, after {times}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
