"""TLS: the certificate of `serve`, and handshakes that count as connections and have their time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from exporter.server.connections import Connections, Phase
from exporter.server.protocol import LimitedProtocol
from otel_measure.errors import ConfigurationError

NO_HANDSHAKE: Final = "a TLS handshake failed or took too long"
_CLOSE_S: Final = 5.0
_ACCEPT_AGAIN_S: Final = 0.1


class PemFiles(NamedTuple):
    """The certificate of a server, those of its issuers after it, and its key, where that is not in the same file."""

    certificate: Path
    key: Path | None

    def read(self) -> tuple[bytes, bytes]:
        """Return what the files hold: certificate and key."""
        return self.certificate.read_bytes(), (self.key or self.certificate).read_bytes()


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


class TlsListener:
    """Accepts connections, shakes hands, and leaves what is said behind that to HTTP.

    The event loop could accept by itself, and would tell of no connection before its handshake is done.

    Args:
        sock: listens.
        context: the certificate.
        shared: all connections of the server.
        http: makes the protocol of a connection.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, shared: Connections, http: Callable[[], LimitedProtocol]
    ) -> None:
        self._sock = sock
        self._context = context
        self._shared = shared
        self._http = http
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)
        self._task = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more."""
        self._task.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(self._sock)
            except OSError:  # it has gone already, or no file can be opened for a moment
                await asyncio.sleep(_ACCEPT_AGAIN_S)
                continue
            http = self._http()
            if self._shared.admit(http, Phase.HANDSHAKE, self._loop):
                http.handshake = self._loop.create_task(self._shake_hands(client, http))
            else:
                client.close()

    async def _shake_hands(self, client: socket.socket, http: LimitedProtocol) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: http,
                client,
                ssl=self._context,
                ssl_handshake_timeout=self._shared.limits.handshake_s,
                ssl_shutdown_timeout=_CLOSE_S,
            )
        except OSError:  # what ssl raises is one as well, and a time-out
            self._shared.refusals.note(NO_HANDSHAKE)
        finally:
            if http.phase is Phase.HANDSHAKE:
                self._shared.left(http)
