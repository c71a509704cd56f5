from __future__ import annotations

import pytest

from exporter.http.auth import ALL_SCOPES, READ, WRITE, Authenticator, Scopes, require_scope
from exporter.http.envelope import HttpError
from otel_measure.config import Settings

Headers = list[tuple[bytes, bytes]]
LOCAL = [(b"host", b"localhost:5000")]
WITHOUT_TOKEN = Authenticator.of(Settings())
WITH_TOKENS = Authenticator.of(Settings(token="all", read_token="look", write_token="put"))


def asked(by: Authenticator, headers: Headers, client: tuple[str, int] | None = ("127.0.0.1", 1)) -> Scopes:
    """Return the scopes of a request."""
    return by.scopes({"type": "http", "client": client, "headers": headers})


def refused(by: Authenticator, headers: Headers, client: tuple[str, int] | None = ("127.0.0.1", 1)) -> HttpError:
    """Return the refusal of a request."""
    with pytest.raises(HttpError) as caught:
        asked(by, headers, client)
    return caught.value


@pytest.mark.parametrize(
    "host",
    [b"localhost", b"LOCALHOST:5000", b"127.0.0.1", b"127.0.0.1:80", b"127.9.9.9", b"[::1]", b"[::1]:5000"],
)
def test_local_host(host: bytes) -> None:
    """Without a token a direct client whose Host is a loopback name may do everything."""
    assert asked(WITHOUT_TOKEN, [(b"host", host)]) == ALL_SCOPES


@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("127.4.5.6", 1), ("::1", 1), ("::ffff:127.0.0.1", 1), None])
def test_local_peer(client: tuple[str, int] | None) -> None:
    """Loopback addresses and Unix sockets (no address at all) are this machine."""
    assert asked(WITHOUT_TOKEN, LOCAL, client) == ALL_SCOPES


@pytest.mark.parametrize("address", ["192.168.1.7", "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "testclient", ""])
def test_stranger(address: str) -> None:
    """Without a token every other peer is told how to set one."""
    fault = refused(WITHOUT_TOKEN, LOCAL, (address, 1))
    assert (fault.status, fault.message) == (
        403,
        "no token is set, so only direct clients on this machine are answered; set OTEL_MEASURE_TOKEN "
        "(or token = ... in otel-measure.toml) and send 'Authorization: Bearer <token>'",
    )


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"evil.example")],
        [(b"host", b"localhost.evil.example")],
        [(b"host", b"127.0.0.1.evil.example")],
        [(b"host", b"localhost:evil")],
        [(b"host", b"[::1")],
        [(b"host", b"[::1]x")],
        [(b"host", b"\xff")],
        [(b"host", b"localhost"), (b"host", b"evil.example")],
    ],
)
def test_rebinding(headers: Headers) -> None:
    """A Host that is no loopback name is refused, so a page of another name that resolves here reads nothing."""
    assert refused(WITHOUT_TOKEN, headers).status == 403


@pytest.mark.parametrize("name", [b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"])
def test_proxied(name: bytes) -> None:
    """A request that a proxy passed on is not direct, wherever the proxy runs."""
    assert refused(WITHOUT_TOKEN, [*LOCAL, (name, b"127.0.0.1")]).status == 403


def test_insecure() -> None:
    """`insecure` answers anybody, even where a token is set."""
    authenticator = Authenticator.of(Settings(insecure=True, token="all"))
    assert asked(authenticator, [(b"host", b"evil.example")], ("10.0.0.1", 1)) == ALL_SCOPES


@pytest.mark.parametrize(("token", "scopes"), [(b"all", ALL_SCOPES), (b"look", READ), (b"put", WRITE)])
def test_scopes(token: bytes, scopes: Scopes) -> None:
    """Each token has its own scope, from anywhere and through any proxy."""
    headers = [(b"host", b"metrics.example"), (b"x-forwarded-for", b"1.2.3.4"), (b"authorization", b"bearer " + token)]
    assert asked(WITH_TOKENS, headers, ("10.0.0.1", 1)) == scopes


def test_one_token_for_two_scopes() -> None:
    """The same secret as read and write token may read and write, and administrates nothing."""
    authenticator = Authenticator.of(Settings(read_token="both", write_token="both"))
    assert asked(authenticator, [(b"authorization", b"Bearer both")]) == READ | WRITE


@pytest.mark.parametrize(
    "headers",
    [
        LOCAL,
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Basic all")],
        [(b"authorization", b"Bearer all"), (b"authorization", b"Bearer wrong")],
        [(b"authorization", b"Bearer \xff\xff")],
    ],
)
def test_wrong_token(headers: Headers) -> None:
    """With a token set, a missing, wrong or doubled one is challenged, also on this machine."""
    fault = refused(WITH_TOKENS, headers)
    assert (fault.status, fault.headers) == (401, ((b"www-authenticate", b'Bearer realm="otel-measure"'),))


def test_require_scope() -> None:
    """A token of another scope is refused by name of the scope it lacks."""
    require_scope(WRITE, "write")
    with pytest.raises(HttpError, match="this token has no 'read' scope; use a token that has it") as caught:
        require_scope(WRITE, "read")
    assert caught.value.status == 403


def test_tokens_do_not_show() -> None:
    """An authenticator that is printed shows no token."""
    assert b"all" not in repr(WITH_TOKENS).encode()
