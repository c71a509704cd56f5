"""What models did in a process without a store."""

from __future__ import annotations

import pytest

from otel_measure.conventions import semconv
from otel_measure.definitions.model_use import ModelUse, use_by_minute
from otel_measure.telemetry import model_use
from otel_measure.telemetry.model_use import ModelUses
from tests.facts import MINUTE, NOON, event, inference


def test_calls_add_up_over_all_batches_and_minutes() -> None:
    """What two batches tell of a model is what one tells; other records are none of its calls."""
    calls = [
        inference(f"i{n}", NOON + n * MINUTE, latency_ms=10.0 * n, time_to_first_chunk_ms=2.0, cached_input_tokens=n)
        for n in range(6)
    ]
    apart = ModelUses()
    apart.add(calls[:2])
    apart.add([*calls[2:], event("e", "u", NOON)])
    whole = ModelUse("m", "1")
    for part in use_by_minute(calls).values():
        whole.add(part)
    (use,) = apart.uses()
    assert (use.requests, use.cached_input_tokens) == (6, 15)
    for ours, expected in ((use.latency, whole.latency), (use.first_chunk, whole.first_chunk)):
        assert ours is not None
        assert expected is not None
        assert ours.to_bytes() == expected.to_bytes()


def test_an_answer_stays_as_it_was() -> None:
    """What was answered does not change with the next call."""
    uses = ModelUses()
    uses.add([inference("a")])
    (before,) = uses.uses(("m", "1"))
    uses.add([inference("b")])
    assert (before.requests, [use.requests for use in uses.uses(("m", "1"))], uses.uses(("m", "2"))) == (1, [2], [])


def test_models_without_end_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models beyond the bound count together under the name that stands for others."""
    monkeypatch.setattr(model_use, "EXPOSED_ATTRIBUTE_SETS", 2)
    uses = ModelUses()
    uses.add([inference(f"i{n}", model=f"m{n}") for n in range(5)])
    assert [(use.model, use.version, use.requests) for use in uses.uses()] == [
        (semconv.OTHER, semconv.OTHER, 3), ("m0", "1", 1), ("m1", "1", 1),
    ]  # fmt: skip


def test_a_child_begins_at_nothing() -> None:
    """What a parent counted before a fork is the parent's."""
    uses = ModelUses()
    uses.add([inference("a")])
    uses.after_fork_in_child()
    assert uses.uses() == []
