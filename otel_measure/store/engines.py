"""Which engine keeps a store: the one place that knows any, and imports it when it is first needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from otel_measure.config import Settings
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import ConfigurationError, StoreError
from otel_measure.store.engine import Engine
from otel_measure.store.late import LateStore
from otel_measure.store.protocol import Store
from otel_measure.store.types.backups import Progress, Restored
from otel_measure.store.types.collected import ReadsCollector
from otel_measure.store.types.findings import StoreCheck
from otel_measure.store.types.moves import Moved
from otel_measure.store.types.sizes import Compacted
from otel_measure.store.types.spools import Spool

_MEMORY: Final = ":memory:"


def _sqlite() -> Engine:
    from otel_measure.store.sqlite.engine import ENGINE

    return ENGINE


def _clickhouse() -> Engine:
    from otel_measure.store.clickhouse.engine import ENGINE

    return ENGINE


# The scheme of `Settings.store` → its engine; a path and ":memory:" have none.
ENGINES: Final[Mapping[str, Callable[[], Engine]]] = {
    "": _sqlite,
    "clickhouse": _clickhouse,
    "clickhouses": _clickhouse,
}


def definitions_of(settings: Settings) -> Definitions:
    """Return what the settings say of the meaning of what is counted."""
    return Definitions(
        timezone=settings.timezone,
        session_gap_s=settings.session_gap_s,
        drift_window_records=settings.drift_window_records,
        drift_window_hours=settings.drift_window_hours,
    )


def open_store(
    settings: Settings, *, outbox: bool = False, to_rebuild: bool = False, reads_only: bool = False
) -> Store | None:
    """Return the store that the settings name, opened; `None` where they want none.

    With a spool it is opened when it is first needed: no process waits for a server that is away.

    Args:
        settings: where it is, and what it keeps.
        outbox: note of what is accepted that it is to leave by OTLP.
        to_rebuild: take the definitions that the store keeps, whatever the settings say.
        reads_only: likewise, and write nothing; the store is there.

    Raises:
        ConfigurationError: there is no engine for such a place.
        StoreUnavailable: it cannot be used; the message names cause and way out.
        StoreError: it is counted by other definitions, or was written by a newer version.
    """
    if settings.store is None:
        return None
    engine = _engine_of(settings.store)
    if to_rebuild or reads_only:
        return engine.open(settings, None, outbox=outbox, reads_only=reads_only)
    definitions = definitions_of(settings)
    if settings.spool is None:
        return engine.open(settings, definitions, outbox=outbox, reads_only=False)
    return LateStore(
        lambda: engine.open(settings, definitions, outbox=outbox, reads_only=False), definitions, time.monotonic
    )


def open_spool(settings: Settings) -> Spool | None:
    """Return the file in which records wait for the store, opened; `None` where the settings want none.

    Raises:
        StoreUnavailable: it cannot be used; the message names cause and way out.
    """
    if settings.spool is None or settings.store is None:
        return None
    from otel_measure.store.sqlite.spool import SqliteSpool

    return SqliteSpool(Path(settings.spool), settings.store_max_bytes)


def open_collector(settings: Settings) -> ReadsCollector | None:
    """Return what reads the tables of a Collector; `None` where the settings name none.

    Raises:
        ConfigurationError: the store is on no server.
    """
    name = settings.collector_database
    if name is None:
        return None
    store = settings.store
    if store is None or not _is_on_a_server(store):
        raise ConfigurationError(
            f"collector_database names {name!r}, which is read from the server of the store, and the store is on none:"
            " set store to clickhouse://…, or leave it out"
        )
    from otel_measure.store.clickhouse.collector_reading import CollectorReading
    from otel_measure.store.clickhouse.connection import ClickHouseDatabase

    return CollectorReading(lambda: ClickHouseDatabase.of_url(store), name)


def restore_store(settings: Settings, backup: Path | None, now: int, progress: Progress) -> Restored:
    """Put a backup in the place of the store that the settings name.

    Args:
        settings: where the store is, or is to be.
        backup: what `Store.backup` has made; `None` where a server has restored a backup of its own.
        now: microseconds.
        progress: is told how far it is.

    Raises:
        ConfigurationError: there is no store to be, or no engine for such a place.
        StoreUnavailable: the store is in use, or the backup is damaged; the store is as it was.
    """
    if settings.store is None:
        raise ConfigurationError("there is no store to restore: name one with --store or OTEL_MEASURE_STORE")
    return _engine_of(settings.store).restore(settings, backup, now, progress)


def store_checks(settings: Settings) -> Sequence[StoreCheck]:
    """Return what `doctor` is to look at of the store that the settings name, which need not be there.

    Raises:
        ConfigurationError: there is no engine for such a place.
    """
    return () if settings.store is None else _engine_of(settings.store).checks(settings, definitions_of(settings))


def compact(settings: Settings) -> Compacted:
    """Make the place of the store that the settings name smaller.

    Raises:
        ConfigurationError: there is no store there.
        StoreUnavailable: it cannot be done now; the message names what is needed.
    """
    if settings.store is None:
        raise ConfigurationError("there is no store to compact: the settings want none")
    return _engine_of(settings.store).compact(settings)


def move_store(
    source: Settings,
    target: Settings,
    now_us: Callable[[], int],
    progress: Progress,
    differing: Callable[[Settings], Sequence[str]],
) -> Moved:
    """Move the store that some settings name to where others name one: from a file to a server, or back.

    Args:
        source: where it is; it stays there.
        target: where none is yet, or where this began before and ended in the middle.
        now_us: the wall clock, microseconds.
        progress: is told how far it is.
        differing: returns the reports that the store at a place tells otherwise than the source does.

    Raises:
        ConfigurationError: it is neither from a file to clickhouse:// nor the other way.
        StoreError: there is a store already, not all of it arrived, somebody wrote to it meanwhile, or reports differ.
        StoreUnavailable: a store cannot be used; to begin again goes on.
    """
    from_server, to_server = (_is_on_a_server(str(settings.store)) for settings in (source, target))
    if from_server == to_server or _MEMORY in (source.store, target.store):
        raise ConfigurationError("a store is moved from a file to clickhouse://…, or from there to a file")
    from otel_measure.store.clickhouse import moving

    def is_alike(store: str) -> None:
        progress("reports", 0, 1)
        if reports := differing(replace(target, store=store)):
            raise StoreError(f"all facts are there, and reports differ: {', '.join(reports)}")
        progress("reports", 1, 1)

    if to_server:
        return moving.from_file(Path(str(source.store)), str(target.store), now_us, progress, is_alike)
    return moving.to_file(str(source.store), Path(str(target.store)), progress, is_alike)


def _is_on_a_server(store: str) -> bool:
    return "://" in store


def statements(engine: str, database: str, cluster: str | None) -> list[str]:
    """Return what creates a store on a server, in order.

    Args:
        engine: of the server; "clickhouse" is the only one.
        database: where the tables are to be.
        cluster: the name of the cluster, `None` for one node.

    Raises:
        ConfigurationError: a name cannot be one, or there is no such engine.
    """
    if engine != "clickhouse":
        raise ConfigurationError(f"stores are created on servers of clickhouse alone, not of {engine!r}")
    from otel_measure.store.clickhouse import schema

    return schema.statements(database, cluster)


def installed() -> list[Engine]:
    """Return every engine whose library is here."""
    return [_sqlite(), *([_clickhouse()] if find_spec("clickhouse_connect") else [])]


def _engine_of(store: str) -> Engine:
    scheme = store.partition("://")[0] if "://" in store else ""
    if scheme not in ENGINES:
        raise ConfigurationError(f'store must be a path, ":memory:", clickhouse://… or None, not {scheme}://…')
    return ENGINES[scheme]()
