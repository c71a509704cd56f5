"""The statements that create a store: for one node, or for a cluster of shards and replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from otel_measure.errors import ConfigurationError
from otel_measure.store.clickhouse.tables import FACT_TABLES, STATE_TABLES, FactTable

DEFAULT_DATABASE: Final = "measure"
LOCAL_SUFFIX: Final = "_local"
"""Of the tables of a cluster that hold the rows of one shard."""
_BY_ID: Final = "PROJECTION by_id (SELECT id, day, rank ORDER BY id) WITH SETTINGS (index_granularity = 512)"
# A merge that drops a row, and a delete, make the projections of the part anew: they never tell of what is gone.
_FACT_SETTINGS: Final = (
    "deduplicate_merge_projection_mode = 'rebuild'",
    "lightweight_mutation_projection_mode = 'rebuild'",
    "min_age_to_force_merge_seconds = 3600",
    "min_age_to_force_merge_on_partition_only = 1",
)
# The order of rows survives merges: it says who was first.
_STATE_SETTINGS: Final = ("enable_block_number_column = 1", "enable_block_offset_column = 1")
SYNCED: Final = ("fsync_after_insert = 1", "fsync_part_directory = 1")
"""Settings of tables whose rows are on the disk when an insert returns, also when the power goes."""


class _Engines(NamedTuple):
    """What differs between one node and a cluster.

    Attributes:
        on: what follows the name of what is created on every server.
        facts: the engine of a table of facts, from its name.
        suffix: of the tables that hold the rows of a shard.
    """

    on: str
    facts: Callable[[str], str]
    suffix: str


def statements(database: str = DEFAULT_DATABASE, cluster: str | None = None) -> list[str]:
    """Return what creates the database and its tables, in order; doing it again changes nothing.

    Args:
        database: its name.
        cluster: as the servers' configuration names it; `None` for one node. Facts then lie on shards by their user and
            are asked through tables of the engine Distributed. What is kept beside them is on the one server that is
            given the statements: of a replicated table nobody knows in which order rows become visible. The first
            statement fails where there are tables of one node already, which the others would leave as they are.

    Raises:
        ConfigurationError: a name has other characters than letters, digits, `_` and `-`.
    """
    for what, name in (("database", database), ("cluster", cluster or "c")):
        if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii():
            raise ConfigurationError(f"the name of a {what} has letters, digits, _ and - alone, not {name!r}")
    engines = _one_node() if cluster is None else _cluster(database, cluster)
    return [
        *(() if cluster is None else [_none_of_one_node(database, cluster)]),
        f"CREATE DATABASE IF NOT EXISTS `{database}`{engines.on}",
        *_fact_tables(database, engines),
        *(() if cluster is None else _distributed(database, cluster, engines)),
        *state_statements(database),
    ]


def state_statements(database: str) -> list[str]:
    """Return what creates the tables of what is kept beside facts."""
    return [
        f"CREATE TABLE IF NOT EXISTS `{database}`.{state.name}"
        f" ({', '.join(f'{name} {kind}' for name, kind in state.columns.items())})"
        f"\nENGINE = MergeTree PARTITION BY {state.partition} ORDER BY {state.order}"
        f"\nSETTINGS {', '.join((*_STATE_SETTINGS, *(SYNCED if state.is_synced else ())))}"
        for state in STATE_TABLES
    ]


def _none_of_one_node(database: str, cluster: str) -> str:
    said = f"{database} has tables of one server: name another database, or remove it on every server"
    return (
        f"SELECT throwIf(count() > 0, '{said}') FROM clusterAllReplicas('{cluster}', system.tables)"
        f"\nWHERE database = '{database}' AND name = '{FACT_TABLES[0].name}' AND engine != 'Distributed'"
    )


def _one_node() -> _Engines:
    return _Engines("", lambda _: "ReplacingMergeTree(rank)", "")


def _cluster(database: str, cluster: str) -> _Engines:
    path = f"/clickhouse/tables/{{shard}}/{database}"
    return _Engines(
        f" ON CLUSTER `{cluster}`",
        lambda table: f"ReplicatedReplacingMergeTree('{path}/{table}', '{{replica}}', rank)",
        LOCAL_SUFFIX,
    )


def _fact_tables(database: str, engines: _Engines) -> Iterator[str]:
    for table in FACT_TABLES:
        name = table.name + engines.suffix
        projections = [_BY_ID, *(f"PROJECTION {each} ({select})" for each, select in table.projections.items())]
        yield (
            f"CREATE TABLE IF NOT EXISTS `{database}`.{name}{engines.on} (\n  "
            + ",\n  ".join((*_columns(table), *projections))
            + f"\n) ENGINE = {engines.facts(name)}\nPARTITION BY {table.partition} ORDER BY ({', '.join(table.order)})"
            + f"\nSETTINGS {', '.join(_FACT_SETTINGS)}"
        )


def _columns(table: FactTable) -> list[str]:
    return [f"{name} {kind}" for name, kind in {**table.all_columns, **table.derived}.items()]


def _distributed(database: str, cluster: str, engines: _Engines) -> Iterator[str]:
    for table in FACT_TABLES:
        yield (
            f"CREATE TABLE IF NOT EXISTS `{database}`.{table.name}{engines.on}"
            f" AS `{database}`.{table.name}{engines.suffix}"
            f"\nENGINE = Distributed('{cluster}', '{database}', '{table.name}{engines.suffix}', cityHash64(user))"
        )
