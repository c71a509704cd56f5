"""A test over time: each step is what whoever looked at its end was told."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from math import isnan
from typing import Any

import pytest

from otel_measure.definitions.contributions import AGES_HOURS
from otel_measure.definitions.windows import HOUR_US, DaySpan, day_span
from otel_measure.errors import NotFound
from otel_measure.experiments.analyse import analyse
from otel_measure.experiments.series import experiment_series
from otel_measure.store.types.experiments import ArmHour, Experiment
from otel_measure.testing import START, Capture
from tests.facts import DAY, HOUR, NOON

A, B, C = "control", "b", "c"
TEST = Experiment("t", "T", (A, B, C), (0.4, 0.3, 0.3), 1.0, created=NOON - 18 * DAY)


def cells(days: int) -> list[ArmHour]:
    """Return hours of three variants, one of them better and all of them converting late, and of a stray one."""
    chance, made = random.Random(2), []
    for hour in range((NOON - days * DAY) // HOUR_US, NOON // HOUR_US):
        for variant, rate in ((A, 0.1), (B, 0.2), (C, 0.1), ("stray", 0.1)):
            users = chance.randrange(12)
            converted = [chance.choice(AGES_HOURS[:9]) for _ in range(users) if chance.random() < rate]
            made.append(ArmHour(hour, variant, users, converted.count(0)))
            made += [ArmHour(hour, variant, 0, converted.count(age), age) for age in sorted({*converted} - {0})]
    return made


def window(length: str, zone: str = "UTC") -> DaySpan:
    """Return a window that ends with the day of noon."""
    return day_span(length, NOON, zone)


def known(column: tuple[float, ...]) -> list[float | None]:
    """Return a column with `None` where it is unknown."""
    return [None if isnan(number) else number for number in column]


@pytest.mark.parametrize(("zone", "step"), [("UTC", "1d"), ("America/New_York", "1d"), ("Asia/Kolkata", "1w")])
@pytest.mark.parametrize("stopped", [None, NOON - 2 * DAY - 5 * HOUR])
def test_each_step_is_the_report_of_its_end(zone: str, step: str, stopped: int | None) -> None:
    """Users, the age of comparison, effects, intervals and p-values equal those of a report asked for then."""
    test, hours = replace(TEST, stopped=stopped), cells(17)
    if stopped is not None:
        hours = [cell for cell in hours if cell.hour < stopped // HOUR_US]
    series = experiment_series(test, hours, window("20d", zone), step, NOON)
    ends = [*(round(start.timestamp() * 1e6) for start in series.start[1:]), NOON + 1]
    groups = {group.key["variant"]: group.columns for group in series.groups}
    assert list(groups) == [A, B, C]
    for k, end in enumerate(ends):
        told = {name: columns["users"][k] for name, columns in groups.items()}
        if end <= test.created:
            assert all(isnan(users) for users in told.values())
            continue
        last = (end - 1) // HOUR_US
        # Whoever asked then knew no conversion that came later, and of no stop that was to come.
        then = [c for c in hours if c.hour <= last and c.hour + c.within_hours <= last]
        at_end = test if stopped is not None and stopped < end else replace(test, stopped=None)
        report = analyse(at_end, then, now=end - 1)
        assert told == report.variant_users
        assert series.columns["users"][k] == report.users
        assert series.columns["compared_within_hours"][k] == report.compared_within_hours
        for variant, effect in report.effects.items():
            column = {name: numbers[k] for name, numbers in groups[variant].items()}
            assert column["compared_conversions"] == report.compared_conversions[variant]
            assert [column["effect_low"], column["effect"], column["effect_high"]] == pytest.approx(
                [effect.absolute_ci[0], effect.absolute, effect.absolute_ci[1]], nan_ok=True, rel=0, abs=0
            )
            assert [column["relative_effect"], *effect.relative_ci, column["p_value"]] == pytest.approx(
                [effect.relative, column["relative_effect_low"], column["relative_effect_high"], effect.p_value],
                nan_ok=True, rel=0, abs=0,
            )  # fmt: skip


def test_the_series_whole() -> None:
    """From the facts: before the test there is nothing, the control has no effect, today is still running."""
    with Capture() as capture:
        capture.clock.set(START - timedelta(days=1, hours=2))
        users = capture.users
        test = users.create_ab_test("Button", ["a", "b"], weights=[0.5, 0.5])
        for n in range(6):
            capture.clock.set(START - timedelta(days=1 if n < 4 else 0, hours=1))
            users.assign_variant(test, n)
        users.record_ab_conversion(test, 0, timestamp=START - timedelta(minutes=1))
        capture.clock.set(START)
        report = users.get_ab_test_results(test)
        series = users.get_ab_test_series(test, "3d", step="1d")
        with pytest.raises(NotFound, match="no test named 'nobody'"):
            users.get_ab_test_series("nobody")
        with pytest.raises(ValueError, match="step must be one of 1d, 1w, not '1h'"):
            users.get_ab_test_series(test, step="1h")
    assert [start.day for start in series.start] == [13, 14, 15]
    assert (series.step_seconds, series.partial, series.previous) == (86_400, (2,), None)
    assert known(series.columns["users"]) == [None, 4, 6]
    assert known(series.columns["compared_within_hours"])[0] is None
    per_variant: dict[str, Any] = {group.key["variant"]: group.columns for group in series.groups}
    assert {name: columns["users"][-1] for name, columns in per_variant.items()} == report.variant_users
    assert known(per_variant["a"]["effect"]) == [None, None, None]
    assert per_variant["b"].keys() == per_variant["a"].keys() == {
        "users", "compared_users", "compared_conversions", "compared_conversion_rate", "effect", "effect_low",
        "effect_high", "relative_effect", "relative_effect_low", "relative_effect_high", "p_value",
    }  # fmt: skip
