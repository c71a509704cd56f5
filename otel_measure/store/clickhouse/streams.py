"""Questions about streams: the small state answers them, and what facts add to running totals is summed beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from otel_measure.definitions.arrivals import Arrival
from otel_measure.definitions.exposition import Family
from otel_measure.definitions.machine_cells import MachineCell
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.records.kinds import Origin
from otel_measure.store.sqlite.moment import SqliteStreamQuestions
from otel_measure.store.types.streams import HostReading, Sender, StreamGrowth


class ClickHouseStreamQuestions:
    """Satisfies `otel_measure.store.questions.StreamQuestions`.

    Args:
        state: what the small state answers.
        sums: returns what facts add to each series.
        note_unnamed: is told of series that nobody has named.
    """

    def __init__(
        self,
        state: SqliteStreamQuestions,
        sums: Callable[[], Mapping[TotalKey, Sum]],
        note_unnamed: Callable[[Sequence[TotalKey]], None],
    ) -> None:
        self._state = state
        self._sums = sums
        self._note_unnamed = note_unnamed

    def families(self, now: int) -> list[Family]:
        """Return all that `/metrics` shows from the store, instruments and labels sorted."""
        sums = self._sums()
        if unnamed := self._state.unnamed(sorted(sums, key=repr)):
            self._note_unnamed(unnamed)
        return self._state.families(now, sums)

    def readings(self, prefixes: Sequence[str], since: int) -> list[HostReading]:
        """Return the last values of streams whose names begin so, per host, process and labels."""
        return self._state.readings(prefixes, since)

    def growth(self, name: str, since: int) -> list[StreamGrowth]:
        """Return by how much each stream of a counter has grown since then, to the minute, where it was heard of."""
        return self._state.growth(name, since)

    def machine(self, steps: Steps) -> dict[int, MachineCell]:
        """Return how the machine of the store was in each step of a series; steps without a reading are left out."""
        return self._state.machine(steps)

    def senders(self, since: int) -> list[Sender]:
        """Return who has sent since then, sorted."""
        return self._state.senders(since)

    def arrived(self, since: int) -> Mapping[Arrival, int]:
        """Return how many items came since then, to five minutes."""
        return self._state.arrived(since)

    def last_arrivals(self, since: int) -> dict[Origin, int]:
        """Return when the last five minutes begin in which anything came by OTLP since then, by who sent it."""
        return self._state.last_arrivals(since)
