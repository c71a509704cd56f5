"""How a server is reached, and what is said when it is not."""

from __future__ import annotations

import sys

import pytest

from otel_measure.errors import ConfigurationError, StoreUnavailable
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from tests.clickhouse import ClickHouseServer
from tests.components import free_port

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("url", ["http://db:8123/x", "clickhouse:///x", "clickhouse://db/a/b"])
def test_a_url_that_is_none_of_ours_is_refused(url: str) -> None:
    """The message says how one looks."""
    with pytest.raises(ConfigurationError, match="is clickhouse://user:password@host:port/database, not"):
        ClickHouseDatabase.of_url(url)


def test_a_password_is_in_no_message() -> None:
    """Neither of a URL that is wrong nor of a server that does not answer."""
    for url, kind in (
        ("http://me:secret@db/x", ConfigurationError),
        (f"clickhouse://me:secret@127.0.0.1:{free_port()}/x", StoreUnavailable),
    ):
        with pytest.raises(kind) as refusal:
            ClickHouseDatabase.of_url(url)
        assert "secret" not in str(refusal.value)


def test_a_wrong_password_is_said(clickhouse: ClickHouseServer) -> None:
    """The server's own words are in the message, with the address."""
    url = f"clickhouse://nobody:secret@127.0.0.1:{clickhouse.http_port}/x"
    with pytest.raises(StoreUnavailable, match="Authentication failed") as refusal:
        ClickHouseDatabase.of_url(url)
    assert f"clickhouse://…@127.0.0.1:{clickhouse.http_port}/x" in str(refusal.value)


def test_what_the_server_refuses_is_unavailable(clickhouse: ClickHouseServer) -> None:
    """A statement, a query and an insert alike."""
    with ClickHouseDatabase.of_url(clickhouse.url("nowhere")) as database:
        for refused in (
            lambda: database.run("DROP TABLE {db}.event"),
            lambda: database.rows("SELECT 1 FROM {db}.event"),
            lambda: database.insert("event", {"id": [1]}),
        ):
            with pytest.raises(StoreUnavailable, match=r"nowhere: .*; look at the server, then try again"):
                refused()


def test_without_the_extra_the_line_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is no part of a plain install."""
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'otel-measure\[clickhouse\]'"):
        ClickHouseDatabase.of_url("clickhouse://db/x")
