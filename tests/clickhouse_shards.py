"""Two ClickHouse servers as the shards of one cluster; and as two replicas, of which none gets the rows of the other.

What is printed for a cluster is run on both.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.measured import MEASURED_TABLES
from otel_measure.store.clickhouse.schema import LOCAL_SUFFIX, statements
from tests.clickhouse import MERGE_TREE, ClickHouseServer

CLUSTER: Final = "shards"
REPLICAS: Final = "replicas"
"""A cluster of one shard, whose first replica is the second server."""
_REPLICA: Final = "<replica><host>127.0.0.1</host><port>{port}</port></replica>"
_REPLICATION: Final = re.compile(r"Replicated((?:Replacing)?MergeTree)\('[^']*', '[^']*'(?:, )?")
_ON_CLUSTER: Final = re.compile(rf" ON CLUSTER `(?:{CLUSTER}|{REPLICAS})`")


class Shards:
    """Two servers that know each other as the shards of a cluster; a store on them is asked through the first.

    Args:
        folder: of their data.
        running: ends them.
    """

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.servers = ClickHouseServer(folder / "first"), ClickHouseServer(folder / "second")
        first, second = (_REPLICA.format(port=each.tcp_port) for each in self.servers)
        shards = f"<shard>{first}</shard><shard>{second}</shard>"
        replicas = f"<shard><internal_replication>true</internal_replication>{second}{first}</shard>"
        clusters = f"<{CLUSTER}>{shards}</{CLUSTER}><{REPLICAS}>{replicas}</{REPLICAS}>"
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "cluster.xml"
        self._config.write_text(
            f"<clickhouse>{MERGE_TREE}<remote_servers>{clusters}</remote_servers></clickhouse>", encoding="utf-8"
        )
        self._running = running
        self._running.callback(self._close)
        self._known: dict[str, list[ClickHouseDatabase]] = {}
        for server in range(len(self.servers)):
            self.start(server)

    def start(self, server: int) -> None:
        """Start one of them, and wait until it answers."""
        self._running.enter_context(self.servers[server].run([f"--config-file={self._config}"]))

    def kill(self, server: int) -> None:
        """End one of them with no chance to write anything more."""
        self.servers[server].kill()

    def start_ended(self) -> None:
        """Start those again that ended: as no server would, the library ends when a killed peer resets a connection."""
        for server, each in enumerate(self.servers):
            if each.process.poll() is not None:
                self.start(server)

    def new_url(self, cluster: str = CLUSTER) -> str:
        """Return the place of a store in a new database of both."""
        name = self.servers[0].new_database()
        self.create(name, cluster)
        return self.servers[0].url(name)

    def drop(self, place: str) -> None:
        """Remove a store: each start of a server looks at all there are."""
        name = place.rpartition("/")[2]
        self._run_on_all(name, f"DROP DATABASE IF EXISTS `{name}` SYNC")
        for node in self._known.pop(name):
            node.close()

    def create(self, name: str, cluster: str = CLUSTER) -> None:
        """Run what is printed for a database of a cluster."""
        for statement in statements(name, cluster):
            self._run_where_said(self.nodes(name)[0], statement)

    def rows_by_shard(self, name: str, table: str) -> list[int]:
        """Return how many rows of a table of a database each shard has."""
        count = f"SELECT count() FROM {{db}}.{table}{LOCAL_SUFFIX}"
        return [int(node.rows(count)[0][0]) for node in self.nodes(name)]

    def merge(self, name: str) -> None:
        """Have each shard merge what facts of a database it has, day by day."""
        for node in self.nodes(name):
            for table in MEASURED_TABLES:
                node.run(f"OPTIMIZE TABLE {{db}}.{table}{LOCAL_SUFFIX} FINAL")

    @contextmanager
    def without_keeper(self) -> Iterator[None]:
        """Let statements for the cluster be given to each server: without Keeper none takes them for all others."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ClickHouseDatabase, "run_on_shards", lambda mine, sql: self._run_as_one(mine, sql))
            yield

    def _run_as_one(self, database: ClickHouseDatabase, sql: str) -> None:
        if _ON_CLUSTER.search(sql):
            database.run(f"EXPLAIN AST {sql}")  # it is a statement as it stands
        self._run_where_said(database, sql)

    def _run_where_said(self, database: ClickHouseDatabase, sql: str) -> None:
        if _ON_CLUSTER.search(sql):
            self._run_on_all(database.name, sql)
        else:
            database.run(sql)

    def _run_on_all(self, name: str, sql: str) -> None:
        for node in self.nodes(name):
            node.run(without_replication(sql))

    def nodes(self, name: str) -> list[ClickHouseDatabase]:
        """Return connections to a database on each of them, which are kept."""
        if name not in self._known:
            self._known[name] = [ClickHouseDatabase.of_url(each.url(name)) for each in self.servers]
        return self._known[name]

    def _close(self) -> None:
        for node in itertools.chain.from_iterable(self._known.values()):
            node.close()


def without_replication(statement: str) -> str:
    """Return a statement for a cluster as one for each of its nodes, where there are no replicas."""
    return _REPLICATION.sub(r"\1(", _ON_CLUSTER.sub("", statement))
