"""The files of the page: read, compressed and named by what is in them once, when the first of them is asked for."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from exporter.http.envelope import HttpError
from exporter.http.types import Content, Header

FOLDER: Final = Path(__file__).parent / "static"
PAGE: Final = "index.html"
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_ASK_AGAIN: Final = (b"cache-control", b"no-cache")
# The address of a file changes with any file of the page, so an answer never becomes wrong.
_KEEP: Final = (b"cache-control", b"max-age=31536000, immutable")
_TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".md": b"text/markdown; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_DIGEST_CHARS: Final = 16


class PageFiles(NamedTuple):
    """All files of the page.

    Attributes:
        digest: of all of them together; a part of their addresses.
    """

    digest: str
    page: Content
    parts: Mapping[str, Content]


def page(folder: Path = FOLDER) -> Content:
    """Return the page itself, whose links name the digest of its parts."""
    return _read(folder).page


def part(digest: str, name: str, folder: Path = FOLDER) -> Content:
    """Return a script, a style sheet or a picture of the page.

    Args:
        digest: of the page that asks for it.
        name: of the file; no path leads out of the folder, since files are looked up by name.
        folder: where they are.

    Raises:
        HttpError: 404, there is no such file, or the page that asks is of another version than this server.
    """
    files = _read(folder)
    if digest != files.digest:
        raise HttpError(404, f"the page has no parts {digest!r}: they are of another version; reload the page")
    content = files.parts.get(name)
    if content is None:
        raise HttpError(404, f"the page has no part named {name!r}")
    return content


@lru_cache(maxsize=8)
def _read(folder: Path) -> PageFiles:
    bodies = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.suffix in _TYPES}
    whole = hashlib.sha256()
    for name, body in bodies.items():
        whole.update(b"%s %d " % (name.encode(), len(body)) + body)
    digest = whole.hexdigest()[:_DIGEST_CHARS]
    html = bodies.pop(PAGE).replace(b'"static/', b'"static/%s/' % digest.encode())
    parts = {name: _content(name, body, _KEEP) for name, body in bodies.items()}
    return PageFiles(digest, _content(PAGE, html, _ASK_AGAIN), parts)


def _content(name: str, body: bytes, caching: Header) -> Content:
    headers = ((b"content-type", _TYPES[Path(name).suffix]), caching, *_HEADERS)
    return Content(body, headers, gzipped=gzip.compress(body, mtime=0))
