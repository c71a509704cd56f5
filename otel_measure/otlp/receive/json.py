"""OTLP/JSON: the JSON of Protocol Buffers, but that ids of traces and spans are hex and enums are numbers."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from otel_measure.otlp.receive.json_walk import TOO_DEEP, Items, walk
from otel_measure.otlp.receive.shapes import HARMLESS_BYTES, MessageShape, by_holder

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
_MOST_CHARS_OF_A_FAULT: Final = 300  # protobuf repeats the value that it cannot parse, which may be the whole body
# An escape in a text; in the group stands one half of a surrogate pair without the other.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode


def messages(body: bytes, message: type[M], shape: MessageShape, refused: Counter[str]) -> Iterator[M]:
    """Return the request that a body says, as one message or in portions.

    Fields that are not known are let pass, as the specification asks.

    Args:
        body: the request.
        message: the type of it.
        shape: of it.
        refused: is given how many items are passed over, by the rule that they break, while messages are taken.

    Raises:
        TooManyItemsError: it has too many items.
        ValueError: it is no JSON, or not that of the message.
    """
    if len(body) <= HARMLESS_BYTES:
        yield _parsed(_decoded(body), message)
        return
    for items in walk(body, shape).portions(refused):
        yield _parsed(_content(body, items, 1), message)


def _content(body: bytes, items: Items, depth: int) -> dict[str, Any]:
    """Return what stands in the holders of these items at one level, with these items alone."""
    content: dict[str, Any] = {}
    for holder, neighbours in by_holder(items, depth):
        said = {key: _decoded(value) for key, value in holder.common}
        if holder is neighbours[0][0]:
            (item,) = holder.shape.children.values()
            said[item.names[0]] = [_decoded(body[start:end]) for _, start, end in neighbours]
        else:
            said.update(_content(body, neighbours, depth + 1))
        name = holder.shape.names[0]
        if holder.shape.is_list:
            content.setdefault(name, []).append(said)
        else:
            content[name] = said
    return content


def _decoded(body: bytes) -> Any:
    try:
        try:
            return _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _decode(_mended(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None
    except RecursionError:  # how deep it takes differs between interpreters; protobuf's own bound is 64 messages
        raise ValueError(TOO_DEEP) from None


def _mended(body: bytes) -> bytes:
    """Return JSON in which every text that was cut in the middle of a character ends with "\ufffd" instead."""
    whole = body.decode("utf-8", "replace").encode()
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], whole)


def _parsed(said: Any, message: type[M]) -> M:
    if not isinstance(said, dict):
        raise ValueError(f"it must be an object, not {type(said).__name__}")
    try:
        _ids_to_base64(said)
        return ParseDict(said, message(), ignore_unknown_fields=True, max_recursion_depth=64)
    except ParseError as error:
        fault = str(error)
        raise ValueError(TOO_DEEP if "recursion depth" in fault else fault[:_MOST_CHARS_OF_A_FAULT]) from None
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def _ids_to_base64(node: dict[str, Any]) -> None:
    """Change ids in place."""
    for name in _HEX:
        if isinstance(value := node.get(name), str):
            node[name] = b64encode(_from_hex(name, value)).decode()
    for name in _LISTS:
        if isinstance(items := node.get(name), list):
            for item in items:
                if isinstance(item, dict):
                    _ids_to_base64(item)
    for name in _FORMS_OF_DATA:
        if isinstance(form := node.get(name), dict):
            _ids_to_base64(form)


def _from_hex(name: str, value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError(f"{name} must be hexadecimal, not {value[:64]!r}") from None


def to_json(message: Message) -> bytes:
    """Return a message as JSON, for one that holds no ids of traces or spans."""
    return msgspec.json.encode(MessageToDict(message, use_integers_for_enums=True))
