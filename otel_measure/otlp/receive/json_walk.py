"""Requests in JSON, walked without decoding what stands in them: where its items are, and what they have in common."""

from __future__ import annotations

import re
from typing import Final, NoReturn, TypeAlias

import msgspec

from otel_measure.otlp.receive.shapes import MAX_ITEM_BYTES, BodyWalk, Item, ItemHolder, MessageShape, TooManyItemsError

Common: TypeAlias = tuple[str, bytes]  # a key, and its value as it stands in the body
Items: TypeAlias = list[Item[Common]]

# Texts and brackets. A text without end is one up to the end of what is looked at, so that it is read once.
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SPACE: Final = re.compile(rb"[ \t\n\r]*+")
_SCALAR: Final = re.compile(rb"[^\s,:\[\]{}\"]++")
_QUOTE, _COMMA, _COLON, _LIST, _END_OF_LIST, _OBJECT, _END_OF_OBJECT, _NULL = b'",:[]{}n'
# A body of 16 MiB that says something has two millions.
_MAX_TOKENS: Final = 3_000_000
_MAX_DEPTH: Final = 256  # of brackets; a message of protobuf takes up to four
TOO_DEEP: Final = "it is nested too deeply"
_decode_text: Final = msgspec.json.Decoder(str).decode


def walk(body: bytes, shape: MessageShape) -> BodyWalk[Common]:
    """Return where the items of a request stand.

    Raises:
        TooManyItemsError: it has too many.
        ValueError: it is no JSON, a value in it is too large, or it has too many values.
    """
    reader = _Reader(body)
    reader.read_object(ItemHolder(None, 0, shape))
    if reader.next_byte() is not None:
        reader.fail("something follows its end")
    return reader.found


class _Reader:
    """Reads a body from its start."""

    def __init__(self, body: bytes) -> None:
        self.found: BodyWalk[Common] = BodyWalk()
        self._body = body
        self._at = 0
        self._tokens_left = _MAX_TOKENS

    def next_byte(self) -> int | None:
        """Return the next byte that is no space, without going beyond it; `None` at the end."""
        self._at = _SPACE.match(self._body, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too
        return self._body[self._at] if self._at < len(self._body) else None

    def fail(self, why: str) -> NoReturn:
        """Raise.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{why} (byte {self._at})")

    def read_object(self, holder: ItemHolder[Common]) -> None:
        """Read an object that holds items, or what holds them."""
        names = {name: (number, child) for number, child in holder.shape.children.items() for name in child.names}
        self._expect(_OBJECT)
        if self._is_end(_END_OF_OBJECT):
            return
        while True:
            self._count()
            key = self._read_key()
            number, child = names.get(key, (0, None))
            if child is None or self.next_byte() == _NULL:
                start, end = self._read_value()
                holder.common_bytes += end - start
                if not holder.is_too_large:
                    holder.common.append((key, self._body[start:end]))
            elif child.is_list:
                self._read_list(holder, number, child)
            else:
                self.read_object(ItemHolder(holder, number, child))
            if self._is_end(_END_OF_OBJECT):
                return
            self._expect(_COMMA)

    def _read_list(self, holder: ItemHolder[Common], number: int, child: MessageShape) -> None:
        self._expect(_LIST)
        if self._is_end(_END_OF_LIST):
            return
        while True:
            self._count()
            if child.children:
                self.read_object(ItemHolder(holder, number, child))
            else:
                self.found.items.append((holder, *self._read_value()))
            if self._is_end(_END_OF_LIST):
                return
            self._expect(_COMMA)

    def _count(self) -> None:
        self.found.left -= 1
        if self.found.left < 0:
            raise TooManyItemsError

    def _expect(self, byte: int) -> None:
        if self.next_byte() != byte:
            self.fail(f"{chr(byte)!r} is expected")
        self._at += 1

    def _is_end(self, byte: int) -> bool:
        if self.next_byte() != byte:
            return False
        self._at += 1
        return True

    def _read_key(self) -> str:
        self.next_byte()
        text = _TEXT.match(self._body, self._at, self._at + MAX_ITEM_BYTES)
        if text is None:
            self.fail("a key is expected")
        self._at = text.end()
        self._expect(_COLON)
        return _decode_text(text.group())

    def _read_value(self) -> tuple[int, int]:
        """Return where a value begins and ends in the body."""
        first = self.next_byte()
        start = self._at
        self._at = self._end_of_scalar() if first not in (_QUOTE, _LIST, _OBJECT) else self._end_of_tokens()
        return start, self._at

    def _end_of_scalar(self) -> int:
        scalar = _SCALAR.match(self._body, self._at, self._at + MAX_ITEM_BYTES)
        if scalar is None:
            self.fail("a value is expected")
        return scalar.end()

    def _end_of_tokens(self) -> int:
        depth = 0
        for token in _TOKEN.finditer(self._body, self._at, self._at + MAX_ITEM_BYTES):
            self._tokens_left -= 1
            if self._tokens_left < 0:
                self.fail(f"it has more than {_MAX_TOKENS} texts and brackets")
            byte = self._body[token.start()]
            if byte in (_LIST, _OBJECT):
                depth += 1
                if depth > _MAX_DEPTH:
                    raise ValueError(TOO_DEEP)
            elif byte != _QUOTE:
                depth -= 1
            if depth == 0 and token.end() - self._at < MAX_ITEM_BYTES:
                return token.end()
        self.fail(f"a value has no end, or more than {MAX_ITEM_BYTES} bytes")
