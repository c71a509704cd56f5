from __future__ import annotations

import logging

import pytest

from otel_measure import autostart, process
from otel_measure.testing import Capture
from tests.store.asking import asked


def test_it_starts_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a service call would, and the reading of the machine and its heartbeats with it."""
    with Capture() as capture:
        autostart.start({})
        assert process.current() is capture.runtime
        assert capture.runtime.sampler.running
        capture.infrastructure.beat()
        capture.infrastructure.register_service("api")
        store = capture.runtime.store
        assert store is not None
        now = capture.clock.now_us
        assert [history.heartbeats for history in asked(store, lambda m: m.services.histories(0))] == [((now, now),)]


def test_it_may_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """By OpenTelemetry's own variable."""

    def never() -> None:
        pytest.fail("it was asked for")

    monkeypatch.setattr(process, "current", never)
    autostart.start({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, otel_measure"})


def test_it_never_breaks_the_program(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong is logged."""

    def broken() -> None:
        raise RuntimeError("unknown setting 'prot'")

    monkeypatch.setattr(process, "current", broken)
    with caplog.at_level(logging.WARNING, "otel_measure"):
        autostart.start({})
    assert caplog.messages == ["otel-measure does not measure this program: unknown setting 'prot'"]
