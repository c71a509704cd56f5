"""What a store answers about users, and the receipt of an erasure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

Link: TypeAlias = Literal["linked", "known", "refused"]


class SessionTotals(NamedTuple):
    """What the sessions that start on some days add up to.

    Attributes:
        viewed: sessions that are over and have a view.
        bounced: those of them that are not engaged.
        background: events of these days that are tracked and belong to no session.
    """

    sessions: int
    duration_us: int
    events: int
    viewed: int
    bounced: int
    background: int


class ConversionTotals(NamedTuple):
    """Who converted in a window.

    Attributes:
        entered: persons active in it.
        converted: those with a conversion at or after their first activity in it.
        conversions: all of those.
        wait_us: from first activity to first conversion, summed over the converted.
        value: of the conversions; `None` when none has one, or they are in several currencies.
    """

    entered: int
    converted: int
    conversions: int
    wait_us: int
    value: float | None


class Cohort(NamedTuple):
    """Persons first seen on one day, and how many of them were active so many days later."""

    day: int
    size: int
    returned: dict[int, int]


@dataclass(frozen=True, slots=True)
class Erasure:
    """The receipt of an erasure: what was removed for good, and what was made anonymous.

    Attributes:
        user_id: as it was asked for.
        receipt: asks later whether the bytes are cleared; 0 while the erasure is pending.
        erased_at: a later replay of anything from before is dropped.
        ids: distinct ids of the person, each erased.
        events, nps_responses, exposures, ab_conversions: facts that were removed.
        agent_runs: runs of agents that were removed.
        inferences: facts that stay, without user, session and metadata, and with those features that are numbers.
        bytes_cleared: whether no byte of the person is left in the file, its log and its free pages.
        pending: whether the store is away and the erasure waits for it on the disk of the host: nothing is removed yet.
    """

    user_id: str
    receipt: int
    erased_at: datetime
    ids: int
    events: int
    nps_responses: int
    exposures: int
    ab_conversions: int
    agent_runs: int
    inferences: int
    bytes_cleared: bool = False
    pending: bool = False


@dataclass(frozen=True, slots=True)
class ErasureState:
    """What became of the bytes of an erased person.

    Attributes:
        receipt: of the erasure.
        bytes_cleared: whether no byte is left in the file, its log and its free pages; since `cleared_at`.
    """

    receipt: int
    erased_at: datetime
    bytes_cleared: bool
    cleared_at: datetime | None
