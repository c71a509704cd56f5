"""Rates from two readings, and what is unknown without them."""

from __future__ import annotations

from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.infrastructure import rates
from otel_measure.infrastructure.readings import CpuTimes, Filesystem

GIB = 2**30
SECONDS = st.floats(0, 1e9)


def filesystem(point: str, used: float, free: float, total: float = 100 * GIB, read_only: bool = False) -> Filesystem:
    """A filesystem of this fill."""
    return Filesystem(point, f"/dev{point}", "ext4", read_only, total, used, free)


@pytest.mark.parametrize(
    ("before", "now", "elapsed_s", "rate"),
    [(10, 30, 10, 2.0), (10, 10, 10, 0.0), (30, 10, 10, nan), (1, 2, 0, nan), (1, 2, -1, nan), (nan, 2, 1, nan)],
)
def test_counter_grows_by_the_second(before: float, now: float, elapsed_s: float, rate: float) -> None:
    """A counter that went back, or no time between two readings, has no rate."""
    assert repr(rates.per_second(before, now, elapsed_s)) == repr(rate)


def test_modes_share_the_time_between_two_readings() -> None:
    """Each mode has its part of all CPU time that passed; waiting for I/O is not busy."""
    ratios = rates.mode_ratios(CpuTimes(1, 1, 1, 1, 1, 1, 1), CpuTimes(3, 1, 2, 5, 2, 2, 2))
    assert ratios == {
        **{"user": 0.2, "nice": 0.0, "system": 0.1, "idle": 0.4},
        **{"iowait": 0.1, "interrupt": 0.1, "steal": 0.1},
    }
    assert rates.busy_ratio(ratios) == pytest.approx(0.5)


def test_mode_that_went_back_has_used_nothing() -> None:
    """Linux lets iowait fall; the other modes keep their shares."""
    ratios = rates.mode_ratios(CpuTimes(0, 0, 0, 0, 9), CpuTimes(1, 0, 0, 3, 5))
    assert (ratios["user"], ratios["idle"], ratios["iowait"]) == (0.25, 0.75, 0.0)


def test_mode_that_the_system_does_not_count_stays_unknown() -> None:
    """Without iowait the other modes share the time, and busy is all but idle."""
    ratios = rates.mode_ratios(CpuTimes(0, 0, 0, 0), CpuTimes(1, 0, 1, 2))
    assert (ratios["user"], ratios["idle"], rates.busy_ratio(ratios)) == (0.25, 0.5, 0.5)
    assert isnan(ratios["iowait"])


def test_no_time_between_two_readings_is_unknown() -> None:
    """The same counters twice tell nothing about usage."""
    ratios = rates.mode_ratios(CpuTimes(1, 1, 1, 1), CpuTimes(1, 1, 1, 1))
    assert all(isnan(ratio) for ratio in ratios.values())
    assert isnan(rates.busy_ratio(ratios))


@given(st.lists(SECONDS, min_size=7, max_size=7), st.lists(SECONDS, min_size=7, max_size=7))
def test_shares_add_to_one_and_never_leave_their_range(before: list[float], now: list[float]) -> None:
    """Whatever the counters did, shares are 0 to 1 and add to 1, or all are unknown."""
    ratios = rates.mode_ratios(CpuTimes(*before), CpuTimes(*now))
    busy = rates.busy_ratio(ratios)
    if isnan(busy):
        assert all(isnan(ratio) for ratio in ratios.values())
    else:
        assert sum(ratios.values()) == pytest.approx(1.0)
        assert all(0 <= ratio <= 1 for ratio in (*ratios.values(), busy))


def test_fullest_is_a_writable_filesystem_of_some_size() -> None:
    """Small, read-only and silent filesystems do not speak for the machine."""
    found = rates.fullest(
        [
            filesystem("/", 10, 90),
            filesystem("/data", 60, 40),
            filesystem("/boot", 99, 1, total=GIB - 1),
            filesystem("/image", 100, 0, read_only=True),
            filesystem("/dead", nan, nan, nan),
        ]
    )
    assert found == filesystem("/data", 60, 40)


def test_fullest_falls_back_to_the_root() -> None:
    """Where nothing qualifies the root answers, and without one nothing is known."""
    small_root = filesystem("/", 1, 1, total=GIB / 2)
    assert rates.fullest([small_root, filesystem("/image", 100, 0, read_only=True)]) == small_root
    assert rates.fullest([filesystem("/dead", nan, nan, nan)]) is None
    assert isnan(rates.fullest_percent([]))


@pytest.mark.parametrize(
    ("points", "mean"),
    [
        ([], nan),
        ([(0, nan)], nan),
        ([(0, 5)], 5),
        ([(0, 5), (10, 20)], 20),
        ([(0, 5), (10, 20), (40, 40)], (10 * 20 + 30 * 40) / 40),
        ([(0, 5), (10, nan), (40, 40)], 40),
        ([(0, 5), (10, nan)], 5),
    ],
)
def test_mean_is_weighted_by_time(points: list[tuple[float, float]], mean: float) -> None:
    """A value stands for the time since the point before it, however often somebody asked."""
    assert repr(float(rates.time_weighted_mean(points))) == repr(float(mean))


def test_empty_filesystem_has_no_percentage() -> None:
    """A filesystem without blocks divides by zero: unknown."""
    assert isnan(filesystem("/proc", 0, 0, 0).used_percent)
