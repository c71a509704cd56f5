"""Conversion, funnel, NPS and revenue, worked out by hand at their limits."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from tests.reference import outcomes
from tests.reference.ground import DAY, SECOND, Ev, NpsAnswer, micros, views

UTC = ZoneInfo("UTC")


def test_conversion_by_hand() -> None:
    """Background conversions count from the first activity on, names count as types do, and ties are in time."""
    events = [
        Ev("a", "e0", 5, "conversion", background=True, value=100.0),
        Ev("a", "e1", 10),
        Ev("a", "e2", 10, "conversion", background=True, value=1.5),
        Ev("b", "e3", 10),
        Ev("b", "e4", 10 + 4 * SECOND, "custom", "conversion", value=2.0),
        Ev("b", "e5", 10 + 5 * SECOND, "conversion"),
        Ev("c", "e6", 10, "conversion", background=True),
        Ev("d", "e7", 10),
        Ev("d", "e8", DAY, "conversion"),
    ]
    report = outcomes.conversion(events, 0, DAY)
    assert report.pop("conversion_rate_ci") == pytest.approx((0.2076596, 0.9385081), abs=1e-7)
    assert report == {
        "conversion_rate": 2 / 3,
        "entered_users": 3,
        "converted_users": 2,
        "total_conversions": 3,
        "conversion_value": 3.5,
        "avg_time_to_convert_seconds": 2.0,
    }


@pytest.mark.parametrize(
    ("paid", "expected"),
    [([(1.0, "USD"), (2.0, "USD")], 3.0), ([(1.0, "USD"), (2.0, "EUR")], None), ([(1.0, "USD"), (2.0, None)], None)],
)
def test_conversion_value_is_in_one_currency(paid: list[tuple[float, str | None]], expected: float | None) -> None:
    """Values in several currencies have no sum."""
    events = [Ev("u", f"e{n}", n, "conversion", value=v, currency=c) for n, (v, c) in enumerate(paid)]
    assert outcomes.conversion(events, 0, DAY)["conversion_value"] == expected


def test_conversion_of_nothing() -> None:
    """Nobody entered: counts are 0, the rest is unknown."""
    known = {k: v for k, v in outcomes.conversion([], 0, DAY).items() if v is not None}
    assert known == {"entered_users": 0, "converted_users": 0, "total_conversions": 0}


def test_conversion_week_against_week() -> None:
    """The last 7 complete days are set against the 7 before, if enough entered in both and a rate can fall."""
    events = [
        Ev("a", "e0", micros("2026-01-01T12:00"), "conversion"),
        Ev("b", "e1", micros("2026-01-07T12:00"), "conversion"),
        Ev("a", "e2", micros("2026-01-08T00:00")),
        Ev("b", "e3", micros("2026-01-14T23:59"), "conversion"),
    ]
    now, as_of = micros("2026-01-15T00:00"), date(2026, 1, 15)
    assert outcomes.conversion_change(events, UTC, now, as_of, floor=2) == -0.5
    assert outcomes.conversion_change(events, UTC, now, as_of, floor=3) is None
    assert outcomes.conversion_change(events, UTC, now, as_of, "signup", floor=2) is None


def test_funnel_tells_running_from_dropped() -> None:
    """Who stopped short is in progress until the window after the latest first step has passed, inclusive."""
    events = [
        *views(0, user="a", name="x"),
        *views(1 * SECOND, user="b", name="x"),
        Ev("b", "e0", 2 * SECOND, "click", "y"),
        *views(0, user="c", name="y"),
    ]
    seen = [outcomes.funnel(events, ["x", "y", "z"], 10, now * SECOND) for now in (10, 11, 12)]
    assert [list(report.values()) for report in seen] == [
        [[2, 1, 0], [0, 0, 0], [1, 1, 0]],
        [[2, 1, 0], [1, 0, 0], [0, 1, 0]],
        [[2, 1, 0], [1, 1, 0], [0, 0, 0]],
    ]


def test_funnel_orders_ties_by_step_before_id() -> None:
    """At one time the earlier step comes first, whatever the ids are."""
    events = [Ev("u", "e0", 0, name="y"), Ev("u", "e1", 0, name="x"), Ev("u", "e2", 0, name="y")]
    assert outcomes.funnel(events[:2], ["x", "y"], 10, DAY)["reached"] == [1, 1]
    assert outcomes.funnel(events, ["x", "y", "y"], 10, DAY)["reached"] == [1, 1, 1]


@pytest.mark.parametrize(("second_s", "reached"), [(10, [1, 1]), (10.000001, [1, 0])])
def test_funnel_window_is_inclusive(second_s: float, reached: list[int]) -> None:
    """The last microsecond of the window counts and the next does not; an event of both steps fills one."""
    events = views(0, round(second_s * SECOND), name="x")
    assert outcomes.funnel(events, ["x", "page_view"], 10, DAY)["reached"] == reached


def test_nps_takes_the_last_answer_in_the_window() -> None:
    """Per person and survey the last one by (time, id) inside the window counts, and repeated ids do not."""
    answers = [
        NpsAnswer("u", "s", 10, 5, "n1"),
        NpsAnswer("u", "s", 0, 5, "n0"),
        NpsAnswer("u", "s", 3, 10, "n2"),
        NpsAnswer("u", "t", 6, 1, "n3"),
        NpsAnswer("v", "s", 7, 1, "n4"),
        NpsAnswer("v", "s", 0, 9, "n4"),
    ]
    report = outcomes.nps(answers, 0, 10, "s")
    assert report.pop("nps_score_ci") == pytest.approx((-39.449, 79.449), abs=0.01)
    assert report.pop("margin") == pytest.approx(59.449, abs=0.01)
    assert report == {
        "nps_score": 50.0,
        "promoters": 1,
        "passives": 1,
        "detractors": 0,
        "responses": 2,
        "average_score": 8.5,
    }
    assert outcomes.nps(answers, 0, 10)["responses"] == 3
    assert outcomes.nps([], 0, 10)["margin"] is None


@pytest.mark.parametrize(
    ("promoters", "detractors", "n", "expected"),
    [(1, 0, 16, 6.3), (0, 1, 16, -6.3), (3, 0, 16, 18.8), (0, 2, 3, -66.7)],
)
def test_nps_rounds_half_away_from_zero(promoters: int, detractors: int, n: int, expected: float) -> None:
    """6.25 is 6.3 and -6.25 is -6.3."""
    assert outcomes.nps_score(promoters, detractors, n) == expected


def test_revenue_by_hand() -> None:
    """Currencies stay apart in minor units of their own; refunds lower the net and pay for nobody."""
    events = [
        Ev("a", "e0", 0, "purchase", value=19.99, currency="USD"),
        Ev("a", "e1", 1, "purchase", value=-5.0, currency="USD"),
        Ev("b", "e2", 2, "purchase", value=1000.0, currency="JPY"),
        Ev("c", "e3", 3, "purchase", value=1.005, currency="USD", background=True),
        Ev("d", "e4", 4, "purchase", value=3.0),
        Ev("d", "e5", 5, "conversion", value=3.0, currency="USD"),
        Ev("e", "e6", 6, "purchase", value=-1.0, currency="EUR"),
    ]
    assert outcomes.revenue(events, 0, DAY) == {
        "EUR": {"net_minor_units": -100, "paying_users": 0, "arpu": -0.25, "arppu": None},
        "JPY": {"net_minor_units": 1000, "paying_users": 1, "arpu": 250.0, "arppu": 1000.0},
        "USD": {"net_minor_units": 1600, "paying_users": 2, "arpu": 4.0, "arppu": 8.0},
    }


def test_lifetime_value_needs_churn_and_customers() -> None:
    """Zero churn or fewer than 30 customers give no value; a margin scales it."""
    values = [
        outcomes.ltv_simple(30.0, 0.0),
        outcomes.ltv_simple(30, 0.05, 0.5, 30),
        outcomes.ltv_simple(30, 0.05, 1, 29),
    ]
    assert values == [None, 300.0, None]
