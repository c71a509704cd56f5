"""ClickHouse as `otel_measure.store.engines` knows it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from otel_measure.config import Settings
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import ConfigurationError
from otel_measure.store.clickhouse.checkup import checks
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.engine import Engine
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


def _restore(settings: Settings, backup: Path, now: int, progress: Progress) -> Restored:
    raise ConfigurationError(f"a backup is not restored to ClickHouse; {_OWN_WAY}")


def _compact(settings: Settings) -> Compacted:
    raise ConfigurationError(f"a store in ClickHouse is not made smaller; {_OWN_WAY}")


ENGINE: Final = Engine("clickhouse-connect", _version(), _library, _open, _checks, _restore, _compact)
