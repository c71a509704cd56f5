"""Attacks by whoever can connect, without a token: on connections, heads, pipelines, answers that are not read."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.chaos.victim import Victim

_MIB = 1024 * 1024


@contextmanager
def connections(server: Victim, n: int) -> Iterator[list[socket.socket]]:
    """Open so many connections for a `with` block; fewer where the server closes the door."""
    with ExitStack() as stack:
        opened = []
        for _ in range(n):
            with suppress(OSError):
                opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 5)))
        yield opened


def flood(sockets: list[socket.socket], piece: bytes, total_bytes: int, deadline_s: float = 30.0) -> int:
    """Send a piece again and again over all connections, reading nothing; return how many bytes went out."""
    alive = {sock: memoryview(b"") for sock in sockets}
    for sock in alive:
        sock.setblocking(False)
    sent, until_s = 0, time.monotonic() + deadline_s
    while alive and sent < total_bytes and time.monotonic() < until_s:
        _, writable, _ = select.select([], list(alive), [], 2)
        if not writable:
            break  # the server reads no more
        for sock in writable:
            rest = alive[sock] or memoryview(piece)
            try:
                n = sock.send(rest)
            except BlockingIOError:
                continue
            except OSError:
                del alive[sock]
                continue
            sent += n
            alive[sock] = rest[n:]
    return sent


def header_lines(server: Victim, scale: int) -> None:
    """40 MB of header lines that never end."""
    with connections(server, 4) as sockets:
        for sock in sockets:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        flood(sockets, b"a: b\r\n" * 10_000, 40 * _MIB * scale)


def one_header_line(server: Victim, scale: int) -> None:
    """40 MB in one header line."""
    with connections(server, 4) as sockets:
        for sock in sockets:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\na: ")
        flood(sockets, b"b" * _MIB, 40 * _MIB * scale)


def trailers(server: Victim, scale: int) -> None:
    """40 MB of header lines after a body in chunks."""
    with connections(server, 4) as sockets:
        for sock in sockets:
            sock.sendall(b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        flood(sockets, b"a: b\r\n" * 10_000, 40 * _MIB * scale)


def tiny_chunks(server: Victim, scale: int) -> None:
    """16 bodies in chunks of one byte, which are parsed at a tenth of the speed of others."""
    start = b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(4 * scale):
        with connections(server, 16) as sockets:
            for sock in sockets:
                sock.sendall(start)
            flood(sockets, b"1\r\n0\r\n" * 10_000, 32 * _MIB, deadline_s=5)


def many_segments(server: Victim, scale: int) -> None:
    """Paths of 2,000 encoded segments."""
    request = b"GET " + b"/%61" * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connections(server, 16) as sockets:
        flood(sockets, request * 10, 32 * _MIB * scale, deadline_s=5 * scale)


def pipelined(server: Victim, scale: int) -> None:
    """400,000 requests at once, whose answers nobody reads."""
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connections(server, 4) as sockets:
        flood(sockets, request * 10_000, 400_000 * len(request) * scale)
        time.sleep(2)


def idle(server: Victim, scale: int) -> None:
    """1,500 connections that say nothing, where 1,024 files may be open."""
    with connections(server, 1500):
        time.sleep(2 * scale)


def slow_heads(server: Victim, scale: int) -> None:
    """600 connections that send a head byte by byte."""
    with connections(server, 600) as sockets:
        for byte in b"GET / HTTP/1.1"[: 4 * scale]:
            for sock in sockets:
                with suppress(OSError):
                    sock.send(bytes([byte]))
            time.sleep(0.5)


def half_heads(server: Victim, scale: int) -> None:
    """500 connections whose heads of 60 KiB lack their end."""
    line = b"a: " + b"b" * 1000 + b"\r\n"
    with connections(server, 500) as sockets:
        for sock in sockets:
            with suppress(OSError):
                sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line * 60)
        time.sleep(2 * scale)


def unread_answers(server: Victim, scale: int) -> None:
    """300 connections that ask for the description of the API again and again, and read nothing."""
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connections(server, 300) as sockets:
        flood(sockets, request * 200, 300 * 200 * len(request) * scale, deadline_s=5.0 * scale)
        time.sleep(1)


def garbage(server: Victim, scale: int) -> None:
    """20,000 requests that are none."""
    for _ in range(20_000 * scale // 200):
        with connections(server, 200) as sockets:
            for sock in sockets:
                with suppress(OSError):
                    sock.sendall(b"\x16\x03\x01\x02\x00\r\n\r\n")


def upgrades(server: Victim, scale: int) -> None:
    """2,000 requests that want to speak another protocol."""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    for _ in range(2000 * scale // 200):
        with connections(server, 200) as sockets:
            for sock in sockets:
                with suppress(OSError):
                    sock.sendall(request)


def readiness(server: Victim, scale: int) -> None:
    """`/readyz` asked as fast as 32 connections can, for some seconds."""
    request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    until_s = time.monotonic() + 4 * scale
    with connections(server, 32) as sockets:
        for sock in sockets:
            sock.settimeout(5)
        while time.monotonic() < until_s:
            for act in (lambda sock: sock.sendall(request), lambda sock: sock.recv(65536)):
                _each(sockets, act)


def _each(sockets: list[socket.socket], act: Callable[[socket.socket], object]) -> None:
    for sock in sockets:
        with suppress(OSError):
            act(sock)
