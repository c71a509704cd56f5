"""A store of the last release with many facts and purged days is brought up to date while others write to it.

python -m tests.store.sqlite.updating_at_scale [--facts 1000000] [--folder DIRECTORY]

It is the store of `last_release`, with as many copies of its users as are needed. In the end every row of every roll-up
is compared with a fresh store that was given the same facts, and what was slowest is printed.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from types import GeneratorType
from typing import Final
from unittest.mock import patch

import msgspec

from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import GroundTruth, Record
from otel_measure.store.sqlite import SqliteStore, totals, updating
from tests.facts import NOON, event
from tests.store.sqlite import last_release
from tests.store.sqlite.concurrently import ENGAGED, OLD, rolled_up_tables

USERS: Final = 7  # of one copy
PAUSE_S: Final = 0.02
# Of each table that tells persons apart, what a copy has in place of the columns that name them.
_COPIED: Final[dict[str, dict[str, str]]] = {
    "person": {"uid": "uid + :users", "merged_into": "merged_into + :users"},
    "alias": {"distinct_id": "distinct_id || :suffix", "uid": "uid + :users"},
    "inference": {"id": "id || :suffix", "user_id": "user_id || :suffix"},
    "ground_truth": {"id": "id || :suffix", "inference_id": "inference_id || :suffix"},
    **{
        table: {"id": "id || :suffix", "uid": "uid + :users"}
        for table in ("event", "nps_response", "exposure", "nps_day")
    },
    **{
        table: {"uid": "uid + :users"}
        for table in ("person_day", "session", "goal_hit", "experiment_arm", "experiment_conversion")
    },
}


# ---------------------------------------------------------------- the store, and a fresh one


def write(path: Path, copies: int) -> None:
    """Write a store of the last release whose users are there so many times.

    What is counted anew from the facts alone (cells of models, say) is left as one copy made it.
    """
    last_release.write(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for table, changed in _COPIED.items():
            columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall()]
            connection.execute(f"CREATE TEMP TABLE one AS SELECT * FROM {table}")
            select = ",".join(changed.get(column, column) for column in columns)
            connection.executemany(
                f"INSERT INTO {table} SELECT {select} FROM one",
                ({"users": USERS * copy, "suffix": f".{copy}"} for copy in range(1, copies)),
            )
            connection.execute("DROP TABLE one")
        connection.execute(f"UPDATE session_cell SET background = background * {copies}")
        for table in ("total", "total_base"):
            _multiply(connection, table, copies)
        connection.execute("COMMIT")


def _multiply(connection: sqlite3.Connection, table: str, by: int) -> None:
    for series, value, count, buckets in connection.execute(f"SELECT * FROM {table}").fetchall():
        many = None if buckets is None else totals.packed(n * by for n in totals.unpacked(buckets))
        connection.execute(f"REPLACE INTO {table} VALUES (?, ?, ?, ?)", (series, value * by, count * by, many))


def facts(copies: int) -> Iterator[list[Record]]:
    """Yield the facts of each copy."""
    for copy in range(copies):
        suffix = f".{copy}" if copy else ""
        records: list[Record] = []
        for fact in last_release.FACTS:
            changed = {"id": fact.id + suffix}
            if isinstance(fact, GroundTruth):
                changed["inference_id"] = fact.inference_id + suffix
            elif (user := getattr(fact, "user_id", None)) is not None:
                changed["user_id"] = user + suffix
            records.append(msgspec.structs.replace(fact, **changed))
        yield records


def fresh(path: Path, copies: int, definitions: Definitions, more: list[Record]) -> SqliteStore:
    """Return a store that was given the same, by the definitions that the other one has come to."""
    store = SqliteStore(str(path), definitions=definitions, retention_days=last_release.RETENTION_DAYS)
    batch: list[Record] = []
    for records in facts(copies):
        batch += records
        if len(batch) > 5000:
            store.accept(batch)
            batch = []
    store.accept(batch)
    for copy in range(copies):
        suffix = f".{copy}" if copy else ""
        for one, other in last_release.LINKS:
            store.identify(one + suffix, other + suffix)
    store.sweep(last_release.SWEPT)
    store.accept(more)
    return store


# ---------------------------------------------------------------- bringing it up to date


@dataclass
class Slowest:
    """How long each thing took, and what it was.

    Attributes:
        times: seconds, those of them that the processor worked, and what it was.
    """

    times: list[tuple[float, float, str]] = field(default_factory=list)

    @contextmanager
    def timed(self, what: Callable[[], str]) -> Iterator[None]:
        """Take the time of what is done inside."""
        began, worked = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self.times.append((time.perf_counter() - began, time.thread_time() - worked, what()))

    def longest(self) -> list[str]:
        """Return the longest ones: first by the clock, then by the processor, which other programs do not lengthen."""
        by_clock, by_processor = (sorted(self.times, key=itemgetter(at), reverse=True)[:5] for at in (0, 1))
        return [f"{clock:8.2f} s, {work:6.2f} s of work: {what}" for clock, work, what in (*by_clock, *by_processor)]


@dataclass
class Figures:
    """What was measured.

    Attributes:
        step: the longest step of the count anew.
        write: the longest write transaction of it, during which no other process may write.
        wait: how long a writer beside it waited for one event, at most.
        written: what those writers wrote.
        refused: how often one of them did not get the lock in time, and tried again.
    """

    facts: int = 0
    total_s: float = 0.0
    step: Slowest = field(default_factory=Slowest)
    write: Slowest = field(default_factory=Slowest)
    wait: Slowest = field(default_factory=Slowest)
    written: list[Record] = field(default_factory=list)
    refused: int = 0


def bring_up_to_date(path: Path, definitions: Definitions) -> Figures:
    """Bring a store up to date while two processes write: one of this version, and one of the last."""
    figures = Figures()
    store = SqliteStore(str(path), definitions=definitions)
    _time_writes(store, figures.write)
    done = threading.Event()
    writers = [
        threading.Thread(target=_write, args=(path, version, name, figures, done))
        for version, name in ((definitions, "new"), (OLD, "old"))
    ]
    for writer in writers:
        writer.start()
    began, now, more = time.perf_counter(), NOON, True
    while more:
        with figures.step.timed(lambda: _where(store)):
            more = store.bring_up_to_date("step", now)
        time.sleep(PAUSE_S)  # as the background does, so that others get to write
        now += 1
    done.set()
    for writer in writers:
        writer.join()
    while store.bring_up_to_date("step", now):
        pass
    figures.total_s = time.perf_counter() - began
    store.close()
    return figures


def _write(path: Path, definitions: Definitions, name: str, figures: Figures, done: threading.Event) -> None:
    with closing(SqliteStore(str(path), definitions=definitions)) as store:
        number = 0
        while not done.wait(PAUSE_S):
            record = event(f"{name}-{number}", f"{name}{number % 50}", NOON - number % 1000 * 1_000_000)
            try:
                with figures.wait.timed(lambda: name):
                    (receipt,) = store.accept([record])
            except StoreUnavailable:  # the lock was not had in time: as the recorder does, again
                figures.refused += 1
                continue
            assert receipt.outcome == "accepted"
            figures.written.append(record)
            number += 1


def _time_writes(store: SqliteStore, slowest: Slowest) -> None:
    database = store._updates._database
    write = database.write

    @contextmanager
    def timed(**given: object) -> Iterator[sqlite3.Connection]:
        with write(**given) as connection, slowest.timed(lambda: _where(store)):  # type: ignore[arg-type]
            yield connection

    database.write = timed  # type: ignore[method-assign]


def _where(store: SqliteStore) -> str:
    """Return where the count anew stands: the innermost function that is going on."""
    at: object = store._updates._steps
    place = "journal"
    while isinstance(at, GeneratorType):
        if at.gi_frame is not None:
            place = f"{Path(at.gi_code.co_filename).stem}.{at.gi_code.co_name}:{at.gi_frame.f_lineno}"
        at = at.gi_yieldfrom
    return place


# ---------------------------------------------------------------- the whole


def run(folder: Path, copies: int) -> tuple[Figures, list[str]]:
    """Return what was measured, and the tables that are not as those of a fresh store."""
    path = folder / "last_release.db"
    write(path, copies)
    figures = bring_up_to_date(path, ENGAGED)
    figures.facts = copies * len(last_release.FACTS)
    updated = SqliteStore(str(path), definitions=ENGAGED)
    other = fresh(folder / "fresh.db", copies, ENGAGED, figures.written)
    try:
        pairs = zip(rolled_up_tables(updated), rolled_up_tables(other), strict=True)
        return figures, [
            table
            for (table, rows), (_, expected) in pairs
            if last_release.with_facts(table, rows) != last_release.with_facts(table, expected)
        ]
    finally:
        updated.close()
        other.close()


def main() -> None:
    """Parse the command line, run, and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.store.sqlite.updating_at_scale")
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the two stores are written; removed afterwards")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, patch.object(updating, "SMALL", -1):
        figures, different = run(Path(folder), arguments.facts // len(last_release.FACTS))
    writes = len(figures.written)
    print(f"{figures.facts:,} facts, brought up to date in {figures.total_s:.1f} s beside {writes:,} writes of others")
    print(f"{figures.refused} writes of others did not get the lock in time and were repeated")
    measured = {"step": figures.step, "write transaction": figures.write, "wait of a writer": figures.wait}
    for what, slowest in measured.items():
        print(f"longest {what}:", *slowest.longest(), sep="\n  ")
    print(f"tables that differ from a fresh store: {', '.join(different) or 'none'}")


if __name__ == "__main__":
    main()
