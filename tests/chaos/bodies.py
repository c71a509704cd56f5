"""Attacks by whoever has the write token: bodies that are small and grow, large, or slow."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from tests.chaos.asking import status_of
from tests.chaos.connecting import connections
from tests.chaos.victim import WRITE_TOKEN, Victim

_MIB = 1024 * 1024
LARGEST = 16 * _MIB
_GROWN = 15 * _MIB


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


def _grown(content: bytes, size: int = _GROWN) -> bytes:
    """Return a body that is this content again and again, and grows a thousandfold."""
    return gzip.compress(content * (size // len(content)), 9)


def empty_resources() -> bytes:
    """Return a body of millions of empty `ResourceLogs`."""
    return _grown(field(1, b""))


def empty_scopes() -> bytes:
    """Return a body of one `ResourceLogs` with millions of empty `ScopeLogs`."""
    return gzip.compress(field(1, field(2, b"") * (_GROWN // 2 - 8)), 9)


def empty_records() -> bytes:
    """Return a body of one `ScopeLogs` with millions of empty log records."""
    return gzip.compress(field(1, field(2, field(2, b"") * (_GROWN // 2 - 16))), 9)


def empty_attributes() -> bytes:
    """Return a body of one log record with millions of empty attributes."""
    return gzip.compress(field(1, field(2, field(2, field(6, b"") * (_GROWN // 2 - 16)))), 9)


def empty_attributes_of_a_resource() -> bytes:
    """Return a body of a resource with millions of empty attributes."""
    return gzip.compress(field(1, field(1, field(1, b"") * (_GROWN // 2 - 16))), 9)


def unknown_fields() -> bytes:
    """Return a body of millions of fields that are not known."""
    return _grown(field(15, b""))


def json_lists() -> bytes:
    """Return a body of millions of empty objects in JSON."""
    return gzip.compress(b'{"resourceLogs":[' + b"{}," * (_GROWN // 3 - 10) + b"{}]}", 9)


def json_numbers() -> bytes:
    """Return a body of a list of millions of numbers in JSON."""
    return gzip.compress(b'{"resourceLogs":[' + b"0," * (_GROWN // 2 - 10) + b"0]}", 9)


def json_unknown() -> bytes:
    """Return a body of millions of keys that are not known in JSON."""
    return gzip.compress(b'{"x":[' + b'["ab"],' * (_GROWN // 7 - 10) + b"0]}", 9)


def json_nested() -> bytes:
    """Return a body that is nested a million deep."""
    return gzip.compress(b'{"resourceLogs":' + b"[" * _MIB + b"]" * _MIB + b"}", 9)


def json_attributes() -> bytes:
    """Return a body of one log record with millions of attributes in JSON."""
    start = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":['
    return gzip.compress(start + b"{}," * (_GROWN // 3 - 100) + b"{}]}]}]}]}", 9)


# Random bytes do not get smaller: with so many beside it a body grows less than 200-fold, and is not refused for that.
_PADDING = 96 * 1024


def padded(body: bytes) -> bytes:
    """Return a compressed body with bytes in a field that is not known, so that it grows some 150-fold."""
    content = gzip.decompress(body)
    if content.startswith(b"{"):
        content = b'{"y":"' + os.urandom(_PADDING).hex().encode() + b'",' + content[1:]
    else:
        content = field(15, os.urandom(_PADDING)) + content
    return gzip.compress(content, 9)


def _attribute(key: bytes, value: bytes) -> bytes:
    return field(6, field(1, key) + field(2, field(1, value)))


def events_alike() -> bytes:
    """Return a body of 90,000 clicks of one user, which are all stored."""
    start = _attribute(b"user.id", b"u") + _attribute(b"otel_measure.event.label", b"x")
    records = b"".join(
        field(2, start + _attribute(b"log.record.uid", b"%d" % n) + field(12, b"otel_measure.click"))
        for n in range(90_000)
    )
    return gzip.compress(field(1, field(2, records)), 9)


def events_of_many() -> bytes:
    """Return a body of 90,000 clicks, each of another user and with another label."""
    records = b"".join(
        field(
            2,
            _attribute(b"user.id", b"u%d" % n) + _attribute(b"otel_measure.event.label", b"x%d" % n)
            + field(12, b"otel_measure.click"),
        )
        for n in range(90_000)
    )  # fmt: skip
    return gzip.compress(field(1, field(2, records)), 9)


def _as_it_is(body: bytes) -> bytes:
    return body


def _eight(
    body: Callable[[], bytes], content_type: str, change: Callable[[bytes], bytes] = _as_it_is
) -> Callable[[Victim, int], None]:
    def attack(server: Victim, scale: int) -> None:
        request = post("/v1/logs", change(body()), content_type, gzipped=True)
        for _ in range(scale):
            at_once(server, [request] * 8)

    attack.__doc__ = body.__doc__
    return attack


_MAKERS: dict[Callable[[], bytes], str] = dict.fromkeys(
    (empty_resources, empty_scopes, empty_records, empty_attributes, empty_attributes_of_a_resource, unknown_fields),
    "application/x-protobuf",
) | dict.fromkeys((json_lists, json_numbers, json_unknown, json_nested, json_attributes), "application/json")
GROWING: dict[str, Callable[[Victim, int], None]] = {
    f"eight bodies of {make.__name__}": _eight(make, content_type) for make, content_type in _MAKERS.items()
}
GROWING_LESS: dict[str, Callable[[Victim, int], None]] = {
    f"eight bodies of {make.__name__}, padded": _eight(make, content_type, padded)
    for make, content_type in _MAKERS.items()
} | {
    f"eight bodies of {make.__name__}": _eight(make, "application/x-protobuf")
    for make in (events_alike, events_of_many)
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
