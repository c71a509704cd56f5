"""How an answer is written: its head together with the first part of its body."""

from __future__ import annotations

import asyncio
from typing import Final

_INTERIM: Final = b"HTTP/1.1 100 "  # what a client waits for before it sends its body


class AnswerTransport(asyncio.Transport):
    """The transport of one answer, over that of its connection.

    uvicorn writes the head of an answer, then its body. Each writing is a call of the kernel, which costs a tenth of
    all that a small request takes, and the two follow each other at once: so the head waits for the body.

    Args:
        transport: of the connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._head = b""
        self._is_head_written = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write a part of the answer, the head with the part behind it."""
        if self._is_head_written:
            self._transport.write(data)
        elif self._head:
            self._is_head_written = True
            self._transport.write(self._head + data)
        elif bytes(data[: len(_INTERIM)]) == _INTERIM:
            self._transport.write(data)
        else:
            self._head = bytes(data)

    def is_closing(self) -> bool:
        """Tell whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection, a head without a body written."""
        if self._head and not self._is_head_written:
            self.write(b"")
        self._transport.close()
