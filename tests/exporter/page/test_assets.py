"""The files of the page, as they are read, compressed and named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from exporter.http.envelope import HttpError
from exporter.page import assets


def written(folder: Path, script: bytes = b"let a;") -> Path:
    """Write a page with one script and one file that is no part of it."""
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_bytes(b'<script src="static/app.js"></script> static/other')
    (folder / "app.js").write_bytes(script)
    (folder / "app.LICENSE").write_bytes(b"none")
    return folder


def digest_in(folder: Path) -> str:
    """Return the digest that a page names."""
    return assets.page(folder).body.split(b'"static/')[1].split(b"/")[0].decode()


def test_a_page_names_its_parts_by_what_is_in_them(tmp_path: Path) -> None:
    """The address of a part holds a digest of all files and is kept for good; the page is asked for anew."""
    folder = written(tmp_path / "a")
    digest = digest_in(folder)
    assert assets.page(folder).body == b'<script src="static/%s/app.js"></script> static/other' % digest.encode()
    script = assets.part(digest, "app.js", folder)
    assert (script.body, gzip.decompress(script.gzipped)) == (b"let a;", b"let a;")
    assert dict(script.headers)[b"cache-control"] == b"max-age=31536000, immutable"
    assert dict(assets.page(folder).headers)[b"cache-control"] == b"no-cache"
    assert digest_in(written(tmp_path / "b")) == digest
    assert digest_in(written(tmp_path / "c", b"let b;")) != digest


@pytest.mark.parametrize(
    ("digest", "name", "message"),
    [
        ("", "index.html", "the page has no part named 'index.html'"),
        ("", "app.LICENSE", "the page has no part named 'app.LICENSE'"),
        ("0" * 16, "app.js", "the page has no parts '0000000000000000': they are of another version; reload the page"),
    ],
)
def test_what_is_no_part(tmp_path: Path, digest: str, name: str, message: str) -> None:
    """What is not there is a 404, and a page of another version is told to be loaded anew."""
    folder = written(tmp_path / "a")
    with pytest.raises(HttpError) as refused:
        assets.part(digest or digest_in(folder), name, folder)
    assert (refused.value.status, refused.value.message) == (404, message)
