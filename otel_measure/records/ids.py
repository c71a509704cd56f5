"""Identifiers: time-ordered UUIDs for our own records, and the storage key of any id.

UUIDv7 (RFC 9562, section 5.7) keeps inserts at the right edge of the primary key; random ids
cost 3.5 to 6 times as much on a large store.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256

_POOL = 128
_CHARS = frozenset({36})


class Uuid7:
    """A source of strictly increasing UUIDv7 strings.

    The 12 bits after the version hold microseconds within the millisecond, and the random tail is
    incremented when two ids fall into one microsecond, so ids of one process sort as they were made.

    Args:
        now_us: the wall clock, microseconds since 1970 UTC.
        random_bytes: a source of `n` random bytes.
    """

    def __init__(self, now_us: Callable[[], int], random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._now_us = now_us
        self._random = random_bytes
        self._lock = threading.Lock()
        self._last_us = 0
        self._tail = 0
        self._pool: list[int] = []

    def __call__(self) -> str:
        """Return the next id, canonical lower-case text."""
        with self._lock:
            now = self._now_us()
            if now > self._last_us:
                self._last_us = now
                # The top bits start clear, which leaves room for 2**60 increments within a microsecond.
                self._tail = self._draw()
            else:
                self._tail += 1
            return _format(self._last_us, self._tail)

    def _draw(self) -> int:
        """Return 61 random bits; a system call for each id would cost more than all the rest of it."""
        if not self._pool:
            self._pool = list(struct.unpack(f"<{_POOL}Q", self._random(8 * _POOL)))
        return self._pool.pop() >> 3

    def after_fork_in_child(self) -> None:
        """Forget the parent's state, so that parent and child never make the same id."""
        self._lock = threading.Lock()
        self._last_us = 0
        self._pool.clear()


def _format(ts_us: int, tail: int) -> str:
    ms, us = divmod(ts_us, 1000)
    sub_ms = us * 4096 // 1000
    value = (ms & (1 << 48) - 1) << 80 | 0x7 << 76 | sub_ms << 64 | 0b10 << 62 | tail & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_key(text: str) -> bytes | str:
    """Return what a store keeps for an id: 16 bytes for a canonical UUID, else the text itself.

    Only the canonical form is packed, so the way back gives the very id that came in.
    """
    if len(text) == 36 and text[8:24:5] == "----":
        digits = text.replace("-", "")
        try:
            key = bytes.fromhex(digits)
        except ValueError:
            return text
        # Only the canonical form has the same digits again: lower case, no spaces, dashes in these places alone.
        if len(key) == 16 and key.hex() == digits:
            return key
    return text


def id_keys(texts: Sequence[str]) -> Sequence[bytes | str]:
    """Return the key of each id as `id_key` does, at a third of the time where all are canonical UUIDs."""
    n, joined = len(texts), "".join(texts)
    if _CHARS.issuperset(map(len, texts)) and all(joined[dash::36] == "-" * n for dash in (8, 13, 18, 23)):
        digits = joined.replace("-", "")
        try:
            packed = bytes.fromhex(digits)
        except ValueError:
            packed = b""
        if len(packed) == 16 * n and packed.hex() == digits:
            return [packed[i : i + 16] for i in range(0, 16 * n, 16)]
    return [id_key(text) for text in texts]


def id_text(key: bytes | str) -> str:
    """Return the id that `id_key` was given."""
    if isinstance(key, str):
        return key
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def content_id(ts_us: int, content: bytes) -> str:
    """Return the id of something that has none: the same for the same time and content, and ordered by time.

    It has the form of a UUIDv7 whose tail is the SHA-256 of the content, so that a retry is known as one.
    """
    tail = int.from_bytes(sha256(content).digest()[:8])
    return _format(max(ts_us, 0), tail)
