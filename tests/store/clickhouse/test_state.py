"""Several processes on one log: whoever was first is so for all."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from otel_measure.config import Settings
from otel_measure.errors import StoreError
from otel_measure.store.clickhouse.tables import LOG
from otel_measure.store.engines import open_store
from otel_measure.store.protocol import Store
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later

pytestmark = pytest.mark.e2e
LEASES = 6


def test_each_lease_has_one_holder_and_all_know_the_same(clickhouse: ClickHouseServer) -> None:
    """Of six that want each lease at once, over three stores, one gets it; links are answered once as new."""
    place = clickhouse.url_for_one_test()
    stores = [closed_later(store) for _ in range(3) if (store := open_store(Settings(store=place))) is not None]
    holders: list[int] = []
    answers: list[str] = []

    def want(store: Store, name: str) -> None:
        for lease in range(LEASES):
            if store.take_lease(str(lease), name, 1_000_000, 9_000_000):
                holders.append(lease)
            answers.append(store.identify(f"anonymous {lease}", name))

    threads = [threading.Thread(target=want, args=(stores[n % 3], f"user {n}")) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(holders) == dict.fromkeys(range(LEASES), 1)
    assert Counter(answers) == {"linked": LEASES, "refused": 5 * LEASES}


def test_a_log_of_another_engine_is_refused(clickhouse: ClickHouseServer) -> None:
    """A server that makes tables of its own kind of what it is told to, as a cloud does, has no order for the log."""
    name = clickhouse.new_database()
    client = clickhouse.client()
    client.command(f"CREATE DATABASE {name}")
    columns = ", ".join(f"{column} {kind}" for column, kind in LOG.columns.items())
    client.command(f"CREATE TABLE {name}.log ({columns}) ENGINE = ReplacingMergeTree ORDER BY tuple()")
    with pytest.raises(StoreError) as raised:
        open_store(Settings(store=clickhouse.url(name)))
    assert str(raised.value) == (
        f"the server keeps {name}.log as ReplacingMergeTree, in which nobody knows in which order rows become visible,"
        " as ClickHouse Cloud does: use a server of your own, or a file"
    )
