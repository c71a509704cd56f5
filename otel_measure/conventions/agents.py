"""What coding agents send, as data: which of their events and metrics tell of calls of models, and in which names.

Claude Code, Codex and Gemini CLI tell of each call by an event with names of their own. Copilot sends spans and metrics
of the GenAI conventions, which need no table; its `github.copilot.cost` counts premium requests and is no amount of
money. A new agent, or a new name of one of these, is a row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Final, NamedTuple

from otel_measure.conventions import dialects, instruments, semconv
from otel_measure.conventions.dialects import first_of

_INPUT: Final = semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS
_OUTPUT: Final = semconv.ATTR_GEN_AI_USAGE_OUTPUT_TOKENS
_CACHED: Final = semconv.ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS
_WRITTEN: Final = semconv.ATTR_GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS
_REASONING: Final = semconv.ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS
_FAILING_STATUS: Final = 400
CHAT: Final = "chat"
# The attribute of a resource that says who works with the agent; it counts before what its events say.
PERSON: Final = "enduser.id"


class CallDialect(NamedTuple):
    """How an event, or a span, tells of one call of a model.

    Attributes:
        name: of the event or span.
        counts: conventional count → the names whose sum it is. Anthropic counts what a cache served or took apart from
            the input, Google the thoughts apart from the output; both are parts of it in the conventions.
        failed: whether it tells of failures alone. It then is one only where an error or a failing status is given.
        duration_ms: where the duration stands; nowhere for an event that says none.
        needs: attributes without which it tells of no call.
        only: attribute → the values of which it has one, `None` for an attribute that is not given.
        never: attribute → values with which it tells of no call, or of one that a twin of it tells of.
    """

    name: str
    counts: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    failed: bool = False
    duration_ms: tuple[str, ...] = ("duration_ms",)
    needs: tuple[str, ...] = ()
    only: Mapping[str, tuple[str | None, ...]] = MappingProxyType({})
    never: Mapping[str, tuple[str | None, ...]] = MappingProxyType({})


# Where the events of all of them say the same: the first name that is given counts.
_MODEL: Final = ("model", "model_name")
_USER: Final = (
    *(semconv.ATTR_USER_ID, "enduser.id", "user.account_uuid", "user.account_id", "user.email", "installation.id"),
)
_SESSION: Final = (semconv.ATTR_SESSION_ID, "conversation.id", "sessionId")
_COST: Final = ("cost_usd",)
_FIRST_CHUNK_MS: Final = ("ttft_ms",)
_ERROR_TYPE: Final = ("error.type", "error_type", "status_code", "http.response.status_code")
_STATUS: Final = ("status_code", "http.response.status_code")
_ERROR: Final = ("error.message", "error", "error_type")
_ANTHROPIC: Final = MappingProxyType(
    {
        _INPUT: ("input_tokens", "cache_read_tokens", "cache_creation_tokens"),
        _OUTPUT: ("output_tokens",),
        _CACHED: ("cache_read_tokens",),
        _WRITTEN: ("cache_creation_tokens",),
    }
)
_GOOGLE: Final = MappingProxyType(
    {
        _INPUT: ("input_token_count", "tool_token_count"),
        _OUTPUT: ("output_token_count", "thoughts_token_count"),
        _CACHED: ("cached_content_token_count",),
        _REASONING: ("thoughts_token_count",),
    }
)
_OPENAI: Final = MappingProxyType(
    {
        _INPUT: ("input_token_count",),
        _OUTPUT: ("output_token_count",),
        _CACHED: ("cached_token_count",),
        _WRITTEN: ("cache_write_token_count",),
        _REASONING: ("reasoning_token_count",),
    }
)
# Codex writes some events twice: what may be traced is told without the user.
_TWIN: Final = MappingProxyType({"target": ("codex_otel.trace_safe",)})
EVENT_DIALECTS: Final = (
    CallDialect("claude_code.api_request", _ANTHROPIC),
    CallDialect("claude_code.api_error", failed=True),
    CallDialect("gemini_cli.api_response", _GOOGLE),
    CallDialect("gemini_cli.api_error", failed=True, duration_ms=("duration_ms", "duration")),
    CallDialect("codex.sse_event", _OPENAI, duration_ms=(), needs=("input_token_count",), never=_TWIN),
    CallDialect(
        "codex.sse_event",
        failed=True,
        duration_ms=(),
        needs=("error.message",),
        only={"event.kind": (None, "response.failed", "response.completed")},
        never=_TWIN,
    ),
    # One that went well is told by its stream's end; the list of models is no call of one.
    CallDialect("codex.api_request", failed=True, never={**_TWIN, "endpoint": ("/models",)}),
    CallDialect("codex.websocket_request", failed=True, needs=("error.message",), never=_TWIN),
)
CALL_SPANS: Final[Mapping[str, CallDialect]] = MappingProxyType(
    {"claude_code.llm_request": CallDialect("claude_code.llm_request", _ANTHROPIC)}
)
_BY_NAME: Final[Mapping[str, tuple[CallDialect, ...]]] = {
    name: tuple(dialect for dialect in EVENT_DIALECTS if dialect.name == name)
    for name in {dialect.name for dialect in EVENT_DIALECTS}
}
CALL_EVENTS: Final = frozenset(_BY_NAME)


def call_told_by(name: str, attributes: Mapping[str, object]) -> CallDialect | None:
    """Return how an event tells of a call, `None` where it tells of none."""
    return next((dialect for dialect in _BY_NAME.get(name, ()) if _tells(dialect, attributes)), None)


def _tells(dialect: CallDialect, attributes: Mapping[str, object]) -> bool:
    if first_of(attributes, _MODEL) is None or any(attributes.get(name) is None for name in dialect.needs):
        return False
    if any(attributes.get(name) not in values for name, values in dialect.only.items()):
        return False
    if any(attributes.get(name) in values for name, values in dialect.never.items()):
        return False
    status = number(first_of(attributes, _STATUS))
    return not dialect.failed or first_of(attributes, _ERROR) is not None or (status or 0) >= _FAILING_STATUS


def in_conventional_names(dialect: CallDialect, attributes: Mapping[str, object]) -> dict[str, str | float]:
    """Return what an event or span of a dialect says of a call, in the names of the conventions and no others."""
    first_chunk_ms = number(first_of(attributes, _FIRST_CHUNK_MS))
    said: dict[str, str | float | None] = {
        semconv.ATTR_GEN_AI_REQUEST_MODEL: _text(first_of(attributes, _MODEL)),
        semconv.ATTR_GEN_AI_OPERATION_NAME: CHAT,
        semconv.ATTR_USER_ID: _text(first_of(attributes, _USER)),
        semconv.ATTR_SESSION_ID: _text(first_of(attributes, _SESSION)),
        dialects.COST_USD[0]: number(first_of(attributes, _COST)),
        dialects.TIME_TO_FIRST_CHUNK_S[0]: None if first_chunk_ms is None else first_chunk_ms / 1000,
    }
    for ours, theirs in dialect.counts.items():
        counts = [count for name in theirs if (count := number(attributes.get(name))) is not None]
        said[ours] = sum(counts) if counts else None
    if dialect.failed:
        said[semconv.ATTR_ERROR_TYPE] = _text(first_of(attributes, _ERROR_TYPE)) or semconv.OTHER
    return {name: value for name, value in said.items() if value is not None}


def _text(value: object) -> str | None:
    """Return a text, or a whole number as one."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def duration_ms(dialect: CallDialect, attributes: Mapping[str, object]) -> float | None:
    """Return how long a call took, `None` where the event does not say it."""
    took = number(first_of(attributes, dialect.duration_ms))
    return None if took is None or took < 0 else took


def number(value: object) -> float | None:
    """Return a number, also one that is written as text; `None` for anything else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return value


# ---------------------------------------------------------------- metrics


class SeriesDialect(NamedTuple):
    """How a metric tells of calls.

    Attributes:
        metric: what it is called in the conventions.
        token_type: the attribute that names the kind of tokens, "" where there are none.
        kinds: its values → the conventional ones. What is a part of another kind is left out.
    """

    metric: str
    token_type: str = ""
    kinds: Mapping[str, str] = MappingProxyType({})


_IN: Final = semconv.TOKEN_TYPE_INPUT
_OUT: Final = semconv.TOKEN_TYPE_OUTPUT
# Codex counts tokens per turn, which lasts many calls and ends long after them: its events tell of each.
SERIES: Final[Mapping[str, SeriesDialect]] = MappingProxyType(
    {
        "claude_code.token.usage": SeriesDialect(
            instruments.GEN_AI_CLIENT_TOKEN_USAGE.name,
            "type",
            {"input": _IN, "cacheRead": _IN, "cacheCreation": _IN, "output": _OUT},
        ),
        "claude_code.cost.usage": SeriesDialect("gen_ai.client.operation.cost"),
        "gemini_cli.token.usage": SeriesDialect(
            instruments.GEN_AI_CLIENT_TOKEN_USAGE.name,
            "type",
            {"input": _IN, "tool": _IN, "output": _OUT, "thought": _OUT},
        ),
        "gemini_cli.api.request.latency": SeriesDialect(instruments.GEN_AI_CLIENT_OPERATION_DURATION.name),
    }
)


def conventional_series(name: str, attributes: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Return a metric and its attributes in the names of the conventions; those of no agent as they are."""
    dialect = SERIES.get(name)
    if dialect is None:
        return name, attributes
    said = {
        semconv.ATTR_GEN_AI_REQUEST_MODEL: attributes.get("model", ""),
        semconv.ATTR_GEN_AI_TOKEN_TYPE: dialect.kinds.get(attributes.get(dialect.token_type, ""), ""),
    }
    return dialect.metric, {key: value for key, value in said.items() if value}
