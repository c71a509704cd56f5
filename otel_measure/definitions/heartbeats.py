"""When anybody was there to see: heartbeats as unbroken runs.

Two heartbeats belong together when they are at most `LONGEST_GAP_US` apart, so the runs depend on the set of
heartbeats alone, not on their order, and repeating one changes nothing.
"""

from __future__ import annotations

from typing import Final

# Three times the interval of the heartbeats: one may be late, and one may meet a locked store.
LONGEST_GAP_US: Final = 45_000_000
