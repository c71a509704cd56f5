"""Which time is believed: what is removed for good, or runs out, is never decided by one reading of the wall clock.

A clock that is more than a day from the last heartbeat is doubted: it was set wrong, or nobody ran for so long, and
nothing here can tell which. Meanwhile time goes on from the last heartbeat, as long as somebody runs. The clock is
believed again when it is back, or when it has gone as the monotonic clock does for a day of running.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from otel_measure.definitions.days import DAY_US

TRUSTED_AFTER_US: Final = DAY_US
"""For how long a doubted clock has to go as the monotonic one does."""
STEP_US: Final = 60_000_000
"""By how much the two may differ between two heartbeats: what NTP corrects is seconds."""


class KeptClock(NamedTuple):
    """What a store keeps of the clock, in microseconds.

    Attributes:
        last: the believed time of the last heartbeat.
        ahead: by how much the clock was ahead of it, below 0 for behind; 0 for a clock that is believed.
        agreed: for how long a doubted clock has gone as the monotonic one does.
        heard: what a doubted clock said at the last heartbeat.
        since: when the last doubt ended; 0 when there was none.
    """

    last: int
    ahead: int = 0
    agreed: int = 0
    heard: int = 0
    since: int = 0

    @property
    def is_doubted(self) -> bool:
        """Whether the last heartbeat came by a clock that is not believed."""
        return self.ahead != 0


class Heartbeat(NamedTuple):
    """A heartbeat of one process, in microseconds.

    Attributes:
        at: by the wall clock.
        since_boot: by a clock that is never set.
    """

    at: int
    since_boot: int


def believes(kept: KeptClock | None, now: int) -> bool:
    """Tell whether a time is believed to be now; it is where nothing is known."""
    return kept is None or abs(now - kept.last) <= DAY_US


def believed_us(kept: KeptClock | None, now: int) -> int:
    """Return which time it is by what is believed, where the wall clock says `now`; of its own result, the same."""
    if kept is None or believes(kept, now):
        return now
    went_on = now - kept.ahead
    return went_on if believes(kept, went_on) else kept.last


def is_of_doubted_time(kept: KeptClock | None, ts: int) -> bool:
    """Tell whether a time is that of the doubted clock: what it has stamped is recent, whatever the stamp says."""
    return kept is not None and kept.is_doubted and abs(ts - kept.heard) <= DAY_US


def heard(kept: KeptClock | None, beat: Heartbeat, before: Heartbeat | None) -> KeptClock:
    """Return what is to be kept after a heartbeat.

    Args:
        kept: what was before; `None` for a store that had no heartbeat yet.
        beat: the heartbeat.
        before: the one before it of the same process, `None` for none.
    """
    now = beat.at
    if kept is None:
        return KeptClock(now)
    if believes(kept, now):
        return KeptClock(now, since=now if kept.is_doubted else kept.since)
    doubted_anew = kept._replace(ahead=now - kept.last, agreed=0, heard=now)
    if not kept.is_doubted or abs(now - kept.heard) > DAY_US:
        return doubted_anew
    if before is None:
        return _going_on(kept, now, kept.agreed)
    ran = beat.since_boot - before.since_boot
    if abs(now - before.at - ran) > STEP_US:
        return doubted_anew
    # Several processes run at the same time, which counts once.
    agreed = kept.agreed + max(0, min(ran, now - kept.heard))
    return KeptClock(now, since=now) if agreed >= TRUSTED_AFTER_US else _going_on(kept, now, agreed)


def _going_on(kept: KeptClock, now: int, agreed: int) -> KeptClock:
    return kept._replace(last=now - kept.ahead, agreed=agreed, heard=now)
