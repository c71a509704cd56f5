"""Authentication: which scopes a request has.

Without a token only direct clients on this machine are answered: peer and `Host` are loopback and no header tells of
a proxy. The `Host` rule is what stops a web page that lets its own name resolve to 127.0.0.1. A peer without an
address is a Unix socket, whose file permissions say who may connect; it counts as this machine.

With a token, or a file of tokens, every request needs one, also from this machine.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final, TypeAlias

from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.http.envelope import HttpError, send_content
from exporter.http.routing import MATCH, Match, Router, enveloped
from exporter.http.tokens import Token, TokenFile, digest_of
from exporter.http.types import Access
from otel_measure.config import Settings

Scopes: TypeAlias = frozenset[Access]
SCOPES: Final = "exporter.scopes"
NO_SCOPE: Final[Scopes] = frozenset()
OPEN: Final[Scopes] = frozenset({"open", "page"})
READ: Final[Scopes] = OPEN | {"read"}
WRITE: Final[Scopes] = OPEN | {"write"}
ALL_SCOPES: Final[Scopes] = READ | WRITE | {"admin"}
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
class Authenticator:
    """Tells the scopes of a request from its token or, without tokens, from where it comes.

    Digests are of one length, so that comparing them in constant time does not tell how long a token is.

    Attributes:
        tokens: those of the settings.
        file: has more; `None` for none.
        insecure: whether every request has all scopes.
    """

    tokens: tuple[Token, ...]
    file: TokenFile | None = None
    insecure: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Authenticator:
        """Return the authenticator that the settings ask for.

        Raises:
            ConfigurationError: the file of tokens cannot be read.
        """
        given = (("token", ALL_SCOPES), ("read_token", READ), ("write_token", WRITE))
        tokens = tuple(
            Token(name, scopes, digest_of(token.encode()))
            for name, scopes in given
            if (token := getattr(settings, name)) is not None
        )
        file = TokenFile(Path(settings.tokens_file)) if settings.tokens_file is not None else None
        return cls(tokens, file, settings.insecure)

    @property
    def asks_for_token(self) -> bool:
        """Whether a request needs a token, which it does where the file has none too."""
        return bool(self.tokens) or self.file is not None

    def scopes(self, scope: Scope) -> Scopes:
        """Return the scopes of a request.

        Raises:
            HttpError: 401 for a token that is missing or wrong, 403 for a stranger where no token is set.
        """
        if self.insecure:
            return ALL_SCOPES
        if self.asks_for_token:
            return self._scopes_of_token(scope["headers"])
        if _is_local_peer(scope.get("client")) and _is_direct_and_local(scope["headers"]):
            return ALL_SCOPES
        raise HttpError(403, _HOW_TO_SET_A_TOKEN)

    def _scopes_of_token(self, headers: Iterable[tuple[bytes, bytes]]) -> Scopes:
        digest = digest_of(_bearer(headers))
        scopes = NO_SCOPE
        # No early exit: the time taken does not tell which token came close.
        for token in (*self.tokens, *(self.file.tokens() if self.file is not None else ())):
            scopes |= token.scopes | OPEN if hmac.compare_digest(token.digest, digest) else NO_SCOPE
        if not scopes:
            raise HttpError(401, "a valid token is needed: send 'Authorization: Bearer <token>'", _CHALLENGE)
        return scopes


def require_scope(scopes: Scopes, needed: Access) -> None:
    """Check that a request has the scope that a route needs.

    Raises:
        HttpError: 403, it has not; the message names the scope.
    """
    if needed not in scopes:
        raise HttpError(403, f"this token has no {needed!r} scope; use a token that has it")


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
        ip = ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


class AuthMiddleware:
    """Authenticates each request; endpoints check the scope they need.

    The route is matched here, once, for this middleware and for the dispatcher behind it.

    Args:
        app: what is behind it.
        router: the route table.
        authenticator: returns that of the running process.
    """

    def __init__(self, app: ASGIApp, router: Router, authenticator: Callable[[], Awaitable[Authenticator]]) -> None:
        self._app = app
        self._router = router
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its match and its scopes, or answer that its sender is not known."""
        if scope["type"] == "http":
            match = scope[MATCH] = self._router.match(scope)
            try:
                scope[SCOPES] = await self._scopes(scope, match)
            except Exception as fault:
                error_handler = match.routes.error_handler if match else enveloped
                await send_content(error_handler(fault, scope["headers"], False), send, head=scope["method"] == "HEAD")
                return
        await self._app(scope, receive, send)

    async def _scopes(self, scope: Scope, match: Match | None) -> Scopes:
        access = match.routes.access if match else None
        if access == "open":
            return OPEN
        authenticator = await self._authenticator()
        if access == "page" and authenticator.asks_for_token:
            return OPEN
        return authenticator.scopes(scope)
