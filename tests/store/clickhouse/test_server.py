"""The server that tests run, and the client that the extra installs: no test marks, for both Pythons of the gate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.clickhouse import ClickHouseServer, without_what_is_not_of_the_extra


def test_a_server_that_is_killed_has_what_it_acknowledged(tmp_path: Path) -> None:
    """Rows inserted by columns are there after `kill -9` and a start on the same folder, on the same ports."""
    server = ClickHouseServer(tmp_path / "server")
    columns: list[list[Any]] = [[2**127 + 1, 3], ["a", "b"]]
    with without_what_is_not_of_the_extra():
        with server.run():
            client = server.client(async_insert=0)
            client.command("CREATE DATABASE kept")
            client.command("CREATE TABLE kept.row (id UInt128, text String) ENGINE = MergeTree ORDER BY id")
            client.insert("row", columns, ["id", "text"], database="kept", column_oriented=True)
            client.close()
            server.kill()
        with server.run():
            client = server.client()
            assert client.query("SELECT id, text FROM kept.row ORDER BY id DESC").result_rows == list(
                zip(*columns, strict=True)
            )
            client.close()


def test_the_client_needs_what_the_extra_installs_alone(clickhouse: ClickHouseServer) -> None:
    """Connecting, inserting and asking import no numpy and no pandas, which belong to other tests."""
    before = set(sys.modules)
    client = clickhouse.client()
    database = clickhouse.new_database()
    client.command(f"CREATE DATABASE {database}")
    client.command(f"CREATE TABLE {database}.row (n UInt8) ENGINE = MergeTree ORDER BY n")
    client.insert("row", [[1]], ["n"], database=database, column_oriented=True)
    assert client.query(f"SELECT n FROM {database}.row").result_rows == [(1,)]
    client.close()
    assert {name.partition(".")[0] for name in set(sys.modules) - before} & {
        "numpy",
        "pandas",
        "pyarrow",
        "polars",
    } == set()
