"""A database of a ClickHouse server, asked over HTTP; what goes wrong there is `StoreUnavailable` here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from otel_measure.errors import ConfigurationError, StoreRejected, StoreUnavailable
from otel_measure.store.clickhouse.client_library import client_maker, load_for_inserts
from otel_measure.store.clickhouse.faults import FREE_SPACE, LOOK, NO_ANSWER, unavailable
from otel_measure.store.clickhouse.schema import DEFAULT_DATABASE, LOCAL_SUFFIX
from otel_measure.store.clickhouse.tables import FACT_TABLES
from otel_measure.store.places import shown

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from clickhouse_connect.driver.external import ExternalData

_PORT: Final = 8123
_SECURE_PORT: Final = 8443
_SECONDS: Final = 60
_PROMPT_S: Final = 4  # of those who wait for a write to be answered
_PING_S: Final = 1
IDS_AT_ONCE: Final = 2000
# What is acknowledged is there, on every shard; one import may reach over any number of days; a delete has happened
# when it returns. A question within a question is asked of all shards as well, and of the same replicas: the server
# itself of its own shard (26.7 aborts when it connects to itself while a shard is away), the first that answers of any
# other. Without a shard there is no answer. Answers wait for their end in memory: by default they do on the server's
# disk, and where that is full they are empty and no error.
_SETTINGS: Final = {
    "async_insert": 0,
    "buffer_size": 64 * 2**20,
    "load_balancing": "in_order",
    "use_hedged_requests": 0,
    "skip_unavailable_shards": 0,
    "distributed_foreground_insert": 1,
    "distributed_product_mode": "global",
    "max_partitions_per_insert_block": 0,
    "lightweight_deletes_sync": 2,
    "do_not_merge_across_partitions_select_final": 1,
}


class SentTable(NamedTuple):
    """Rows that travel with a query, which knows them as a table.

    Attributes:
        name: of the table.
        columns: their types by their names.
        rows: of texts, whole numbers and nulls.
    """

    name: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[str | int | None]]

    def external(self) -> ExternalData:
        """Return it as the client sends it."""
        from clickhouse_connect.driver.external import ExternalData

        structure = [f"{name} {kind}" for name, kind in self.columns.items()]
        lines = b"\n".join(map(msgspec.json.encode, self.rows))
        return ExternalData(file_name=self.name, data=lines, fmt="JSONCompactEachRow", structure=structure)


class ClickHouseDatabase:
    """One database of a server; any thread may use it.

    A server that did not answer is asked for a sign of life before it is given work again: whoever comes while it hangs
    waits a second.

    Args:
        connect: returns a new client that waits for an answer for so many seconds; closed with it.
        name: of the database.
        within_s: how long a statement waits for its answer.
        wanted_cluster: over which facts are to be distributed; `None` takes what is there.

    Attributes:
        name, wanted_cluster: see above.
        has_refused: the last insert failed, and none has succeeded since.
    """

    def __init__(
        self,
        connect: Callable[[int], Client],
        name: str,
        within_s: int = _SECONDS,
        wanted_cluster: str | None = None,
    ) -> None:
        self._connect = connect
        self._within_s = within_s
        self._connected: Client | None = connect(within_s)
        self._is_in_doubt = False
        self.has_refused = False
        self._inherited: list[Client] = []
        self._asked_with: dict[str, int] = {}
        self.name = name
        self.wanted_cluster = wanted_cluster

    @classmethod
    def of_url(cls, url: str) -> Self:
        """Connect to what a URL names: `clickhouse://user:password@host:port/database`, `clickhouses://` over TLS.

        With `?cluster=NAME` the store is on that cluster, whose tables are there (`create`).

        Raises:
            ConfigurationError: it is no such URL, or the client is not installed.
            StoreUnavailable: nobody answers there, or lets us in.
        """
        make_client = client_maker()
        parts = urlsplit(url)
        name = parts.path.strip("/") or DEFAULT_DATABASE
        asked = parse_qs(parts.query, keep_blank_values=True)
        wanted = asked.pop("cluster", [None])
        if parts.scheme not in {"clickhouse", "clickhouses"} or not parts.hostname or "/" in name or asked:
            raise ConfigurationError(
                "a store in ClickHouse is clickhouse://user:password@host:port/database[?cluster=NAME],"
                f" not {shown(url)!r}"
            )
        is_secure = parts.scheme == "clickhouses"
        logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # we say it, and once

        def connect(within_s: int) -> Client:
            return make_client(
                host=parts.hostname,
                port=parts.port or (_SECURE_PORT if is_secure else _PORT),
                username=unquote(parts.username or "default"),
                password=unquote(parts.password or ""),
                secure=is_secure,
                connect_timeout=_PROMPT_S,
                send_receive_timeout=within_s,
                autogenerate_session_id=False,
                settings=_SETTINGS,
            )

        with _told_as_unavailable(shown(url)):
            connect(_PROMPT_S).close()  # nobody waits for an answer who has none yet
            return cls(connect, name, wanted_cluster=wanted[-1])

    def rows(
        self, sql: str, merged: Mapping[int, int] | None = None, sent: SentTable | None = None, **parameters: Any
    ) -> Sequence[Sequence[Any]]:
        """Return the rows of a query, in which `{name:Type}` is a parameter and `{db}` the name of the database.

        Args:
            sql: the query.
            merged: numbers of users and of the persons that they are; the query knows them as the table `merged`.
            sent: rows that the query knows as a table, in the place of `merged`.
            parameters: by their names.
        """
        beside = None if sent is None else sent.external()
        with self._talking():
            answer = self._client.query(
                sql.replace("{db}", self.name),
                parameters=parameters or None,
                external_data=beside if merged is None else _merged_table(merged),
                settings=self._asked_with,
            )
        rows = answer.result_rows
        made = int(answer.summary.get("result_rows", len(rows)))
        if made != len(rows):
            raise StoreUnavailable("full", f"{self.name}: {len(rows):,} of {made:,} rows of an answer came", FREE_SPACE)
        return rows

    def run(self, sql: str, merged: Mapping[int, int] | None = None, **parameters: Any) -> None:
        """Run a statement, with what `rows` takes."""
        with self._talking():
            self._client.command(
                sql.replace("{db}", self.name),
                parameters=parameters or None,
                external_data=None if merged is None else _merged_table(merged),
            )

    def insert(self, table: str, columns: Mapping[str, Sequence[Any]], shard: int = 0) -> None:
        """Insert rows, given by columns; there are some. When it returns they are stored.

        Args:
            table: into which.
            columns: by their names.
            shard: on which they are to lie, as `shardNum()` tells it; 0 where that is by their user.

        Raises:
            StoreRejected: a value does not fit into its column; nothing was sent.
        """
        names, values = list(columns), list(columns.values())
        where = {"insert_shard_id": shard} if shard else None
        try:
            with self._talking():
                load_for_inserts()
                self._client.insert(table, values, names, database=self.name, column_oriented=True, settings=where)
        except StoreUnavailable:
            self.has_refused = True
            raise
        self.has_refused = False

    def check(self) -> None:
        """Raise `StoreUnavailable` when the server, or a shard, does not answer, or it does not let us write.

        No row is written, so a disk that is full is not met: that is known by `has_refused`.
        """
        self.run("INSERT INTO {db}.log (name, operation, said_by) SELECT '', '', 0 WHERE 0")
        if self.cluster is not None:
            self.rows(f"SELECT 1 FROM {self.on_each_shard('system.one')}")

    def after_fork_in_child(self) -> None:
        """Take connections of one's own when they are needed: those of the parent process are left to it."""
        if self._connected is not None:
            self._inherited.append(self._connected)
            self._connected = None
        vars(self).pop("hiding", None)
        if "prompt" in vars(self):
            self.prompt.after_fork_in_child()

    def delete(self, table: str, where: str, *, is_awaited: bool = True) -> None:
        """Delete the rows of a table of facts for which a condition holds, on every shard.

        Args:
            table: of facts.
            where: the condition.
            is_awaited: the rows are gone when it returns; otherwise the server goes on by itself, even after it was
                killed, and until then the rows are there for all but `hiding`.
        """
        later = "" if is_awaited else " SETTINGS lightweight_deletes_sync = 0"
        self.run_on_shards(f"DELETE FROM {{db}}.{self.holder(table)}{self._on_cluster(table)} WHERE {where}{later}")

    def alter(self, table: str, command: str) -> None:
        """Alter what holds the rows of a table, on every shard."""
        self.run_on_shards(f"ALTER TABLE {{db}}.{self.holder(table)}{self._on_cluster(table)} {command}")

    def count_parts(self, table: str, where: str) -> int:
        """Return how many parts of a table there are on all servers for which a condition holds."""
        return len(self._system_rows("system.parts", table, where))

    def mutations(self, table: str) -> set[str]:
        """Return the deletes and changes of a table that are under way on any server."""
        return {str(name) for (name,) in self._system_rows("system.mutations", table, "NOT is_done", "mutation_id")}

    def _system_rows(self, system: str, table: str, where: str, columns: str = "1") -> Sequence[Sequence[Any]]:
        of = self.on_every_server(system) if self._is_distributed(table) else system
        sql = f"SELECT {columns} FROM {of} WHERE database = {{of:String}} AND table = {{table:String}} AND {where}"
        return self.rows(sql, of=self.name, table=self.holder(table))

    def projection(self, table: str, name: str) -> str | None:
        """Return a projection of a table as a query names it, on every shard; `None` where it tells of hidden rows."""
        if self._asked_with:
            return None
        return self.on_each_shard(f"mergeTreeProjection({self.name}, {self.holder(table)}, {name})")

    def on_each_shard(self, table: str) -> str:
        """Return a table of the servers' own as a query names it, of one server of each shard."""
        return table if self.cluster is None else f"cluster('{self.cluster}', {table})"

    def on_every_server(self, table: str) -> str:
        """Return a table of the servers' own as a query names it, of all servers that have facts."""
        return table if self.cluster is None else f"clusterAllReplicas('{self.cluster}', {table})"

    def _is_distributed(self, table: str) -> bool:
        return self.cluster is not None and any(table == each.name for each in FACT_TABLES)

    def holder(self, table: str) -> str:
        """Return the name of the table that holds the rows of a table, on the one server or on each shard."""
        return table + LOCAL_SUFFIX if self._is_distributed(table) else table

    def _on_cluster(self, table: str) -> str:
        return f" ON CLUSTER `{self.cluster}`" if self._is_distributed(table) else ""

    @cached_property
    def cluster(self) -> str | None:
        """Over whose shards the facts are distributed; `None` where they are all on the node that is asked."""
        rows = self.rows(
            "SELECT extract(engine_full, '^Distributed\\(\\'([^\\']+)') FROM system.tables"
            " WHERE database = {name:String} AND name = {table:String}",
            name=self.name,
            table=FACT_TABLES[0].name,
        )
        return str(rows[0][0]) or None if rows else None

    def has_table(self, table: str) -> bool:
        """Tell whether there is a table of this name."""
        sql = "SELECT 1 FROM system.tables WHERE database = {of:String} AND name = {table:String}"
        return bool(self.rows(sql, of=self.name, table=table))

    def run_on_shards(self, sql: str) -> None:
        """Run a statement that says itself whether it is for a cluster."""
        self.run(sql)

    @cached_property
    def prompt(self) -> Self:
        """The same database, of which every answer comes within seconds, or is that there is none."""
        with _told_as_unavailable(self.name):
            return type(self)(self._connect, self.name, _PROMPT_S)

    @cached_property
    def hiding(self) -> Self:
        """The same database, in which what is deleted is not there, also while the server is still at it.

        It reads without projections what the server is at, and is made for questions.
        """
        hiding = copy(self)
        hiding._connected = self._client
        hiding._asked_with = {"apply_mutations_on_fly": 1}
        return hiding

    def beside(self, name: str) -> Self:
        """Connect to another database of the same server, by the same user."""
        with _told_as_unavailable(name):
            return type(self)(self._connect, name, self._within_s)

    @property
    def _client(self) -> Client:
        """The connections of this process."""
        if self._connected is None:
            with _told_as_unavailable(self.name):
                self._connect(_PROMPT_S).close()  # nobody waits for an answer who has none yet
                self._connected = self._connect(self._within_s)
        return self._connected

    @contextmanager
    def _talking(self) -> Iterator[None]:
        if self._is_in_doubt and not self._client.ping(timeout=_PING_S):
            raise StoreUnavailable("away", f"{self.name}: the server does not answer", LOOK)
        try:
            with _told_as_unavailable(self.name):
                yield
        except StoreUnavailable as fault:
            self._is_in_doubt = fault.cause_name in NO_ANSWER
            raise
        self._is_in_doubt = False

    def close(self) -> None:
        """Close the connections."""
        if "prompt" in vars(self):
            self.prompt.close()
        if self._connected is not None:
            self._connected.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the connections."""
        self.close()


def in_ids(ids: Iterable[int]) -> str:
    """Return numbers of 128 bits for an `IN`: bare, the large ones would be read as fractions and match nothing."""
    return "(" + ",".join(f"'{number}'" for number in ids) + ")"


def id_chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield as many ids at a time as a statement may name."""
    for i in range(0, len(ids), IDS_AT_ONCE):
        yield ids[i : i + IDS_AT_ONCE]


def _merged_table(merged: Mapping[int, int]) -> ExternalData:
    from clickhouse_connect.driver.external import ExternalData

    pairs = b"".join(user.to_bytes(16, "little") + person.to_bytes(16, "little") for user, person in merged.items())
    return ExternalData(file_name="merged", data=pairs, fmt="RowBinary", structure=["user UInt128", "person UInt128"])


@contextmanager
def _told_as_unavailable(where: str) -> Iterator[None]:
    from clickhouse_connect.driver.exceptions import DataError, Error

    try:
        yield
    except DataError as error:
        raise StoreRejected(f"cannot be kept: {error}") from error
    except Error as error:
        raise unavailable(where, error) from error
