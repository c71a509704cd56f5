"""How much one connection, and all of them together, may cost before a request is answered."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

_MIB: Final = 1024 * 1024
# Where a process may open a million files, memory is what is short: an open connection costs some 20 KiB.
_MOST_CONNECTIONS: Final = 4096
_OPEN_FILES_WHERE_UNKNOWN: Final = 1024


def open_files() -> int:
    """Return how many files this process may have open, connections among them."""
    if sys.platform == "win32":
        return _OPEN_FILES_WHERE_UNKNOWN
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What a server grants.

    Attributes:
        connections: that are open at once, TLS handshakes among them.
        head_bytes: of the request line and the headers.
        header_lines: of a request.
        target_bytes: of the path and the query.
        small_chunks: of a body, whatever their size.
        chunk_bytes: of which a body has to have as many as there are more chunks.
        head_s: from connecting, or from a request's first byte, to the end of its head.
        handshake_s: of TLS, from connecting.
        held_bytes: of heads that are not complete and of requests that wait for those before them, of all connections.
        body_bytes: of the requests that are not answered yet, of all connections.
        small_body_bytes: of a request that is let pass all the same: large bodies of others do not shut it out.
        unread_bytes: of answers that are not read yet, of all connections.
        unread_s: how long the reading of an answer may make no progress.
        body_s: from the end of the head to the end of the body.
        drain_s: how long the rest of a body may take after it was answered.
        linger_s: how long a refused client may take to read why.
        look_every_s: how often it is looked whether a time is over.
    """

    connections: int
    head_bytes: int = 64 * 1024
    header_lines: int = 100
    target_bytes: int = 8 * 1024
    small_chunks: int = 1024
    chunk_bytes: int = 512
    head_s: float = 10.0
    handshake_s: float = 10.0
    held_bytes: int = 64 * _MIB
    body_bytes: int = 64 * _MIB
    small_body_bytes: int = 16 * 1024
    unread_bytes: int = 64 * _MIB
    unread_s: float = 30.0
    body_s: float = 30.0
    drain_s: float = 10.0
    linger_s: float = 2.0
    look_every_s: float = 0.5

    @classmethod
    def of_this_process(cls) -> ConnectionLimits:
        """Return the limits where half the files that this process may open are left to the store and whoever else."""
        return cls(connections=max(16, min(open_files() // 2, _MOST_CONNECTIONS)))
