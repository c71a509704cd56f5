"""The files of the page: read once and served by name, so that no path leads out of their folder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from exporter.http.envelope import HttpError
from exporter.http.types import Content, Header

FOLDER: Final = Path(__file__).parent / "static"
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
_TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".ico": b"image/x-icon",
    ".js": b"text/javascript; charset=utf-8",
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
}


def asset(name: str, folder: Path = FOLDER) -> Content:
    """Return a file of the page.

    Raises:
        HttpError: 404, there is no such file.
    """
    content = _all(folder).get(name)
    if content is None:
        raise HttpError(404, f"the page has no part named {name!r}")
    return content


@lru_cache(maxsize=8)
def _all(folder: Path) -> dict[str, Content]:
    return {
        path.name: Content(path.read_bytes(), ((b"content-type", _TYPES[path.suffix]), *_HEADERS))
        for path in sorted(folder.glob("*"))
        if path.suffix in _TYPES
    }
