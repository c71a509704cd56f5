"""Whether calls of a model cost too much."""

from __future__ import annotations

from math import isnan

from otel_measure.definitions.alerting.cost import PricedCalls, judge_cost
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.rules import ALERT_RULES
from tests.definitions.alerting.judging import CHURN

RULE = next(rule for rule in ALERT_RULES if rule.key == "model_cost")


def test_calls_that_cost_too_much() -> None:
    """A mean of 6 cents of 20 calls is beyond 5: a ticket, and a page with a target of its own that it misses."""
    sentence = "a call of churn cost $0.06 in the mean of 20 calls, $0.05 may; $1.2 in 60 minutes"
    untargeted = judge_cost(RULE, CHURN, PricedCalls(40, 20, 1.2), {})
    assert untargeted == Judgement("model_cost", CHURN, "beyond", 0.06, 0.05, 20, sentence, severity="ticket")
    own = judge_cost(RULE, CHURN, PricedCalls(40, 20, 1.2), {"cost_per_request_usd": 0.01})
    assert (own.outcome, own.severity) == ("beyond", "page")


def test_calls_that_do_not() -> None:
    """At the threshold, and below that of a target of its own, a model is within."""
    assert judge_cost(RULE, CHURN, PricedCalls(20, 20, 1.0), {}).outcome == "within"
    own = judge_cost(RULE, CHURN, PricedCalls(20, 20, 1.2), {"cost_per_request_usd": 0.02})
    assert (own.outcome, own.threshold) == ("within", 0.1)


def test_what_is_not_known() -> None:
    """With 19 priced calls, with a price for less than half, and without any, nothing is said."""
    assert judge_cost(RULE, CHURN, PricedCalls(19, 19, 19.0), {}).outcome == "unknown"
    assert judge_cost(RULE, CHURN, PricedCalls(41, 20, 19.0), {}).outcome == "unknown"
    nothing = judge_cost(RULE, CHURN, PricedCalls(41, 0, 0.0), {})
    assert (nothing.outcome, isnan(nothing.value)) == ("unknown", True)
