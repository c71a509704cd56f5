"""What is said of a server that refuses, hangs or is gone."""

from __future__ import annotations

import pytest

from otel_measure.store.clickhouse.faults import LOOK, unavailable


@pytest.mark.parametrize(
    ("said", "cause", "what", "way_out"),
    [
        (
            "Received ClickHouse exception, code: 516, server response: Code: 516. DB::Exception: me: no\nat line 1",
            "permission",
            "db: Received ClickHouse exception, code: 516, server response: Code: 516. DB::Exception: me: no",
            "give the right user and password: clickhouse://user:password@host:port/database",
        ),
        ("code: 164, x", "read_only", "db: code: 164, x", "use a user whose profile is not read-only"),
        (
            "Received ClickHouse exception, code: 243, server response: Code: 243. DB::Exception: No space",
            "full",
            "db: Received ClickHouse exception, code: 243, server response: Code: 243. DB::Exception: No space",
            "free disk space on the server; recording goes on by itself afterwards",
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
    """The first line of what the server said, without the parameters of the request."""
    fault = unavailable("db", OSError(said))
    assert (fault.cause_name, fault.what, fault.way_out) == (cause, what, way_out)
