"""A small server with the protocol under test, in this process, and clients that say exactly what is given."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from exporter.http.envelope import send_content
from exporter.http.refusals import RefusalLog
from exporter.http.types import Content
from exporter.server.config import ServerConfig
from exporter.server.connections import Connections
from exporter.server.limits import ConnectionLimits
from exporter.server.protocol import LimitedProtocol
from exporter.server.tls import TlsListener

LOOP: Callable[[], asyncio.AbstractEventLoop] | None = None  # the standard one; see conftest.py


class LimitedServer:
    """A server that listens.

    Attributes:
        scopes: of the requests that were answered, in their order.
        bodies: of these requests.
        log: what was logged of refusals.
        gate: the answers wait for it; open at the start.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.scopes: list[Scope] = []
        self.bodies: list[bytes] = []
        self.log: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.answer = b"ok"
        self.port = 0
        self.connections = Connections(limits, RefusalLog(self.log.append))
        self._config = ServerConfig(self._app, http=LimitedProtocol, connections=self.connections)
        self._config.load()
        self._state = ServerState()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", scope["method"] == "POST" and scope["path"] != "/unread"
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body, more = body + message["body"], message["more_body"]
        self.scopes.append(scope)
        self.bodies.append(body)
        await self.gate.wait()
        await send_content(Content(self.answer, ()), send)

    def protocol(self) -> LimitedProtocol:
        """Return the protocol of a new connection."""
        return LimitedProtocol(self._config, self._state, {}, asyncio.get_running_loop())

    @asynccontextmanager
    async def client(self, content: bytes = b"", **options: Any) -> AsyncIterator[Client]:
        """Connect for a `with` block, and send something."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        try:
            writer.write(content)
            yield Client(reader, writer)
        finally:
            writer.transport.abort()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def rest(self, within_s: float = 60.0) -> bytes:
        """Return all that comes until the server closes."""
        try:
            return await asyncio.wait_for(self.reader.read(), within_s)
        except ConnectionResetError:
            return b"reset"

    async def answers(self, n: int, within_s: float = 60.0) -> bytes:
        """Return what comes until so many answers are there."""
        content = b""
        async with asyncio.timeout(within_s):
            while content.count(b"HTTP/1.1 ") < n or not content.endswith(b"ok"):
                piece = await self.reader.read(65536)
                assert piece, content
                content += piece
        return content


def with_server(
    act: Callable[[LimitedServer], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
    **limits: Any,
) -> LimitedServer:
    """Run a server with these limits while `act` does something with it."""

    async def run() -> LimitedServer:
        server = LimitedServer(ConnectionLimits(**{"connections": 50, "look_every_s": 0.02, **limits}))
        with socket.create_server(("127.0.0.1", 0)) as sock:
            server.port = sock.getsockname()[1]
            listening: TlsListener | asyncio.Server = (
                TlsListener(sock, tls, server.connections, server.protocol)
                if tls
                else await asyncio.get_running_loop().create_server(server.protocol, sock=sock)
            )
            try:
                await act(server)
            finally:
                listening.close()
                for connection in server.connections:
                    connection.abort()
                await eventually(server.connections.is_empty)
                await asyncio.sleep(0.01)
        return server

    with asyncio.Runner(loop_factory=LOOP) as runner:
        return runner.run(run())


async def eventually(is_so: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.01)
