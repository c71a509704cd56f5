"""A balancer in front of servers: each connection goes to the next of them that is there."""

from __future__ import annotations

import itertools
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def balancer(urls: Sequence[str]) -> Iterator[str]:
    """Run one for the length of a `with` block, and yield its address."""
    turns, taking = (
        itertools.cycle([(str(urlsplit(url).hostname), urlsplit(url).port) for url in urls]),
        threading.Lock(),
    )

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            for _ in urls:
                with taking:
                    address = next(turns)
                with suppress(OSError), socket.create_connection(address, timeout=30) as server:
                    back = threading.Thread(target=_copy, args=(server, self.request))
                    back.start()
                    _copy(self.request, server)
                    back.join()
                    return

    class Balancer(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Print nothing: a client that goes away is no fault."""

    with Balancer(("127.0.0.1", 0), Relay) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}"
        finally:
            running.shutdown()
            thread.join(10)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy what comes, until one side ends."""
    with suppress(OSError):
        while some := source.recv(65536):
            target.sendall(some)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
