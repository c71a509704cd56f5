from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider

from otel_measure.config import Settings
from otel_measure.errors import NoStore, StoreUnavailable
from otel_measure.runtime import Runtime
from otel_measure.store.sqlite import SqliteStore
from otel_measure.telemetry import Providers
from otel_measure.testing import Capture, Clock
from otel_measure.wiring import wall_clock_us
from tests.facts import DAY, NOON, event, inference


def test_the_exposition_is_facts_streams_and_what_is_derived() -> None:
    """Sorted by name; `scope="infrastructure"` has the machine and nothing of models and users."""
    with Capture() as capture:
        capture.runtime.sampler.sample()
        capture.runtime.recorder.commit([event("e"), inference("i")])
        everything = [family.name for family in capture.runtime.exposition.families()]
        machine = [family.name for family in capture.runtime.exposition.families("infrastructure")]
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
        with pytest.raises(NoStore):
            capture.infrastructure.list_hosts()


def test_the_exposition_outlives_a_locked_store(tmp_path: Path) -> None:
    """What cannot be written to can be read: the facts are shown, the fault is counted, recording goes on after it."""
    with Capture(Settings(store=str(tmp_path / "x.db")), raise_faults=False) as capture:
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


def test_a_runtime_that_runs_keeps_history_and_sweeps(tmp_path: Path) -> None:
    """Every few seconds it stores streams and, one process at a time, applies retention."""
    clock, now_s = Clock(), 0.0
    runtime = Runtime(
        Settings(store=str(tmp_path / "x.db"), retention_days=1),
        clock=clock,
        monotonic=lambda: now_s,
        raise_faults=True,
        providers=Providers(MeterProvider(shutdown_on_exit=False)),
    )
    runtime.start(background=False)
    runtime.recorder.commit([event("old"), event("new", ts=NOON + 5 * DAY)])
    clock.advance(timedelta(days=5))
    assert isinstance(runtime.store, SqliteStore)
    for now_s, events, has_history in ((14.0, 2, False), (15.0, 2, True), (61.0, 1, True)):  # noqa: B007 - it is the clock
        runtime.background.run_due()
        with runtime.store._database.read() as connection:
            assert connection.execute("SELECT count(*) FROM event").fetchone() == (events,)
            assert (connection.execute("SELECT count(*) FROM history").fetchone()[0] > 0) is has_history
    runtime.shutdown()


def test_its_threads_end_with_it(tmp_path: Path) -> None:
    """One does what recurs, however often it is started; after the end there is none."""
    before = set(threading.enumerate())
    runtime = Runtime(
        Settings(store=str(tmp_path / "x.db")), providers=Providers(MeterProvider(shutdown_on_exit=False))
    )
    for _ in range(2):
        runtime.start()
        runtime.keep_watch()
    runtime.users.track_event(1, "click", "x")
    names = [thread.name for thread in set(threading.enumerate()) - before]
    assert {"otel-measure-background", "otel-measure-recorder", "otel-measure-sampler"} <= set(names)
    assert len(names) == len(set(names))
    assert runtime.shutdown()
    assert runtime.shutdown()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()


def test_prices_are_loaded_where_models_are_called(tmp_path: Path) -> None:
    """Who is told of no model does without the price table until its first call."""
    settings = Settings(store=str(tmp_path / "x.db"))
    for knows_models in (False, True):
        runtime = Runtime(settings, providers=Providers(MeterProvider(shutdown_on_exit=False)))
        runtime.start(background=False)
        runtime.keep_watch()
        runtime.ai._price_table.finish(120)
        assert runtime.ai.has_prices is knows_models
        runtime.ai.load_prices()
        runtime.ai.record_inference("gpt-4o", "1", 1.0, input_tokens=1, output_tokens=1)
        assert runtime.shutdown()


def test_a_start_that_fails_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is closed, and the error is the caller's."""
    runtime = Runtime(
        Settings(store=str(tmp_path / "x.db")), providers=Providers(MeterProvider(shutdown_on_exit=False))
    )

    def fail() -> None:
        raise ZeroDivisionError("of the SDK")

    monkeypatch.setattr(runtime, "watch_spans", fail)
    with pytest.raises(ZeroDivisionError):
        runtime.start()
    with pytest.raises(StoreUnavailable, match="closed"):
        runtime.recorder.commit([event("e")])


def test_a_process_leads_for_its_host_until_it_is_gone(tmp_path: Path) -> None:
    """One writer per host is enough; when its lease has run out, another takes over."""
    with Capture(Settings(store=str(tmp_path / "x.db"))) as capture:
        runtime, store = capture.runtime, capture.runtime.store
        runtime.sampler.sample()
        assert isinstance(store, SqliteStore)

        def hosts() -> int:
            with store._database.read() as connection:
                return int(connection.execute("SELECT count(*) FROM stream WHERE scope = 'host'").fetchone()[0])

        now = capture.clock.now_us
        assert store.take_lease(f"host:{runtime.host}", "somebody", now, now + 1)
        assert runtime.flush()
        assert hosts() == 0
        capture.clock.advance(timedelta(seconds=1))
        assert runtime.flush()
        assert hosts() > 0


def test_shutdown_says_what_it_could_not_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A locked store at the end: `False`, and lines in the log."""
    with Capture(Settings(store=str(tmp_path / "x.db")), raise_faults=False) as capture:
        store = capture.runtime.store
        assert isinstance(store, SqliteStore)
        with store._database.write() as connection:
            connection.execute("PRAGMA busy_timeout=10")
        with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            capture.users.track_event(1, "click", "x")
            assert capture.runtime.shutdown() is False
    assert "readings were not stored: " in caplog.text
    assert "a record could not be committed before the end" in caplog.text


def test_shutdown_ends_whatever_fails(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the SDK at the end is logged and counted; all else is closed."""
    with Capture(raise_faults=False) as capture:

        def fail(host: str) -> list[object]:
            raise ZeroDivisionError("of an instrument")

        monkeypatch.setattr(capture.runtime.telemetry, "points", fail)
        capture.users.track_event(1, "click", "x")
        assert capture.runtime.flush() is False
        assert capture.runtime.shutdown() is True
    assert "readings were not stored: of an instrument" in caplog.text


def test_a_flush_for_which_there_is_no_time(tmp_path: Path) -> None:
    """What a locked store has cost once, it does not cost a second time."""
    with Capture(Settings(store=str(tmp_path / "x.db")), raise_faults=False) as capture:
        store = capture.runtime.store
        assert isinstance(store, SqliteStore)

        def streams() -> int:
            with store._database.read() as connection:
                return int(connection.execute("SELECT count(*) FROM stream").fetchone()[0])

        capture.users.track_event(1, "click", "x")
        assert capture.runtime.recorder._draining.acquire()
        assert capture.runtime.flush(0.001) is False
        capture.runtime.recorder._draining.release()
        assert streams() == 0
        assert capture.runtime.flush() is True
        assert streams() > 0


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
        capture.runtime.before_fork()
        capture.runtime.after_fork_in_child()
        assert capture.runtime.telemetry.instance_id != me
        capture.users.track_event("child", "click", "x")
        assert capture.users.get_engagement_metrics().dau == 3


def test_a_callback_that_asks_does_not_wait_for_who_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """While metrics are collected, nobody measures what was committed: whoever asks then waits for 0.2 s at most."""
    waits_s: list[float] = []

    class Committing:
        """Held by a thread that commits."""

        def acquire(self, timeout: float) -> bool:
            waits_s.append(timeout)
            return False

    with Capture() as capture:

        def callback(_: CallbackOptions) -> list[Observation]:
            with monkeypatch.context() as patched:
                patched.setattr(capture.runtime.recorder, "_draining", Committing())
                return [Observation(capture.users.get_engagement_metrics().dau)]

        capture.providers.meters.get_meter("shop").create_observable_gauge("dau", [callback])
        capture.runtime.telemetry.collect()
    assert waits_s
    assert 0 < max(waits_s) <= 0.2


def test_settings_that_cannot_be_met_say_why(tmp_path: Path) -> None:
    """The store's error comes out of the constructor, and nothing stays open."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable, match="permission"):
        Capture(Settings(store=str(tmp_path / "file" / "x.db")))


def test_the_wall_clock() -> None:
    """Microseconds since 1970."""
    assert abs(wall_clock_us() / 1e6 - time.time()) < 5
