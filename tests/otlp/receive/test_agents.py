from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from otel_measure.ai.pricing import Pricer, override_rates
from otel_measure.definitions.signals import model_series
from otel_measure.otlp.receive.logs import EventRules, InterpretedLogs, interpret
from otel_measure.otlp.receive.senders import resource_of
from otel_measure.otlp.receive.traces import interpret as interpret_spans
from otel_measure.records.kinds import Inference, Json, Origin
from tests.otlp.requests import NOW_US, log_request_of, span, span_request

PRICES = {"input_per_million_usd": 1.0, "output_per_million_usd": 10.0, "cached_input_per_million_usd": 0.1}
PRICER = Pricer(override_rates({"gpt-5.1-codex": PRICES, "gemini-2.5-pro": PRICES}))
RESOURCE: dict[str, Json] = {"service.name": "agent", "vcs.repository.url.full": "git@github.com:acme/shop.git"}
# What each says of a call that went well, and of one that failed, with the numbers as it writes them.
CLAUDE: dict[str, Json] = {
    "user.id": "5a1c", "user.email": "ann@example.com", "session.id": "s-1", "model": "claude-sonnet-4-5",
    "event.name": "api_request", "cost_usd": "0.0412", "duration_ms": "3210", "input_tokens": "12",
    "output_tokens": "345", "cache_read_tokens": "20000", "cache_creation_tokens": "1500", "ttft_ms": 800,
}  # fmt: skip
CLAUDE_ERROR: dict[str, Json] = {
    "user.id": "5a1c", "session.id": "s-1", "model": "claude-sonnet-4-5", "event.name": "api_error",
    "error": "Overloaded: the prompt was 'secret'", "status_code": "529", "duration_ms": 900, "attempt": 11,
}  # fmt: skip
CODEX: dict[str, Json] = {
    "event.name": "codex.sse_event", "event.kind": "response.completed", "conversation.id": "c-1",
    "user.account_id": "acc-1", "model": "gpt-5.1-codex", "input_token_count": "1000", "output_token_count": "100",
    "cached_token_count": 600, "reasoning_token_count": 64, "tool_token_count": "1100",
}  # fmt: skip
GEMINI: dict[str, Json] = {
    "event.name": "gemini_cli.api_response", "session.id": "g-1", "user.email": "bob@example.com",
    "model": "gemini-2.5-pro", "status_code": 200, "duration_ms": 1500, "input_token_count": 1000,
    "output_token_count": 50, "cached_content_token_count": 400, "thoughts_token_count": 30, "tool_token_count": 20,
}  # fmt: skip


def read(
    attributes: Mapping[str, Json], *, name: str = "", body: str = "", trace: str = "", at: str = ""
) -> InterpretedLogs:
    """Return what one log record of an agent says."""
    request = log_request_of(attributes, name=name, body=body, trace_id=trace, span_id=at, resource=RESOURCE)
    return interpret(request.resource_logs, EventRules(PRICER, {"*": "custom"}), NOW_US)


def call(attributes: Mapping[str, Json], **record: str) -> Inference:
    """Return the one call that a record tells of."""
    found = read(attributes, **record)
    assert (found.records, found.refused.total(), found.ignored) == ([], 0, 0)
    (told,) = found.calls
    assert told.kind == "fact"
    assert told.record is not None
    return told.record


def said(inference: Inference) -> dict[str, object]:
    """Return what is known of a call, but for its id."""
    fields = msgspec.structs.asdict(inference)
    del fields["id"]
    return {name: value for name, value in fields.items() if value is not None}


COMMON = {
    "ts": NOW_US, "origin": Origin("agent"), "version": "unversioned", "operation": "chat", "clamped": False,
    "repository": "github.com/acme/shop",
}  # fmt: skip


def test_a_request_of_claude_code_is_a_call_with_the_cost_that_it_states() -> None:
    """What a cache served and took is a part of the input; the body says which event it is; numbers may be texts."""
    assert said(call(CLAUDE, body="claude_code.api_request")) == COMMON | {
        "model": "claude-sonnet-4-5", "provider": "anthropic", "latency_ms": 3210.0, "untimed": False,
        "input_tokens": 21_512, "output_tokens": 345, "cached_input_tokens": 20_000, "cache_write_tokens": 1500,
        "cost_usd": 0.0412, "cost_source": "instrumentation", "user_id": "5a1c", "session_id": "s-1",
        "time_to_first_chunk_ms": 800.0, "cache_savings_usd": pytest.approx((20_000 * 2.7 - 1500 * 0.75) / 1e6),
    }  # fmt: skip


def test_an_error_of_claude_code_is_a_failed_call() -> None:
    """Its type is the status; its message, which may repeat a prompt, is not kept."""
    assert said(call(CLAUDE_ERROR, body="claude_code.api_error")) == COMMON | {
        "model": "claude-sonnet-4-5", "provider": "anthropic", "latency_ms": 900.0, "untimed": False,
        "error_type": "529", "user_id": "5a1c", "session_id": "s-1",
    }  # fmt: skip


def test_the_end_of_a_stream_of_codex_is_a_call() -> None:
    """Nobody says how long it took; the table's price is found for it."""
    assert said(call(CODEX, name="event otel/src/events/session_telemetry.rs:330")) == COMMON | {
        "model": "gpt-5.1-codex", "provider": "openai", "latency_ms": 0.0, "untimed": True,
        "input_tokens": 1000, "output_tokens": 100, "cached_input_tokens": 600, "reasoning_tokens": 64,
        "cost_usd": pytest.approx((400 + 60 + 1000) / 1e6), "cost_source": "override", "user_id": "acc-1",
        "session_id": "c-1", "cache_savings_usd": pytest.approx(600 * 0.9 / 1e6),
    }  # fmt: skip


def test_a_response_of_gemini_is_a_call() -> None:
    """Its thoughts are written, and what its tools answered is read."""
    assert said(call(GEMINI)) == COMMON | {
        "model": "gemini-2.5-pro", "provider": "gcp.gemini", "latency_ms": 1500.0, "untimed": False,
        "input_tokens": 1020, "output_tokens": 80, "cached_input_tokens": 400, "reasoning_tokens": 30,
        "cost_usd": pytest.approx((620 + 40 + 800) / 1e6), "cost_source": "override",
        "user_id": "bob@example.com", "session_id": "g-1", "cache_savings_usd": pytest.approx(400 * 0.9 / 1e6),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "error_type"),
    [
        (
            {"event.name": "gemini_cli.api_error", "model_name": "g", "error_type": "ApiError", "duration": 7},
            "ApiError",
        ),
        ({"event.name": "gemini_cli.api_error", "model": "g", "error.message": "no", "status_code": 429}, "429"),
        ({"event.name": "codex.api_request", "model": "m", "http.response.status_code": 500}, "500"),
        ({"event.name": "codex.api_request", "model": "m", "error.message": "dns error"}, "_OTHER"),
        ({"event.name": "codex.sse_event", "model": "m", "error.message": "idle timeout"}, "_OTHER"),
        ({"event.name": "codex.websocket_request", "model": "m", "error.message": "closed"}, "_OTHER"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value["event.name"]),
)
def test_what_tells_of_a_failure_is_a_failed_call(event: dict[str, Json], error_type: str) -> None:
    """Of each attempt; the type is what it says of one, else the status, else the one for all others."""
    assert call(event).error_type == error_type


@pytest.mark.parametrize(
    "event",
    [
        {"event.name": "codex.sse_event", "event.kind": "response.created", "model": "m", "user.id": "u"},
        {**CODEX, "target": "codex_otel.trace_safe"},
        {"event.name": "codex.api_request", "model": "m", "http.response.status_code": 200, "user.id": "u"},
        {"event.name": "codex.api_request", "model": "m", "http.response.status_code": 500, "endpoint": "/models"},
        {
            "event.name": "codex.sse_event",
            "event.kind": "response.output_item.done",
            "error.message": "x",
            "model": "m",
        },
        {"event.name": "claude_code.api_request", "user.id": "u"},
    ],
    ids=["other parts of a stream", "a twin", "began well", "a list of models", "part of a call", "no model"],
)
def test_an_event_of_an_agent_that_tells_of_no_call_is_ignored(event: dict[str, Json]) -> None:
    """It is no event of a user either, though it names one."""
    found = read(event)
    assert (found.calls, found.records, found.ignored, found.refused.total()) == ([], [], 1, 0)


def test_an_event_is_the_call_of_the_span_that_it_carries() -> None:
    """It says the span as the current one."""
    (told,) = read(CLAUDE, body="claude_code.api_request", trace="0a" * 16, at="0b" * 8).calls
    assert (told.key, told.began_us, told.ended_us) == (("0a" * 16, "0b" * 8), NOW_US - 3_210_000, NOW_US)


def test_equal_events_are_known_by_time_and_content() -> None:
    """One sent again is the same call; another one at another time is another."""
    first, again = call(CLAUDE, body="claude_code.api_request"), call(CLAUDE, body="claude_code.api_request")
    other = call({**CLAUDE, "event.sequence": 2}, body="claude_code.api_request")
    assert first.id == again.id != other.id


def test_a_resource_says_who_works() -> None:
    """`enduser.id` of the resource counts before the installation's id."""
    request = log_request_of(CLAUDE, body="claude_code.api_request", resource={**RESOURCE, "enduser.id": "ann"})
    (told,) = interpret(request.resource_logs, EventRules(PRICER, {}), NOW_US).calls
    assert told.record is not None
    assert told.record.user_id == "ann"


@pytest.mark.parametrize(
    ("resource", "repository"),
    [
        ({"vcs.repository.url.full": "https://token:x@GitHub.com/acme/shop.git"}, "github.com/acme/shop"),
        ({"vcs.repository.url.full": "ssh://git@host:2222/a/b/"}, "host/a/b"),
        ({"vcs.repository.url.full": "git@github.com:acme/shop.git"}, "github.com/acme/shop"),
        ({"vcs.repository.name": "shop", "vcs.owner.name": "acme"}, "acme/shop"),
        ({"vcs.repository.name": "shop"}, "shop"),
        ({"vcs.owner.name": "acme"}, None),
        ({"vcs.repository.url.full": "shop"}, None),
        ({}, None),
    ],
)
def test_a_repository_is_named_without_who_may_read_it(resource: dict[str, Json], repository: str | None) -> None:
    """By its address, else by owner and name; a password in the address is not kept."""
    assert resource_of(resource).repository == repository


def test_the_span_of_a_request_of_claude_code_has_its_tokens() -> None:
    """Under the names that its events have; other spans of the agent tell of no call."""
    request = span_request(
        {
            **span(7, {"gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5", **CLAUDE}),
            "name": "claude_code.llm_request",
        },
        resource=RESOURCE,
    )
    (told,) = interpret_spans(request.resource_spans, PRICER, NOW_US).tellings
    assert told.record is not None
    assert (told.record.input_tokens, told.record.cost_usd, told.record.repository) == (
        21_512, 0.0412, "github.com/acme/shop",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "attributes", "role"),
    [
        ("claude_code.token.usage", {"type": "input"}, "input_tokens"),
        ("claude_code.token.usage", {"type": "cacheRead"}, "input_tokens"),
        ("claude_code.token.usage", {"type": "cacheCreation"}, "input_tokens"),
        ("claude_code.token.usage", {"type": "output"}, "output_tokens"),
        ("claude_code.cost.usage", {}, "cost"),
        ("gemini_cli.token.usage", {"type": "thought"}, "output_tokens"),
        ("gemini_cli.token.usage", {"type": "tool"}, "input_tokens"),
        ("gemini_cli.token.usage", {"type": "cache"}, None),
        ("gemini_cli.api.request.latency", {}, "calls"),
        ("claude_code.session.count", {}, None),
        ("codex.turn.token_usage", {"token_type": "input"}, None),
    ],
)
def test_metrics_of_agents_tell_of_calls(name: str, attributes: dict[str, str], role: str | None) -> None:
    """Each kind of token once: what a cache served is a part of Google's input and none of Anthropic's."""
    series = model_series(name, {"model": "m", **attributes}, Origin("agent"), "p", "scope")
    assert (series.role if series else None, series.model if series else "m") == (role, "m")


def test_an_event_that_says_no_number_right_loses_the_number() -> None:
    """The call counts, without what is none."""
    odd: dict[str, Json] = {**GEMINI, "input_token_count": "many", "tool_token_count": None, "duration_ms": -1}
    told = call(odd)
    assert (told.input_tokens, told.untimed, told.output_tokens) == (None, True, 80)
