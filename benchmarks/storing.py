"""P3 and P10: accepting events on top of many, and the memory of a server with as many behind it."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.report import Row, best, seconds
from benchmarks.workload import Workload
from otel_measure.config import Settings
from otel_measure.records.kinds import UserEvent
from otel_measure.store.engines import open_store
from otel_measure.store.protocol import Store

BATCHES = 20
Fact: TypeAlias = tuple[Any, ...]


def opened(path: Path) -> Store:
    """Return a store in a file."""
    store = open_store(Settings(store=str(path)))
    assert store is not None
    return store


def rows(events: int) -> list[Row]:
    """Fill a store with `events` events, then time more of them; then serve it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measure.db"
        store = opened(path)
        workload = Workload()
        for _ in range(events // 10_000):
            store.accept(workload.events(10_000))
        os.sync()  # what filling has left to be written is not what is timed
        found = [_row(store, workload, size, budget, folder) for size, budget in ((1_000, 0.35), (10_000, 0.45))]
        store.close()
        idle, full = _server_rss_mb(str(Path(folder) / "empty.db")), _server_rss_mb(str(path))
    return [
        *found,
        Row("P10", "server RSS, idle", idle, None, 90, "MB"),
        Row("P10", f"server RSS, {events:,} events behind it", full, None, 300, "MB"),
    ]


def _row(store: Store, workload: Workload, size: int, budget: float, folder: str) -> Row:
    batches = [workload.events(size) for _ in range(3 * BATCHES * 1_000 // size)]
    place = Path(folder) / str(size)
    place.mkdir()
    bare = _Bare(place, batches)
    # In the order of time, as events come; what the benchmark keeps ready is not the collector's to walk through.
    third = len(batches) // 3
    thirds = [slice(i * third, (i + 1) * third) for i in range(3)]
    ours, references = iter([batches[part] for part in thirds]), iter([bare.batches[part] for part in thirds])
    gc.collect()
    gc.freeze()
    took = best(lambda: seconds(lambda: [store.accept(batch) for batch in next(ours)]))
    reference = best(lambda: seconds(lambda: bare.insert(next(references))))
    per_third = BATCHES * 1_000
    return Row(
        "P3",
        f"events/s accepted, {size:,} a transaction, against bare inserts",
        per_third / took,
        per_third / reference,
        budget,
        "/s",
        "high",
    )


class _Bare:
    """The same facts into the same table with the same primary key, and nothing else.

    Args:
        folder: for the files.
        batches: what is to be inserted, one transaction for each.
    """

    def __init__(self, folder: Path, batches: Sequence[Sequence[UserEvent]]) -> None:
        columns, facts = _as_stored(folder / "facts.db", batches)
        # Their ids, and so their rows, are in the order of time.
        self.batches = [[next(facts) for _ in batch] for batch in batches]
        self._insert = f"INSERT INTO event ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})"
        self._connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(f"CREATE TABLE event ({','.join(columns)}, PRIMARY KEY (id)) WITHOUT ROWID")

    def insert(self, batches: Sequence[Sequence[Fact]]) -> None:
        for batch in batches:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(self._insert, batch)
            self._connection.execute("COMMIT")


def _as_stored(path: Path, batches: Sequence[Sequence[UserEvent]]) -> tuple[list[str], Iterator[Fact]]:
    """Return the columns of events and, by id, the rows that a store keeps of them."""
    store = opened(path)
    for batch in batches:
        store.accept(batch)
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT * FROM event ORDER BY id")
        return [column for column, *_ in rows.description], iter(rows.fetchall())


def _server_rss_mb(store: str) -> float:
    """Start a server, ask it everything a dashboard asks, and read its resident set."""
    import psutil

    from tests.components import free_port, wait_http

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "exporter.cli", "serve", "--port", str(port), "--store", store]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=dict(os.environ)) as server:
        wait_http(f"{url}/readyz", 60)
        for path in ("/metrics", "/api/v1/metrics/users/engagement", "/api/v1/metrics/ai/models"):
            with urllib.request.urlopen(url + path, timeout=60) as answer:
                answer.read()
        time.sleep(1)
        rss = psutil.Process(server.pid).memory_info().rss
        server.terminate()
    return float(rss) / 1e6
