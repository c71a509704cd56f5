"""What telemetry of others says that nobody asked us to keep: messages, prompts, answers, arguments of commands.

One table of names and one rule for error types, for every way in. What a caller gives to our own API under a name of
its own (metadata, properties of events) is the caller's to keep.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from otel_measure.conventions import semconv

# Under these names others say what people, models and programs have written.
_NAMES: Final = (
    *("exception.message", "exception.stacktrace", "error", "error.message", "error.stack", "error_message"),
    *("stacktrace", "process.command_args", "process.command_line", "db.statement", "db.query.text"),
    *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions"),
    *("gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.event.content", "gen_ai.response.text"),
    *("gen_ai.evaluation.explanation", "input.value", "output.value", "traceloop.entity.input"),
    *("traceloop.entity.output", "ai.response.text", "ai.response.object", "ai.response.toolCalls", "ai.toolCall.args"),
    *("ai.toolCall.result", "langfuse.observation.input", "langfuse.observation.output", "langfuse.trace.input"),
    *("langfuse.trace.output", "all_messages_events", "events", "prompt", "prompts", "completion", "completions"),
    *("request_text", "response_text", "request_body", "response_body", "function_args", "tool_input"),
    *("tool_parameters", "tool_response", "arguments", "bash_command", "full_command", "command_args", "command_line"),
)
# And under these with a number or a name behind them: `gen_ai.prompt.0.content`.
_BEGINNINGS: Final = (
    *("gen_ai.prompt", "gen_ai.completion", "llm.prompts", "llm.completions", "llm.input_messages"),
    *("llm.output_messages", "llm.prompt_template", "ai.prompt", "retrieval.documents"),
)
_PRIVATE: Final = re.compile(
    rf"(?:{'|'.join(map(re.escape, _NAMES))})|(?:{'|'.join(map(re.escape, _BEGINNINGS))})(?:\..*)?", re.DOTALL
)
_ERROR_TYPES: Final = frozenset({semconv.ATTR_ERROR_TYPE, "error_type", "exception.type"})
# Stands beside what is shown of a series in place of what is not: two that differ in that alone stay two.
HIDDEN: Final = "otel_measure.hidden"
_DIGEST_CHARS: Final = 12

MAX_ERROR_TYPE_CHARS: Final = 128
_CLASS: Final = r"[^\W\d][\w$]*(?:(?:::|[.$+/])[\w$]+)*"
# A class in any language, a word such as "rate-limit", or a status.
_ERROR_TYPE: Final = re.compile(rf"{_CLASS}|[^\W\d_]+(?:-[^\W\d_]+)+|\d{{1,5}}")
# A message that begins with the class of its exception, or a class as Python writes it.
_LED_BY_CLASS: Final = re.compile(
    rf"(?:<class ')?(?P<name>{_CLASS}(?:Error|Exception|Failure|Fault|Timeout|Warning|Interrupt))(?:[:('\[]|\s|\Z)"
)


@lru_cache(maxsize=4096)
def is_private(name: str) -> bool:
    """Tell whether what stands under a name of others is text that nobody asked us to keep."""
    return _PRIVATE.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _is_looked_at(name: str) -> bool:
    return name in _ERROR_TYPES or is_private(name)


def error_class(said: str) -> str:
    """Return the class of an error, of whatever was given as its type; `_OTHER` where that is a message without one.

    A name, a status or a word stays as it is; of a message that begins with its exception's class the class is left.
    """
    local = said.rpartition("<locals>.")[2]
    if len(local) <= MAX_ERROR_TYPE_CHARS and _ERROR_TYPE.fullmatch(local):
        return local
    led = _LED_BY_CLASS.match(local)
    return led["name"] if led is not None and len(led["name"]) <= MAX_ERROR_TYPE_CHARS else semconv.OTHER


def without_private(attributes: Mapping[str, Any], *, keeps_text: bool = False) -> dict[str, Any]:
    """Return attributes, and those inside them, without private ones; error types are cut to a class.

    Args:
        attributes: as they came.
        keeps_text: return private ones too.
    """
    return {
        name: _shown(name, value, keeps_text=keeps_text)
        for name, value in attributes.items()
        if keeps_text or not is_private(name)
    }


def _shown(name: str, value: Any, *, keeps_text: bool) -> Any:
    if isinstance(value, dict):
        return without_private(value, keeps_text=keeps_text)
    return error_class(value) if name in _ERROR_TYPES and isinstance(value, str) and value else value


def shown_of_series(attributes: Mapping[str, Any], *, keeps_text: bool = False) -> dict[str, Any]:
    """Return what is shown of a series; where something is not, a digest of that keeps the series apart from others.

    Args:
        attributes: of one series.
        keeps_text: show all but error types as it is.
    """
    if not any(_is_looked_at(name) or isinstance(value, dict) for name, value in attributes.items()):
        return dict(attributes)  # most series: nothing to hide, and no time to lose
    shown = without_private(attributes, keeps_text=keeps_text)
    hidden = sorted((name, repr(value)) for name, value in attributes.items() if shown.get(name) != value)
    if hidden:
        shown[HIDDEN] = sha256(repr(hidden).encode("utf-8", "replace")).hexdigest()[:_DIGEST_CHARS]
    return shown
