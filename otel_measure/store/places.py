"""Where a store is, as it may be shown."""

from __future__ import annotations


def shown(place: str) -> str:
    """Return the place of a store without what is secret in it."""
    before, at, after = place.rpartition("@")
    return f"{before.partition('://')[0]}://…@{after}" if at and "://" in before else place
