"""A ledger over a store of its own, whose clock a test lets pass and steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from otel_measure.definitions.days import moment
from otel_measure.infrastructure.ledger import Ledger
from otel_measure.recorder import Recorder
from otel_measure.records.ids import Uuid7
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import SqliteStore
from tests.closing import closed_later
from tests.facts import HERE, NOON

START = moment(NOON)


class Quiet:
    """A sink that takes everything."""

    def record(self, records: Sequence[Record]) -> None:
        """Take records."""

    def count(self, kind: str, outcome: str, n: int, reason: str | None = None) -> None:
        """Take a count."""

    def fault(self, what: str) -> None:
        """Take a fault."""

    def commit_took(self, seconds: float) -> None:
        """Take a duration."""


class World:
    """A wall clock that tests set, and a process of ours that they start, kill and let live."""

    def __init__(self, path: Path | None) -> None:
        self.now_us = NOON
        self._path = path
        self.store: SqliteStore | None = None
        self.restart()

    def restart(self) -> None:
        """Begin as a new process: nothing is left but the file."""
        if self.store is not None:
            self.store.close()
        self.store = closed_later(SqliteStore(str(self._path))) if self._path else None
        self.ledger = Ledger(
            HERE, Recorder(self.store, Quiet(), raise_faults=True), self.store, self.clock, Uuid7(self.clock)
        )

    def clock(self) -> int:
        return self.now_us

    def step(self, seconds: float) -> None:
        """Let the clock jump, or time pass in which nothing of ours lives."""
        self.now_us += round(seconds * 1_000_000)

    def live(self, seconds: int, watching: Collection[str] = ()) -> None:
        """Let time pass with a heartbeat every 15 s."""
        for _ in range(seconds // 15):
            self.step(15)
            self.ledger.beat(watching)
        self.step(seconds % 15)

    def figures(self, window: str = "30d") -> tuple[float, float, float, int]:
        """Seconds up, down and unknown, and the number of incidents of the service."""
        found = self.ledger.availability("api", window)
        return found.uptime_seconds, found.downtime_seconds, found.unknown_seconds, found.incidents

    def is_down(self) -> bool:
        """What the list of services says."""
        return self.ledger.services().services_down == 1
