"""Cells: whole numbers that add up under a key, so that a window's answer is a sum of cells.

What one person, session or answer contributes is told by the rules beside this module; a store adds the changes to its
cells and removes those in which nothing is left, so that cells are a function of the facts alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

CellKey: TypeAlias = tuple[int | str, ...]
LARGEST: Final = 2**63 - 1
"""What a sum holds at most. It stays there, in any order, rather than refusing every later record."""


class CellKind(NamedTuple):
    """One kind of cell.

    Attributes:
        name: of its table.
        keys: the columns of its key.
        sums: the columns that add up.
        is_signed: cells may be negative, and come back to nothing from below.
    """

    name: str
    keys: tuple[str, ...]
    sums: tuple[str, ...]
    is_signed: bool = False


GAPS: Final = CellKind("gap_cell", ("day", "gap"), ("n",))
COHORTS: Final = CellKind("cohort_cell", ("cohort", "day_offset"), ("n",))
SESSIONS: Final = CellKind(
    "session_cell", ("day",), ("sessions", "duration_us", "events", "viewed", "bounced", "background")
)
GOALS: Final = CellKind("goal_cell", ("goal", "hit_day", "day"), ("persons", "wait_us"), is_signed=True)
GOAL_SUMS: Final = CellKind("goal_sum", ("goal", "hit_day", "day", "currency"), ("n", "valued", "amount", "nanos"))
ANSWERS: Final = CellKind("nps_cell", ("day", "survey", "until", "score"), ("n",))
ACTIVITY_CELLS: Final = (GAPS, COHORTS, SESSIONS, GOALS, GOAL_SUMS)
USER_CELLS: Final = (*ACTIVITY_CELLS, ANSWERS)


class CellChanges:
    """What is to be added to cells of any kind."""

    def __init__(self) -> None:
        self._by_kind: dict[CellKind, dict[CellKey, list[int]]] = {}

    def add(self, kind: CellKind, key: CellKey, values: Iterable[int], sign: int = 1) -> None:
        """Add to a cell, or with `sign=-1` take away."""
        sums = self.sums(kind, key)
        for i, value in enumerate(values):
            sums[i] += sign * value

    def sums(self, kind: CellKind, key: CellKey) -> list[int]:
        """Return what is to be added to a cell, to be changed in place."""
        cells = self._by_kind.setdefault(kind, {})
        sums = cells.get(key)
        if sums is None:
            sums = cells[key] = [0] * len(kind.sums)
        return sums

    def __iter__(self) -> Iterator[tuple[CellKind, list[tuple[CellKey, list[int]]]]]:
        """Yield the cells of each kind that change."""
        for kind, cells in self._by_kind.items():
            if changed := [(key, sums) for key, sums in cells.items() if any(sums)]:
                yield kind, changed
