"""How our server is configured, whose every option is said by name: `auto` would choose a protocol without limits."""

from __future__ import annotations

import asyncio
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from exporter.server.connections import Connections

DRAIN_S: Final = 3  # how long requests may finish once the server is told to stop


class ServerConfig(uvicorn.Config):
    """What uvicorn is told, and what its protocol needs beside.

    Args:
        app: the application.
        http: the protocol of a new connection.
        connections: all connections of the server.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        http: type[asyncio.Protocol],
        connections: Connections,
    ) -> None:
        super().__init__(
            app,
            http=http,
            interface="asgi3",
            log_level="warning",
            access_log=False,
            server_header=False,
            # Who may ask is decided by who really connects, not by what a header says.
            proxy_headers=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=DRAIN_S,
        )
        self.application = app
        self.connections = connections
