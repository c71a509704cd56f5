"""Listening on a port, and naming the process that has it when it is taken."""

from __future__ import annotations

import errno
import shlex
import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final, NamedTuple

from otel_measure.errors import MeasureError

_BACKLOG: Final = 2048
_COMMAND_CHARS: Final = 120
_CONNECT_TIMEOUT_S: Final = 1.0


class CannotListen(MeasureError):  # noqa: N818 - reads as the state it reports
    """The address cannot be listened on; the message says why, and the way out."""


class Holder(NamedTuple):
    """The process that listens on a port."""

    pid: int
    command: str


class Listening(NamedTuple):
    """One socket that listens: its port and the process it belongs to, where that may be known."""

    port: int
    pid: int | None


def listen(
    host: str, port: int, holder: Callable[[int], Holder | None] | None = None, option: str = "--port"
) -> socket.socket:
    """Return a socket that listens on `host` and `port`; port 0 takes a free one.

    Args:
        host: a name or an address, IPv4 or IPv6.
        port: 0 to 65535.
        holder: who has a port; asked when it is taken.
        option: which option takes another port.

    Raises:
        CannotListen: the port is taken or reserved, or the address is not one of this machine.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotListen(f"{host!r} is no address of this machine ({error}); try --host 127.0.0.1") from error
    family, kind, protocol, _, address = addresses[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        # Bound is not taken yet: two sockets may be bound to one port until one of them listens.
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise CannotListen(_refusal(host, port, error, holder or holder_of, option)) from error
    return sock


def _refusal(host: str, port: int, error: OSError, holder: Callable[[int], Holder | None], option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken by {described(holder(port))}; "
            f"stop it, or take another with {option} (0 takes a free one)"
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs privileges that this user does not have; take one from 1024 on: {option} 5000"
    return f"cannot listen on {host} port {port}: {error.strerror}; try --host 127.0.0.1"


def described(holder: Holder | None) -> str:
    """Return a holder in words."""
    if holder is None:
        return "a process that this user may not see"
    return f"pid {holder.pid} ({holder.command})"


def holder_of(
    port: int,
    listening: Callable[[], Iterable[Listening]] | None = None,
    command_of: Callable[[int], str] | None = None,
) -> Holder | None:
    """Return who listens on a TCP port; `None` when nobody does or this user may not know."""
    for one in (listening or sockets_listening)():
        if one.port == port and one.pid is not None:
            return Holder(one.pid, (command_of or command)(one.pid))
    return None


def sockets_listening() -> list[Listening]:
    """Return the TCP sockets that listen; [] where the system tells only its administrator."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return []
    return [Listening(c.laddr.port, c.pid) for c in connections if c.laddr and c.status == psutil.CONN_LISTEN]


def command(pid: int) -> str:
    """Return the command line of a process, shortened; "?" when it is gone or may not be read."""
    import psutil

    try:
        process = psutil.Process(pid)
        return shlex.join(process.cmdline())[:_COMMAND_CHARS] or process.name()
    except psutil.Error:
        return "?"


def can_connect(host: str, port: int) -> bool:
    """Return whether somebody accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), _CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def url(host: str, port: int, scheme: str = "http") -> str:
    """Return the address of the page for a browser on this machine."""
    name = host
    try:
        address = ip_address(host)
    except ValueError:
        pass
    else:
        if address.is_unspecified:
            name = "127.0.0.1" if address.version == 4 else "[::1]"
        elif address.version == 6:
            name = f"[{host}]"
    return f"{scheme}://{name}:{port}/"
