from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry import trace

from otel_measure import context
from otel_measure.definitions.days import micros
from otel_measure.records.enums import EventType
from otel_measure.records.kinds import Origin, UserEvent
from otel_measure.users.track import EventBuilder

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
HERE = Origin("shop", "test")
MINIMAL = UserEvent(id="new", ts=micros(NOW), origin=HERE, user_id="7", type="click", name="button")


def build(*args: Any, **fields: Any) -> UserEvent:
    """Build an event at NOW."""
    given = args or (7, "click", "button")
    return EventBuilder(HERE, lambda: micros(NOW), lambda: "new").build(*given, **fields)


@pytest.mark.parametrize("user", [7, "7"])
@pytest.mark.parametrize("kind", ["click", EventType.CLICK])
def test_the_least_that_is_needed(user: object, kind: EventType | str) -> None:
    """1 and "1" are the same user; a member of the enum stands for its value; times default to now."""
    assert build(user, kind, "button") == MINIMAL


def test_everything_that_can_be_given() -> None:
    """Each argument in its field; a currency in capitals."""
    found = build(
        "u", "purchase", "checkout", page_url="/x", properties={"a": 1}, session_id="s", device_type="phone",
        referrer="r", value=3, currency="eur", timestamp=NOW - timedelta(days=1), event_id="mine",
    )  # fmt: skip
    assert found == UserEvent(
        id="mine", ts=micros(NOW - timedelta(days=1)), origin=HERE, user_id="u", type="purchase", name="checkout",
        page_url="/x", session_id="s", device_type="phone", referrer="r", value=3.0, currency="EUR",
        properties={"a": 1},
    )  # fmt: skip


def test_addresses_that_others_make_long_are_cut() -> None:
    """A page and a referrer keep their first 8,191 characters and end with an ellipsis."""
    event = build(page_url="/" + "p" * 9000, referrer="r" * 8192)
    assert (event.page_url, event.referrer) == ("/" + "p" * 8190 + "…", "r" * 8192)


@pytest.mark.parametrize(
    ("properties", "expected"), [({"background": True}, True), ({"background": "yes"}, False), ({"x": 1}, False)]
)
def test_what_is_marked_as_background(properties: dict[str, object], expected: bool) -> None:
    """By a property that is true, not merely truthy."""
    assert build(properties=properties).background is expected


@pytest.mark.parametrize(
    ("timestamp", "sent_at", "expected", "clamped"),
    [
        (NOW - timedelta(hours=3), NOW - timedelta(hours=2), NOW - timedelta(hours=1), False),
        (NOW + timedelta(hours=1), NOW + timedelta(hours=2), NOW - timedelta(hours=1), False),
        (None, NOW - timedelta(hours=2), NOW, False),
        (NOW - timedelta(hours=3), NOW - timedelta(seconds=59.999999), NOW - timedelta(hours=3), False),
        (NOW - timedelta(hours=3), NOW + timedelta(seconds=59.999999), NOW - timedelta(hours=3), False),
        (NOW - timedelta(hours=3), NOW - timedelta(seconds=60), NOW - timedelta(hours=3, seconds=-60), False),
        (NOW - timedelta(hours=3), NOW + timedelta(seconds=60), NOW - timedelta(hours=3, seconds=60), False),
        (NOW + timedelta(seconds=300), None, NOW + timedelta(seconds=300), False),
        (NOW + timedelta(seconds=301), None, NOW, True),
        (datetime(1970, 1, 1, tzinfo=UTC), NOW + timedelta(days=1), datetime(1970, 1, 1, tzinfo=UTC), False),
    ],
)
def test_when_it_counts(
    timestamp: datetime | None, sent_at: datetime | None, expected: datetime, clamped: bool
) -> None:
    """By the client's clock corrected with when it sent, unless that is transit; the far future is now, and says so."""
    found = build(timestamp=timestamp, sent_at=sent_at)
    assert (found.ts, found.clamped) == (micros(expected), clamped)


def test_the_surroundings_are_taken_where_nothing_is_given() -> None:
    """User and session of the context, trace context of the caller; an argument goes before it."""
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    with context(user_id="around", session_id="s"), trace.use_span(span):
        found = build(None, "click", "button")
        given = build("me", "click", "button", session_id="mine")
    assert (found.user_id, found.session_id, found.trace_id, found.span_id) == (
        "around",
        "s",
        "0" * 31 + "1",
        "0" * 15 + "2",
    )
    assert (given.user_id, given.session_id) == ("me", "mine")


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"user_id": None}, "user_id must be an int, a UUID or a non-empty string, not None"),
        ({"user_id": True}, "user_id must be an int, a UUID or a non-empty string, not True"),
        ({"event_type": "clack"}, "event_type must be one of click, conversion, "),
        ({"event_name": ""}, "event_name must be a non-empty string, not ''"),
        ({"value": float("nan")}, "value must be a finite number, not nan"),
        ({"currency": "€"}, "currency must be an ISO 4217 code of three letters, not '€'"),
        ({"currency": "EURO"}, "currency must be an ISO 4217 code of three letters, not 'EURO'"),
        ({"timestamp": datetime(2026, 1, 1)}, "timestamp must carry a time zone"),
        ({"timestamp": NOW, "sent_at": 5}, "sent_at must be an aware datetime, not 5"),
        ({"properties": {"x": "y" * 40_000}}, "properties must be at most 32768 bytes as JSON"),
        ({"properties": [1]}, "properties must be a mapping, not [1]"),
        ({"event_id": ""}, "event_id must be a non-empty string, not ''"),
        ({"session_id": "s" * 513}, "session_id must have at most 512 characters, not 513"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], rule: str) -> None:
    """Each rule of the contract names its argument."""
    given = {"user_id": 7, "event_type": "click", "event_name": "button"} | fields
    positional = [given.pop(name) for name in ("user_id", "event_type", "event_name")]
    with pytest.raises(ValueError, match="must") as raised:
        build(*positional, **given)
    assert str(raised.value).startswith(rule)
