from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import otel_measure
from otel_measure import process
from otel_measure.errors import NoStore
from otel_measure.records.events import Event, from_event, kind_of
from otel_measure.records.kinds import Origin
from otel_measure.testing import START, Capture, Clock


def test_what_is_measured_inside_stays_inside() -> None:
    """It is the process's runtime as long as the `with` lasts, and every one begins empty."""
    before = process._current
    for _ in range(2):
        with Capture() as capture:
            assert otel_measure.get_ai_model_service() is capture.ai
            assert otel_measure.get_infrastructure_service() is capture.infrastructure
            otel_measure.get_user_analytics_service().track_event(1, "click", "x")
            assert capture.users.get_engagement_metrics().dau == 1
            assert [sample.value for sample in capture.families()["otel_measure.users.events"].samples] == [1.0]
        assert process._current is before


def test_captures_nest() -> None:
    """The inner one sees nothing of the outer one."""
    with Capture() as outer:
        with Capture() as inner:
            otel_measure.get_user_analytics_service().track_event(1, "click", "x")
        assert otel_measure.get_user_analytics_service() is outer.users
        assert (len(inner.events()), len(outer.events())) == (1, 0)


def test_events_are_what_was_recorded() -> None:
    """In the form that OTLP carries; lists and mappings are plain ones."""
    with Capture() as capture:
        id = capture.users.track_event(7, "click", "x", properties={"a": [1, {"b": None}]})
        (found,) = capture.events()
    assert found == Event(
        name="otel_measure.click",
        ts=1_768_478_400_000_000,
        origin=Origin("unknown_service"),
        attributes={
            "log.record.uid": id,
            "user.id": "7",
            "otel_measure.event.label": "x",
            "otel_measure.event.properties": {"a": [1, {"b": None}]},
        },
    )
    back = from_event(found)
    assert back is not None
    assert kind_of(type(back)) == "user_event"


def test_the_clock_counts() -> None:
    """It stands where it is put, and moves on by its step whenever it is read."""
    clock = Clock(step_us=2)
    assert [clock() - clock.now_us, clock(), clock.readings] == [-2, 1_768_478_400_000_002, 2]
    clock.set(datetime(2026, 2, 1, tzinfo=UTC))
    clock.advance(timedelta(seconds=1))
    assert clock() == 1_769_904_001_000_000
    assert datetime(2026, 1, 15, 12, tzinfo=UTC) == START


def test_days_pass_with_the_clock() -> None:
    """Reports are of the day that the clock says."""
    with Capture() as capture:
        capture.users.track_event(1, "click", "x")
        capture.clock.advance(timedelta(days=1))
        found = capture.users.get_engagement_metrics()
    assert (found.dau, found.wau) == (0, 1)


def test_a_fault_of_ours_is_raised_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that hides our faults is worth nothing."""
    for raise_faults in (True, False):
        with Capture(raise_faults=raise_faults) as capture:
            store = capture.runtime.store
            assert store is not None
            monkeypatch.setattr(store, "accept", _broken)
            capture.users.track_event(1, "click", "x")
            if raise_faults:
                with pytest.raises(NoStore):
                    capture.runtime.recorder.flush()
            assert capture.runtime.recorder.flush()


def _broken(*_: object, **__: object) -> list[object]:
    raise NoStore("a test")
