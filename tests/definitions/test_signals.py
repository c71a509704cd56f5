"""Which telemetry of a process and model counts, so that no call counts twice."""

from __future__ import annotations

import pytest

from otel_measure.definitions.signals import CallVerdict, Signal, metrics_count, verdict_of_call


@pytest.mark.parametrize(
    ("counting", "is_told_already", "has_room", "verdict"),
    [
        (None, False, True, "hold"),
        (None, False, False, "count"),
        ("spans", False, True, "count"),
        ("metrics", False, True, "told already"),
        ("facts", False, True, "told already"),
        (None, True, True, "told already"),
        ("spans", True, False, "told already"),
    ],
)
def test_a_call_that_a_span_tells_of(
    counting: Signal | None, is_told_already: bool, has_room: bool, verdict: CallVerdict
) -> None:
    """It waits while nothing is decided and there is room; beside facts, metrics or its own span it never counts."""
    assert verdict_of_call(counting, is_told_already=is_told_already, has_room=has_room) == verdict


@pytest.mark.parametrize(("counting", "count"), [(None, True), ("metrics", True), ("spans", False), ("facts", False)])
def test_metrics_count_until_another_signal_does(counting: Signal | None, count: bool) -> None:
    """Where nothing is decided, the first metrics decide."""
    assert metrics_count(counting) is count
