"""Calls of which the SDK of a provider and an instrumentation of it tell by spans that do not know of each other."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from otel_measure.definitions.same_calls import same_calls
from otel_measure.definitions.tellings import Telling
from tests.facts import MINUTE, NOON, SECOND
from tests.store.conformance.telling import told

SDK = "com.anthropic.sdk.python/anthropic.messages.create"
WRAPPER = "opentelemetry.instrumentation.anthropic/anthropic.chat"
ANOTHER = "openinference.instrumentation.anthropic/messages.stream"
FAILED: dict[str, Any] = {
    **{"error_type": "RateLimitError", "response_model": None},
    **{"input_tokens": None, "output_tokens": None, "cost_usd": None, "cost_source": None},
}


def of_sdk(n: int, **fields: Any) -> Telling:
    """Return a span of the SDK under a request, which begins a little after the call of its method."""
    given: dict[str, Any] = {"scope": SDK, "parent": 900, "began": NOON + 1000, "took_ms": 990.0}
    return told(n, **given | fields)


def of_wrapper(n: int, **fields: Any) -> Telling:
    """Return a span of an instrumentation of the SDK under the same request."""
    given: dict[str, Any] = {"scope": WRAPPER, "parent": 900}
    return told(n, **given | fields)


def test_a_failed_call_of_which_both_tell_is_one() -> None:
    """It has the error of the SDK's span, the user of the other one, and both tell of it."""
    spans = [of_sdk(1, **FAILED | {"error_type": "rate_limit_error"}), of_wrapper(2, user_id="u", **FAILED)]
    (call,) = same_calls(spans)
    assert (call.record.error_type, call.record.user_id) == ("rate_limit_error", "u")
    assert call.told_by == tuple(sorted(each.id for each in spans))


@pytest.mark.parametrize("trace", [1, 2], ids=["in one trace", "in two traces"])
def test_of_a_stream_the_counts_of_the_sdk_are_those_of_the_call(trace: int) -> None:
    """Both name the response; what the instrumentation counts otherwise costs no call."""
    spans = [
        of_sdk(1, response="msg_1", output_tokens=35),
        of_wrapper(2, response="msg_1", output_tokens=36, trace=trace, user_id="u"),
    ]
    (call,) = same_calls(spans)
    assert (call.record.output_tokens, call.record.user_id) == (35, "u")


def test_two_instrumentations_beside_an_sdk_are_one_call_with_it() -> None:
    """Each of them tells of it once."""
    assert len(same_calls([of_sdk(1, **FAILED), of_wrapper(2, **FAILED), of_wrapper(3, scope=ANOTHER, **FAILED)])) == 1


def test_a_framework_around_both_is_around_one_call() -> None:
    """It may say what a sole call does not know."""
    spans = [told(900, scope="framework", took_ms=2000, output_chunks=7), of_sdk(1), of_wrapper(2)]
    (call,) = same_calls(spans)
    assert call.record.output_chunks == 7


@pytest.mark.parametrize(
    "other",
    [
        of_wrapper(2, trace=2, **FAILED),
        of_wrapper(2, parent=901, **FAILED),
        of_wrapper(2, parent=None, **FAILED),
        of_wrapper(2, instance="2", **FAILED),
        of_wrapper(2, scope="opentelemetry.instrumentation.openai/openai.chat", **FAILED),
        of_wrapper(2, scope=SDK, **FAILED),
        of_wrapper(2, operation="embeddings", **FAILED),
        of_wrapper(2, **FAILED | {"model": "n"}),
        of_wrapper(2),
        of_wrapper(2, **FAILED | {"input_tokens": 10}),
        of_wrapper(2, began=NOON + SECOND, **FAILED),
        of_wrapper(2, began=NOON - MINUTE, **FAILED),
    ],
    ids=[
        *("another trace", "another parent", "no parent", "another process", "not of this SDK", "the SDK itself"),
        *("another kind", "another model", "another outcome", "another count", "begins later", "ended before"),
    ],
)
def test_what_tells_two_calls_apart(other: Telling) -> None:
    """Without an id of a response both are one where all else is alike, and under one parent alone."""
    assert len(same_calls([of_sdk(1, **FAILED), other])) == 2


def test_spans_that_name_different_responses_are_two_calls() -> None:
    """Whatever else is alike."""
    assert len(same_calls([of_sdk(1, response="msg_1"), of_wrapper(2, response="msg_2")])) == 2


def test_ten_equal_calls_at_once_are_ten() -> None:
    """All fail alike under one parent while all others run; the last one is told of by the SDK alone."""
    spans = [of_sdk(n, began=NOON + 100 + n, **FAILED) for n in range(10)]
    spans += [of_wrapper(100 + n, began=NOON + n, user_id=f"u{n}", **FAILED) for n in range(9)]
    calls = same_calls(spans)
    assert len(calls) == 10
    users = sorted(call.record.user_id for call in calls if call.record.user_id is not None)
    assert users == [f"u{n}" for n in range(9)]


def test_never_more_calls_than_were_made_and_with_all_spans_of_the_sdk_never_fewer() -> None:
    """Whole, streamed and failed ones at once under two parents, in any order; the instrumentation misses some."""
    random = Random(12)
    for _ in range(150):
        spans: list[Telling] = []
        failed = 0
        made = random.randrange(1, 30)
        for n in range(made):
            began = NOON + random.randrange(200) * 1000
            took_ms = random.choice([5.0, 50.0, 500.0])
            parent = random.choice([900, 901])
            how = random.choice(["whole", "stream", "without id", "failed"])
            says: dict[str, Any] = FAILED if how == "failed" else {"input_tokens": random.choice([10, 20])}
            if how != "failed":
                says = says | {"response": f"msg_{n}"}
            failed += how == "failed"
            spans.append(of_sdk(n + 1, began=began + 500, took_ms=took_ms - 1, parent=parent, **says))
            if random.random() < 0.8:
                beside: dict[str, Any] = says | {"response": None if how == "without id" else says.get("response")}
                if how == "stream":
                    beside["output_tokens"] = 6
                scope = ANOTHER if how == "without id" else WRAPPER
                spans.append(of_wrapper(100 + n, began=began, took_ms=took_ms, parent=parent, scope=scope, **beside))
        random.shuffle(spans)
        calls = same_calls(spans)
        assert (len(calls), sum(call.record.error_type is not None for call in calls)) == (made, failed)
        assert len(same_calls(spans[: len(spans) // 2])) <= made
