"""How late calls usually become known, as those do that a sender tells of in batches: by the hour, or every night.

What is learnt of a subject is the longest time from a call until it was known, of each day. Usual is what was so on
three of the last days: one outage of a network, after which everything comes at once, is no habit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from otel_measure.definitions.days import DAY_US

DAYS: Final = 7
_ON_DAYS: Final = 3
_SLACK: Final = 8  # a batch may come later by an eighth of what is usual


def usual_lateness_us(late_by_day: Mapping[int, int], first_us: int | None, now_us: int) -> int:
    """Return how late what a subject did may become known, microseconds; 0 where it is known at once.

    Args:
        late_by_day: how late anything became known at most, of the days (counted from 1970, UTC) on which anything was
            late.
        first_us: when it was first called, if that is known: of who is younger than three days, fewer days tell.
        now_us: microseconds.
    """
    today = now_us // DAY_US
    known_days = DAYS if first_us is None else today - first_us // DAY_US
    needed = min(max(known_days, 1), _ON_DAYS)
    lately = sorted((late for day, late in late_by_day.items() if today - DAYS <= day <= today), reverse=True)
    return lately[needed - 1] + lately[needed - 1] // _SLACK if len(lately) >= needed else 0
