"""Which of two forms of an answer leaves."""

from __future__ import annotations

import pytest

from exporter.http.negotiate import negotiated
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


def test_an_answer_of_one_form() -> None:
    """An answer that nobody compressed beforehand leaves as it is."""
    content = Content(b"{}", ((b"a", b"b"),))
    assert negotiated(content, [(b"accept-encoding", b"gzip")]) is content
