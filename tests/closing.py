"""What tests open and need not close themselves: it is closed when the test ends."""

from __future__ import annotations

from typing import Protocol, TypeVar


class Closable(Protocol):
    """A store, a connection: whatever holds something until it is told that nobody needs it."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)
_opened: list[Closable] = []


def closed_later(resource: C) -> C:
    """Return what was given; the end of the test closes it (Python warns of what nobody closes, from 3.13 on)."""
    _opened.append(resource)
    return resource


def close_all() -> None:
    """Close what the test opened, the latest first."""
    while _opened:
        _opened.pop().close()
