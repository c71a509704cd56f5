"""What one connection may cost, and in which order its requests are answered."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import Any

import pytest

from exporter.server.protocol import LimitedProtocol
from tests.exporter.server.serving_limited import LimitedServer, eventually, with_server

GET = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
REFUSED = b"\r\nconnection: close\r\n"


def statuses(answers: bytes) -> list[int]:
    """Return the statuses of answers."""
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def refused(content: bytes, status: int, message: str, **limits: Any) -> list[str]:
    """Send something, assert what it is answered, and return what was logged."""

    async def act(server: LimitedServer) -> None:
        async with server.client(content) as client:
            answer = await client.rest()
        assert statuses(answer) == [status], answer
        assert REFUSED in answer
        assert answer.endswith(b'{"status":"error","message":"' + message.encode() + b'"}')

    server = with_server(act, **limits)
    assert server.scopes == []
    return server.log


def test_a_head_that_is_too_large() -> None:
    """A head of more bytes than are granted is answered 431 before its end, whether it is one line or many."""
    message = "request line and headers must have at most 64 KiB"
    log = ["a request was refused: its head is too large (logged at most once a minute)"]
    start = b"GET / HTTP/1.1\r\n"
    assert refused(start + b"a: " + b"b" * 70_000, 431, message) == log
    assert refused(start + b"a: %s\r\n" % (b"b" * 1000) * 70, 431, message) == log
    assert refused(b"\r\n" * 40_000, 431, message) == log
    assert refused(b"GET /" + b"x" * 66_000, 431, message) == log


def test_a_sender_of_grpc_is_told_where_to_send() -> None:
    """A client that speaks HTTP/2 from its first byte on, as gRPC does, is refused with the remedy, also in the log."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    message = "this port speaks HTTP/1.1: send OTLP/HTTP here, and OTLP over gRPC to port 4317"
    assert refused(preface, 400, message) == [
        "a request was refused: it is HTTP/2, as senders of OTLP over gRPC speak: let them send OTLP/HTTP"
        " (OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf), or send to port 4317 of a server with otel-measure[grpc]"
        " (logged at most once a minute)"
    ]


def test_a_head_with_too_many_lines() -> None:
    """100 header lines are let pass, 101 are answered 431."""

    async def act(server: LimitedServer) -> None:
        async with server.client(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100 + b"\r\n") as client:
            assert statuses(await client.answers(1)) == [200]

    assert len(with_server(act).scopes[0]["headers"]) == 100
    lines = b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n"
    assert refused(lines, 431, "a request must have at most 100 header lines") == [
        "a request was refused: it has too many header lines (logged at most once a minute)"
    ]


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nHo", b"G", b"\r\n"])
def test_a_head_that_is_too_slow(start: bytes) -> None:
    """A head that is not complete in time is answered 408."""
    # Time enough to read what there is: bytes that nobody has read when a connection is closed take the answer along.
    assert refused(start, 408, "request line and headers must arrive within 10 s", head_s=1.0) == [
        "a request was refused: its head came too slowly (logged at most once a minute)"
    ]


def test_a_second_head_that_is_too_slow() -> None:
    """The time of a later head begins with its first byte; bytes that trickle do not prolong it."""

    async def act(server: LimitedServer) -> None:
        async with server.client(GET % 1) as client:
            await client.answers(1)
            for byte in b"GET /abcdefghijklmnopqrstuvwxyz"[:12]:
                client.writer.write(bytes([byte]))
                await asyncio.sleep(0.1)
            assert statuses(await client.rest()) == [408]

    with_server(act, head_s=0.5)


def test_a_client_that_says_nothing() -> None:
    """A connection on which no request begins is closed without an answer."""

    async def act(server: LimitedServer) -> None:
        async with server.client() as client:
            assert await client.rest() == b""

    assert with_server(act, head_s=0.2).log == []


@pytest.mark.parametrize(
    "content",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\nHost: a\n\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
     b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
     # Two readers of one of these may see two different bodies, and a second request in one of them.
     b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
     b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
     b"POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
     b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", b"GET /\0 HTTP/1.1\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_request(content: bytes) -> None:
    """What is not HTTP/1.1 is answered 400 and the connection closed."""
    assert refused(content, 400, "the request is not valid HTTP/1.1") == [
        "a request was refused: it is not valid HTTP/1.1 (logged at most once a minute)"
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 41, 10_000])
def test_requests_in_a_row(size: int) -> None:
    """Pipelined requests are answered one by one in their order, however the bytes of them are cut."""
    plain = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nab\r\n\r"
    chunked = (
        b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n2\r\nxy\r\n0\r\nTrail: er\r\n\r\n"
    )
    content = (GET % 1 + plain + GET % 2 + chunked + GET % 3) * 3

    async def act(server: LimitedServer) -> None:
        async with server.client() as client:
            for at in range(0, len(content), size):
                client.writer.write(content[at : at + size])
                await asyncio.sleep(0)
            assert statuses(await client.answers(15)) == [200] * 15

    server = with_server(act)
    assert [scope["path"] for scope in server.scopes] == ["/1", "/a", "/2", "/b", "/3"] * 3
    assert server.bodies == [b"", b"ab\r\n\r", b"", b"\r\n\r\nxy", b""] * 3
    assert all(name != b"trail" for scope in server.scopes for name, _ in scope["headers"])


def test_pipelined_requests_wait_unparsed() -> None:
    """While one is answered nothing behind it is parsed, and no more is read than one piece."""

    async def act(server: LimitedServer) -> None:
        server.gate.clear()
        async with server.client() as client:
            client.writer.write(b"".join(GET % n for n in range(200_000)))
            await eventually(lambda: len(server.scopes) == 1)
            await asyncio.sleep(0.2)
            assert len(server.scopes) == 1
            assert 0 < max(each.held_bytes for each in server.connections) < 1024 * 1024
            server.gate.set()
            await eventually(lambda: len(server.scopes) > 1000)
        assert [scope["path"] for scope in server.scopes] == [f"/{n}" for n in range(len(server.scopes))]

    with_server(act)


def test_trailers_without_end() -> None:
    """Lines behind a body in chunks are no headers, and end the connection when they do not end."""

    async def act(server: LimitedServer) -> None:
        async with server.client(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n") as client:
            client.writer.write(b"a: b\r\n" * 20_000)
            assert statuses(await client.rest()) == [400]

    server = with_server(act)
    assert server.scopes == []


def test_the_host_of_the_target() -> None:
    """The host of a target in absolute form is that of the request, whatever the Host header says."""
    targets = {
        b"http://evil:81/x": b"evil:81",
        b"http://localhost@evil/x": b"evil",
        b"http://[::1]:5000/x": b"[::1]:5000",
        b"/x": b"localhost",
    }

    async def act(server: LimitedServer) -> None:
        for target in targets:
            async with server.client(b"GET %s HTTP/1.1\r\nHost: localhost\r\nA: b\r\n\r\n" % target) as client:
                assert statuses(await client.answers(1)) == [200]

    server = with_server(act)
    assert [[v for n, v in scope["headers"] if n == b"host"] for scope in server.scopes] == [
        [host] for host in targets.values()
    ]
    assert {scope["path"] for scope in server.scopes} == {"/x"}


def test_another_protocol() -> None:
    """Who asks for another protocol is answered as if he had not, and the connection is closed."""

    async def act(server: LimitedServer) -> None:
        head = b"GET /%d HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        async with server.client(head % 1 + b"\x81\x05hello") as client:
            answer = await client.rest()
        assert statuses(answer) == [200]
        assert b"connection: close" in answer

    assert with_server(act).log == []


def test_bodies_together() -> None:
    """Over the bytes that all bodies may have a large one is answered 503 to try again, and a small one is taken."""

    async def act(server: LimitedServer) -> None:
        start = b"POST /%d HTTP/1.1\r\nContent-Length: 90000\r\n\r\n"
        async with server.client(start % 1 + b"x" * 80_000), server.client(start % 2) as second:
            await eventually(lambda: any(each.body_bytes == 80_000 for each in server.connections))
            second.writer.write(b"x" * 30_000)
            answer = await second.rest()
            assert statuses(answer) == [503]
            assert b"\r\nretry-after: 1\r\n" in answer
            async with server.client(b"POST /3 HTTP/1.1\r\nContent-Length: 10000\r\n\r\n" + b"x" * 10_000) as small:
                assert statuses(await small.answers(1)) == [200]
        async with server.client(start % 4 + b"x" * 90_000) as last:
            assert statuses(await last.answers(1)) == [200]

    assert with_server(act, body_bytes=100_000).log == [
        "a request was refused: too many bodies are being taken in (logged at most once a minute)"
    ]


def test_a_body_that_never_comes() -> None:
    """A request whose body does not arrive in time is answered 408."""
    head = b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n"
    for content in (head, head + b"12345"):
        log = refused(content, 408, "the body must arrive within 30 s", body_s=0.2)
        assert log == ["a request was refused: its body came too slowly (logged at most once a minute)"]


def test_the_rest_of_a_body_that_is_answered() -> None:
    """What comes after an early answer is let pass, and a request behind it is answered; not for ever."""

    async def act(server: LimitedServer) -> None:
        start = b"POST /unread HTTP/1.1\r\nContent-Length: 300000\r\n\r\n"
        async with server.client(start + b"x" * 100_000) as client:
            await client.answers(1)
            client.writer.write(b"x" * 200_000 + GET % 2)
            assert statuses(await client.answers(1)) == [200]
        async with server.client(start) as client:
            await client.answers(1)
            for _ in range(100):
                if server.connections.is_empty() or client.writer.transport.is_closing():
                    break
                client.writer.write(b"x")
                await asyncio.sleep(0.05)
            assert await client.rest() in (b"", b"reset")

    assert [scope["path"] for scope in with_server(act, drain_s=0.3).scopes] == ["/unread", "/2", "/unread"]


def test_a_client_that_is_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """Who resets the connection in the middle of an answer, with another request behind it, is no error in the log."""

    async def act(server: LimitedServer) -> None:
        server.answer = b"x" * 20_000_000
        first, second = GET % 1, GET % 2
        async with server.client(first[:-4]) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await eventually(lambda: any(each._head_bytes for each in protocols(server)))
            client.writer.write(first[-4:] + second)  # which are parsed together
            await eventually(lambda: any(each.unread() for each in protocols(server)))
            sock = client.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await eventually(server.connections.is_empty)
        await asyncio.sleep(0)

    uvicorn = logging.getLogger("uvicorn.error")  # it tells no logger above it
    uvicorn.addHandler(caplog.handler)
    try:
        server = with_server(act)
    finally:
        uvicorn.removeHandler(caplog.handler)
    assert [scope["path"] for scope in server.scopes] == ["/1"]
    assert (server.log, caplog.messages) == ([], [])


def protocols(server: LimitedServer) -> list[LimitedProtocol]:
    """Return the protocols of the connections that are open."""
    return [each for each in server.connections if isinstance(each, LimitedProtocol)]


def test_an_answer_that_is_not_read() -> None:
    """A connection whose answer is not read is cut off."""

    async def act(server: LimitedServer) -> None:
        server.answer = b"x" * 50_000_000
        async with server.client(GET % 1) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await eventually(lambda: server.log != [])
            await eventually(server.connections.is_empty)

    assert with_server(act, unread_s=0.3).log == [
        "a connection was closed: its answer was not read (logged at most once a minute)"
    ]


def test_answers_that_are_not_read_take_too_much() -> None:
    """Over the bytes that all unread answers may have, those with most are cut off; the last one is left alone."""

    async def act(server: LimitedServer) -> None:
        server.answer = b"x" * 20_000_000
        async with server.client(GET % 1) as one, server.client(GET % 2) as other:
            for client in (one, other):
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await eventually(lambda: server.log != [])
            await asyncio.sleep(0.6)
            assert len(list(server.connections)) == 1

    with_server(act, unread_bytes=10_000_000)


def test_a_slow_reader_gets_all_of_it() -> None:
    """An answer that is read slowly, but is, arrives as a whole."""
    took_s = 0.0

    async def act(server: LimitedServer) -> None:
        nonlocal took_s
        server.answer = b"x" * 20_000_000
        began_s = asyncio.get_running_loop().time()
        async with server.client(GET % 1) as client:
            n = 0
            while n < 20_000_000:
                piece = await client.reader.read(1_000_000)
                assert piece
                n += len(piece)
                took_s += 0.02  # by the clock of the test: a pause of the machine is not one of the reader
                await asyncio.sleep(0)
                for each in protocols(server):
                    each.look(began_s + took_s)

    assert with_server(act, unread_s=0.4, look_every_s=1000.0).log == []
    assert took_s > 0.8


# ---------------------------------------------------------------- what an attacker has found


def test_chunks_that_are_too_small() -> None:
    """A body in chunks of a byte each is refused after some; each chunk would cost as much as a large one."""

    async def act(server: LimitedServer) -> None:
        for start in (b"POST / HTTP/1.1\r\n", b"POST /unread HTTP/1.1\r\n"):
            async with server.client(start + b"Transfer-Encoding: chunked\r\n\r\n") as client:
                client.writer.write(b"1\r\n0\r\n" * 200_000)
                assert statuses(await client.rest())[-1] == 400
        async with server.client(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        ) as client:
            large = b"200\r\n" + b"x" * 512 + b"\r\n"
            client.writer.write(b"1\r\n0\r\n" * 1000 + large * 10_000 + b"0\r\n\r\n")
            assert statuses(await client.rest()) == [200]
        assert len(server.bodies[-1]) == 5_121_000

    server = with_server(act)
    assert "a request was refused: its chunks are too small (logged at most once a minute)" in server.log


@pytest.mark.parametrize("n", [8191, 8192])
def test_a_target_that_is_too_long(n: int) -> None:
    """Path and query have 8 KiB together: what is made of them costs much more than their bytes."""

    async def act(server: LimitedServer) -> None:
        async with server.client(b"GET /" + b"a" * n + b" HTTP/1.1\r\nConnection: close\r\n\r\n") as client:
            assert statuses(await client.rest()) == [200 if n < 8192 else 414]

    with_server(act)


@pytest.mark.parametrize(
    ("coding", "status"),
    [(b"chunked", 200), (b" \tChunked", 200), (b"gzip, chunked", 501), (b"identity", 501), (b"chunked, identity", 400)],
)
def test_transfer_codings(coding: bytes, status: int) -> None:
    """A coding that is not known is refused, since somebody on the way may know it and see another body."""

    async def act(server: LimitedServer) -> None:
        head = b"POST / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: " + coding
        async with server.client(head + b"\r\n\r\n0\r\n\r\n") as client:
            assert statuses(await client.rest()) == [status]

    with_server(act)
