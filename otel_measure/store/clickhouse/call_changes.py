"""Of which times the calls among the facts changed, so that what is kept of all others is right.

A part of a table never changes, so what changed is in the parts that came and in those that went. Of each that is read
it is kept how many rows of every five minutes it has, and the sum of their hashes. Where those that came have the rows
of those that went, the server has merged them and nothing changed; where they differ, rows were added or removed.
Nobody who writes has to note anything, whichever process it is and whenever it ends.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from otel_measure.definitions.days import day_number, day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.clickhouse.chosen_calls import cell_start
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.measured import FROM_FACTS, in_parts
from otel_measure.store.clickhouse.parts import DataPart, PartContent, PartName, active_parts
from otel_measure.store.clickhouse.tables import INFERENCE
from otel_measure.store.types.models import SLOT_US, CallChanges

MAX_SLOTS: Final = 100_000
"""Of how many five minutes it is known when they changed last: those of a year, some 100 bytes each."""
_ATTEMPTS: Final = 5
_HASHES: Final = 2**64
_Rows: TypeAlias = Mapping[int, tuple[int, int]]
"""When five minutes begin → how many rows lie in them, and the sum of the hashes of id and rank, which tell rows."""


class _SeenPart(NamedTuple):
    """A part that was there when last looked; the rows of one that was not read are not known."""

    part: DataPart
    rows: _Rows | None


class CallPartChanges:
    """What this process has seen change; any thread may ask.

    Args:
        database: of the store.
        definitions: whose days the parts are of.
    """

    def __init__(self, database: ClickHouseDatabase, definitions: Definitions) -> None:
        self._database = database
        self._definitions = definitions
        self._last = 0
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._parts: dict[PartName, _SeenPart] | None = None
        self._changed: dict[int, int] = {}  # when five minutes begin → their last change; the last one stands last
        self._known_after = self._last

    def after_fork_in_child(self) -> None:
        """Begin anew: the parent may have been half-way."""
        self._last += 1
        self._reset()

    def count_by(self, definitions: Definitions) -> None:
        """Begin anew where these are others: calls lie in other days by them."""
        with self._lock:
            if definitions == self._definitions:
                return
            self._definitions = definitions
            self._last += 1
            self._forget()

    def changes(self, since: int | None) -> CallChanges:
        """Return what changed since a change; see `StoredModels.changes`. Changes of before are of this process.

        What is asked of the facts after this has all that is said here; what comes meanwhile is said the next time.

        Raises:
            StoreUnavailable: the server does not answer.
        """
        with self._lock:
            self._look()
            if since is None:
                return CallChanges(self._last, [])
            if since < self._known_after:
                return CallChanges(self._last, None)
            return CallChanges(self._last, sorted(self._changed_since(since)))

    def _changed_since(self, since: int) -> Iterator[int]:
        for slot, change in reversed(self._changed.items()):
            if change <= since:
                return
            yield slot

    # ------------------------------------------------------------ looking

    def _look(self) -> None:
        """Note what changed since the last look."""
        before, now = self._parts, self._parts_of_now()
        self._parts = now
        if before is not None and before.keys() != now.keys():
            gone = [seen for name, seen in before.items() if name not in now]
            if slots := self._differing(gone, [seen for name, seen in now.items() if name not in before]):
                self._note(slots)

    def _parts_of_now(self) -> dict[PartName, _SeenPart]:
        """Return the parts of now, of which the new ones were read."""
        known = dict(self._parts or {})
        for _ in range(_ATTEMPTS):
            active = {part.name: part for part in active_parts(self._database, (INFERENCE.name,))}
            unread = [part for name, part in active.items() if name not in known]
            if not unread:
                break
            known |= self._read(unread, {seen.part.content: seen.rows for seen in known.values()})
        return {name: _seen(part, known.get(name)) for name, part in active.items()}

    def _read(self, parts: Iterable[DataPart], known: Mapping[PartContent, _Rows | None]) -> dict[PartName, _SeenPart]:
        """Return parts with their rows, but for what has been there for hours; without those that went meanwhile."""
        read = {part.name: _SeenPart(part, known.get(part.content)) for part in parts}
        is_asked = {name: part.content not in known and not part.is_at_rest for name, (part, _) in read.items()}
        unread = [name for name in read if is_asked[name]]
        rows: dict[PartName, _Rows] = {name: {} for name in unread}
        if unread:
            by_part = self._database.rows(
                f"SELECT shardNum() AS shard, _part, {cell_start(SLOT_US)} AS slot, count(), sum(cityHash64(id, rank))"
                f" FROM {{db}}.{INFERENCE.name} WHERE {in_parts(unread)}"
                f" GROUP BY shard, _part, slot ORDER BY shard, _part {FROM_FACTS}"
            )
            for name, of_part in groupby(by_part, itemgetter(0, 1)):
                rows[PartName(*name)] = {slot: (n, hashes) for *_, slot, n, hashes in of_part}
        return {
            name: seen._replace(rows=rows.get(name, seen.rows))
            for name, seen in read.items()
            if name not in rows or _is_whole(seen.part, rows[name])
        }

    # ------------------------------------------------------------ what changed

    def _differing(self, gone: list[_SeenPart], new: list[_SeenPart]) -> set[int]:
        """Return the five minutes that do not have the same rows in parts that are gone as in those that are new."""
        replaced = {seen.part.content for seen in gone} & {seen.part.content for seen in new}
        gone, new = ([seen for seen in some if seen.part.content not in replaced] for some in (gone, new))
        slots: set[int] = set()
        for partition in {seen.part.partition for seen in (*gone, *new)}:
            before, now = ([seen.rows for seen in some if seen.part.partition == partition] for some in (gone, new))
            rows_before, rows_now = _together(before), _together(now)
            if rows_before is None or rows_now is None:
                slots |= self._slots_of_day(partition)
            else:
                both = rows_before.keys() | rows_now.keys()
                slots |= {slot for slot in both if rows_before.get(slot) != rows_now.get(slot)}
        return slots

    def _slots_of_day(self, partition: str) -> set[int]:
        day = day_number(date.fromisoformat(partition))
        start, end = (day_start(each, self._definitions.zone) for each in (day, day + 1))
        return set(range(start - start % SLOT_US, end, SLOT_US))

    def _note(self, slots: Iterable[int]) -> None:
        self._last += 1
        for slot in slots:
            self._changed.pop(slot, None)
            self._changed[slot] = self._last
        while len(self._changed) > MAX_SLOTS:
            self._known_after = self._changed.pop(next(iter(self._changed)))


def _seen(part: DataPart, known: _SeenPart | None) -> _SeenPart:
    """Return a part as it is kept: of what has been there for hours, and is merged no more, no rows."""
    return _SeenPart(part, None if known is None or part.is_at_rest else known.rows)


def _is_whole(part: DataPart, rows: _Rows) -> bool:
    """Tell whether the rows of a part were read: one query has all of them, or none where the part has gone."""
    n = sum(each for each, _ in rows.values())
    return n == part.rows or (part.hides_rows and n > 0)


def _together(parts: Iterable[_Rows | None]) -> Mapping[int, tuple[int, int]] | None:
    """Return the rows of some parts, `None` where those of any are not known."""
    counts, hashes = Counter[int](), Counter[int]()
    for rows in parts:
        if rows is None:
            return None
        for slot, (n, hashed) in rows.items():
            counts[slot] += n
            hashes[slot] = (hashes[slot] + hashed) % _HASHES
    return {slot: (n, hashes[slot]) for slot, n in counts.items()}
