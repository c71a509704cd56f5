"""Requests in protobuf: walked by the lengths in them, and cut into portions that are small enough to decode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from otel_measure.otlp.receive.shapes import (
    HARMLESS_BYTES,
    PORTION_BYTES,
    PORTION_ITEMS,
    BodyWalk,
    Item,
    ItemHolder,
    MessageShape,
    TooManyItemsError,
    by_holder,
)

M = TypeVar("M", bound=Message)
_VARINT: Final = 0
_LENGTH: Final = 2
_FIXED_BYTES: Final = {1: 8, 5: 4}
_LONGEST_VARINT_BITS: Final = 70
_MOST_MENDED_FIELDS: Final = 500_000
_TRUNCATED: Final = "it ends too early"


def portions(body: bytes, shape: MessageShape, refused: Counter[str]) -> Iterator[bytes]:
    """Return a request as requests that are small enough to be decoded; most are as they came.

    Args:
        body: the request.
        shape: of it.
        refused: is given how many items are passed over, by the rule that they break, while portions are taken.

    Raises:
        TooManyItemsError: it has too many items.
        DecodeError: it is no protobuf.
    """
    if len(body) <= HARMLESS_BYTES:
        return iter((body,))
    walk = BodyWalk[bytes]()
    try:
        _walk(body, 0, len(body), ItemHolder(None, 0, shape), walk)
    except IndexError:
        raise DecodeError(_TRUNCATED) from None
    if len(body) <= PORTION_BYTES and len(walk.items) <= PORTION_ITEMS:
        return iter((body,))
    return (_encoded(body, portion, 1) for portion in walk.portions(refused))


def parsed(portion: bytes, message: type[M]) -> M:
    """Return the message that stands in a portion; texts that were cut in the middle of a character are mended.

    Raises:
        DecodeError: it is no such message.
    """
    whole = message()
    try:
        whole.ParseFromString(portion)
    except DecodeError:
        try:
            mended = _mended(portion, message.DESCRIPTOR.fields_by_number, [_MOST_MENDED_FIELDS])
        except IndexError:
            raise DecodeError(_TRUNCATED) from None
        whole.ParseFromString(mended)
    return whole


def _mended(body: bytes, fields: Mapping[int, Any], left: list[int]) -> bytes:
    """Return a message in which every text is UTF-8, with "\ufffd" for what is none.

    Args:
        body: the message.
        fields: descriptors of them by number, in whichever implementation of protobuf.
        left: how many more fields are looked at.
    """
    parts: list[bytes] = []
    for key, key_at, start, stop in _fields(body, 0, len(body)):
        left[0] -= 1
        if left[0] < 0:
            raise DecodeError("it has too many fields to mend its texts")
        field = fields.get(key >> 3) if key & 7 == _LENGTH else None
        content = body[start:stop]
        if field is not None and field.message_type is not None:
            content = _mended(content, field.message_type.fields_by_number, left)
        elif field is not None and field.type == FieldDescriptor.TYPE_STRING:
            content = content.decode("utf-8", "replace").encode()
        else:
            parts.append(body[key_at:stop])
            continue
        parts += (_number(key), _number(len(content)), content)
    return b"".join(parts)


def _walk(body: bytes, at: int, end: int, holder: ItemHolder[bytes], walk: BodyWalk[bytes]) -> None:
    children, items = holder.shape.children, walk.items
    for key, key_at, start, stop in _fields(body, at, end):
        walk.left -= 1
        if walk.left < 0:
            raise TooManyItemsError
        child = children.get(key >> 3) if key & 7 == _LENGTH else None
        if child is None:
            holder.common_bytes += stop - key_at
            if not holder.is_too_large:
                holder.common.append(body[key_at:stop])
        elif child.children:
            _walk(body, start, stop, ItemHolder(holder, key >> 3, child), walk)
        else:
            items.append((holder, key_at, stop))


def _fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield of each field its key, where that begins, and where its content begins and ends.

    Raises:
        DecodeError: there is a field that cannot be.
        IndexError: there is one without an end.
    """
    while at < end:
        key_at, key = at, body[at]
        at += 1
        if key > 127:
            key, at = _varint(body, key_at)
        wire_type = key & 7
        if wire_type == _LENGTH:
            size = body[at]
            at += 1
            if size > 127:
                size, at = _varint(body, at - 1)
            stop = at + size
        elif wire_type == _VARINT:
            stop = _varint(body, at)[1]
        elif wire_type in _FIXED_BYTES:
            stop = at + _FIXED_BYTES[wire_type]
        else:
            raise DecodeError(f"a field has the wire type {wire_type}")
        if stop > end or key < 8:
            raise DecodeError(_TRUNCATED if stop > end else "a field has the number 0")
        yield key, key_at, at, stop
        at = stop


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift >= _LONGEST_VARINT_BITS:
            raise DecodeError("a number has more than 10 bytes")


def _encoded(body: bytes, items: list[Item[bytes]], depth: int) -> bytes:
    """Return what stands in the holders of these items at one level, with these items alone."""
    parts: list[bytes] = []
    for holder, neighbours in by_holder(items, depth):
        is_last = holder is neighbours[0][0]
        held = (
            b"".join(body[start:stop] for _, start, stop in neighbours)
            if is_last
            else _encoded(body, neighbours, depth + 1)
        )
        content = b"".join((*holder.common, held))
        parts += (_number(holder.number << 3 | _LENGTH), _number(len(content)), content)
    return b"".join(parts)


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
