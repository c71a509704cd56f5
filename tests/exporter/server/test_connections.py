"""All connections of a server: who is let in, and who makes room."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

import pytest

from exporter.server import limits
from exporter.server.connections import Phase
from exporter.server.limits import ConnectionLimits
from tests.exporter.server.serving_limited import Client, LimitedServer, eventually, with_server

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def waiting(server: LimitedServer, stack: AsyncExitStack, n: int, content: bytes = b"") -> list[Client]:
    """Open connections one after another."""
    opened = []
    for _ in range(n):
        opened.append(await stack.enter_async_context(server.client(content)))
        await eventually(lambda: len(list(server.connections)) >= min(len(opened), 5))
        await asyncio.sleep(0.01)
    return opened


def test_the_one_idle_longest_makes_room() -> None:
    """Where no more may be open, a new connection takes the place of the one that waits longest without a request."""

    async def act(server: LimitedServer) -> None:
        async with AsyncExitStack() as stack:
            first, second, *others = await waiting(server, stack, 5)
            second.writer.write(GET)  # who has just asked is not the one idle longest
            await second.answers(1)
            new, newer = await waiting(server, stack, 2)
            assert (await first.rest(), await others[0].rest()) == (b"", b"")
            for client in (second, *others[1:], new, newer):
                client.writer.write(GET)
                assert b" 200 " in await client.answers(1)

    assert with_server(act, connections=5).log == [
        "a connection that waited longest without a request was closed to make room for another one"
        " (logged at most once a minute)"
    ]


def test_who_sends_a_body_goes_after_who_says_nothing() -> None:
    """A body that has not arrived makes room too, once nobody is left that asks nothing."""

    async def act(server: LimitedServer) -> None:
        async with AsyncExitStack() as stack:
            slow = await waiting(server, stack, 4, b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")
            (idle,) = await waiting(server, stack, 1)
            await waiting(server, stack, 1, b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")
            assert await idle.rest() == b""
            await waiting(server, stack, 1)
            assert await slow[0].rest() == b""
            slow[1].writer.write(b"hello")
            assert b" 200 " in await slow[1].answers(1)

    with_server(act, connections=5)


def test_who_is_being_answered_stays() -> None:
    """Where all are being answered, a new connection is refused with the advice to try again."""

    async def act(server: LimitedServer) -> None:
        server.gate.clear()
        async with AsyncExitStack() as stack:
            clients = await waiting(server, stack, 5, GET)
            await eventually(lambda: len(server.scopes) == 5)
            async with server.client() as late:
                answer = await late.rest()
            assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"\r\nretry-after: 1\r\n" in answer
            server.gate.set()
            for client in clients:
                assert b" 200 " in await client.answers(1)

    assert with_server(act, connections=5).log == [
        "a connection was refused: all are answered or too many are open (logged at most once a minute)"
    ]


def test_heads_together() -> None:
    """Over the bytes that all unfinished heads may have, the largest goes."""

    async def act(server: LimitedServer) -> None:
        start = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        async with AsyncExitStack() as stack:
            small, large = await waiting(server, stack, 2, start)
            small.writer.write(b"a: %s\r\n" % (b"b" * 20_000))
            large.writer.write(b"a: %s\r\n" % (b"b" * 50_000))
            assert await large.rest() in (b"", b"reset")
            small.writer.write(b"\r\n")
            assert b" 200 " in await small.answers(1)
        await eventually(server.connections.is_empty)

    assert with_server(act, held_bytes=60_000).log == [
        "a connection was closed: heads and waiting requests of all together took too much memory"
        " (logged at most once a minute)"
    ]


def test_nothing_stays_counted() -> None:
    """What connections held and sent is forgotten with them, however they end."""

    async def act(server: LimitedServer) -> None:
        contents = [
            b"GET / HTTP/1.1\r\na: " + b"b" * 20_000,
            b"POST / HTTP/1.1\r\nContent-Length: 90000\r\n\r\n" + b"x" * 50_000,
            GET * 5000,
            b"POST /unread HTTP/1.1\r\nContent-Length: 90000\r\n\r\n" + b"x" * 50_000,
            b"GET / HTTP/1.1\r\na: " + b"b" * 80_000,
            b"nonsense\r\n\r\n",
        ]
        async with AsyncExitStack() as stack:
            for content in contents:
                await waiting(server, stack, 1, content)
            await asyncio.sleep(0.1)
        await eventually(server.connections.is_empty)
        connections = server.connections
        assert (connections._held_bytes, connections._body_bytes) == (0, 0)
        assert [phase for phase in Phase if connections._turns.get(phase)] == []

    with_server(act)


@pytest.mark.parametrize(("files", "connections"), [(1024, 512), (20, 16), (20_000, 4096), (sys.maxsize, 4096)])
def test_half_the_descriptors(monkeypatch: pytest.MonkeyPatch, files: int, connections: int) -> None:
    """Connections may take half the descriptors of the process, up to what memory allows."""
    monkeypatch.setattr(limits, "open_files", lambda: files)
    assert ConnectionLimits.of_this_process() == ConnectionLimits(connections=connections)


def test_open_files() -> None:
    """How many files may be open is what the operating system says."""
    resource = pytest.importorskip("resource")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert limits.open_files() == (sys.maxsize if soft == resource.RLIM_INFINITY else soft)
