"""What facts in ClickHouse cost, as CPU time and bytes: `python -m tests.store.clickhouse.measured [EVENTS] [BATCH]`.

CPU time and not wall time, so that it says the same on a machine that does other things as well.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random

import psutil

from otel_measure.ai.series import SeriesAsked, SeriesTeller
from otel_measure.definitions.days import Days
from otel_measure.definitions.steps import SeriesWindow, series_span
from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.records.ids import Uuid7
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.columns import user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.erasing import PersonRemover
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.sweeping import AgeSweeper
from otel_measure.store.clickhouse.users import ClickHouseUserQuestions
from otel_measure.store.clickhouse.writing import create
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ALL_MODELS
from tests.clickhouse import ClickHouseServer, without_what_is_not_of_the_extra
from tests.facts import DAY, HERE, HOUR, NOON, event, inference
from tests.store.clickhouse.storing import DEFINITIONS, writer, written_by

_USERS = 20_000
_DAYS = 10


def _events(count: int) -> Iterator[Record]:
    """Yield events of ten days in order, of users some of whom come often, with UUIDs of their time."""
    random, at = Random(1), [NOON]
    new_id = Uuid7(lambda: at[0])
    for n in range(count):
        at[0] = NOON + n * _DAYS * DAY // count
        user = int(random.paretovariate(0.8)) % _USERS
        yield event(
            new_id(), f"user-{user}@example.com", at[0], type=random.choice(("page_view", "click", "purchase")),
            name=f"n{random.randrange(20)}", page_url=f"https://shop.example/p/{random.randrange(500)}",
            session_id=f"s{random.randrange(5000)}",
        )  # fmt: skip


def _told(what: str, server: psutil.Process, done: Callable[[], object]) -> None:
    """Do something and say what it took."""
    before, client, began = sum(server.cpu_times()[:2]), time.process_time(), time.perf_counter()
    done()
    print(
        f"{what}: server {sum(server.cpu_times()[:2]) - before:.2f} s of CPU, client"
        f" {time.process_time() - client:.2f} s, {time.perf_counter() - began:.1f} s by the clock"
    )


class _NoNotes:
    """Notes of removals that nobody keeps."""

    def begin_removal(self, key: str, sums: Mapping[TotalKey, Sum]) -> None:
        """Do nothing."""

    def end_removal(self, key: str) -> None:
        """Do nothing."""

    def removals(self) -> list[str]:
        """Return none."""
        return []


def main(count: int = 200_000, batch: int = 5_000) -> None:
    """Write events, and ask about them."""
    events = list(_events(count))
    with (
        tempfile.TemporaryDirectory() as folder,
        without_what_is_not_of_the_extra(),
        ClickHouseServer(Path(folder)).run() as server,
        ClickHouseDatabase.of_url(server.url("measured")) as database,
    ):
        create(database, DEFINITIONS)
        mine, process = writer(database), psutil.Process(server.process.pid)

        def write(some: list[Record]) -> None:
            for i in range(0, len(some), batch):
                mine.accept(some[i : i + batch])

        _told(f"{count:,} events in batches of {batch:,}", process, lambda: write(events))
        _told("the last batch again", process, lambda: write(events[-batch:]))
        database.run("OPTIMIZE TABLE {db}.event FINAL")
        of_table = f"active AND database = '{database.name}' AND table = 'event'"
        ((stored,),) = database.rows(f"SELECT sum(bytes_on_disk) FROM system.parts WHERE {of_table}")
        print(f"{stored / count:.1f} bytes per event; of them:")
        projections = f"SELECT name, sum(bytes_on_disk) FROM system.projection_parts WHERE {of_table} GROUP BY name"
        for name, size in database.rows(projections):
            print(f"  {size / count:.1f} in the projection {name}")
        ask, first = ClickHouseUserQuestions(database, DEFINITIONS, {}, HERE.environment), DEFINITIONS.day_of(NOON)
        days = Days(first, first + _DAYS)
        _told("active users of ten days", process, lambda: ask.active(days))
        _told("their cohorts", process, lambda: ask.cohorts(days, (1, 7)))
        _told("their sessions", process, lambda: ask.sessions(days, NOON + 20 * DAY))
        _told("their conversions", process, lambda: ask.conversions(days, "purchase"))
        by = written_by(database)
        remover = PersonRemover(database, by)
        for user in (1, 1000):
            numbers = {user_number(by, f"user-{user}@example.com")}
            n = sum(remover.counts(numbers).values())
            _told(f"an erasure of {n:,} events", process, partial(_ended, remover, partial(remover.remove, numbers)))
        _told("their bytes out of the parts in use", process, partial(_ended, remover, remover.apply_masks))
        _told("a day of retention", process, lambda: AgeSweeper(database, _NoNotes()).remove_before(first + 1))
        _series(ClickHouseStore(database, DEFINITIONS), process, count // 4)


def _ended(remover: PersonRemover, told: Callable[[], object]) -> None:
    """Tell the server what to do, and wait until it has done it."""
    told()
    assert remover.are_ended(remover.under_way(), 600.0)


def _series(store: ClickHouseStore, process: psutil.Process, calls: int) -> None:
    """Write calls of a day of 25 models, and ask for its series again and again."""
    for n in range(0, calls, 5_000):
        store.accept(
            [
                inference(f"call {i}", NOON + i * DAY // calls, model=f"m{i % 25}", latency_ms=i % 900 + 1.5)
                for i in range(n, min(n + 5_000, calls))
            ]
        )
    kept, now = SeriesTeller(), NOON + DAY

    def ask() -> None:
        asked = SeriesAsked("5m", "model", None, ALL_MODELS, None)
        with store.asking(Filter(None, HERE.environment)) as moment:
            kept.of(moment, series_span(SeriesWindow("24h"), now, DEFINITIONS.timezone, "24h"), now, asked)

    _told(f"a day of {calls:,} calls by model, the first time", process, ask)
    _told("again", process, ask)
    for n in range(2):
        store.accept([inference(f"late{n}", NOON + (n + 3) * HOUR, model="m1")])
        _told("with a late call", process, ask)
    with store.asking(Filter(None, HERE.environment)) as moment:
        _told("what changed, 100 times", process, lambda: [moment.models.changes(0) for _ in range(100)])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
