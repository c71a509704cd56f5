"""Whether `serve` takes OTLP over gRPC beside HTTP, and where."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp

from exporter.cli import ports
from exporter.server.tls import PemFiles
from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError

if TYPE_CHECKING:
    from exporter.grpc import GrpcServer

PORT: Final = 4317
"""Where senders of OTLP over gRPC look for a receiver."""
INSTALL: Final = "pip install 'otel-measure[grpc]'"


def is_installed() -> bool:
    """Tell whether gRPC is installed; it is not imported."""
    return find_spec("grpc") is not None


def wanted_port(settings: Settings) -> int:
    """Return the port of gRPC: the one that is set, else 4317, and a free one beside a free one of HTTP."""
    if settings.grpc_port is not None:
        return settings.grpc_port
    return PORT if settings.port else 0


class GrpcListener:
    """Takes OTLP over gRPC for an application while its server runs.

    Args:
        host, port: where; port 0 takes a free one.
        pem: certificate and key; `None` for no TLS.
        do_without: told why nobody is listened to, where the port is one that nobody asked for; `None` raises instead.

    Attributes:
        address: host and port, once it listens.
    """

    def __init__(
        self, host: str, port: int, pem: PemFiles | None = None, do_without: Callable[[str], None] | None = None
    ) -> None:
        self._do_without = do_without
        self._host = f"[{host}]" if ":" in host else host
        self._port = port
        self._pem = pem
        self._server: GrpcServer | None = None
        self.address: str | None = None

    async def start(self, app: ASGIApp) -> None:
        """Listen, or do without.

        Raises:
            CannotListen: somebody was faster, and the port was asked for.
        """
        from exporter.grpc import CannotServe, GrpcServer, credentials

        server = GrpcServer(app, None if self._pem is None else credentials(self._pem.read()))
        try:
            port = await server.start(f"{self._host}:{self._port}")
        except CannotServe:
            refusal = f"port {self._port} on {self._host} was taken just now; try again, or another with --grpc-port"
            if self._do_without is None:
                raise ports.CannotListen(refusal) from None
            self._do_without(f"OTLP over gRPC is not served: {refusal}")
            return
        self._server = server
        self.address = f"{self._host}:{port}"

    async def stop(self, grace_s: float) -> None:
        """Take no more, and let what came be answered for a while."""
        if self._server is not None:
            await self._server.stop(grace_s)


def listener(settings: Settings, pem: PemFiles | None, warn: Callable[[str], None]) -> GrpcListener | None:
    """Return what will listen; `None` without the extra, and where the port that nobody asked for is taken.

    Raises:
        CannotListen: the port that is set is taken.
        ConfigurationError: a port is set, and the extra is not installed.
    """
    if not is_installed():
        if settings.grpc_port is not None:
            raise ConfigurationError(f"grpc_port is set, and gRPC is not installed: {INSTALL}")
        return None
    port = wanted_port(settings)
    try:
        if port:
            ports.listen(settings.host, port, option="--grpc-port").close()
    except ports.CannotListen as error:
        if settings.grpc_port is not None:
            raise
        warn(f"OTLP over gRPC is not served: {error}")
        return None
    return GrpcListener(settings.host, port, pem, None if settings.grpc_port is not None else warn)
