"""Attribute values: OTLP's `AnyValue` and JSON, each from the other."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_measure.records.kinds import Json

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    Pairs: TypeAlias = RepeatedCompositeFieldContainer[KeyValue]
else:
    Pairs = Any

MAX_DEPTH: Final = 16


def attributes_of(pairs: Iterable[KeyValue], depth: int = 0) -> dict[str, Json]:
    """Return attributes as a dict; of a key given twice the last value counts.

    Raises:
        ValueError: a value is nested too deeply.
    """
    attributes: dict[str, Json] = {}
    for pair in pairs:
        value = pair.value
        # Most values are text or counts, and asking for these first costs half of asking which kind it is.
        attributes[pair.key] = value.string_value or value.int_value or json_of(value, depth)
    return attributes


def json_of(value: AnyValue, depth: int = 0) -> Json:
    """Return a value as JSON has it; bytes become base64 text, as in OTLP/JSON.

    Raises:
        ValueError: it is nested too deeply.
    """
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind in _NESTED:
        if depth >= MAX_DEPTH:
            raise ValueError(f"an attribute's value must be nested at most {MAX_DEPTH} deep")
        return _NESTED[kind](value, depth + 1)
    plain: Json | bytes = getattr(value, kind)
    return b64encode(plain).decode() if isinstance(plain, bytes) else plain


_NESTED: Final[Mapping[str, Callable[[AnyValue, int], Json]]] = {
    "array_value": lambda value, depth: [json_of(item, depth) for item in value.array_value.values],
    "kvlist_value": lambda value, depth: attributes_of(value.kvlist_value.values, depth),
}


def _fill(into: AnyValue, value: Json) -> None:
    if value is None:
        return
    if isinstance(value, str):
        into.string_value = value
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int):
        into.int_value = value
    elif isinstance(value, float):
        into.double_value = value
    elif isinstance(value, dict):
        into.kvlist_value.SetInParent()
        fill_pairs(into.kvlist_value.values, value)
    else:
        into.array_value.SetInParent()
        for item in value:
            _fill(into.array_value.values.add(), item)


def fill_pairs(into: Pairs, attributes: Mapping[str, Json]) -> None:
    """Add attributes to a repeated field of pairs."""
    for key, value in attributes.items():
        pair = into.add()
        pair.key = key
        _fill(pair.value, value)
        pair.value.SetInParent()
