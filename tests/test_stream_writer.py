from __future__ import annotations

from typing import Any

from otel_measure.stream_writer import StreamWriter
from otel_measure.testing import Capture


class GrantedTo:
    """A lease that is this process's, or another's."""

    def __init__(self, us: bool) -> None:
        self._us = us

    def take(self) -> bool:
        """Say whose it is."""
        return self._us


def written(capture: Capture, *, leads: bool, everything: bool = False) -> set[str]:
    """Return the scopes of what is written."""
    runtime = capture.runtime
    runtime.sampler.sample()
    runtime.telemetry.count("event", "accepted", 1)
    scopes: set[str] = set()
    store: Any = type("Kept", (), {"ingest": lambda _, points, __: scopes.update(point.scope for point in points)})()
    lease: Any = GrantedTo(leads)
    writer = StreamWriter(store, runtime.telemetry, "this host", lambda _: [], lease)
    (writer.write_all if everything else writer.write)()
    return scopes


def test_one_process_of_a_host_writes_the_readings_of_the_host() -> None:
    """Each writes its own figures; the readings of the machine are written by who holds the lease."""
    with Capture() as capture:
        assert written(capture, leads=True) == {"add", "host", "instance"}
        assert written(capture, leads=False) == {"add", "instance"}


def test_who_asks_is_answered_by_what_is_now() -> None:
    """Everything is written for an exposition, whoever holds the lease."""
    with Capture() as capture:
        assert written(capture, leads=False, everything=True) == {"add", "host", "instance"}
