"""Tokens in a file: a line for each, with its name, its scopes and the hash of it, read anew when the file changes.

The hash is one SHA-256: a token of ours is 256 random bits, which nobody finds by trying, whatever a try costs. A slow
hash protects what people choose; here it would be work that strangers can have the server do.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from exporter.http.types import Access
from otel_measure.errors import ConfigurationError

TOKEN_SCOPES: Final[tuple[Access, ...]] = ("read", "write", "admin")
_PREFIX: Final = "otm_"  # by which scanners of source code know a token of ours
_RANDOM_BYTES: Final = 32
_MOST: Final = 1000
_LARGEST_BYTES: Final = 1024 * 1024
_LOOK_EVERY_S: Final = 1.0
_FILE_MODE: Final = 0o600
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LINE: Final = re.compile(r"(?P<name>\S+)\s+(?P<scopes>\S+)\s+sha256:(?P<digest>[0-9a-f]{64})")
_HEADER: Final = (
    "# Who may ask otel-measure: name, scopes, hash of the token. Take a line away, and its token is none.\n"
)
_log: Final = logging.getLogger("otel_measure")


class Token(NamedTuple):
    """What is known of a token.

    Attributes:
        name: for people.
        scopes: what it may do.
        digest: its SHA-256.
    """

    name: str
    scopes: frozenset[Access]
    digest: bytes


def digest_of(token: bytes) -> bytes:
    """Return the SHA-256 of a token."""
    return hashlib.sha256(token).digest()


def parsed(path: Path, text: str) -> tuple[Token, ...]:
    """Return the tokens of a file's text; empty lines, and what follows a `#`, say nothing.

    Raises:
        ConfigurationError: a line is none; it is named by its number, since it may hold a secret.
    """
    lines = ((number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1))
    tokens = tuple(_token(path, number, line) for number, line in lines if line)
    if len(tokens) > _MOST:
        raise ConfigurationError(f"{path} has {len(tokens)} tokens, and may have {_MOST}: take away what nobody uses")
    return tokens


def _token(path: Path, number: int, line: str) -> Token:
    parts = _LINE.fullmatch(line)
    scopes = _scopes(parts["scopes"].split(",")) if parts else None
    if parts is None or scopes is None or not _NAME.fullmatch(parts["name"]):
        raise ConfigurationError(
            f"line {number} of {path} is no token: NAME SCOPES sha256:HASH, with SCOPES of {','.join(TOKEN_SCOPES)}; "
            "`otel-measure token new` writes one"
        )
    return Token(parts["name"], scopes, bytes.fromhex(parts["digest"]))


def _scopes(names: Sequence[str]) -> frozenset[Access] | None:
    scopes = frozenset(scope for name in names for scope in TOKEN_SCOPES if scope == name)
    return scopes if scopes and len(scopes) == len(set(names)) else None


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Return the tokens of a file.

    Raises:
        ConfigurationError: it cannot be read, others may write to it, or a line is no token.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_BYTES:
            raise ConfigurationError(f"{path} is no file of tokens; `otel-measure token new` makes one")
        if os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigurationError(f"others may write to {path}, and let anybody in: chmod go-w {path}")
        return parsed(path, path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"the tokens of {path} cannot be read: {error.strerror}; `otel-measure token new` makes such a file"
        ) from None
    except UnicodeDecodeError:
        # Without its cause: that would show the bytes.
        raise ConfigurationError(f"{path} holds no text; `otel-measure token new` writes tokens") from None


class TokenFile:
    """The tokens of a file as it is now: it is looked at once a second, while somebody asks.

    What cannot be read changes nothing: the tokens of before stay valid, and the log says why.

    Args:
        path: of the file.
        clock_s: seconds of a clock that never steps back.

    Raises:
        ConfigurationError: it cannot be read.
    """

    def __init__(self, path: Path, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock_s = clock_s
        self._seen = _version(path)
        self._tokens = read_tokens(path)
        self._next_look_s = clock_s() + _LOOK_EVERY_S

    def tokens(self) -> tuple[Token, ...]:
        """Return what the file says."""
        now_s = self._clock_s()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + _LOOK_EVERY_S
            self._look()
        return self._tokens

    def _look(self) -> None:
        version = _version(self._path)
        if version == self._seen:
            return
        self._seen = version
        try:
            self._tokens = read_tokens(self._path)
        except ConfigurationError as error:
            _log.error("the tokens stay as they were: %s", error)


def _version(path: Path) -> tuple[int, ...]:
    """Return what is another when a file has changed; nothing for one that is not there."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def new_token(path: Path, name: str, scopes: Iterable[str]) -> str:
    """Make a token, add its hash to a file, which is made when it is not there, and return the token itself.

    Raises:
        ConfigurationError: the name is none or taken, a scope is none, or the file cannot be written.
    """
    given = tuple(scopes)
    checked = _scopes(given)
    if not _NAME.fullmatch(name) or checked is None:
        raise ConfigurationError(
            f"a token needs a name of letters, digits and ._- and scopes of {', '.join(TOKEN_SCOPES)}, "
            f"not {name!r} and {', '.join(given) or 'none'}"
        )
    if path.exists() and any(token.name == name for token in read_tokens(path)):
        raise ConfigurationError(
            f"{path} has a token named {name}; to replace it, make one of another name, give that to who uses it, and "
            "take the old line away"
        )
    token = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    order = ",".join(scope for scope in TOKEN_SCOPES if scope in checked)
    try:
        _append(path, f"{name} {order} sha256:{digest_of(token.encode()).hex()}\n")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    return token


def _append(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _FILE_MODE)
    with open(descriptor, "r+b", buffering=0) as file:
        size = os.fstat(descriptor).st_size
        begins = _HEADER if not size else "" if os.pread(descriptor, 1, size - 1) == b"\n" else "\n"
        file.write(f"{begins}{line}".encode())
        os.fsync(descriptor)
