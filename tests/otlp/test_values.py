from __future__ import annotations

import pytest
from hypothesis import given
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_measure.otlp.values import MAX_DEPTH, attributes_of, fill_pairs, json_of
from otel_measure.records.kinds import Json
from tests.facts import json_values


def sent(value: Json) -> KeyValue:
    """Return a pair whose value is given."""
    request = KeyValue()
    fill_pairs(request.value.kvlist_value.values, {"a": value})
    return request.value.kvlist_value.values[0]


@given(json_values)
def test_a_value_comes_back(value: Json) -> None:
    """Through the bytes of OTLP: with its type, and what is none stays none, also inside lists."""
    back = json_of(KeyValue.FromString(sent(value).SerializeToString()).value)
    assert (back, repr(back)) == (value, repr(value))


def test_bytes_are_base64() -> None:
    """As OTLP/JSON writes them."""
    assert json_of(AnyValue(bytes_value=b"\x00\xff")) == "AP8="


def test_the_last_of_equal_keys_counts() -> None:
    """The specification forbids two; one has to count."""
    pairs = [KeyValue(key="a", value=AnyValue(int_value=1)), KeyValue(key="a", value=AnyValue(string_value="x"))]
    assert attributes_of(pairs) == {"a": "x"}


def test_an_empty_text_and_a_value_that_is_none_are_told_apart() -> None:
    """Both look empty to protobuf."""
    assert attributes_of([KeyValue(key="a", value=AnyValue(string_value="")), KeyValue(key="b")]) == {
        "a": "",
        "b": None,
    }


def test_depth_is_bounded() -> None:
    """A bomb of lists is refused before it costs the stack."""
    value: Json = 1
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(ValueError, match=f"nested at most {MAX_DEPTH} deep"):
        json_of(sent(value).value)
    with pytest.raises(ValueError, match="nested at most"):
        attributes_of([sent(value)])
