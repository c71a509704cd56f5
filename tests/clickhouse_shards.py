"""Two ClickHouse servers as the shards of one cluster, without replicas: what is printed for a cluster, run on both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Self

from otel_measure.definitions.parameters import Definitions
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.schema import statements
from otel_measure.store.clickhouse.writing import create
from tests.clickhouse import ClickHouseServer

CLUSTER: Final = "shards"
_SHARD: Final = "<shard><replica><host>127.0.0.1</host><port>{port}</port></replica></shard>"
_REPLICATION: Final = re.compile(r"Replicated((?:Replacing)?MergeTree)\('[^']*', '[^']*'(?:, )?")
_ON_CLUSTER: Final = f" ON CLUSTER `{CLUSTER}`"


class ShardedDatabase(ClickHouseDatabase):
    """A database over two shards, asked through the first of them.

    Without Keeper no server takes a statement for all others, so that each is given it here.
    """

    _nodes: tuple[ClickHouseDatabase, ...] = ()

    def over(self, *nodes: ClickHouseDatabase) -> Self:
        """Return itself, with the nodes that have the shards."""
        self._nodes = nodes
        return self

    def run_on_shards(self, sql: str) -> None:
        """Run a statement for the cluster on each node."""
        assert _ON_CLUSTER in sql
        for node in self._nodes:
            node.run(sql.replace(_ON_CLUSTER, ""))

    def rows_by_shard(self, table: str) -> list[int]:
        """Return how many rows of a table each shard has."""
        return [int(node.rows(f"SELECT count() FROM {{db}}.{table}_local")[0][0]) for node in self._nodes]


class Shards:
    """Two servers that are running."""

    def __init__(self, servers: tuple[ClickHouseServer, ClickHouseServer]) -> None:
        self.servers = servers

    @contextmanager
    def new_database(self, definitions: Definitions) -> Iterator[ShardedDatabase]:
        """Yield a new database on both."""
        name = self.servers[0].new_database()
        with ExitStack() as closing:
            nodes = [closing.enter_context(ClickHouseDatabase.of_url(each.url(name))) for each in self.servers]
            for node in nodes:
                for statement in statements(name, CLUSTER):
                    node.run(without_replication(statement))
            database = closing.enter_context(ShardedDatabase.of_url(self.servers[0].url(name)))
            create(database, definitions)
            yield database.over(*nodes)


def without_replication(statement: str) -> str:
    """Return a statement for a cluster as one for each of its nodes, where there are no replicas."""
    return _REPLICATION.sub(r"\1(", statement.replace(_ON_CLUSTER, ""))


@contextmanager
def two_shards(folder: Path) -> Iterator[Shards]:
    """Run two servers that know each other, for the length of a `with` block."""
    servers = ClickHouseServer(folder / "first"), ClickHouseServer(folder / "second")
    known = "".join(_SHARD.format(port=each.tcp_port) for each in servers)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "cluster.xml"
    config.write_text(f"<clickhouse><remote_servers><{CLUSTER}>{known}</{CLUSTER}></remote_servers></clickhouse>")
    with ExitStack() as running:
        for each in servers:
            running.enter_context(each.run([f"--config-file={config}"]))
        yield Shards(servers)
