"""What is not known yet, or any more: never a low number, and the answer says why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from otel_measure.definitions.windows import day_span
from otel_measure.store.sqlite import SqliteStore
from otel_measure.users import reports
from tests.closing import closed_later
from tests.facts import NOON
from tests.reference import ground
from tests.reference.ground import Ev
from tests.store.asking import asking_users
from tests.users.feeding import feed

TODAY = NOON // ground.DAY


def store_of(events: Sequence[Ev]) -> SqliteStore:
    """Return a store that received these events."""
    return feed(closed_later(SqliteStore(":memory:")), [events])


def active_since(days: int, *users: str) -> list[Ev]:
    """Return one view a day of each user, on so many days that end with yesterday."""
    return [Ev(user, f"{user}{ago}", NOON - ago * ground.DAY) for user in users for ago in range(1, days + 1)]


def looked_at(store: SqliteStore, window: str = "7d") -> tuple[reports.Engagement, reports.Retention]:
    """Return what is reported today."""
    with asking_users(store) as ask:
        span = day_span(window, NOON, "UTC")
        return reports.engagement(ask, span, NOON), reports.retention(ask, span)


@pytest.mark.parametrize(
    ("days", "unknown"),
    [
        (12, ["stickiness", "return_rate", "churn_rate"]),
        (13, ["stickiness", "churn_rate"]),
        (27, ["stickiness", "churn_rate"]),
        (28, ["churn_rate"]),
        (55, ["churn_rate"]),
        (56, []),
    ],
)
def test_what_begins_before_the_first_day_is_unknown(days: int, unknown: list[str]) -> None:
    """Stickiness needs 28 complete days, a return rate its window and as many days before it, churn 56."""
    engagement, retention = looked_at(store_of(active_since(days, "a", "b")))
    rates = {
        "stickiness": engagement.stickiness,
        "return_rate": engagement.return_rate,
        "churn_rate": retention.churn_rate,
    }
    assert [field for field, rate in rates.items() if rate != rate] == unknown
    assert [*engagement.missing, *retention.missing] == unknown
    if not unknown:
        assert rates == {"stickiness": 1.0, "return_rate": 1.0, "churn_rate": 0.0}
    first = (date(2026, 1, 15) - timedelta(days=days)).isoformat()
    assert all(why.endswith(f"the first one is {first}") for why in engagement.missing.values())


def test_a_share_says_of_how_many_it_is() -> None:
    """Bounce, return and churn carry n and the Wilson interval; the unknown has n and no interval."""
    engagement, retention = looked_at(store_of(active_since(56, "a", "b")))
    assert (engagement.bounce_rate_n, engagement.return_rate_n, retention.churn_rate_n) == (12, 2, 2)
    assert engagement.bounce_rate_ci == pytest.approx((0.7575, 1.0), abs=1e-4)
    assert engagement.return_rate_ci == pytest.approx((0.3424, 1.0), abs=1e-4)
    assert retention.churn_rate_ci == pytest.approx((0.0, 0.6576), abs=1e-4)
    young, _ = looked_at(store_of(active_since(3, "a", "b")))
    assert (young.return_rate_n, repr(young.return_rate_ci)) == (2, "(nan, nan)")


def test_the_first_day_is_that_of_the_facts() -> None:
    """An import moves it back; one person whose clock is wrong does not."""
    store = store_of(active_since(5, "a", "b", "c"))
    with asking_users(store) as ask:
        assert ask.first_day() == TODAY - 5
    feed(store, [[Ev("c", "wrong", NOON - 400 * ground.DAY), Ev("c", "wrong too", NOON - 300 * ground.DAY)]])
    with asking_users(store) as ask:
        assert ask.first_day() == TODAY - 5
    feed(store, [[Ev(user, f"old{user}", NOON - 100 * ground.DAY) for user in "de"]])
    with asking_users(store) as ask:
        assert ask.first_day() == TODAY - 100


def test_conversions_that_only_facts_tell_of_are_unknown_where_these_are_gone() -> None:
    """Not 0: by an event that is no key event, over days of which retention has removed some."""
    store = closed_later(SqliteStore(":memory:", retention_days=10))
    feed(store, [active_since(30, "a", "b"), [Ev("a", "bought", NOON, "purchase")]])
    store.sweep(NOON)
    with asking_users(store) as ask:
        gone = reports.conversion(ask, day_span("30d", NOON, "UTC"), "page_view")
        there = reports.conversion(ask, day_span("10d", NOON, "UTC"), "page_view")
        rolled_up = reports.conversion(ask, day_span("30d", NOON, "UTC"), "purchase")
    assert repr((gone.conversion_rate, gone.converted_users, gone.total_conversions)) == "(nan, nan, nan)"
    assert (gone.entered_users, gone.missing["conversion_rate"]) == (
        2,
        "'page_view' is no key event, and facts of the window are gone: ask for days that retention has left",
    )
    assert (there.converted_users, there.missing) == (2, {})
    assert (rolled_up.converted_users, rolled_up.missing) == (1, {})
