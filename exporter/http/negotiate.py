"""Content negotiation: of an answer that is there plain and compressed, the one that a client takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from exporter.http.types import Content, Header

_VARY: Final = (b"vary", b"accept-encoding")
_GZIP: Final = (b"content-encoding", b"gzip")


def negotiated(content: Content, headers: Iterable[Header]) -> Content:
    """Return what leaves of an answer.

    Args:
        content: the answer.
        headers: of the request.
    """
    if not content.gzipped:
        return content
    takes_gzip = any(_takes_gzip(value) for name, value in headers if name == b"accept-encoding")
    body = content.gzipped if takes_gzip else content.body
    encoding = (_GZIP,) if takes_gzip else ()
    return Content(body, (*content.headers, _VARY, *encoding), content.status)


def _takes_gzip(accepted: bytes) -> bool:
    """Whether `gzip` is among the codings and not refused by a quality of 0 (RFC 9110, 12.5.3)."""
    for coding in accepted.lower().split(b","):
        name, _, quality = coding.replace(b" ", b"").partition(b";q=")
        if name == b"gzip":
            return quality.strip(b"0.") != b"" or not quality
    return False
