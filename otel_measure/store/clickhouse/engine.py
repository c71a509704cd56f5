"""ClickHouse as `otel_measure.store.engines` knows it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from otel_measure.config import Settings
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import ConfigurationError
from otel_measure.store.clickhouse.checkup import checks
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.restored import make_store_again
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.engine import Engine
from otel_measure.store.places import shown
from otel_measure.store.protocol import Store
from otel_measure.store.types.backups import Progress, Restored
from otel_measure.store.types.findings import Finding, StoreCheck, ok
from otel_measure.store.types.sizes import Compacted

_OWN_WAY: Final = "the server has its own way: see docs/scale.md"


def _version() -> str:
    try:
        return version("clickhouse-connect")
    except PackageNotFoundError:
        return "none"


def _library() -> Finding:
    return ok(_version())


def _open(settings: Settings, definitions: Definitions | None, *, outbox: bool, reads_only: bool) -> Store:
    return ClickHouseStore.of_settings(settings, definitions, notes_outbox=outbox)


def _checks(settings: Settings, definitions: Definitions) -> tuple[StoreCheck, ...]:
    return checks(str(settings.store), definitions)


def _restore(settings: Settings, backup: Path | None, now: int, progress: Progress) -> Restored:
    place = str(settings.store)
    if backup is not None:
        raise ConfigurationError(
            f"ClickHouse restores its backups itself, and no file such as {backup}: run its RESTORE DATABASE, and then"
            " `otel-measure restore` without a file; docs/scale.md has an example"
        )
    with ClickHouseDatabase.of_url(place) as database:
        progress("restoring", 0, 1)
        size_bytes = make_store_again(database)
        progress("restoring", 1, 1)
    return Restored(shown(place), size_bytes, 0)


def _compact(settings: Settings) -> Compacted:
    raise ConfigurationError(f"a store in ClickHouse is not made smaller; {_OWN_WAY}")


ENGINE: Final = Engine("clickhouse-connect", _version(), _library, _open, _checks, _restore, _compact)
