"""A server that is killed in the middle of inserts: what is there afterwards, and what a retry makes of it."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.writing import FactWriter, create
from tests.clickhouse import ClickHouseServer, without_what_is_not_of_the_extra
from tests.facts import DAY, NOON, event
from tests.store.clickhouse.storing import DEFINITIONS, stored, writer

pytestmark = pytest.mark.e2e
ROUNDS = 2
DAYS = 30


def _accept(mine: FactWriter, batch: list[Record]) -> None:
    with suppress(StoreUnavailable):
        mine.accept(batch)


def _killed_while_writing(server: ClickHouseServer, url: str, batch: list[Record], known: int) -> None:
    """Kill the server as soon as any of the batch is stored, or when all of it is."""
    with ClickHouseDatabase.of_url(url) as mine, ClickHouseDatabase.of_url(url) as looking:
        at_work = threading.Thread(target=_accept, args=(writer(mine), batch))
        at_work.start()
        while at_work.is_alive() and looking.rows("SELECT count() FROM {db}.event") == [(known,)]:
            pass
        server.kill()
        at_work.join()


def test_a_retry_after_a_kill_leaves_each_record_once(tmp_path: Path) -> None:
    """What was stored stays, though the retry says another day; what was not is added; active days are those of facts.

    The batch lies on many days, each of them a part of the table: the kill comes between them.
    """
    server = ClickHouseServer(tmp_path / "server")
    url = server.url("killed")
    expected: dict[tuple[str, str], Record] = {}
    with without_what_is_not_of_the_extra():
        with server.run(), ClickHouseDatabase.of_url(url) as database:
            create(database, DEFINITIONS)
        for n in range(ROUNDS):
            batch: list[Record] = [event(f"{n}-{i}", f"u{i % 7}", NOON + i % DAYS * DAY) for i in range(10 * DAYS)]
            with server.run():
                _killed_while_writing(server, url, batch, len(expected))
            with server.run(), ClickHouseDatabase.of_url(url) as database:
                there = stored(database, [each.id for each in batch])
                assert there.items() <= {("event", each.id): each for each in batch}.items()
                retry: list[Record] = [msgspec.structs.replace(each, ts=each.ts + 1 + DAY) for each in batch]
                writer(database).accept(retry)
                expected |= {("event", each.id): each for each in retry} | there
                assert stored(database, [name for _, name in expected]) == expected
                assert writer(database).remove_doubles(0, 2**16 - 1) == 0
                rows = (
                    "SELECT day, user, count() FROM {db}.event WHERE active = 1 GROUP BY day, user ORDER BY day, user"
                )
                assert database.rows(f"{rows} SETTINGS force_optimize_projection = 1") == database.rows(
                    f"{rows} SETTINGS optimize_use_projections = 0"
                )
