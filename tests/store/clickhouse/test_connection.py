"""How a server is reached, and what is said when it is not."""

from __future__ import annotations

import sys
from unittest.mock import MagicMock

import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from clickhouse_connect.driver.query import QueryResult

from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError, StoreUnavailable
from otel_measure.records.kinds import Origin
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.faults import FREE_SPACE
from otel_measure.store.engines import open_store
from otel_measure.store.types.facts import ACCEPTED
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.components import free_port
from tests.facts import event

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "url", ["http://db:8123/x", "clickhouse:///x", "clickhouse://db/a/b", "clickhouse://db/a?clutser=b"]
)
def test_a_url_that_is_none_of_ours_is_refused(url: str) -> None:
    """The message says how one looks."""
    with pytest.raises(ConfigurationError, match=r"host:port/database\[\?cluster=NAME\], not"):
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


def test_a_full_disk_is_known_until_a_write_succeeds(clickhouse: ClickHouseServer) -> None:
    """A write that the server refuses has whoever asks whether it takes any try one; questions are answered."""
    url = clickhouse.url_for_one_test()
    store = open_store(Settings(store=url))
    assert store is not None
    closed_later(store)
    store.accept([event("before", "ann")])
    with ClickHouseDatabase.of_url(url) as database:
        database.run("ALTER TABLE {db}.log MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000000")
        store.check()  # no row was refused yet
        for refused in (lambda: store.accept([event("new", origin=Origin("another", "test"))]), store.check):
            with pytest.raises(StoreUnavailable) as fault:
                refused()
            assert (fault.value.cause_name, fault.value.way_out) == ("full", FREE_SPACE)
        assert len(store.export("ann").facts) == 1
        database.run("ALTER TABLE {db}.log RESET SETTING min_free_disk_bytes_to_perform_insert")
    store.check()
    assert store.accept([event("new", origin=Origin("another", "test"))]) == [ACCEPTED]


def test_an_answer_with_fewer_rows_than_were_made_is_none(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose disk is full cuts what waited there for its end, and says that all is well."""
    with ClickHouseDatabase.of_url(clickhouse.url("default")) as database:
        assert len(database.rows("SELECT number FROM numbers(3)")) == 3
        monkeypatch.setattr(QueryResult, "result_rows", [])
        with pytest.raises(
            StoreUnavailable, match=r"\(full\): default: 0 of 3 rows of an answer came; free disk space"
        ):
            database.rows("SELECT number FROM numbers(3)")


def test_without_the_extra_the_line_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is no part of a plain install."""
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'otel-measure\[clickhouse\]'"):
        ClickHouseDatabase.of_url("clickhouse://db/x")


def test_a_child_connects_when_it_first_asks() -> None:
    """A process is copied whether or not the server is there; the connections of the parent stay its own."""
    connected, is_there = list[MagicMock](), True

    def connect(within_s: int) -> MagicMock:
        if not is_there:
            raise OperationalError("Connection refused")
        connected.append(MagicMock(query=lambda *_, **__: QueryResult([[len(connected)]])))
        return connected[-1]

    database = ClickHouseDatabase(connect, "db")
    is_there = False
    database.after_fork_in_child()
    with pytest.raises(StoreUnavailable, match="away"):
        database.rows("SELECT 1")
    is_there = True
    assert database.rows("SELECT 1") == [[3]]  # beside the parent's and one that is asked for a sign of life
    database.close()
    assert [client.close.called for client in connected] == [False, True, True]
