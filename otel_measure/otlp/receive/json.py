"""OTLP/JSON: the JSON of Protocol Buffers, but that ids of traces and spans are hex and enums are numbers."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from otel_measure.otlp.receive.size import MAX_ITEMS, TooManyItemsError

M = TypeVar("M", bound=Message)
_HEX: Final = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
# Where ids stand: the names of the lists that lead to them, from the top.
_LISTS: Final = (
    *("resourceSpans", "resourceLogs", "resourceMetrics", "scopeSpans", "scopeLogs", "scopeMetrics"),
    *("spans", "links", "logRecords", "metrics", "dataPoints", "exemplars"),
    *("resource_spans", "resource_logs", "resource_metrics", "scope_spans", "scope_logs", "scope_metrics"),
    *("log_records", "data_points"),
)
_FORMS_OF_DATA: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "exponential_histogram", "summary")
_TOO_DEEP: Final = "it is nested too deeply"
_MOST_CHARS_OF_A_FAULT: Final = 300  # protobuf repeats the value that it cannot parse, which may be the whole body
_decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode


def from_json(body: bytes, message: type[M]) -> M:
    """Return the message that a body says; fields that are not known are let pass, as the specification asks.

    Raises:
        TooManyItemsError: it has too many items.
        ValueError: it is no JSON, or not that of the message.
    """
    try:
        decoded = _decode(body)
        if not isinstance(decoded, dict):
            raise ValueError(f"it must be an object, not {type(decoded).__name__}")
        # Before it becomes a message, which takes longer for each item than all the rest.
        if _ids_to_base64(decoded) > MAX_ITEMS:
            raise TooManyItemsError
        return ParseDict(decoded, message(), ignore_unknown_fields=True, max_recursion_depth=64)
    except ParseError as error:
        fault = str(error)
        raise ValueError(_TOO_DEEP if "recursion depth" in fault else fault[:_MOST_CHARS_OF_A_FAULT]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    except RecursionError:  # how deep it takes differs between interpreters; protobuf's own bound is 64 messages
        raise ValueError(_TOO_DEEP) from None


def _ids_to_base64(node: dict[str, Any]) -> int:
    """Change ids in place; return how many items were looked at."""
    n = 1
    for name in _HEX:
        if isinstance(value := node.get(name), str):
            node[name] = b64encode(_from_hex(name, value)).decode()
    for name in _LISTS:
        if isinstance(items := node.get(name), list):
            n += sum(_ids_to_base64(item) for item in items if isinstance(item, dict))
    for name in _FORMS_OF_DATA:
        if isinstance(form := node.get(name), dict):
            n += _ids_to_base64(form)
    return n


def _from_hex(name: str, value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError(f"{name} must be hexadecimal, not {value[:64]!r}") from None


def to_json(message: Message) -> bytes:
    """Return a message as JSON, for one that holds no ids of traces or spans."""
    return msgspec.json.encode(MessageToDict(message, use_integers_for_enums=True))
