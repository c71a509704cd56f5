from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from exporter.http.envelope import HttpError
from exporter.http.query import ExpositionQuery, ModelQuery, NamedModelQuery, UserQuery, parse
from exporter.http.types import NoQuery


def refused(query_string: bytes, kind: type[msgspec.Struct]) -> str:
    """Return what is said about a query."""
    with pytest.raises(HttpError) as caught:
        parse(query_string, kind)
    assert caught.value.status == 400
    return caught.value.message


def test_defaults() -> None:
    """Without a query, models look back 24 hours and users 30 days."""
    assert parse(b"", ModelQuery) == ModelQuery(window="24h", as_of=None, service=None, environment=None)
    assert parse(b"", UserQuery) == UserQuery(window="30d", as_of=None, service=None, environment=None)


def test_everything_given() -> None:
    """Parameters are percent-decoded, days are dates, and an empty value is a value."""
    query = parse(
        b"window=7d&as_of=2026-02-03&service=a%20b%2Fc%C3%A9+d&environment=&name=null&version=1.0", NamedModelQuery
    )
    assert query == NamedModelQuery(
        window="7d", as_of=dt.date(2026, 2, 3), service="a b/cé d", environment="", name="null", version="1.0"
    )


@pytest.mark.parametrize(
    ("query_string", "kind", "message"),
    [
        (b"windw=1d", UserQuery,
         "query parameter 'windw' has no meaning here; allowed: window, as_of, service, environment"),
        (b"x", NoQuery, "query parameter 'x' has no meaning here; none is allowed"),
        (b"window=1d&window=2d", UserQuery, "query parameter 'window' is given twice; give it once"),
        (b"as_of=2026-02-30", UserQuery, "as_of: invalid RFC3339 encoded date"),
        (b"as_of=null", UserQuery, "as_of: expected a value, got 'null'"),
        (b"name=a", NamedModelQuery, "version is required (field of the query)"),
        (b"scope=all", ExpositionQuery, "scope: invalid enum value 'all'"),
        (b"service=%ff", UserQuery, "the query must be percent-encoded UTF-8 with at most 32 parameters"),
        (b"service=\xff", UserQuery, "the query must be percent-encoded UTF-8 with at most 32 parameters"),
        (b"&".join(b"a=1" for _ in range(33)), UserQuery,
         "the query must be percent-encoded UTF-8 with at most 32 parameters"),
    ],
)  # fmt: skip
def test_refused(query_string: bytes, kind: type[msgspec.Struct], message: str) -> None:
    """A parameter that is unknown, doubled, missing or malformed is a 400 that names it and the rule."""
    assert refused(query_string, kind) == message
