"""TLS: the certificate of `serve`, and handshakes that count as connections and have their time."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from uvicorn.server import ServerState

from exporter.server.config import ServerConfig
from exporter.server.connections import Phase
from exporter.server.protocol import LimitedProtocol
from otel_measure.errors import ConfigurationError

NO_HANDSHAKE: Final = "a TLS handshake failed or took too long"
_CLOSE_S: Final = 5.0


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return what a server with this certificate shakes hands by: TLS 1.2 or newer.

    Args:
        certificate: a PEM file, those of the issuers after its own.
        key: a PEM file; `None` where it stands in the same file.

    Raises:
        ConfigurationError: the files do not hold a certificate and its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a callable, OpenSSL would ask at the terminal for the password of a key that has one.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{certificate} and {key or 'the same file'} are not a certificate and its key in PEM: {error}; "
            "a key with a password has to be decrypted first (openssl pkey)"
        ) from None
    return context


class TlsDoor(asyncio.Protocol):
    """Shakes hands with one client, and leaves the connection to HTTP.

    Args:
        config, server_state, app_state, _loop: as uvicorn gives them.

    Raises:
        ConfigurationError: the server has no certificate.
    """

    def __init__(
        self,
        config: ServerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if config.tls is None:
            raise ConfigurationError("TLS needs a certificate: --ssl-certfile FILE")
        self.phase = Phase.ANSWER
        self.held_bytes = 0
        self.body_bytes = 0
        self._context = config.tls
        self._shared = config.connections
        self._loop = _loop or asyncio.get_running_loop()
        self._http = partial(LimitedProtocol, config, server_state, app_state, _loop)
        self._early: list[bytes] = []
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, where there is room."""
        self._raw = cast("asyncio.Transport", transport)
        self._since_s = self._loop.time()
        if self._shared.admit(self, Phase.HANDSHAKE, self._loop):
            self._raw.pause_reading()  # the handshake reads by itself
            self._handshake = self._loop.create_task(self._shake_hands())
        else:
            self.abort()

    async def _shake_hands(self) -> None:
        handshake_s = self._shared.limits.handshake_s
        try:
            tls = await self._loop.start_tls(
                self._raw,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=handshake_s,
                ssl_shutdown_timeout=_CLOSE_S,
            )
        except OSError:  # what ssl raises is one as well, and a time-out
            self._shared.refusals.note(NO_HANDSHAKE)
            tls = None
        self._shared.left(self)
        if tls is None or self._is_lost:
            self.abort()
            return
        http = self._http()
        tls.set_protocol(http)
        http.connection_made(tls)
        for data in self._early:
            http.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Keep what a client sends together with the last of the handshake."""
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client is gone."""
        self._is_lost = True

    def look(self, now_s: float) -> None:
        """Close when the handshake takes too long; also where nothing of it came, and the loop's own timer waits."""
        if now_s - self._since_s > self._shared.limits.handshake_s + 1:
            self.abort()

    def unread(self) -> int:
        """Return 0: nothing is answered yet."""
        return 0

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()
