"""Checks of a store on a ClickHouse server: the server, and what a store needs of it. None changes anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.restored import refuse_restored
from otel_measure.store.clickhouse.tables import LOG
from otel_measure.store.clickhouse.writing import (
    first_definitions,
    is_half_rebuilt,
    kept_definitions,
    refuse_other_tables,
)
from otel_measure.store.sqlite.kept import rebuild_command, told, ways_out
from otel_measure.store.types.findings import Finding, StoreCheck, ok, warning, wrong

Checks: TypeAlias = tuple[tuple[str, Callable[[ClickHouseDatabase], Finding]], ...]
_TESTED: Final = (26, 7)
_NEEDED: Final = "SELECT, INSERT, ALTER, CREATE, DROP"
_CLOCK_S: Final = 2.0
_LEAST_FREE: Final = 0.05
_MANY_PARTS: Final = 300
_GIB: Final = 2**30


def checks(url: str, definitions: Definitions) -> tuple[StoreCheck, ...]:
    """Return what `doctor` is to look at; of a server that does not answer, or let us in, that alone.

    Args:
        url: of the database.
        definitions: by which the settings have the store counted.

    Raises:
        ConfigurationError: it is no URL of ours, or the client is not installed.
    """
    try:
        ClickHouseDatabase.of_url(url).close()
    except StoreUnavailable as fault:
        refused = wrong(fault.what, fault.way_out)
        return (StoreCheck("store", lambda: refused),)
    looks: Checks = (*_CHECKS, ("store definitions", partial(_definitions, definitions)))
    return tuple(StoreCheck(name, partial(_looked, url, look)) for name, look in looks)


def _looked(url: str, look: Callable[[ClickHouseDatabase], Finding]) -> Finding:
    with ClickHouseDatabase.of_url(url) as database:
        return look(database)


def _server(database: ClickHouseDatabase) -> Finding:
    ((version,),) = database.rows("SELECT version()")
    known = f"ClickHouse {version}, database {database.name}"
    if tuple(int(part) for part in str(version).split(".")[:2]) < _TESTED:
        return warning(f"{known}: older than what is tested", f"use {'.'.join(map(str, _TESTED))} or newer")
    try:
        refuse_other_tables(database)
    except StoreError as fault:
        return wrong(f"{known}: {fault}", "see docs/scale.md, Shards")
    try:
        refuse_restored(database)
    except StoreUnavailable as fault:
        return wrong(f"{known}: {fault.what}", fault.way_out)
    if database.cluster is not None:
        ((shards, servers),) = database.rows(
            "SELECT uniqExact(shard_num), count() FROM system.clusters WHERE cluster = {name:String}",
            name=database.cluster,
        )
        return ok(f"{known}, on the cluster {database.cluster} of {shards} shards and {servers} servers")
    return ok(known if database.has_table(LOG.name) else f"{known}, in which there is no store yet")


def _grants(database: ClickHouseDatabase) -> Finding:
    ((user,),) = database.rows("SELECT currentUser()")
    ((has_all,),) = database.rows(f"CHECK GRANT {_NEEDED} ON `{{db}}`.*")
    if has_all:
        return ok(f"{user} may {_NEEDED}")
    return wrong(f"{user} may not all of {_NEEDED}", f"GRANT {_NEEDED} ON `{database.name}`.* TO {user}")


def _clock(database: ClickHouseDatabase) -> Finding:
    before = time.time()
    ((server,),) = database.rows("SELECT toFloat64(now64(6))")
    after = time.time()
    off_s = max(before - server, server - after, 0.0)
    if off_s > _CLOCK_S:
        return warning(f"the server's clock is {off_s:.0f} s from this one's", "let both follow NTP")
    return ok("the server's clock is this one's")


def _disk(database: ClickHouseDatabase) -> Finding:
    disks = database.rows(
        f"SELECT name, hostName(), free_space, total_space FROM {database.on_every_server('system.disks')}"
        " ORDER BY free_space / total_space LIMIT 1"
    )
    name, host, free, total = disks[0]
    told = f"disk {name} of {host} has {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
    return ok(told) if free >= _LEAST_FREE * total else wrong(told, "free disk space on the server, or keep fewer days")


def _parts(database: ClickHouseDatabase) -> Finding:
    rows = database.rows(
        f"SELECT table, count() AS parts FROM {database.on_every_server('system.parts')}"
        " WHERE active AND database = {name:String} GROUP BY shardNum(), table, partition ORDER BY parts DESC LIMIT 1",
        name=database.name,
    )
    if not rows:
        return ok("nothing is stored yet")
    table, parts = rows[0]
    told = f"{parts} parts in the fullest partition of {table}"
    if parts < _MANY_PARTS:
        return ok(told)
    return warning(f"{told}: they are merged more slowly than they come", "send larger batches, or give it more cores")


def _mutations(database: ClickHouseDatabase) -> Finding:
    rows = database.rows(
        f"SELECT table, count(), max(latest_fail_reason) FROM {database.on_every_server('system.mutations')}"
        " WHERE database = {name:String} AND NOT is_done GROUP BY table ORDER BY table",
        name=database.name,
    )
    failed = [f"{table}: {str(reason)[:200]}" for table, _, reason in rows if reason]
    if failed:
        return wrong(
            f"removals fail ({'; '.join(failed)})", "look into system.mutations, and KILL MUTATION where none ends"
        )
    waiting = sum(int(n) for _, n, _ in rows)
    return ok(f"{waiting} removals are under way" if waiting else "no removal is under way")


def _writable(database: ClickHouseDatabase) -> Finding:
    if not database.has_table(LOG.name):
        return ok("there is no store yet")
    try:
        database.check()
    except StoreError as fault:
        return wrong(str(fault), "look at the server")
    return ok(f"{database.name} takes writes")


def _definitions(wanted: Definitions, database: ClickHouseDatabase) -> Finding:
    if not database.has_table(LOG.name):
        return ok("there is no store yet")
    keeps = kept_definitions(database)
    if is_half_rebuilt(database):
        command = rebuild_command(keeps.differences(first_definitions(database)))
        return wrong("it is being counted by other definitions", f"wait; if nobody runs it any more, run {command}")
    if differences := wanted.differences(keeps):
        return wrong(told(differences), ways_out(differences))
    return ok("counted by the definitions of the settings")


_CHECKS: Final[Checks] = (
    ("store", _server),
    ("store grants", _grants),
    ("store clock", _clock),
    ("store disk", _disk),
    ("store parts", _parts),
    ("store mutations", _mutations),
    ("store writable", _writable),
)
