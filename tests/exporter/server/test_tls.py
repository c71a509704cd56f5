"""TLS: what it is served by, and handshakes that are not finished."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from exporter.server.tls import tls_context
from otel_measure.errors import ConfigurationError
from tests.exporter.server.serving_limited import LimitedServer, eventually, with_server

GET = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
FAILED = ["a TLS handshake failed or took too long (logged at most once a minute)"]


def trusting(certificate: Path) -> ssl.SSLContext:
    """Return what a client that trusts the certificate shakes hands by."""
    return ssl.create_default_context(cafile=str(certificate))


def test_requests_over_tls(certificate: tuple[Path, Path]) -> None:
    """A request over TLS is answered as one of the scheme https, pipelined or not."""

    async def act(server: LimitedServer) -> None:
        options = {"ssl": trusting(certificate[0]), "server_hostname": "localhost"}
        async with server.client(GET % 1 + GET % 2, **options) as client:
            await client.answers(2)
            client.writer.write(GET % 3)
            await client.answers(1)

    server = with_server(act, tls_context(*certificate))
    assert [(scope["scheme"], scope["path"], scope["client"][0]) for scope in server.scopes] == [
        ("https", f"/{n}", "127.0.0.1") for n in (1, 2, 3)
    ]
    assert server.log == []


@pytest.mark.parametrize("content", [b"", b"\x16\x03\x01"])
def test_a_handshake_that_is_not_finished(certificate: tuple[Path, Path], content: bytes) -> None:
    """Who does not shake hands in time is cut off."""

    async def act(server: LimitedServer) -> None:
        async with server.client(content) as client:
            await eventually(lambda: len(list(server.connections)) == 1)
            assert await client.rest() in (b"", b"reset")
        await eventually(server.connections.is_empty)

    assert with_server(act, tls_context(*certificate), handshake_s=0.3).log == FAILED


def test_plain_http_where_tls_is_spoken(certificate: tuple[Path, Path]) -> None:
    """What is no handshake is cut off at once, and counted."""

    async def act(server: LimitedServer) -> None:
        async with server.client(GET % 1) as client:
            assert b"200" not in await client.rest()
        await eventually(server.connections.is_empty)

    assert with_server(act, tls_context(*certificate)).log == FAILED


def test_handshakes_make_room(certificate: tuple[Path, Path]) -> None:
    """Connections that shake hands are counted, and make room for others."""

    async def act(server: LimitedServer) -> None:
        async with server.client() as first:
            await eventually(lambda: len(list(server.connections)) == 1)
            async with server.client():
                await asyncio.sleep(0.05)
                options = {"ssl": trusting(certificate[0]), "server_hostname": "localhost"}
                async with server.client(GET % 1, **options) as client:
                    await client.answers(1)
                    assert await first.rest() in (b"", b"reset")

    with_server(act, tls_context(*certificate), connections=2)


def test_a_large_answer_over_tls(certificate: tuple[Path, Path]) -> None:
    """An answer larger than any buffer arrives as a whole, and one that is not read is cut off."""

    async def act(server: LimitedServer) -> None:
        server.answer = b"x" * 20_000_000
        options = {"ssl": trusting(certificate[0]), "server_hostname": "localhost"}
        async with server.client(GET % 1, **options) as client:
            n = 0
            while n < 20_000_000:
                n += len(await client.reader.read(1_000_000))
        async with server.client(GET % 2, **options) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await eventually(lambda: server.log != [])

    assert with_server(act, tls_context(*certificate), unread_s=0.5).log == [
        "a connection was closed: its answer was not read (logged at most once a minute)"
    ]


def test_a_certificate_that_is_none(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """Files that hold no certificate and key are refused by their names."""
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for files in ((empty, certificate[1]), (certificate[0], empty), (certificate[0], None)):
        with pytest.raises(ConfigurationError, match="not a certificate and its key in PEM"):
            tls_context(*files)
