from __future__ import annotations

import math
from collections import Counter

import pytest

from otel_measure.ai.pricing import Pricer
from otel_measure.definitions.arrivals import ArrivalSource
from otel_measure.definitions.signals import is_inference
from otel_measure.definitions.tellings import Telling
from otel_measure.otlp.receive.senders import resource_of
from otel_measure.otlp.receive.traces import InterpretedSpans, interpret
from otel_measure.records.kinds import Inference, Json, Origin
from tests.otlp.requests import CHAT, NOW_US, PROCESS, span, span_request

SOURCE = resource_of(PROCESS).source
CALL = Inference(
    id=f"{1:032x}/{2:016x}", ts=NOW_US, origin=Origin("shop"), model="gpt-4o", version="2024-08-06", latency_ms=250.0,
    input_tokens=10, output_tokens=5, cost_usd=10 * 2.5e-6 + 5 * 1e-5, cost_source="table", provider="openai",
    operation="chat", response_model="gpt-4o-2024-08-06", trace_id=f"{1:032x}", span_id=f"{2:016x}",
)  # fmt: skip


def read(*spans: dict[str, object], **resource: Json) -> InterpretedSpans:
    """Return what a request with spans says."""
    said: dict[str, Json] = {**PROCESS, **resource}
    return interpret(span_request(*spans, resource=said).resource_spans, Pricer(), NOW_US)


def one(attributes: dict[str, Json], status: int = 0) -> Inference:
    """Return the call that a span with these attributes tells of."""
    found = read(span(2, attributes, status=status))
    assert (found.refused, found.own) == (Counter(), 0)
    return calls_of(found)[0]


def calls_of(interpreted: InterpretedSpans) -> list[Inference]:
    """Return the calls that spans tell of."""
    return [each.record for each in interpreted.tellings if each.record is not None]


def test_a_call_of_a_model() -> None:
    """Model and version, how long it took, tokens and their price; its id is that of the span."""
    told = Telling(
        kind="call", trace_id=f"{1:032x}", span_id=f"{2:016x}", parent_id=f"{9:016x}", process=SOURCE,
        scope="other/chat", operation="chat", response_id=None, began_us=NOW_US - 250_000, ended_us=NOW_US, record=CALL,
    )  # fmt: skip
    assert read(span(2, parent=9)) == InterpretedSpans([told], [ArrivalSource("shop", "", "", "other")], Counter())


def test_what_older_instrumentations_say() -> None:
    """No operation, the provider as `gen_ai.system`, tokens under their older names, no answer's model."""
    old: dict[str, Json] = {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.prompt_tokens": 10,
        "gen_ai.usage.completion_tokens": 5,
    }
    found = one(old)
    assert (found.version, found.provider, found.operation) == ("unversioned", "openai", None)
    assert (found.input_tokens, found.output_tokens, found.cost_source) == (10, 5, "table")


def test_what_else_a_span_may_say() -> None:
    """User, session, the time to the first chunk, cost, and why it failed."""
    found = one(
        {
            **CHAT,
            "user.id": 7,
            "session.id": "s",
            "gen_ai.response.time_to_first_chunk": 0.125,
            "gen_ai.usage.cost": 0.5,
            "error.type": "Timeout",
        }
    )
    assert (found.user_id, found.session_id, found.time_to_first_chunk_ms) == ("7", "s", 125.0)
    assert (found.cost_usd, found.cost_source, found.error_type) == (0.5, "instrumentation", "Timeout")
    assert one(dict(CHAT), status=2).error_type == "_OTHER"
    assert one(dict(CHAT)).cost_usd is None
    assert one({**CHAT, "gen_ai.usage.cost": -1.0}).cost_usd is None


@pytest.mark.parametrize("name", ["gen_ai.usage.cost", "operation.cost", "gen_ai.cost.total_cost", "llm.cost.total"])
def test_a_cost_of_zero_beside_tokens_of_a_priced_model_is_unknown(name: str) -> None:
    """The table says what the call cost; above 0 the instrumentation's estimate stands."""
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "openai"}
    tokens: dict[str, Json] = {**call, "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 1000}
    costs = [one({**tokens, name: cost}) for cost in (0.0, 0.5)]
    assert [(c.cost_usd, c.cost_source) for c in costs] == [(pytest.approx(0.0125), "table"), (0.5, "instrumentation")]


def test_a_span_tells_the_parts_of_its_tokens() -> None:
    """Cached, written, reasoning and spoken ones under any of their names, and the tier of service."""
    told = one(
        {
            **CHAT,
            "gen_ai.usage.cache_read_input_tokens": 3,
            "gen_ai.usage.cache_creation.input_tokens": 2,
            "gen_ai.usage.reasoning_tokens": 1,
            "openai.response.service_tier": "flex",
            "gen_ai.usage.audio.input_tokens": 4,
            "gen_ai.usage.image.output_tokens": 0,
        }
    )
    assert told.units == {"input_audio_tokens": 4}
    assert (told.cached_input_tokens, told.cache_write_tokens, told.reasoning_tokens) == (3, 2, 1)
    assert told.service_tier == "flex"


@pytest.mark.parametrize(
    ("attributes", "is_call"),
    [
        (CHAT, True),
        ({"gen_ai.operation.name": "embeddings", "gen_ai.response.model": "m"}, True),
        ({"gen_ai.provider.name": "x", "gen_ai.request.model": "m"}, True),
        ({"gen_ai.request.model": "m"}, False),
        ({"gen_ai.operation.name": "chat"}, False),
        ({**CHAT, "gen_ai.operation.name": "invoke_agent"}, False),
        ({**CHAT, "gen_ai.operation.name": "execute_tool"}, False),
        ({"http.request.method": "GET"}, False),
    ],
)
def test_which_spans_are_calls_of_models(attributes: dict[str, Json], is_call: bool) -> None:
    """Those that name a model, and are no call of a tool or an agent."""
    assert is_inference(attributes) is is_call
    assert len(calls_of(read(span(2, attributes)))) == is_call


def test_what_is_asked_of_a_provider_beside_calls_of_models_is_no_call() -> None:
    """Counting tokens, making a session: the SDK's spans name the model, and of a call the operation too."""
    named: dict[str, Json] = {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "m"}
    for scope in ("com.anthropic.sdk.python", "com.anthropic.sdk.python.bedrock"):
        assert not is_inference(named, scope)
        assert is_inference({**named, "gen_ai.operation.name": "chat"}, scope)
    assert is_inference(named, "com.anthropic.sdk.pythonic")
    instrumentation = "openinference.instrumentation.anthropic"
    assert is_inference(CHAT, instrumentation, "messages.create")
    assert not is_inference(CHAT, instrumentation, "messages.count_tokens")


def test_what_is_recorded_as_a_fact_of_ours_too() -> None:
    """Under our decorator a span carries a mark; a process of ours says so in its resource."""
    marked: dict[str, Json] = {**CHAT, "otel_measure.inference.id": "i"}
    for found in (read(span(2, marked)), read(span(2), **{"otel_measure.own_facts": True})):
        assert (found.own, [(each.kind, each.record) for each in found.tellings]) == (1, [("plain", None)])


def test_times_that_cannot_be() -> None:
    """An end before the start is no duration; an end in the future is now."""
    assert calls_of(read(span(2, took_us=-5)))[0].latency_ms == 0
    ahead = calls_of(read(span(2, end=NOW_US + 301_000_000)))[0]
    assert (ahead.ts, ahead.latency_ms) == (NOW_US, 250.0)
    assert calls_of(read(span(2, end=0, took_us=0)))[0].ts == NOW_US


def test_what_breaks_a_rule() -> None:
    """The message names the field; the rest is taken in."""
    found = read(span(2, {**CHAT, "gen_ai.request.model": "m" * 1025}), span(3))
    rule = "Expected `str` of length <= 1024 - at `$.gen_ai.request.model`"
    assert found.refused == Counter({f"span 'chat' is not a valid call of a model: {rule}": 1})
    assert len(calls_of(found)) == 1


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"gen_ai.usage.input_tokens": "22118"}, {"input_tokens": 22118}),
        ({"gen_ai.usage.input_tokens": 12.0}, {"input_tokens": 12}),
        ({"gen_ai.usage.input_tokens": 12.5}, {"input_tokens": None}),
        ({"gen_ai.usage.input_tokens": math.nan}, {"input_tokens": None}),
        ({"gen_ai.usage.input_tokens": -1}, {"input_tokens": None}),
        ({"gen_ai.usage.input_tokens": True}, {"input_tokens": None}),
        ({"gen_ai.usage.input_tokens": "9" * 400}, {"input_tokens": None}),
        ({"gen_ai.usage.input_tokens": [1]}, {"input_tokens": None}),
        ({"error.type": "RateLimitError: " + "x" * 300}, {"error_type": "RateLimitError"}),
        ({"error.type": "what is told to " + "x" * 300}, {"error_type": "_OTHER"}),
        ({"error.type": 429}, {"error_type": "429"}),
        ({"session.id": 7}, {"session_id": "7"}),
        ({"user.id": "u" * 513}, {"user_id": None}),
        ({"user.id": "undefined"}, {"user_id": None}),
        ({"user.id": 0}, {"user_id": "0"}),
        ({"session.id": "s" * 513}, {"session_id": None}),
        ({"gen_ai.operation.name": "o" * 300}, {"operation": None}),
        ({"gen_ai.response.time_to_first_chunk": -1.0}, {"time_to_first_chunk_ms": None}),
        ({"gen_ai.response.time_to_first_chunk": math.inf}, {"time_to_first_chunk_ms": None}),
        ({"gen_ai.usage.cost": math.nan}, {"cost_source": None}),
    ],
)
def test_an_odd_attribute_costs_that_attribute(said: dict[str, Json], expected: dict[str, Json]) -> None:
    """A count is understood in whichever form it is written; what is odd is not known, and the call is there."""
    found = read(span(2, {**CHAT, **said}))
    (call,) = calls_of(found)
    assert (found.refused, {field: getattr(call, field) for field in expected}) == (Counter(), expected)


def nested(depth: int) -> Json:
    """Return a list in a list and so on."""
    return [nested(depth - 1)] if depth else "x"


def test_one_bad_span_of_many() -> None:
    """Nested too deeply, in a model's call or another span, or without ids: it is refused, and no neighbour is."""
    bad = [span(2, {**CHAT, "x": nested(17)}), span(3, {"x": nested(17)}), span(4) | {"span_id": ""}]
    found = read(*bad, span(5))
    assert found.refused == Counter(
        {
            "an attribute's value must be nested at most 16 deep": 2,
            "a span must have a trace id and a span id": 1,
        }
    )
    assert [call.span_id for call in calls_of(found)] == [f"{5:016x}"]
    assert read(span(2), span(3), x=nested(17)).refused.total() == 2


def test_an_operation_that_is_no_text() -> None:
    """It says nothing: who provides the model does."""
    found = read(span(2, {**CHAT, "gen_ai.operation.name": ["chat"], "gen_ai.system": "openai"}))
    assert [call.operation for call in calls_of(found)] == [None]


def test_more_tokens_than_anybody_pays_for() -> None:
    """A count gone wrong has no price."""
    found = one({**CHAT, "gen_ai.usage.input_tokens": 10**12})
    assert (found.input_tokens, found.cost_usd, found.cost_source) == (10**12, None, None)


def test_a_failed_call_has_no_answer() -> None:
    """Where the answer's name only repeats the name asked for, what failed is of no version yet; what succeeded is."""
    repeated: dict[str, Json] = {**CHAT, "gen_ai.response.model": "gpt-4o"}
    assert one(repeated).response_model == "gpt-4o"
    assert one({**repeated, "error.type": "Timeout"}).response_model is None
    assert one({**CHAT, "error.type": "Timeout"}).response_model == "gpt-4o-2024-08-06"


@pytest.mark.parametrize(
    ("said", "user"),
    [
        ({"llm.invocation_parameters": '{"model": "gpt-4o", "user": "ada"}'}, "ada"),
        ({"llm.invocation_parameters": '{"metadata": {"user_id": "ada"}}'}, "ada"),
        ({"llm.invocation_parameters": '{"user": {"name": "ada"}}'}, None),
        ({"llm.invocation_parameters": "cut {"}, None),
        ({"gen_ai.user": "ada"}, "ada"),
        ({"gen_ai.request.user": "ada"}, "ada"),
    ],
)
def test_the_user_in_a_dialect(said: dict[str, Json], user: str | None) -> None:
    """OpenInference has the user in the parameters of the call, OpenLLMetry and OpenLIT in attributes of theirs."""
    openinference: dict[str, Json] = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", **said}
    found = calls_of(read(span(2, openinference)))
    assert [call.user_id for call in found] == [user]


@pytest.mark.parametrize(
    ("scope", "tokens"), [("opentelemetry.instrumentation.botocore.bedrock-runtime", 1110), ("other", 1000)]
)
def test_what_a_cache_served_beside_the_input(scope: str, tokens: int) -> None:
    """Botocore passes on the count of Bedrock, which has the cache beside the input; the conventions have it inside."""
    attributes: dict[str, Json] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "amazon.nova-lite-v1:0",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cache_creation.input_tokens": 10,
    }
    request = span_request(span(2, attributes))
    request.resource_spans[0].scope_spans[0].scope.name = scope
    call = calls_of(interpret(request.resource_spans, Pricer(), NOW_US))[0]
    assert (call.input_tokens, call.cached_input_tokens, call.cache_write_tokens) == (tokens, 100, 10)
