from __future__ import annotations

import threading

import pytest

from otel_measure.telemetry.otlp_export import call_within


def test_what_cannot_be_sent_keeps_nothing_else_from_it(caplog: pytest.LogCaptureFixture) -> None:
    """An exporter that fails or gives up is a line in the log, and no traceback while the process ends."""
    done: list[int] = []

    def fail() -> None:
        raise TimeoutError("10 s")

    call_within(5, [fail, lambda: done.append(2)])
    assert done == [2]
    assert caplog.messages == ["telemetry was not sent: TimeoutError('10 s')"]


def test_a_process_that_ends_starts_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there can be no new ones, what is to be sent is sent all the same."""

    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    done: list[int] = []
    monkeypatch.setattr(threading.Thread, "start", refused)
    call_within(5, [lambda: done.append(1), lambda: done.append(2)])
    assert done == [1, 2]
