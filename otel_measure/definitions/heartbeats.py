"""When anybody was there to see: heartbeats as unbroken runs.

Two heartbeats belong together when they are at most `LONGEST_GAP_US` apart, so the runs depend on the set of
heartbeats alone, not on their order, and repeating one changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

Run: TypeAlias = tuple[int, int]
"""The first and the last heartbeat of an unbroken run, microseconds."""
# Three times the interval of the heartbeats: one may be late, and one may meet a locked store.
LONGEST_GAP_US: Final = 45_000_000


def joined_run(latest: Iterable[Run], at: int, longest_gap_us: int = LONGEST_GAP_US) -> tuple[list[Run], Run]:
    """Return the runs that a heartbeat reaches, and the run that they and it make.

    Args:
        latest: the runs that begin last before `at + longest_gap_us`, two of them or more if there are.
        at: the heartbeat.
        longest_gap_us: between two that belong together.
    """
    reached = [run for run in latest if run[1] >= at - longest_gap_us]
    return reached, (min([at, *(first for first, _ in reached)]), max([at, *(last for _, last in reached)]))
