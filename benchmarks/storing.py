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
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Row, best, seconds
from benchmarks.workload import Workload
from otel_measure.records.kinds import UserEvent
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.facts import EVENT, facts_of
from otel_measure.store.sqlite.facts import Row as FactRow
from otel_measure.store.sqlite.names import Names

BATCHES = 20


def rows(events: int) -> list[Row]:
    """Fill a store with `events` events, then time more of them; then serve it."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "measure.db")
        store = SqliteStore(path)
        workload = Workload()
        for _ in range(events // 10_000):
            store.accept(workload.events(10_000))
        os.sync()  # what filling has left to be written is not what is timed
        found = [_row(store, workload, size, budget, folder) for size, budget in ((1_000, 0.35), (10_000, 0.45))]
        store.close()
        idle, full = _server_rss_mb(str(Path(folder) / "empty.db")), _server_rss_mb(path)
    return [
        *found,
        Row("P10", "server RSS, idle", idle, None, 90, "MB"),
        Row("P10", f"server RSS, {events:,} events behind it", full, None, 300, "MB"),
    ]


def _row(store: SqliteStore, workload: Workload, size: int, budget: float, folder: str) -> Row:
    batches = [workload.events(size) for _ in range(3 * BATCHES * 1_000 // size)]
    bare = _Bare(Path(folder) / f"bare-{size}.db", [_facts(batch) for batch in batches])
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


class _Fixed(Names):
    """Names that cost nothing: the bare reference inserts ready rows."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, int] = {}

    def origin(self, origin: object) -> int:
        return 1

    def uids(self, user_ids: Sequence[str]) -> Sequence[int]:
        return [self._known.setdefault(user_id, len(self._known)) for user_id in user_ids]


_NAMES = _Fixed()


def _facts(events: Sequence[UserEvent]) -> list[FactRow]:
    return list(zip(*facts_of(EVENT, events, _NAMES).stored.values(), strict=True))


class _Bare:
    """The same facts into the same table with the same primary key, and nothing else."""

    def __init__(self, path: Path, batches: Sequence[Sequence[FactRow]]) -> None:
        self.batches = batches
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(f"CREATE TABLE event ({','.join(EVENT.columns)}, PRIMARY KEY (id)) WITHOUT ROWID")

    def insert(self, batches: Sequence[Sequence[FactRow]]) -> None:
        for batch in batches:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(EVENT.insert(), batch)
            self._connection.execute("COMMIT")


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
