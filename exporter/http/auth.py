"""Who may ask what.

Without a token only direct clients on this machine are answered: peer and `Host` are loopback and no header tells of
a proxy. The `Host` rule is what stops a web page that lets its own name resolve to 127.0.0.1. A peer without an
address is a Unix socket, whose file permissions say who may connect; it counts as this machine.

With a token every request needs one, also from this machine.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.http.envelope import HttpError, send_content
from exporter.http.routing import FOUND, Places, enveloped
from exporter.http.types import Access
from otel_measure.config import Settings

if TYPE_CHECKING:
    from exporter.running import Running

Grants: TypeAlias = frozenset[Access]
GRANTS: Final = "exporter.grants"
NOTHING: Final[Grants] = frozenset()
OPEN: Final[Grants] = frozenset({"open", "page"})
READ: Final[Grants] = OPEN | {"read"}
WRITE: Final[Grants] = OPEN | {"write"}
EVERYTHING: Final[Grants] = READ | WRITE | {"admin"}
# A proxy that adds none of these and calls from this machine cannot be told from a client on it.
_PROXY_HEADERS: Final = frozenset({
    b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port",
    b"x-forwarded-server", b"x-real-ip", b"x-client-ip", b"cf-connecting-ip", b"true-client-ip", b"via",
})  # fmt: skip
_HOW_TO_SET_A_TOKEN: Final = (
    "no token is set, so only direct clients on this machine are answered; "
    "set OTEL_MEASURE_TOKEN (or token = ... in otel-measure.toml) and send 'Authorization: Bearer <token>'"
)
_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="otel-measure"'),)


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides what a request may do.

    Attributes:
        tokens: the SHA-256 of each token, with what it grants. Digests are of one length, so that comparing them in
            constant time does not tell how long a token is.
    """

    tokens: tuple[tuple[bytes, Grants], ...]
    insecure: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Guard:
        """Return the guard that the settings ask for."""
        given = ((settings.token, EVERYTHING), (settings.read_token, READ), (settings.write_token, WRITE))
        tokens = tuple((_digest(token.encode()), grants) for token, grants in given if token is not None)
        return cls(tokens, settings.insecure)

    def grants(self, scope: Scope) -> Grants:
        """Return what the sender of a request may do.

        Raises:
            HttpError: 401 for a token that is missing or wrong, 403 for a stranger where no token is set.
        """
        if self.insecure:
            return EVERYTHING
        if self.tokens:
            return self._granted_by_token(scope["headers"])
        if _is_local_peer(scope.get("client")) and _is_direct_and_local(scope["headers"]):
            return EVERYTHING
        raise HttpError(403, _HOW_TO_SET_A_TOKEN)

    def _granted_by_token(self, headers: Iterable[tuple[bytes, bytes]]) -> Grants:
        digest = _digest(_bearer(headers))
        granted = NOTHING
        # No early exit: the time taken does not tell which token came close.
        for known, grants in self.tokens:
            granted |= grants if hmac.compare_digest(known, digest) else NOTHING
        if not granted:
            raise HttpError(401, "a valid token is needed: send 'Authorization: Bearer <token>'", _CHALLENGE)
        return granted


def permit(grants: Grants, access: Access) -> None:
    """Let a request pass that may do what an endpoint asks for.

    Raises:
        HttpError: 403, the token is of another scope.
    """
    if access not in grants:
        raise HttpError(403, f"this token has no {access!r} scope; use a token that has it")


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        raise HttpError(401, "one 'Authorization: Bearer <token>' header is needed", _CHALLENGE)
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise HttpError(401, "the Authorization header must be 'Bearer <token>'", _CHALLENGE)
    return token.strip()


def _is_direct_and_local(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    hosts = []
    for name, value in headers:
        if name in _PROXY_HEADERS:
            return False
        if name == b"host":
            hosts.append(value)
    return len(hosts) == 1 and _is_local_name(hosts[0])


def _is_local_peer(client: tuple[str, int] | None) -> bool:
    return client is None or _is_loopback(client[0])


@lru_cache(maxsize=1024)
def _is_local_name(host: bytes) -> bool:
    text = host.decode("latin-1").lower()
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        port = port.removeprefix(":") if bracket else "?"
    else:
        name, _, port = text.partition(":")
    return (port == "" or port.isdigit()) and (name == "localhost" or _is_loopback(name))


@lru_cache(maxsize=1024)
def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback


class Guarded:
    """The middleware that lets nobody pass whom the guard does not know; what is behind it then asks for more.

    It finds the row of the route table once, for itself and for the route.
    """

    def __init__(self, app: ASGIApp, places: Places, running: Running) -> None:
        self._app = app
        self._places = places
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer strangers, and pass everybody else on."""
        if scope["type"] == "http":
            found = scope[FOUND] = self._places.find(scope)
            try:
                scope[GRANTS] = await self._grants(scope, found.place.access if found else None)
            except Exception as fault:
                fails = found.place.fails if found else enveloped
                await send_content(fails(fault, scope["headers"], False), send, head=scope["method"] == "HEAD")
                return
        await self._app(scope, receive, send)

    async def _grants(self, scope: Scope, access: Access | None) -> Grants:
        if access == "open":
            return OPEN
        guard = (await self._running.live()).guard
        if access == "page" and guard.tokens:
            return OPEN
        return guard.grants(scope)
