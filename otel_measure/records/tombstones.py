"""Tombstones: keyed hashes by which a store remembers what was erased, and by which nobody can tell what that was."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import Final

TOMBSTONE_BYTES: Final = 16


@lru_cache(maxsize=100_000)
def user_tombstone(key: bytes, user_id: str) -> bytes:
    """Return the tombstone of an id of a user.

    Args:
        key: of the store.
        user_id: as it was sent.
    """
    return tombstone(key, f"user:{user_id}")


def fact_tombstone(key: bytes, table: str, fact_id: str) -> bytes:
    """Return the tombstone of a fact.

    Args:
        key: of the store.
        table: of its kind.
        fact_id: as it was sent.
    """
    return tombstone(key, f"{table}:{fact_id}")


def tombstone(key: bytes, text: str) -> bytes:
    """Return the keyed hash of a text: HMAC with SHA-256, of which the first 128 bits are kept."""
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)[:TOMBSTONE_BYTES]
