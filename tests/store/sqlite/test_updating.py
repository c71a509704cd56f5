"""A store comes to newer definitions by itself, whoever writes to it meanwhile; nothing is lost or counted twice."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_measure.definitions.days import Days
from otel_measure.definitions.parameters import Definitions
from otel_measure.records.kinds import Exposure, GroundTruth, NpsResponse, Record
from otel_measure.store.sqlite import (
    JOURNALED,
    SqliteStore,
    activity,
    answers,
    experiments,
    facts,
    recounting,
    roll_ups,
    updating,
)
from otel_measure.store.types.facts import ACCEPTED
from tests.facts import DAY, HERE, NOON, SECOND, event, inference
from tests.store.sqlite import last_release
from tests.store.sqlite.concurrently import (
    ENGAGED,
    NEW,
    OLD,
    Step,
    finish,
    happenings,
    horizon,
    rolled_up,
    waits,
)
from tests.store.sqlite.test_looks import is_locked

Open = Callable[..., SqliteStore]
TODAY = Days(NOON // DAY, NOON // DAY)
# How many rows, facts or persons a step takes.
PORTIONS = (
    (activity, "_CHUNK"), (activity, "_ROWS_AT_ONCE"), (activity, "_PERSONS_AT_ONCE"), (answers, "READ_AT_ONCE"),
    (experiments, "_UNITS_AT_ONCE"), (facts, "READ_AT_ONCE"), (recounting, "_ROWS_AT_ONCE"),
    (roll_ups, "_ROWS_AT_ONCE"),
)  # fmt: skip
OTHER_GAP = replace(OLD, session_gap_s=600)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open stores that are closed with the test, and too large to be counted anew at once."""
    monkeypatch.setattr(updating, "SMALL", -1)
    stores: list[SqliteStore] = []

    def open_one(path: Path | str = ":memory:", definitions: Definitions | None = None, **given: Any) -> SqliteStore:
        stores.append(SqliteStore(str(path), definitions=definitions, **given))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


# ---------------------------------------------------------------- the law


class TwoVersions:
    """Two processes with different definitions on one store, and a fresh store that only knows the newer ones."""

    def __init__(self, path: Path, definitions: Definitions) -> None:
        self.old = SqliteStore(str(path), definitions=OLD, retention_days=4)
        self.new = SqliteStore(str(path), definitions=definitions, retention_days=4)
        self.fresh = SqliteStore(":memory:", definitions=definitions, retention_days=4)
        self.now = NOON

    def close(self) -> None:
        """Close all."""
        for store in (self.old, self.new, self.fresh):
            store.close()

    def do(self, step: Step, by: SqliteStore) -> None:
        """Let one process do something, and the fresh store what is done to a store from outside."""
        what, given = step
        self.now += 1
        if what == "accept":
            before = [receipt.outcome for receipt in by.accept(given)]
            assert [receipt.outcome for receipt in self.fresh.accept(given)] == before
        elif what == "link":
            assert by.identify(*given) == self.fresh.identify(*given)
        elif what == "unlink":
            assert by.unlink(given) == self.fresh.unlink(given)
        elif what == "erase":
            erased, fresh = by.erase(given, self.now), self.fresh.erase(given, self.now)
            assert replace(erased, bytes_cleared=True) == fresh  # while it is updated old roll-ups have the person
        elif what in ("sweep", "make room"):
            horizon_before = horizon(by)
            remove(by, what, given)
            if horizon(by) != horizon_before:
                remove(self.fresh, what, given)
        elif what == "steps":
            for _ in range(given):
                by.bring_up_to_date("old" if by is self.old else "new", self.now)
        elif what == "rebuild":
            by.rebuild()
        elif what == "kill" and by is self.new:
            self.new._updates.after_fork_in_child()  # lets go of everything without a word
            self.now += 2 * updating.LEASE_US


def remove(store: SqliteStore, what: str, at: int) -> None:
    """Have what retention says at a time go, or everything before it: a day is then partly gone."""
    if what == "sweep":
        store.sweep(at)
    else:
        store._sweeper._purge(at)


@settings(max_examples=30, deadline=None)
@given(steps=happenings, data=st.data())
def test_any_history_ends_as_a_fresh_store(steps: list[Step], data: st.DataObject) -> None:
    """Facts, links, erasures, sweeps, rebuilds and kills, at any moment and by either version, end as a fresh store."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(updating, "SMALL", -1)
        facts_go = any(what in ("sweep", "make room") for what, _ in steps)
        processes = TwoVersions(Path(folder) / "a.db", ENGAGED if facts_go else NEW)
        try:
            for step in steps:
                processes.do(step, data.draw(st.sampled_from([processes.old, processes.new])))
            finish(processes.new, processes.now + 2 * updating.LEASE_US)
            assert waits(processes.new) == 0
            assert rolled_up(processes.new) == rolled_up(processes.fresh)
            processes.new.rebuild()
            assert rolled_up(processes.new) == rolled_up(processes.fresh)
        finally:
            processes.close()


# ---------------------------------------------------------------- one after the other


def test_a_small_store_of_the_last_release_is_counted_anew_when_it_is_opened(tmp_path: Path) -> None:
    """Its days without facts too, as far as what is left of them tells: all but their sessions."""
    last_release.write(tmp_path / "a.db")
    store = SqliteStore(str(tmp_path / "a.db"), definitions=ENGAGED)
    fresh = SqliteStore(":memory:", definitions=ENGAGED, retention_days=last_release.RETENTION_DAYS)
    try:
        fresh.accept(last_release.FACTS)
        for link in last_release.LINKS:
            fresh.identify(*link)
        fresh.sweep(last_release.SWEPT)
        updated, expected = (
            {table: last_release.with_facts(table, rows) for table, rows in rolled_up(each).items()}
            for each in (store, fresh)
        )
        assert updated == expected
    finally:
        store.close()
        fresh.close()


def test_what_is_left_out_is_said_and_counted_later(opened: Open, tmp_path: Path) -> None:
    """A process of older rules stores facts only; one of the store's own definitions counts them."""
    new = opened(tmp_path / "a.db", NEW)
    old = opened(tmp_path / "a.db", OLD)
    assert old.accept([event("a")]) == [JOURNALED]
    assert new.accept([event("b", "v")]) == [ACCEPTED]
    assert (waits(new), old.bring_up_to_date("old", NOON)) == (1, False)
    with new.asking() as ask:
        assert ask.users.active(TODAY) == 1
    assert new.bring_up_to_date("new", NOON)
    with old.asking() as ask:
        assert ask.users.active(TODAY) == 2
    assert not new.bring_up_to_date("new", NOON)


def test_a_rebuild_by_other_settings_leaves_no_process_counting_by_its_own(opened: Open, tmp_path: Path) -> None:
    """Who runs with the settings of before stores facts only, until it is started again."""
    running, fresh = opened(tmp_path / "a.db", OLD), opened(":memory:", OTHER_GAP)
    views = [event(f"v{n}", "u", NOON - n * 1000 * SECOND, type="page_view") for n in range(4)]
    running.accept(views[:2])
    command = opened(tmp_path / "a.db")
    command.rebuild(OTHER_GAP)
    assert running.accept(views[2:]) == [JOURNALED] * 2
    restarted = opened(tmp_path / "a.db", OTHER_GAP)
    finish(restarted)
    fresh.accept(views)
    assert rolled_up(restarted) == rolled_up(fresh)


def test_an_older_version_goes_on_when_the_newer_one_is_gone(opened: Open, tmp_path: Path) -> None:
    """What was begun and is not going on any more is forgotten, and what waits is counted by the rules of before."""
    old, fresh = opened(tmp_path / "a.db", OLD), opened(":memory:", OLD)
    old.accept([event("a")])
    new = opened(tmp_path / "a.db", NEW)
    for _ in range(5):
        assert new.bring_up_to_date("new", NOON)
    new._updates.after_fork_in_child()  # lets go of everything without a word
    assert old.accept([event("b", "v")]) == [ACCEPTED]
    assert not old.bring_up_to_date("old", NOON)
    finish(old, NOON + 2 * updating.LEASE_US)
    fresh.accept([event("a"), event("b", "v")])
    assert rolled_up(old) == rolled_up(fresh)


def test_a_fork_finds_no_connection_of_a_count_anew(opened: Open, tmp_path: Path) -> None:
    """It is left, and begun anew by whoever asks next, which may be the parent."""
    path = tmp_path / "a.db"
    old, fresh = opened(path, OLD), opened(":memory:", NEW)
    for store in (old, fresh):
        store.accept([event(f"e{n}", f"u{n % 3}", NOON - n * SECOND) for n in range(20)])
    old.close()
    new = opened(path, NEW)
    for _ in range(3):
        assert new.bring_up_to_date("new", NOON)
    new.before_fork()
    assert not is_locked(path)
    new.after_fork_in_parent()
    finish(new, NOON)
    assert rolled_up(new) == rolled_up(fresh)


def test_a_sweep_that_was_cut_short_is_counted_once(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild in between keeps what was counted of facts that are to go, and counts it no second time."""
    store = opened(":memory:", OLD, retention_days=4)
    store.accept([event(f"p{n}", "u", NOON - n * DAY, type="purchase", value=2.0) for n in range(8)])
    before = rolled_up(store)
    with monkeypatch.context() as patch:
        patch.setattr("otel_measure.store.sqlite.retention.purge", lambda *_: 0)
        store.sweep(NOON)
    store.rebuild()
    assert rolled_up(store) == before


def tables(store: SqliteStore) -> set[str]:
    """Return the tables of a store."""
    with store._database.read() as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_what_a_count_anew_leaves_behind_is_removed(opened: Open, tmp_path: Path) -> None:
    """Killed before its end or right after it, its tables go with the next steps of whoever is there."""
    old, fresh = opened(tmp_path / "a.db", OLD), opened(":memory:", NEW)
    records = [event(f"e{n}", f"u{n % 3}", NOON - n * SECOND, type="login") for n in range(20)]
    for store in (old, fresh):
        store.accept(records)
    new, before, now = opened(tmp_path / "a.db", NEW), tables(old), NOON
    while not any(name.startswith("new_") for name in tables(old)):
        now += 1
        assert new.bring_up_to_date("new", now)
    new._updates.after_fork_in_child()  # lets go of everything without a word
    now += 2 * updating.LEASE_US
    while not any(name.startswith("old_") for name in tables(old)):
        now += 1
        assert new.bring_up_to_date("another", now)
    assert rolled_up(new) == rolled_up(fresh)
    new._updates.after_fork_in_child()
    assert tables(new) != before
    finish(new, now + 2 * updating.LEASE_US)
    assert (tables(new), rolled_up(new)) == (before, rolled_up(fresh))


def many_facts(n: int) -> list[Record]:
    """Make facts of every kind that is rolled up, of eight days and nine users."""
    found: list[Record] = []
    for i in range(n):
        user, ts = f"u{i % 9}", NOON - i * 8 * DAY // n
        found += [
            event(f"e{i}", user, ts, type="page_view"),
            event(f"c{i}", user, ts, type="conversion", properties={"experiment": "t"}),
            inference(f"i{i}", ts, prediction=i % 2 == 0),
            GroundTruth(id=f"g{i}", ts=ts, origin=HERE, inference_id=f"i{i}", value=True),
            NpsResponse(id=f"n{i}", ts=ts, origin=HERE, user_id=user, score=i % 11),
            Exposure(id=f"x{i}", ts=ts, origin=HERE, user_id=user, experiment="t", variant="ab"[i % 2]),
        ]
    return found


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return what SQLite has done since it was last asked, on new connections: thousands of operations."""
    done, connect = [0], sqlite3.connect

    def counted(*args: Any, **given: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **given)
        connection.set_progress_handler(lambda: done.__setitem__(0, done[0] + 1), 1000)
        return connection

    def since_last() -> int:
        some, done[0] = done[0], 0
        return some

    monkeypatch.setattr(sqlite3, "connect", counted)
    return since_last


def test_a_step_takes_as_long_however_many_facts_there_are(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worked: Callable[[], int]
) -> None:
    """Every step does its portion: with eight times the facts there are more steps, and none is longer."""
    for where, name in PORTIONS:
        monkeypatch.setattr(where, name, 20)
    longest = []
    for n in (100, 800):
        old, fresh = opened(tmp_path / f"{n}.db", OLD, retention_days=4), opened(":memory:", ENGAGED, retention_days=4)
        for store in (old, fresh):
            store.accept(many_facts(n))
            store.sweep(NOON)
        new, steps = opened(tmp_path / f"{n}.db", ENGAGED), [0]
        worked()
        while new.bring_up_to_date("new", NOON):
            steps.append(worked())
        assert rolled_up(new) == rolled_up(fresh)
        longest.append(max(steps))
    assert longest[1] <= 1.5 * longest[0] + 2, longest
