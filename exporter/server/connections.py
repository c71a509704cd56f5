"""All connections of one server: how many there are, what they hold, and which of them makes room for a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from enum import IntEnum, auto
from typing import Final, Protocol

from exporter.http.refusals import RefusalLog
from exporter.server.limits import ConnectionLimits


class Phase(IntEnum):  # the hash of an `Enum` is computed by Python, which each request would pay some ten times
    """What a connection waits for: all but `ANSWER` is the client's turn."""

    HANDSHAKE = auto()
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    END = auto()


# Who makes room: first those that were refused and read why, then those without a request, then those that send one.
_MAKE_ROOM: Final = (Phase.END, Phase.HANDSHAKE, Phase.HEAD, Phase.BODY)
NO_ROOM: Final = "a connection was refused: all are answered or too many are open"
MADE_ROOM: Final = "a connection that waited longest without a request was closed to make room for another one"
HELD_TOO_MUCH: Final = "a connection was closed: heads and waiting requests of all together took too much memory"
UNREAD: Final = "a connection was closed: its answer was not read"


class Connection(Protocol):
    """What a connection is to the others.

    Attributes:
        phase: set by `Connections.enter` alone.
        held_bytes: set by `Connections.hold` alone.
        body_bytes: set by `Connections.take_body` alone.
    """

    phase: Phase
    held_bytes: int
    body_bytes: int

    def look(self, now_s: float) -> None:
        """Close when the client's turn lasts too long."""

    def unread(self) -> int:
        """Return the bytes of answers that the client has not read."""

    def abort(self) -> None:
        """Close at once."""


class Connections:
    """The connections of one server, on the thread of its event loop.

    Args:
        limits: what is granted.
        refusals: told of every connection that is refused or closed.
    """

    def __init__(self, limits: ConnectionLimits, refusals: RefusalLog) -> None:
        self.limits = limits
        self.refusals = refusals
        self._open: set[Connection] = set()
        # Each in the order in which its connections entered the phase.
        self._turns: dict[Phase, dict[Connection, None]] = {phase: {} for phase in _MAKE_ROOM}
        self._held_bytes = 0
        self._body_bytes = 0
        self._sweep: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[Connection]:
        """Those that are open."""
        return iter(set(self._open))

    def is_empty(self) -> bool:
        """Tell whether none is open."""
        return not self._open

    def admit(self, connection: Connection, phase: Phase, loop: asyncio.AbstractEventLoop) -> bool:
        """Take a new connection in; `False` when there is no room for it, and none can be made."""
        while len(self._open) >= self.limits.connections:
            longest = next((c for phase in _MAKE_ROOM for c in self._turns[phase]), None)
            if longest is None:
                self.refusals.note(NO_ROOM)
                return False
            self._close(longest, MADE_ROOM)
        self._open.add(connection)
        self._turns[phase][connection] = None
        connection.phase = phase
        if self._sweep is None:
            self._sweep = loop.call_later(self.limits.look_every_s, self._look, loop)
        return True

    def enter(self, connection: Connection, phase: Phase) -> None:
        """Note what a connection waits for from now on."""
        if connection.phase is not Phase.ANSWER:
            self._turns[connection.phase].pop(connection, None)
        connection.phase = phase
        if phase is not Phase.ANSWER and connection in self._open:
            self._turns[phase][connection] = None

    def hold(self, connection: Connection, n_bytes: int) -> None:
        """Note how much of what was not asked yet a connection holds; while all hold too much, the largest goes."""
        self._held_bytes += n_bytes - connection.held_bytes
        connection.held_bytes = n_bytes
        while self._held_bytes > self.limits.held_bytes:
            self._close(max(self._open, key=lambda each: each.held_bytes), HELD_TOO_MUCH)

    def take_body(self, connection: Connection, n_bytes: int) -> bool:
        """Note more of a body; `False` when that is more than all bodies together may have."""
        self._body_bytes += n_bytes
        connection.body_bytes += n_bytes
        is_small = connection.body_bytes <= self.limits.small_body_bytes
        return is_small or self._body_bytes <= self.limits.body_bytes

    def give_body_back(self, connection: Connection) -> None:
        """Note that a request is answered."""
        self._body_bytes -= connection.body_bytes
        connection.body_bytes = 0

    def left(self, connection: Connection) -> None:
        """Forget a connection; again is a no-op."""
        self._open.discard(connection)
        if connection.phase is not Phase.ANSWER:
            self._turns[connection.phase].pop(connection, None)
        connection.phase = Phase.END
        self.hold(connection, 0)
        self.give_body_back(connection)

    def _close(self, connection: Connection, why: str) -> None:
        self.refusals.note(why)
        self.left(connection)
        connection.abort()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        for connection in self:
            connection.look(now_s)
        self._close_unread()
        self.refusals.say_rest()
        self._sweep = loop.call_later(self.limits.look_every_s, self._look, loop) if self._open else None

    def _close_unread(self) -> None:
        """Close those that leave most unread, while all together leave too much."""
        unread = {connection: n for connection in self._open if (n := connection.unread())}
        total = sum(unread.values())
        # One answer alone may be large.
        for connection in sorted(unread, key=unread.__getitem__, reverse=True)[:-1]:
            if total <= self.limits.unread_bytes:
                return
            total -= unread[connection]
            self._close(connection, UNREAD)
