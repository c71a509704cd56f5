"""What is said of a server that refuses, hangs or is gone."""

from __future__ import annotations

import pytest

from otel_measure.store.clickhouse.faults import FREE_SPACE, LOOK, unavailable

READ_ONLY = "use a user whose profile has readonly = 0 (2 is enough to ask)"


@pytest.mark.parametrize(
    ("said", "cause", "what", "way_out"),
    [
        (
            "Received ClickHouse exception, code: 516, server response: Code: 516. DB::Exception: me: no\nat line 1",
            "permission",
            "db: Code: 516. DB::Exception: me: no",
            "give the right user and password: clickhouse://user:password@host:port/database",
        ),
        (
            "code: 75, x: errno: 28, No space left on device",
            "full",
            "db: code: 75, x: errno: 28, No space left on device",
            FREE_SPACE,
        ),
        ("code: 164, x", "read_only", "db: code: 164, x", READ_ONLY),
        ("Setting async_insert is readonly", "read_only", "db: Setting async_insert is readonly", READ_ONLY),
        (
            "Received ClickHouse exception, code: 243, server response: Code: 243. DB::Exception: Cannot reserve"
            " 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE) (version 26.7.2.1) (for url http://127.0.0.1:1)",
            "full",
            "db: Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)",
            FREE_SPACE,
        ),
        (
            "Error HTTPConnectionPool(host='h', port=1): Read timed out. (read timeout=4)"
            " executing HTTP request attempt 1 (http://h:1)",
            "slow",
            "db: Error HTTPConnectionPool(host='h', port=1): Read timed out. (read timeout=4) (http://h:1)",
            LOOK,
        ),
        (
            "Error HTTPConnectionPool(host='h', port=1): Max retries exceeded with url: /?a=1&b=2 (Caused by X)",
            "away",
            "db: Error HTTPConnectionPool(host='h', port=1): Max retries exceeded (Caused by X)",
            "start the server, or give its address; it is tried again",
        ),
        ("code: 60, no such table", "clickhouse", "db: code: 60, no such table", LOOK),
        ("", "clickhouse", "db: OSError", LOOK),
    ],
)
def test_a_fault_has_a_cause_and_a_way_out(said: str, cause: str, what: str, way_out: str) -> None:
    """The first line of what the server said, without what tells of the request."""
    fault = unavailable("db", OSError(said))
    assert (fault.cause_name, fault.what, fault.way_out) == (cause, what, way_out)
