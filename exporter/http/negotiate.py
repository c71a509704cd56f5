"""Content negotiation: plain or compressed, JSON or CSV, as a client takes it (RFC 9110, 12.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from exporter.http.types import CSV, JSON, Content, Header

_VARY: Final = (b"vary", b"accept-encoding")
BY_ACCEPT: Final = (b"vary", b"accept")
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


def prefers_csv(headers: Iterable[Header]) -> bool:
    """Return whether a client would rather have CSV than JSON.

    Args:
        headers: of the request.
    """
    accepted = [part for name, value in headers if name == b"accept" for part in value.decode("latin-1").split(",")]
    return _quality(CSV, accepted) > _quality(JSON, accepted)


def _quality(media_type: str, accepted: Iterable[str]) -> float:
    """Return how much a client wants a media type: by the range that is closest to it; 0 is not at all."""
    wanted = dict(map(_range, accepted))
    main, _, _ = media_type.partition("/")
    return next((wanted[each] for each in (media_type, f"{main}/*", "*/*") if each in wanted), 0.0)


def _range(part: str) -> tuple[str, float]:
    media_range, *parameters = (word.strip().lower() for word in part.split(";"))
    quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
    try:
        return media_range, float(quality)
    except ValueError:
        return media_range, 0.0
