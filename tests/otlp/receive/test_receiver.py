from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from otel_measure.ai.evaluations import Evaluation
from otel_measure.definitions.streams import Increment, Point
from otel_measure.errors import StoreError
from otel_measure.records.kinds import Json
from otel_measure.store.sqlite import streams
from otel_measure.testing import Capture
from tests.facts import NOON, inference
from tests.otlp.requests import Metrics, log_request, record_request, span, span_request
from tests.otlp.requests import event as any_event


@pytest.fixture
def capture() -> Iterator[Capture]:
    """A runtime of the test's own."""
    with Capture() as started:
        started.clock.now_us = NOON
        yield started


def test_an_evaluation_is_a_score_of_the_model_that_answered(capture: Capture) -> None:
    """Found by the span or the inference that it is about, or said; where nobody knows, it is counted without one.

    A model whose version nobody knows is the one that its metrics make.
    """
    receiver = capture.runtime.receiver
    receiver.traces(span_request(span(2, end=NOON)))
    receiver.logs(record_request([inference("mine", ts=NOON)]))
    request = log_request([])
    said: list[tuple[dict[str, Json], bool]] = [
        ({"gen_ai.request.model": "gpt-4o", "gen_ai.evaluation.score.value": 0.5}, True),
        ({"gen_ai.evaluation.score.value": 1.0, "gen_ai.evaluation.score.label": "good"}, True),
        ({"otel_measure.inference.id": "mine", "gen_ai.evaluation.score.label": "bad"}, False),
        ({"gen_ai.request.model": "said", "gen_ai.evaluation.score.value": 2.0}, False),
        ({}, False),
    ]
    for attributes, trace in said:
        event = any_event("gen_ai.evaluation.result", NOON)
        event.attributes.update({"gen_ai.evaluation.name": "relevance", **attributes})
        (record,) = log_request([event]).resource_logs[0].scope_logs[0].log_records
        if trace:
            record.trace_id, record.span_id = bytes.fromhex(f"{1:032x}"), bytes.fromhex(f"{2:016x}")
        request.resource_logs[0].scope_logs[0].log_records.append(record)
    assert receiver.logs(request).rejected == 0
    assert receiver.logs(request).rejected == 0
    found = capture.ai.get_evaluations()
    nan: Any = pytest.approx(float("nan"), nan_ok=True)
    assert found.total_evaluations == 5
    assert found.evaluations == (
        Evaluation("", "", "relevance", 1, nan, nan, nan, {}),
        Evaluation("gpt-4o", "2024-08-06", "relevance", 2, 0.75, 0.5, 1.0, {"good": 1}),
        Evaluation("m", "1", "relevance", 1, nan, nan, nan, {"bad": 1}),
        Evaluation("said", "unversioned", "relevance", 1, 2.0, 2.0, 2.0, {}),
    )
    families = capture.families()
    assert sum(sample.value for sample in families["otel_measure.ai.evaluations"].samples) == 5
    scores = families["otel_measure.ai.evaluation.score"].samples
    assert sorted((sample.value, sample.count) for sample in scores) == [(1.5, 2), (2.0, 1)]


def test_spans_count_at_once(capture: Capture) -> None:
    """Nothing waits, and what comes later is compared with them."""
    capture.runtime.receiver.traces(span_request(span(2, end=NOON)))
    assert capture.ai.list_models().total_inferences == 1


@pytest.mark.parametrize(
    "fault", [OverflowError("int too large"), sqlite3.IntegrityError("UNIQUE constraint failed"), struct.error("q")]
)
def test_an_unforeseen_point_costs_itself_alone(
    capture: Capture, monkeypatch: pytest.MonkeyPatch, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever it fails, in its series or in what it means: the others of its request are kept."""
    take = streams._take_cumulative

    def fails(rows: Any, point: Point) -> Increment | None:
        if point.name.startswith("odd"):
            raise fault
        return take(rows, point)

    monkeypatch.setattr(streams, "_take_cumulative", fails)
    metrics = Metrics()
    for name in ("a", "odd.1", "b", "c", "odd.2"):
        metrics.gauge(name, 1.0, ts=NOON)
    for _ in range(2):
        assert capture.runtime.receiver.metrics(metrics.request) == (2, "2 × a point that cannot be kept")
    assert {"a", "b", "c"} <= set(capture.families())
    assert "a data point of 'odd.1' cannot be kept" in caplog.text


@pytest.mark.parametrize("fault", [sqlite3.OperationalError("disk I/O error"), RuntimeError("mine")])
def test_a_fault_of_the_store_is_no_fault_of_a_point(
    capture: Capture, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """What a sender may repeat is not refused for good."""

    def fails(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(streams, "_take_cumulative", fails)
    with pytest.raises((StoreError, RuntimeError)):
        capture.runtime.receiver.metrics(Metrics().gauge("a", 1.0).request)


def test_a_child_of_a_fork_tells_nothing_of_what_its_parent_received(capture: Capture) -> None:
    """The parent tells the store how many came, once; a lock that one of its threads held is free in the child."""
    receiver = capture.runtime.receiver
    receiver.metrics(Metrics().counter("jobs", 1).request)
    of_parent = receiver._arrivals
    of_parent._lock.acquire()
    receiver.after_fork_in_child()
    assert receiver.senders().senders == ()
    of_parent._lock.release()
    receiver._arrivals = of_parent
    assert [sender.items for sender in receiver.senders().senders] == [1]
