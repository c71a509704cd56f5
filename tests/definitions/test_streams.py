from __future__ import annotations

import pytest

from otel_measure.definitions.streams import stream_scope


@pytest.mark.parametrize(
    ("name", "kind", "scope"),
    [
        ("system.cpu.time", "counter", "host"),
        ("container.memory.usage", "updowncounter", "host"),
        ("otel_measure.system.load_average", "gauge", "host"),
        ("otel_measure.container.oom.kills", "counter", "host"),
        ("process.cpu.time", "counter", "instance"),
        ("otel_measure.process.event_loop.lag", "gauge", "instance"),
        ("queue.depth", "gauge", "instance"),
        ("jobs", "counter", "add"),
        ("jobs.duration", "histogram", "add"),
        ("requests.active", "updowncounter", "add"),
    ],
)
def test_whose_reading_a_stream_is(name: str, kind: str, scope: str) -> None:
    """The host's, the process's, or one that adds over processes."""
    assert stream_scope(name, kind) == scope
