"""An honest client: one question by one connection."""

from __future__ import annotations

import socket
import ssl


def question(path: str, token: str = "") -> bytes:
    """Return a request that closes the connection."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: close\r\n\r\n".encode()


def ask(port: int, request: bytes, timeout_s: float = 10.0, trusted: str = "") -> bytes:
    """Return the whole answer of a request that closes the connection; what came of it when it was reset.

    Args:
        port: of this machine.
        request: as it is sent.
        timeout_s: for each step.
        trusted: a file of certificates, "" for plain HTTP.
    """
    answer = bytearray()  # of a hundred megabytes: joined to bytes, each piece would copy all before it
    with socket.create_connection(("127.0.0.1", port), timeout_s) as plain:
        sock = (
            ssl.create_default_context(cafile=trusted).wrap_socket(plain, server_hostname="localhost")
            if trusted
            else plain
        )
        try:
            sock.sendall(request)
            while piece := sock.recv(65536):
                answer += piece
        except ConnectionError:
            pass
    return bytes(answer)


def status_of(answer: bytes) -> int:
    """Return the status of an answer, 0 for what is none."""
    parts = answer.split(b" ", 2)
    return int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else 0
