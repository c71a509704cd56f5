"""Which of two forms of an answer leaves."""

from __future__ import annotations

import gzip

import pytest

from exporter.http.negotiate import negotiated, prefers_csv
from exporter.http.types import Content

BOTH = Content(b"plain", ((b"a", b"b"),), 203, gzipped=b"small")


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ([b"gzip, deflate, br"], True),
        ([b"br;q=1.0, GZIP; q=0.5"], True),
        ([b"br", b"gzip"], True),
        ([b"gzip;q=0, identity"], False),
        ([b"gzip; q=0.000"], False),
        ([b"xgzip"], False),
        ([b"identity"], False),
        ([b""], False),
        ([], False),
    ],
)
def test_gzip(accepted: list[bytes], takes: bool) -> None:
    """The compressed form leaves to who takes gzip, and both say that it depends on who asks."""
    headers = [(b"accept-encoding", value) for value in accepted]
    vary = ((b"a", b"b"), (b"vary", b"accept-encoding"))
    expected = (
        Content(b"small", (*vary, (b"content-encoding", b"gzip")), 203) if takes else Content(b"plain", vary, 203)
    )
    assert negotiated(BOTH, headers) == expected


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (b"application/json", b"x" * 1023),
        (b"text/plain; version=0.0.4; charset=utf-8", b"x" * 100_000),
        (b"application/x-protobuf", b"x" * 100_000),
    ],
)
def test_an_answer_of_one_form(media: bytes, body: bytes) -> None:
    """A short answer, and one that is neither JSON nor CSV, leaves as it is."""
    content = Content(body, ((b"content-type", media),))
    assert negotiated(content, [(b"accept-encoding", b"gzip")]) is content


@pytest.mark.parametrize("media", [b"application/json", b"text/csv; charset=utf-8; header=present"])
def test_a_long_answer_is_compressed(media: bytes) -> None:
    """JSON and CSV of over 1 kB leave compressed to who takes gzip, and as they are to others; both say so."""
    content = Content(b"0123456789" * 200, ((b"content-type", media),))
    told = ((b"content-type", media), (b"vary", b"accept-encoding"))
    compressed = negotiated(content, [(b"accept-encoding", b"gzip")])
    assert (compressed.headers, compressed.status) == ((*told, (b"content-encoding", b"gzip")), 200)
    assert (gzip.decompress(compressed.body), len(compressed.body) < 100) == (content.body, True)
    assert negotiated(content, []) == content._replace(headers=told)


@pytest.mark.parametrize(
    ("accepted", "csv"),
    [
        ([], False),
        ([b"*/*"], False),
        ([b"application/json"], False),
        ([b"text/html,application/xhtml+xml,*/*;q=0.8"], False),
        ([b"text/csv"], True),
        ([b"TEXT/CSV; charset=utf-8"], True),
        ([b"text/csv, application/json"], False),
        ([b"text/csv, application/json;q=0.9"], True),
        ([b"text/csv;q=0.5, application/json;q=0.9"], False),
        ([b"application/json;q=0.5", b"text/csv"], True),
        ([b"text/*"], True),
        ([b"*/*, text/csv;q=0"], False),
        ([b"text/csv;q=0.1, */*;q=0.01"], True),
        ([b"text/csv;q=much"], False),
        ([b"text/csv;q=nan"], False),
        ([b""], False),
    ],
)
def test_csv(accepted: list[bytes], csv: bool) -> None:
    """CSV leaves to who wants it more than JSON; to who says nothing, or both alike, JSON."""
    assert prefers_csv([(b"accept", value) for value in accepted]) is csv
