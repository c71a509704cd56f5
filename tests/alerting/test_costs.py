"""What calls cost lately, judged."""

from __future__ import annotations

from otel_measure.alerting.costs import models_dear
from otel_measure.alerting.in_force import BY_KEY
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.testing import Capture
from tests.facts import inference

MINUTE_US = 60_000_000


def test_calls_of_an_hour_that_cost_too_much() -> None:
    """All versions of a model together are beyond; a cheap one beside it is within, and what was before is over."""
    with Capture(Settings(store=":memory:", environment="test")) as capture:
        store, now = capture.runtime.store, capture.clock.now_us
        assert store is not None
        store.accept(
            [inference(f"d{k}", now - k * MINUTE_US, version=str(k % 2), cost_usd=0.25) for k in range(1, 31)]
            + [inference(f"c{k}", now - k * MINUTE_US, model="cheap", cost_usd=0.001) for k in range(1, 31)]
            + [inference(f"o{k}", now - (90 + k) * MINUTE_US, model="old", cost_usd=9.0) for k in range(1, 31)]
        )
        judged = {one.subject: one for one in models_dear(store, [BY_KEY["model_cost"]], now)}
    dear, cheap = AlertSubject("model", "m", "test"), AlertSubject("model", "cheap", "test")
    assert {subject: one.outcome for subject, one in judged.items()} == {dear: "beyond", cheap: "within"}
    assert (judged[dear].value, judged[dear].evidence, judged[dear].sentence) == (
        *(0.25, 30),
        "a call of m cost $0.25 in the mean of 30 calls, $0.05 may; $7.5 in 60 minutes",
    )
