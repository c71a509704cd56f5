"""What of the place of a store may be shown."""

from __future__ import annotations

import pytest

from otel_measure.store.places import shown


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/var/lib/measure.db", "/var/lib/measure.db"),
        ("/var/lib/me@home.db", "/var/lib/me@home.db"),
        (":memory:", ":memory:"),
        ("clickhouse://db:8123/measure", "clickhouse://db:8123/measure"),
        ("clickhouse://me:se@cret@db/measure", "clickhouse://…@db/measure"),
    ],
)
def test_user_and_password_are_left_out(place: str, expected: str) -> None:
    """Of a URL; a path is shown as it is."""
    assert shown(place) == expected
