"""Watched services in SQLite: heartbeats as runs, states in any order, and what retention leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_measure.errors import StoreRejected
from otel_measure.records.kinds import ServiceState
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.services import RegisteredService, ServiceHistory, StateChange
from tests.closing import closed_later
from tests.facts import DAY, HERE, NOON, event
from tests.store.asking import asked


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    """An empty store in memory."""
    opened = SqliteStore(":memory:")
    yield opened
    opened.close()


def state(id: str, ts: int, state: str = "down", service: str = "api", reason: str | None = None) -> ServiceState:
    """A recorded state."""
    return ServiceState(id=id, ts=ts, origin=HERE, service=service, state=state, reason=reason)


def history(store: SqliteStore, start: int = 0, name: str = "api") -> ServiceHistory:
    """What the store knows of one service."""
    (found,) = asked(store, lambda m: m.services.histories(start, name))
    return found


def test_registration_survives(tmp_path: Path) -> None:
    """What is registered is there when the file is opened again."""
    first = closed_later(SqliteStore(str(tmp_path / "m.db")))
    first.register_service(HERE.environment, "api", 99.9, NOON)
    second = closed_later(SqliteStore(str(tmp_path / "m.db")))
    assert asked(second, lambda m: m.services.histories(0)) == [
        ServiceHistory(RegisteredService("api", NOON, 99.9), (), ((NOON, NOON),))
    ]
    first.close()
    second.close()


def test_services_without_end_are_refused(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a line of several metrics; those that are known may be registered again."""
    monkeypatch.setattr("otel_measure.store.sqlite.services.MAX_SERVICES", 2)
    for name in ("a", "b", "a"):
        store.register_service(HERE.environment, name, 99.9, NOON)
    with pytest.raises(StoreRejected, match="2 services are registered, and no more can be: 'c' is not watched"):
        store.register_service(HERE.environment, "c", 99.9, NOON)


def test_registration_survives_power_loss(store: SqliteStore) -> None:
    """A registration is synced to the disk before the call returns; a heartbeat need not be."""
    with store._database.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)
    store.register_service(HERE.environment, "api", 99.9, NOON)
    assert store._database._synchronous == "FULL"
    store.beat(HERE.environment, NOON)
    assert store._database._synchronous == "NORMAL"


def test_the_disk_bound_is_applied_while_an_outage_lasts(tmp_path: Path) -> None:
    """An outage that retention must leave does not keep the sweep from ending."""
    path = str(tmp_path / "m.db")
    store = closed_later(SqliteStore(path))
    store.register_service(HERE.environment, "api", 99.9, NOON)
    store.accept([state("1", NOON), event("e", ts=NOON + DAY)])
    assert closed_later(SqliteStore(path, max_bytes=1)).sweep(NOON + 3 * DAY) == 1
    assert history(store).changes == (StateChange(NOON, "down", None, "1"),)
    store.close()
