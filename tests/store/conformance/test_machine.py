"""The history of the machine: its cells add up to any step, and the finest of them go after a day."""

from __future__ import annotations

import random
from math import nan

import pytest

from otel_measure.definitions.machine_cells import MACHINE_LADDER, MachineCell, ReadingSum
from otel_measure.definitions.steps import SeriesWindow, Steps, series_span, steps
from tests.facts import DAY, HOUR, NOON, SECOND
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase


def made(window: str, step: str) -> Steps:
    """Return the steps of a window that ends at noon."""
    return steps(series_span(SeriesWindow(window), NOON, "Europe/Paris", "24h"), NOON, step, MACHINE_LADDER)


@pytest.mark.parametrize(("window", "step"), [("1h", "10s"), ("3h", "1m"), ("25h", "5m"), ("2d", "1h"), ("3d", "1d")])
def test_each_step_holds_the_readings_of_its_time(engine: EngineCase, window: str, step: str) -> None:
    """In any order: how many, their sum to the thousandth, and the largest; unknown ones are left out."""
    store, chance = engine.open(), random.Random(3)
    asked_of = made(window, step)
    readings = {NOON - chance.randrange(asked_of.edges[-1] - asked_of.edges[0]): chance.random() for _ in range(60)}
    expected: dict[int, MachineCell] = {}
    for at, value in readings.items():
        store.note_machine({"cpu_percent": value, "swap_percent": nan}, at)
        if at < asked_of.edges[0]:
            continue
        cell = expected.setdefault(asked_of.step_of(at), {})
        one = ReadingSum(1, round(value * 1000), value)
        cell["cpu_percent"] = one if not cell else cell["cpu_percent"].plus(one)
    assert asked(store, lambda moment: moment.streams.machine(asked_of)) == expected


def test_seconds_are_kept_for_a_day_and_minutes_for_the_history(engine: EngineCase) -> None:
    """What a clock said that was ahead goes as well."""
    store = engine.open(history_days=30)
    times = [NOON - 31 * DAY, NOON - 29 * DAY, NOON - 2 * DAY, NOON - HOUR, NOON + 2 * DAY]
    for at in times:
        store.note_machine({"cpu_percent": 1.0}, at)
    store.sweep(NOON)
    for end in (NOON - 2 * DAY, NOON - HOUR):
        span = series_span(SeriesWindow("1m"), end + 30 * SECOND, "UTC", "24h")
        in_seconds = steps(span, NOON, "10s", MACHINE_LADDER)
        with store.asking() as moment:
            assert len(moment.streams.machine(in_seconds)) == (end == NOON - HOUR)
    left = asked(store, lambda m: m.streams.machine(made("5w", "1d")))
    assert sum(cell["cpu_percent"].n for cell in left.values()) == 3
    span = series_span(SeriesWindow("5w"), NOON + 3 * DAY, "UTC", "24h")
    later = asked(store, lambda m: m.streams.machine(steps(span, NOON + 3 * DAY, "1d", MACHINE_LADDER)))
    assert sum(cell["cpu_percent"].n for cell in later.values()) == 3
