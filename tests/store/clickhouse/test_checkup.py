"""What `doctor` says of a ClickHouse server."""

from __future__ import annotations

import re

import pytest

from otel_measure.config import Settings
from otel_measure.store.engines import open_store, store_checks
from otel_measure.store.types.findings import Finding
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later

pytestmark = pytest.mark.e2e


def findings(url: str) -> dict[str, Finding]:
    """Return what each check finds."""
    return {check.name: check.look() for check in store_checks(Settings(store=url))}


def test_a_good_server_is_well_before_and_after_a_store_is_there(clickhouse: ClickHouseServer) -> None:
    """Looking makes no store."""
    url = clickhouse.url_for_one_test()
    before = findings(url)
    assert re.fullmatch(r"ClickHouse [\d.]+, database \w+, in which there is no store yet", before["store"].what)
    assert before["store parts"] == Finding("ok", "nothing is stored yet")
    store = open_store(Settings(store=url))
    assert store is not None
    closed_later(store)
    after = findings(url)
    assert {name: finding.verdict for name, finding in after.items()} == dict.fromkeys(before, "ok")
    assert re.fullmatch(r"ClickHouse [\d.]+, database \w+", after["store"].what)
    assert after["store grants"].what == "default may SELECT, INSERT, ALTER, CREATE, DROP"
    assert re.fullmatch(r"\d+ parts in the fullest partition of \w+", after["store parts"].what)


def test_a_server_that_lets_nobody_in_is_told_alone(clickhouse: ClickHouseServer) -> None:
    """With the way out, and without the password."""
    found = findings(f"clickhouse://nobody:secret@127.0.0.1:{clickhouse.http_port}/x")
    assert [(name, finding.verdict) for name, finding in found.items()] == [("store", "wrong")]
    assert "Authentication failed" in found["store"].what
    assert "secret" not in found["store"].what
    assert found["store"].way_out.startswith("give the right user and password")
