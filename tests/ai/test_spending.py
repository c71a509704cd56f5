"""Spending as Python tells it: all rows, the dearest of them, or a page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import nan

import pytest

from otel_measure.definitions.pages import Page
from otel_measure.testing import START, Capture
from tests.comparing import comparable

CALLS = (
    ("Ann", "m", 1.0),
    ("bob", "m", 0.5),
    ("ann", "m", 0.5),
    ("Z", "unpriced", None),
    (None, "m", 2.0),
)


@pytest.fixture
def spent(measured: Capture) -> Capture:
    """A call of each user, and one of nobody."""
    for user, model, cost in CALLS:
        measured.ai.record_inference(model, "1", 5.0, 10, 5, cost, user_id=user)
    return measured


def test_the_dearest_are_told_with_the_totals_of_all(spent: Capture) -> None:
    """A limit leaves out rows and nothing else; it is as of the calls."""
    whole, dearest = spent.ai.get_spending(), spent.ai.get_spending(limit=2)
    assert [(row.by["user"], row.cost_usd) for row in dearest.rows] == [("Ann", 1.0), ("ann", 0.5)]
    assert comparable(dearest) == comparable(replace(whole, rows=whole.rows[:2]))
    assert (dearest.total_usd, dearest.unattributed_usd, dearest.unattributed_requests) == (4.0, 2.0, 1)
    for limit in (0, 1001):
        with pytest.raises(ValueError, match=f"limit must be a whole number from 1 to 1000, not {limit}"):
            spent.ai.get_spending(limit=limit)


@pytest.mark.parametrize(
    ("page", "users", "matched"),
    [
        (Page(), ["Ann", "ann", "bob", "Z"], 4),
        (Page(2, 1), ["ann", "bob"], 4),
        (Page(9, 9), [], 4),
        (Page(sort="cost_usd"), ["ann", "bob", "Ann", "Z"], 4),
        (Page(1, 3, "-cost_usd"), ["Z"], 4),
        (Page(2, 1, "by.user"), ["ann", "bob"], 4),
        (Page(2, 0, "-by.user"), ["Z", "bob"], 4),
        (Page(sort="by.model"), ["Ann", "ann", "bob", "Z"], 4),
        (Page(q="AN"), ["Ann", "ann"], 2),
        (Page(1, sort="cost_usd", q="aN n"), ["ann"], 2),
        (Page(1, sort="requests", q=" "), ["Ann"], 4),
    ],
)
def test_a_page_has_the_totals_of_all(spent: Capture, page: Page, users: list[str], matched: int) -> None:
    """Sorted by a number or a name, up or down, and of those that hold some words; ties stay as they stood."""
    report, *counts = spent.ai.spending_page(page, "user")
    assert ([row.by["user"] for row in report.rows], counts) == (users, [4, matched])
    assert comparable(replace(report, rows=())) == comparable(replace(spent.ai.get_spending(), rows=()))


def test_a_call_that_names_a_user_is_never_of_nobody(measured: Capture) -> None:
    """Rows are of the same whole minutes as the totals, also where a window begins within one."""
    began = START - timedelta(seconds=30)
    measured.ai.record_inference("m", "1", 5.0, cost_usd=1.0, user_id="ann", timestamp=began - timedelta(seconds=9))
    spent = measured.ai.get_spending(start=began, end=START + timedelta(seconds=1))
    assert [row.cost_usd for row in spent.rows] == [spent.total_usd] == [1.0]
    assert (spent.unattributed_usd, spent.unattributed_requests) == (0.0, 0)


@pytest.mark.parametrize(("cost_usd", "expected"), [(None, nan), (0.0, 0.0), (0.25, 0.25)])
def test_what_calls_of_nobody_cost_is_unknown_where_none_has_a_cost(
    measured: Capture, cost_usd: float | None, expected: float
) -> None:
    """It is no 0, whatever the calls of users cost; calls that cost nothing are."""
    measured.ai.record_inference("m", "1", 5.0, cost_usd=1.0, user_id="ann")
    measured.ai.record_inference("own", "1", 5.0, cost_usd=cost_usd)
    spent = measured.ai.get_spending()
    assert (spent.total_usd, spent.unattributed_requests) == (1.0 + (cost_usd or 0.0), 1)
    assert spent.unattributed_usd == pytest.approx(expected, nan_ok=True)
