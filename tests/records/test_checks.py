from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.errors import MeasureError
from otel_measure.records import checks
from otel_measure.records.enums import EventType

AWARE = datetime(2026, 1, 1, tzinfo=UTC)
ALLOWED = frozenset({"click", "login"})


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (checks.text, "x", "x"),
        (checks.text, " é\n'\"/ ", " é\n'\"/ "),
        (checks.optional_text, None, None),
        (checks.optional_text, "", None),
        (checks.optional_text, "x", "x"),
        (checks.user_id, 7, "7"),
        (checks.user_id, 0, "0"),
        (checks.user_id, "7", "7"),
        (checks.user_id, UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (checks.user_id, np.int64(7), "7"),
        (checks.user_id, np.uint8(0), "0"),
        (checks.user_id, np.str_("u"), "u"),
        (checks.user_id, "undefined-1", "undefined-1"),
        (checks.linked_id, 7, "7"),
        (checks.identified_user_id, 0, "0"),
        (checks.stored_user_id, "undefined", "undefined"),
        (checks.stored_user_id, -1, "-1"),
        (checks.number, 1, 1.0),
        (checks.number, np.float32(0.5), 0.5),
        (checks.number, np.int64(3), 3.0),
        (checks.number, Decimal("1.5"), 1.5),
        (checks.number, Fraction(1, 4), 0.25),
        (checks.optional_number, None, None),
        (checks.optional_number, 0, 0.0),
        (checks.optional_count, None, None),
        (checks.optional_count, 0, 0),
        (checks.optional_count, np.int32(5), 5),
        (checks.json_object, None, None),
        (checks.json_object, {}, None),
        (checks.json_object, {"a": None, "b": True, "c": "x"}, {"a": None, "b": True, "c": "x"}),
        (checks.json_object, {"a": (1, [2.5], {"k": 3})}, {"a": [1, [2.5], {"k": 3}]}),
        (checks.json_object, {"a": math.nan, "b": math.inf}, {"a": None, "b": None}),
        (checks.json_object, {"a": np.int64(1), "b": np.float64(0.5)}, {"a": 1, "b": 0.5}),
    ],
)
def test_what_is_taken(check: Callable[[str, object], object], value: object, expected: object) -> None:
    """The value itself, or the plain one it stands for; the type is the plain one too."""
    found = check("x", value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("check", "value", "rule"),
    [
        (checks.text, "", "must be a non-empty string, not ''"),
        (checks.text, " \n", "must be a non-empty string, not ' \\n'"),
        (checks.text, 7, "must be a non-empty string, not 7"),
        (checks.text, None, "must be a non-empty string, not None"),
        (checks.text, "a" * 1025, "must have at most 1024 characters, not 1025"),
        (checks.text, "a\0b", "must be valid Unicode without NUL characters, not 'a\\x00b'"),
        (checks.text, "\ud800", "must be valid Unicode without NUL characters, not '\\ud800'"),
        (checks.optional_text, 0, "must be a non-empty string, not 0"),
        (checks.user_id, True, "must be an int, a UUID or a non-empty string, not True"),
        (checks.user_id, None, "must be an int, a UUID or a non-empty string, not None"),
        (checks.user_id, np.True_, "must be an int, a UUID or a non-empty string, not np.True_"),
        (checks.user_id, np.float64(1), "must be an int, a UUID or a non-empty string, not np.float64(1.0)"),
        (checks.user_id, -1, "must be an id of somebody, not the placeholder -1: leave out who is not known"),
        (checks.user_id, "NaN", "must be an id of somebody, not the placeholder 'NaN': leave out who is not known"),
        (
            checks.identified_user_id,
            "0",
            "must be an id of somebody, not the placeholder '0': leave out who is not known",
        ),
        (
            checks.identified_user_id,
            -1,
            "must be an id of somebody, not the placeholder -1: leave out who is not known",
        ),
        (checks.linked_id, 0, "must be an id of somebody, not the placeholder 0: leave out who is not known"),
        (checks.user_id, 1.0, "must be an int, a UUID or a non-empty string, not 1.0"),
        (checks.user_id, "", "must be a non-empty string, not ''"),
        (checks.user_id, -(10**600), "must have at most 512 characters"),
        (checks.user_id, "7" * 513, "must have at most 512 characters, not 513"),
        (checks.number, True, "must be a number, not True"),
        (checks.number, "1", "must be a number, not '1'"),
        (checks.number, None, "must be a number, not None"),
        (checks.number, math.nan, "must be a finite number, not nan"),
        (checks.number, -math.inf, "must be a finite number, not -inf"),
        (checks.optional_count, -1, "must be between 0 and 1e15, not -1"),
        (checks.optional_count, 10**15 + 1, "must be between 0 and 1e15, not 1000000000000001"),
        (checks.optional_count, 1.0, "must be a whole number or None (unknown), not 1.0"),
        (checks.optional_count, True, "must be a whole number or None (unknown), not True"),
        (checks.json_object, [1], "must be a mapping, not [1]"),
    ],
)
def test_what_is_refused(check: Callable[[str, object], object], value: object, rule: str) -> None:
    """A `ValueError` that names the argument, the rule and the value; a wrong argument is no `MeasureError`."""
    with pytest.raises(ValueError, match="the_argument") as raised:
        check("the_argument", value)
    assert str(raised.value) == f"the_argument {rule}"
    assert not isinstance(raised.value, MeasureError)


def test_a_number_too_large_for_a_float_is_refused() -> None:
    """Not an OverflowError out of nowhere."""
    with pytest.raises(ValueError, match="x must be a finite number"):
        checks.number("x", 10**400)


@pytest.mark.parametrize(
    ("low", "high", "rule"),
    [
        (0.0, math.inf, "x must be at least 0, not -1"),
        (-math.inf, -2.0, "x must be at most -2, not -1"),
        (0.0, 1.0, "x must be between 0 and 1, not -1"),
    ],
)
def test_the_range_is_named(low: float, high: float, rule: str) -> None:
    """As a person would say it."""
    with pytest.raises(ValueError, match="x must be") as raised:
        checks.number("x", -1, low=low, high=high)
    assert str(raised.value) == rule


def _nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {"leaf": 1}
    for _ in range(depth):
        value = {"k": value}
    return value


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"a": object()}, "x['a'] must be a JSON value"),
        ({"a": [1, {"b": b"bytes"}]}, "x['a'][1]['b'] must be a JSON value"),
        ({1: "x"}, "a key of x must be a non-empty string, not 1"),
        ({"": "x"}, "a key of x must be a non-empty string, not ''"),
        ({"a": {"": 1}}, "a key of x['a'] must be a non-empty string"),
        ({"a": "\ud800"}, "x['a'] must be valid Unicode"),
        ({"a": 2**63}, "x['a'] must fit 64 bits, not 9223372036854775808"),
        (_nested(12), "must be nested at most 8 deep"),
    ],
)
def test_a_value_that_is_no_json_is_named_by_its_place(value: dict[Any, object], named: str) -> None:
    """The path into the mapping is in the message."""
    with pytest.raises(ValueError, match="x") as raised:
        checks.json_object("x", value)
    assert named in str(raised.value)


HALF_PAST = timezone(timedelta(hours=-5, minutes=-30))


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.sampled_from([UTC, HALF_PAST])))
def test_a_timestamp_is_exact_to_the_microsecond(at: datetime) -> None:
    """Whatever zone it is given in; no float is involved."""
    ts = checks.timestamp_us("timestamp", at, 0)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts) == at


def test_no_timestamp_is_now() -> None:
    """Times default to the clock."""
    assert checks.timestamp_us("timestamp", None, 42) == 42


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (datetime(2026, 1, 1), "must carry a time zone"),
        (1_700_000_000, "must be an aware datetime, not 1700000000"),
        ("2026-01-01", "must be an aware datetime, not '2026-01-01'"),
        (datetime(1969, 12, 31, tzinfo=UTC), "must not lie before 1970"),
    ],
)
def test_a_time_that_is_none_is_refused(value: object, rule: str) -> None:
    """Naive datetimes mean different moments on different machines."""
    with pytest.raises(ValueError, match="timestamp") as raised:
        checks.timestamp_us("timestamp", value, 0)
    assert str(raised.value).startswith(f"timestamp {rule}")


@pytest.mark.parametrize(
    ("ahead_us", "expected"), [(-5, (995, False)), (300_000_000, (300_001_000, False)), (300_000_001, (1000, True))]
)
def test_far_in_the_future_becomes_now(ahead_us: int, expected: tuple[int, bool]) -> None:
    """More than 300 s ahead is a wrong clock: the record counts now and says that it was clamped."""
    assert checks.settled_time(1000 + ahead_us, 1000) == expected


@pytest.mark.parametrize("value", ["click", EventType.CLICK])
def test_a_member_stands_for_its_value(value: object) -> None:
    """Either is accepted."""
    assert checks.one_of("event_type", value, ALLOWED) == "click"


@pytest.mark.parametrize("value", ["CLICK", "", None, ["click"], EventType.PURCHASE])
def test_what_is_not_in_the_list_is_refused(value: object) -> None:
    """The message has the whole list."""
    with pytest.raises(ValueError, match="event_type must be one of click, login, not "):
        checks.one_of("event_type", value, ALLOWED)
