"""What all models did in a window, kept as it was last read: of a window that moves, little has to be read again.

Whoever writes cells of a model notes it in `model_change`, where the last change has the greatest id. So a reader knows
of which models the cells are as they were, and a window that has moved on holds the same cells of all models but those
that have some where it begins or ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.windows import HOUR_US
from otel_measure.store.types.facts import Filter

MAX_KEPT: Final = 20_000
"""Models of all windows together, some kilobytes each."""
_FARTHEST_US: Final = 6 * HOUR_US
_MOST_ALIKE: Final = 2
"""Windows of one length: one that ends now, and the time before, which it is compared with."""
# Cells of a few models are read by an index, those of many faster all at once.
_LARGEST_SHARE: Final = 0.25
_Key: TypeAlias = tuple[Filter, int]  # whose calls, and the length of the window


class KeptUse(NamedTuple):
    """What models did in a window.

    Attributes:
        change: the last one that is in it.
        start, end: microseconds, whole minutes.
        by_model: uses by the number of the model; nobody changes one.
    """

    change: int
    start: int
    end: int
    by_model: Mapping[int, ModelUse]


class KeptUses:
    """The windows of a store that were asked for last; safe for several threads: what is kept is never changed."""

    def __init__(self) -> None:
        self._kept: Mapping[_Key, tuple[KeptUse, ...]] = {}

    def keep(self, where: Filter, use: KeptUse) -> None:
        """Keep what was read in place of a window near by, and as much of what was kept before as there is room for."""
        key = (where, use.end - use.start)
        kept: dict[_Key, tuple[KeptUse, ...]] = {key: (use,)}
        room = MAX_KEPT - len(use.by_model)
        for other, windows in self._kept.items():
            for before in windows:
                there = kept.get(other, ())
                is_another = other != key or not _is_near(before, use.start)
                if is_another and len(there) < _MOST_ALIKE and len(before.by_model) <= room:
                    kept[other] = (*there, before)
                    room -= len(before.by_model)
        if room >= 0:
            self._kept = kept

    def near(self, where: Filter, change: int, start: int, end: int, horizon: int) -> KeptUse | None:
        """Return what is kept of a window near by, if anything is.

        Args:
            where: whose calls.
            change: the last one that the reader sees; a window with a later one is none of its moment.
            start: of the window, as of `KeptUse`.
            end: of it.
            horizon: before which cells may be gone.
        """
        windows = self._kept.get((where, end - start), ())
        kept = next((each for each in windows if _is_near(each, start)), None)
        return None if kept is None or kept.change > change or kept.start < horizon else kept


def _is_near(kept: KeptUse, start: int) -> bool:
    """Whether a window that begins at a time has moved on from one that is kept; today's has not from yesterday's."""
    return abs(kept.start - start) <= _FARTHEST_US


def to_read_again(connection: sqlite3.Connection, kept: KeptUse, start: int, end: int) -> set[int] | None:
    """Return the models of which a window holds other cells than one that is kept; `None` where those are many."""
    parts = [part for part in (_between(kept.start, start), _between(kept.end, end)) if part[0] < part[1]]
    at_edges = " UNION ".join(
        f"SELECT model FROM {cells} WHERE seconds = 60 AND start >= ? AND start < ?"
        for cells in ("model_cell", "received_cell")
        for _ in parts
    )
    changed = "SELECT model FROM model_change WHERE id > ?"
    rows = connection.execute(
        f"{changed} UNION {at_edges}" if parts else changed,
        (kept.change, *(edge for _ in range(2) for part in parts for edge in part)),
    )
    models = {model for (model,) in rows}
    return models if len(models) <= _LARGEST_SHARE * len(kept.by_model) else None


def _between(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other)
