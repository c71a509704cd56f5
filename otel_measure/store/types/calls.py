"""Calls of models on the way in, as others tell of them."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

TellingOutcome: TypeAlias = Literal["accepted", "same_call", "duplicate", "span", "too_old", "erased"]


class TakenTellings(NamedTuple):
    """What became of tellings.

    Attributes:
        outcomes: of each, in the order given: a call of its own ("accepted"), told of a known call ("same_call"), was
            known itself ("duplicate"), tells of no call ("span"), or was refused.
        reassigned: how many calls the counters show that later words took back.
    """

    outcomes: list[TellingOutcome]
    reassigned: int
