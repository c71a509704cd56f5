"""Attacks by whoever has the write token: bodies that are small and grow, large, or slow."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from tests.chaos.asking import status_of
from tests.chaos.connecting import connections
from tests.chaos.victim import WRITE_TOKEN, Victim

_MIB = 1024 * 1024
LARGEST = 16 * _MIB


def post(path: str, body: bytes, content_type: str = "application/x-protobuf", *, gzipped: bool = False) -> bytes:
    """Return a request with a body."""
    encoding = "Content-Encoding: gzip\r\n" if gzipped else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {WRITE_TOKEN}\r\nConnection: close\r\n"
        f"Content-Type: {content_type}\r\n{encoding}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def at_once(server: Victim, requests: list[bytes], timeout_s: float = 120.0) -> list[int]:
    """Send requests at the same time, each by a connection of its own; return the statuses of their answers."""
    statuses = [0] * len(requests)

    def ask(i: int) -> None:
        with suppress(OSError):
            statuses[i] = status_of(server.ask(requests[i], timeout_s))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def varint(n: int) -> bytes:
    """Return a number as protobuf writes it."""
    found = bytearray()
    while n > 127:
        found.append(n & 127 | 128)
        n >>= 7
    return bytes([*found, n])


def field(number: int, content: bytes) -> bytes:
    """Return a field of protobuf that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def _grown(content: bytes, size: int = LARGEST) -> bytes:
    """Return a body that is this content again and again, and grows a thousandfold."""
    return gzip.compress(content * (size // len(content)), 9)


def empty_resources() -> bytes:
    """Return a body of millions of empty `ResourceLogs`."""
    return _grown(field(1, b""))


def empty_scopes() -> bytes:
    """Return a body of one `ResourceLogs` with millions of empty `ScopeLogs`."""
    return gzip.compress(field(1, field(2, b"") * (LARGEST // 2 - 8)), 9)


def empty_records() -> bytes:
    """Return a body of one `ScopeLogs` with millions of empty log records."""
    return gzip.compress(field(1, field(2, field(2, b"") * (LARGEST // 2 - 16))), 9)


def empty_attributes() -> bytes:
    """Return a body of one log record with millions of empty attributes."""
    return gzip.compress(field(1, field(2, field(2, field(6, b"") * (LARGEST // 2 - 16)))), 9)


def empty_attributes_of_a_resource() -> bytes:
    """Return a body of a resource with millions of empty attributes."""
    return gzip.compress(field(1, field(1, field(1, b"") * (LARGEST // 2 - 16))), 9)


def unknown_fields() -> bytes:
    """Return a body of millions of fields that are not known."""
    return _grown(field(15, b""))


def json_lists() -> bytes:
    """Return a body of millions of empty objects in JSON."""
    return gzip.compress(b'{"resourceLogs":[' + b"{}," * (LARGEST // 3 - 10) + b"{}]}", 9)


def json_numbers() -> bytes:
    """Return a body of a list of millions of numbers in JSON."""
    return gzip.compress(b'{"resourceLogs":[' + b"0," * (LARGEST // 2 - 10) + b"0]}", 9)


def json_unknown() -> bytes:
    """Return a body of millions of keys that are not known in JSON."""
    return gzip.compress(b'{"x":[' + b'["ab"],' * (LARGEST // 7 - 10) + b"0]}", 9)


def json_nested() -> bytes:
    """Return a body that is nested a million deep."""
    return gzip.compress(b'{"resourceLogs":' + b"[" * _MIB + b"]" * _MIB + b"}", 9)


def json_attributes() -> bytes:
    """Return a body of one log record with millions of attributes in JSON."""
    start = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":['
    return gzip.compress(start + b"{}," * (LARGEST // 3 - 100) + b"{}]}]}]}]}", 9)


def _eight(body: Callable[[], bytes], content_type: str) -> Callable[[Victim, int], None]:
    def attack(server: Victim, scale: int) -> None:
        request = post("/v1/logs", body(), content_type, gzipped=True)
        for _ in range(scale):
            at_once(server, [request] * 8)

    attack.__doc__ = body.__doc__
    return attack


GROWING: dict[str, Callable[[Victim, int], None]] = {
    f"eight bodies of {make.__name__}": _eight(make, "application/x-protobuf")
    for make in (
        *(empty_resources, empty_scopes, empty_records, empty_attributes, empty_attributes_of_a_resource),
        unknown_fields,
    )
} | {
    f"eight bodies of {make.__name__}": _eight(make, "application/json")
    for make in (json_lists, json_numbers, json_unknown, json_nested, json_attributes)
}


def plain_empty_records(server: Victim, scale: int) -> None:
    """Eight bodies of 16 MiB, not compressed, of 100,000 log records each with attributes that say nothing."""
    record = field(2, field(6, field(1, b"a")) * 10)
    body = field(1, field(2, record * (LARGEST // len(record) - 100)))
    for _ in range(scale):
        at_once(server, [post("/v1/logs", body)] * 8)


def unfinished(server: Victim, scale: int) -> None:
    """60 bodies of 16 MiB that lack their last bytes."""
    head = post("/v1/logs", b"")[: -len("0\r\n\r\n")] + b"%d\r\n\r\n" % LARGEST
    body = b"\0" * (LARGEST - 100)
    with connections(server, 60) as sockets:
        threads = [threading.Thread(target=_send, args=(sock, head + body)) for sock in sockets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        time.sleep(2 * scale)
    for thread in threads:
        thread.join()


def slow(server: Victim, scale: int) -> None:
    """600 bodies that never come."""
    head = post("/v1/logs", b"")[: -len("0\r\n\r\n")] + b"1000\r\n\r\n"
    with connections(server, 600) as sockets:
        for _ in range(4 * scale):
            for sock in sockets:
                with suppress(OSError):
                    sock.send(head)
            head = b"\0"
            time.sleep(0.5)


def _send(sock: object, content: bytes) -> None:
    with suppress(OSError):
        sock.settimeout(8)  # type: ignore[attr-defined]
        sock.sendall(content)  # type: ignore[attr-defined]
