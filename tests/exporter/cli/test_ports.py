"""Ports: taken once, and a refusal names the holder and the way out."""

from __future__ import annotations

import errno
import os
import socket

import psutil
import pytest

from exporter.cli import ports
from exporter.cli.ports import CannotListen, Holder, Listening, command, described, holder_of, is_loopback, listen, url
from tests.components import free_port


def test_a_free_port_is_taken_at_once() -> None:
    """Port 0 takes a free one, and from then on nobody else gets it."""
    with listen("127.0.0.1", 0) as sock:
        number = sock.getsockname()[1]
        with pytest.raises(CannotListen):
            listen("127.0.0.1", number)


def test_a_taken_port_names_its_holder_and_the_way_out() -> None:
    """The message says who has the port and how to take another one."""
    with listen("127.0.0.1", 0) as sock:
        number = sock.getsockname()[1]
        with pytest.raises(CannotListen) as refusal:
            listen("127.0.0.1", number, lambda port: Holder(7, f"sleep {port}"))
    way_out = "stop it, or take another with --port (0 takes a free one)"
    assert str(refusal.value) == f"port {number} on 127.0.0.1 is taken by pid 7 (sleep {number}); {way_out}"


def test_the_holder_is_found_by_asking_the_system() -> None:
    """The process that listens on a port, here this one, is found with its command."""
    with listen("127.0.0.1", 0) as sock:
        assert holder_of(sock.getsockname()[1]) == Holder(os.getpid(), command(os.getpid()))


def test_the_holder_may_be_unknown() -> None:
    """Nobody on that port, a socket of a process one may not see: no holder, and the message says so."""
    assert holder_of(1, lambda: [Listening(2, 5), Listening(1, None)], str) is None
    assert holder_of(1, lambda: [Listening(1, 5)], lambda pid: f"c{pid}") == Holder(5, "c5")
    assert described(None) == "a process that this user may not see"


def test_a_process_that_is_gone_has_no_command() -> None:
    """The command of a process that ended meanwhile is a question mark."""
    assert command(2**22 + 1) == "?"


def test_where_the_system_tells_nothing_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that shows sockets to its administrator only gives an empty list, not an error."""

    def refuse(kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    assert ports.sockets_listening() == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EACCES, "port 80 needs privileges that this user does not have; take one from 1024 on: --port 5000"),
        (errno.EADDRNOTAVAIL, "cannot listen on ::1 port 80: gone; try --host 127.0.0.1"),
    ],
)
def test_other_refusals_say_what_to_do(code: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reserved port and a foreign address each have their own way out."""

    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(code, "gone")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CannotListen) as refusal:
        listen("::1", 80)
    assert str(refusal.value) == message


def test_a_name_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name nobody knows is named, with an address that always works."""

    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(CannotListen) as refusal:
        listen("nowhere.invalid", 80)
    assert str(refusal.value) == "'nowhere.invalid' is no address of this machine (unknown); try --host 127.0.0.1"


def test_a_closed_port_does_not_connect() -> None:
    """Where nobody listens there is none."""
    assert ports.can_connect("127.0.0.1", free_port()) is False


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.0.2.1", False), ("example.org", False), ("localhost.example.org", False)],
)  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    """Only addresses that no other machine can reach are loopback; a name that merely looks like one is not."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "http://127.0.0.1:80/"), ("0.0.0.0", "http://127.0.0.1:80/"), ("::", "http://[::1]:80/"),
     ("fe80::1", "http://[fe80::1]:80/"), ("example.org", "http://example.org:80/")],
)  # fmt: skip
def test_url(host: str, expected: str) -> None:
    """The address for a browser: every interface is reached over loopback, IPv6 stands in brackets."""
    assert url(host, 80) == expected
