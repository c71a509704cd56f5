from __future__ import annotations

import sqlite3
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from otel_measure import runtime
from otel_measure.config import Settings
from otel_measure.errors import NoStore, StoreUnavailable
from otel_measure.store.sqlite import SqliteStore
from otel_measure.testing import Capture
from tests.closing import closed_later
from tests.facts import DAY, NOON, event, inference


def test_the_exposition_is_facts_streams_and_what_is_derived() -> None:
    """Sorted by name; `scope="infrastructure"` has the machine and nothing of models and users."""
    with Capture() as capture:
        capture.runtime.sampler.sample()
        capture.runtime.recorder.commit([event("e"), inference("i")])
        everything = [family.name for family in capture.runtime.families()]
        machine = [family.name for family in capture.runtime.families("infrastructure")]
    assert everything == sorted(everything)
    assert {"otel_measure.users.events", "system.cpu.time", "otel_measure.self.records"} <= set(everything)
    assert "system.cpu.time" in machine
    assert {name.split(".")[0] for name in machine} <= {"system", "process", "container", "otel_measure"}
    assert set(machine) < set(everything)
    assert not [name for name in machine if name.startswith(("otel_measure.users", "otel_measure.self", "gen_ai"))]


def test_without_a_store_what_needs_one_says_so() -> None:
    """Recording works, models are answered by the reader, everything else names the way out."""
    with Capture(Settings(store=None)) as capture:
        capture.users.track_event(1, "click", "x")
        capture.ai.record_inference("m", "1", 5.0)
        assert capture.runtime.flush()
        assert capture.ai.list_models().total_inferences == 1
        with pytest.raises(NoStore, match="needs a store and none is configured; call configure"):
            capture.users.get_engagement_metrics()
        with pytest.raises(NoStore):
            capture.ai.list_models(service="other")
        capture.runtime._pump_streams()


def test_the_exposition_outlives_a_locked_store(tmp_path: Path) -> None:
    """What cannot be written to can be read: the facts are shown, the fault is counted, recording goes on after it."""
    with Capture(Settings(store=str(tmp_path / "x.db")), loud=False) as capture:
        capture.runtime.recorder.commit([event("a")])
        store = capture.runtime.store
        assert isinstance(store, SqliteStore)
        with store._database.write() as connection:
            connection.execute("PRAGMA busy_timeout=10")
        other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        capture.users.track_event(1, "click", "x")
        assert capture.runtime.flush() is False
        with pytest.raises(StoreUnavailable, match="database is locked"):
            capture.runtime.recorder.commit([event("b")])
        shown = capture.families()
        assert [sample.value for sample in shown["otel_measure.users.events"].samples] == [1.0]
        other.execute("ROLLBACK")
        other.close()
        assert capture.runtime.flush()
        shown = capture.families()
        assert [sample.value for sample in shown["otel_measure.users.events"].samples] == [1.0, 1.0]
        assert {'error_type="store_unavailable"', 'error_type="streams"'} <= {
            label for sample in shown["otel_measure.self.errors"].samples for label in sample.labels.split(",")
        }


def test_a_runtime_that_runs_keeps_history_and_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread stores streams every few seconds and, one process at a time, applies retention."""
    before = set(threading.enumerate())
    monkeypatch.setattr(runtime, "PUMP_INTERVAL_S", 0.001)
    ticks = iter(range(0, 10**6, 50))
    monkeypatch.setattr(runtime, "time", SimpleNamespace(monotonic=lambda: next(ticks), time_ns=time.time_ns))
    with Capture(Settings(store=str(tmp_path / "x.db"), retention_days=1)) as capture:
        capture.runtime.recorder.commit([event("old"), event("new", ts=NOON + 5 * DAY)])
        capture.clock.advance(timedelta(days=5))
        swept = threading.Event()
        store = capture.runtime.store
        assert isinstance(store, SqliteStore)
        sweep = store.sweep

        def and_tell(now: int) -> int:
            removed = sweep(now)
            swept.set()
            return removed

        monkeypatch.setattr(store, "sweep", and_tell)
        for _ in range(2):
            capture.runtime.start()
        assert swept.wait(20)
        with store._database.read() as connection:
            assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)
            assert connection.execute("SELECT count(*) FROM history").fetchone()[0] > 0
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("otel-measure-streams") == 1
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()


def test_the_pump_outlives_its_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a store or the SDK does, the thread goes on and counts it."""
    monkeypatch.setattr(runtime, "PUMP_INTERVAL_S", 0.001)
    with Capture(loud=False) as capture:
        failed = threading.Semaphore(0)
        store = capture.runtime.store
        assert store is not None

        def fail(*_: object) -> None:
            failed.release()
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(store, "ingest", fail)
            capture.runtime.start()
            assert failed.acquire(timeout=20)
            assert failed.acquire(timeout=20)
        faults = capture.families()["otel_measure.self.errors"].samples
        assert [sample.value >= 1 for sample in faults if 'error_type="streams"' in sample.labels] == [True]


def test_a_process_leads_for_its_host_until_it_is_gone(tmp_path: Path) -> None:
    """One writer per host is enough; when its lease has run out, another takes over."""
    settings = Settings(store=str(tmp_path / "x.db"))
    with Capture(settings) as one, Capture(settings) as other:
        for capture in (one, other):
            capture.runtime.host = "this host"
            capture.runtime.sampler.sample()

        def hosts() -> int:
            with closed_later(sqlite3.connect(tmp_path / "x.db")) as connection:
                found = connection.execute("SELECT count(*) FROM stream WHERE scope = 'host'").fetchone()[0]
            connection.close()
            return int(found)

        assert one.runtime.store is not None
        assert one.runtime.store.take_lease("host:this host", "somebody", NOON, NOON + 1)
        one.runtime._pump_streams()
        assert hosts() == 0
        one.clock.advance(timedelta(seconds=1))
        one.runtime._pump_streams()
        assert hosts() > 0


def test_shutdown_says_what_it_could_not_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A locked store at the end: `False`, and a line in the log."""
    with Capture(Settings(store=str(tmp_path / "x.db")), loud=False) as capture:
        store = capture.runtime.store
        assert isinstance(store, SqliteStore)
        with store._database.write() as connection:
            connection.execute("PRAGMA busy_timeout=10")
        other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        capture.users.track_event(1, "click", "x")
        assert capture.runtime.shutdown() is False
        other.close()
    assert "the last readings were not stored" in caplog.text
    assert "a record could not be committed before the end" in caplog.text


def test_shutdown_ends_whatever_fails(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the SDK or of an application's instrument at the end is logged and counted; all else is closed."""
    with Capture(loud=False) as capture:

        def fail() -> None:
            raise ZeroDivisionError("of an instrument")

        monkeypatch.setattr(capture.runtime, "_pump_streams", fail)
        capture.users.track_event(1, "click", "x")
        assert capture.runtime.flush() is False
        assert capture.runtime.shutdown() is True
    assert "the last readings were not stored: of an instrument" in caplog.text


def test_a_flush_for_which_there_is_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a locked store has cost once, it does not cost a second time."""
    with Capture(Settings(store=str(tmp_path / "x.db")), loud=False) as capture:
        store = capture.runtime.store
        assert isinstance(store, SqliteStore)
        store._database._busy_timeout_ms = 10
        pumped: list[bool] = []
        monkeypatch.setattr(capture.runtime, "_pump_streams", lambda: pumped.append(True))
        capture.users.track_event(1, "click", "x")
        assert capture.runtime.recorder._draining.acquire()
        assert capture.runtime.flush(0.001) is False
        capture.runtime.recorder._draining.release()
        assert pumped == []
        assert capture.runtime.flush() is True
        assert pumped == [True]


def test_a_fork_in_either_role() -> None:
    """The parent goes on as before; the child is a process of its own, with threads of its own."""
    with Capture() as capture:
        capture.users.track_event("before", "click", "x")
        assert capture.runtime.flush()
        me = capture.runtime.telemetry.instance_id
        capture.runtime.before_fork()
        capture.runtime.after_fork_in_parent()
        capture.users.track_event("parent", "click", "x")
        assert capture.users.get_engagement_metrics().dau == 2
        capture.runtime.start()
        capture.runtime.before_fork()
        capture.runtime.after_fork_in_child()
        assert capture.runtime.telemetry.instance_id != me
        capture.users.track_event("child", "click", "x")
        assert capture.users.get_engagement_metrics().dau == 3
    for thread in threading.enumerate():
        if thread.name == "otel-measure-streams":  # the parent's, which in a real child is not there
            thread.join(0)


def test_settings_that_cannot_be_met_say_why(tmp_path: Path) -> None:
    """The store's error comes out of the constructor, and nothing stays open."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable, match="permission"):
        Capture(Settings(store=str(tmp_path / "file" / "x.db")))


def test_the_wall_clock() -> None:
    """Microseconds since 1970."""
    assert abs(runtime.wall_clock_us() / 1e6 - time.time()) < 5
