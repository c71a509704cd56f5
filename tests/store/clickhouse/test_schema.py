"""The statements that create a store, held to what a real server says of them."""

from __future__ import annotations

import pytest

from otel_measure.errors import ConfigurationError
from otel_measure.store.clickhouse.schema import statements
from otel_measure.store.clickhouse.tables import FACT_TABLES, STATE_TABLES, FactTable
from tests.clickhouse import ClickHouseServer
from tests.exporter.cli.command_line import run
from tests.store.clickhouse.storing import new_store

pytestmark = pytest.mark.e2e
NAMES = sorted(table.name for table in (*FACT_TABLES, *STATE_TABLES))


def test_a_node_creates_every_table_once(clickhouse: ClickHouseServer) -> None:
    """The printed statements run on a server, and running them again changes nothing."""
    database = new_store(clickhouse)
    created = "SELECT name, create_table_query FROM system.tables WHERE database = {name:String} ORDER BY name"
    before = database.rows(created, name=database.name)
    assert [name for name, _ in before] == NAMES
    printed = run("schema", "--engine", "clickhouse", "--database", database.name)
    assert printed.exit_code == 0
    assert printed.output.split(";\n\n")[:-1] == statements(database.name)
    for statement in statements(database.name):
        database.run(statement)
    assert database.rows(created, name=database.name) == before


def test_the_statements_for_a_cluster_are_parsed_by_a_server(clickhouse: ClickHouseServer) -> None:
    """On each node a table per shard and replica, and one that asks them all by the user; what is small on one node."""
    printed = run("schema", "--engine", "clickhouse", "--cluster", "main").output.split(";\n\n")[:-1]
    assert printed == statements("measure", "main")
    client = clickhouse.client()
    for statement in printed:
        kind = "CreateQuery" if statement.startswith("CREATE") else "SelectWithUnionQuery"
        assert kind in str(client.command(f"EXPLAIN AST {statement}"))
    client.close()
    assert printed[1] == "CREATE DATABASE IF NOT EXISTS `measure` ON CLUSTER `main`"
    assert (
        "CREATE TABLE IF NOT EXISTS `measure`.evaluation ON CLUSTER `main` AS `measure`.evaluation_local\n"
        "ENGINE = Distributed('main', 'measure', 'evaluation_local', cityHash64(user))"
    ) in printed
    engines = [line for statement in printed for line in statement.splitlines() if "ENGINE = Replicated" in line]
    assert engines[0] == (
        ") ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/measure/event_local', '{replica}', rank)"
    )
    assert len(engines) == len(FACT_TABLES)
    state = [statement for statement in printed if "ON CLUSTER" not in statement]
    assert state[1:] == [each for each in statements("measure") if "ENGINE = MergeTree" in each]


@pytest.mark.parametrize(
    ("database", "cluster", "said"),
    [("a`b", None, "database"), ("", None, "database"), ("measure", "a'b", "cluster"), ("mäß", None, "database")],
)
def test_names_that_would_end_a_quotation_are_refused(database: str, cluster: str | None, said: str) -> None:
    """A name is in statements as it is given."""
    with pytest.raises(ConfigurationError, match=f"the name of a {said} has letters, digits, _ and - alone"):
        statements(database, cluster)


@pytest.mark.parametrize("table", FACT_TABLES, ids=[table.name for table in FACT_TABLES])
def test_every_field_has_a_column_or_is_in_extra(table: FactTable) -> None:
    """A column that is not computed is a field of the record, and each field is kept in one place."""
    fields = table.record.__struct_fields__
    assert set(table.columns) <= set(fields)
    assert sorted([*table.columns, *table.extra, *table.payload, "id", "ts", "origin"]) == sorted(fields)
    assert not set(table.columns) & set(table.computed)
