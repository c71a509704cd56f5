"""The engines that have to answer alike: one more is one more row."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otel_measure.config import Settings
from otel_measure.store.engines import open_store
from otel_measure.store.protocol import Store
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later

_servers: list[ClickHouseServer] = []


@contextmanager
def serving(server: ClickHouseServer) -> Iterator[None]:
    """Have stores in ClickHouse on this server."""
    _servers.append(server)
    yield
    _servers.pop()


def _new_database() -> str:
    return _servers[-1].url_for_one_test()


class _Folder:
    """A folder that is removed when the test ends."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name)

    def close(self) -> None:
        """Remove it."""
        self._folder.cleanup()


@dataclass(frozen=True)
class EngineCase:
    """One engine under test.

    Attributes:
        name: of the row.
        new_place: returns where a store that nobody has used may be, as `Settings.store` names it.
        is_shared: several processes may open one place.
    """

    name: str
    new_place: Callable[[], str]
    is_shared: bool

    def open(self, place: str | None = None, *, outbox: bool = False, **settings: Any) -> Store:
        """Open a store, in a new place unless one is given; the end of the test closes it."""
        store = open_store(Settings(store=place or self.new_place(), **settings), outbox=outbox)
        assert store is not None
        return closed_later(store)

    def shared_place(self) -> str:
        """Return a new place for several processes; skips the test where an engine has none."""
        if not self.is_shared:
            pytest.skip(f"{self.name} is one process's alone")
        return self.new_place()


IN_MEMORY = EngineCase("sqlite memory", lambda: ":memory:", is_shared=False)
CLICKHOUSE = EngineCase("clickhouse", _new_database, is_shared=True)
ENGINES: tuple[EngineCase, ...] = (
    EngineCase("sqlite file", lambda: str(closed_later(_Folder()).path / "measure.db"), is_shared=True),
    IN_MEMORY,
    CLICKHOUSE,
)
